//! The encodings by the names that `--encoding` takes: the one place of the benchmarks that tells them apart.

use clap::ValueEnum;
use ragstone::EncodingKind;

/// How vectors are kept for the walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// A byte a component.
    Int8,
    /// Half a byte a component.
    #[default]
    Int4,
    /// A bit a component.
    Bit1,
}

impl Encoding {
    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::F32 => "f32",
            Encoding::Int8 => "int8",
            Encoding::Int4 => "int4",
            Encoding::F16 => "f16",
            Encoding::Bit1 => "bit1",
        }
    }

    /// The engine's name for it.
    pub fn kind(self) -> EncodingKind {
        match self {
            Encoding::F32 => EncodingKind::F32,
            Encoding::Int8 => EncodingKind::Int8,
            Encoding::Int4 => EncodingKind::Int4,
            Encoding::F16 => EncodingKind::F16,
            Encoding::Bit1 => EncodingKind::Bit1,
        }
    }

    /// Bytes that a walk reads of one row: its code and the factors beside it, under cosine and dot.
    pub fn row_bytes(self, dimension: usize) -> usize {
        match self {
            Encoding::F32 => dimension * 4,
            Encoding::Int8 => dimension.next_multiple_of(64) + 12,
            Encoding::Int4 => dimension.next_multiple_of(128) / 2 + 4,
            Encoding::F16 => dimension.next_multiple_of(32) * 2 + 4,
            Encoding::Bit1 => dimension.next_multiple_of(512) / 8 + 8,
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
