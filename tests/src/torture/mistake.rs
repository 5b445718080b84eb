//! How a store may be wrong on purpose, so that the torture must find it.

use ragstone::faults::{self, Mutant};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// One of the engine.
    Engine(Mutant),
    /// A snapshot's manifest is written before the files that it names.
    ManifestBeforeFiles,
}

impl Mistake {
    /// Those that a killed process shows.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_engine = Mutant::ALL.into_iter().filter(|mutant| mutant.is_seen_by_kills());
        of_engine.map(Self::Engine).chain([Self::ManifestBeforeFiles])
    }

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine(mutant) => mutant.name(),
            Self::ManifestBeforeFiles => "snapshot-manifest-before-files",
        }
    }

    /// What has that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|known| known.name() == name)
    }

    /// Makes it in this process.
    pub(super) fn make(self) {
        if let Self::Engine(mutant) = self {
            faults::choose(mutant);
        }
    }
}
