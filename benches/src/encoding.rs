//! The encodings by the names that `--encoding` takes: the one place of the benchmarks that tells them apart.

use clap::ValueEnum;
use ragstone::EncodingKind;

/// How vectors are kept for the walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// 32-bit floats.
    #[default]
    F32,
}

impl Encoding {
    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::F32 => "f32",
        }
    }

    /// The engine's name for it.
    pub fn kind(self) -> EncodingKind {
        match self {
            Encoding::F32 => EncodingKind::F32,
        }
    }

    /// Bytes that a walk compares of one row.
    pub fn row_bytes(self, dimension: usize) -> usize {
        match self {
            Encoding::F32 => dimension * 4,
        }
    }

    /// The index's name in results.
    pub fn index_name(self) -> String {
        format!("ragstone-{}", self.name())
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
