//! Places where a test may stop the engine, and ways in which it may be wrong: for tests of what a crash leaves.
//!
//! **Problem.** A process that is killed at random is rarely killed between the two calls that matter, and a test that
//! finds nothing may be a test that cannot find anything.
//!
//! **Idea.** The engine names its steps: [`on_point`] is called at each, on the thread that is there, and may end the
//! process or never return. And it knows a few mistakes, one of which can be made on purpose: each [`Mutant`] is a store
//! that loses something, so whoever claims to test that nothing is lost must find it.
//!
//! A point is named `work.step`. The works `write`, `seal`, `merge`, `snapshot` and `recovery` say what is being done;
//! steps of the works `commit` and `manifest` belong to whatever this thread was at before. Of a snapshot only the holding
//! is the engine's; for the steps of the copying, the torture brings an object store that stops at each change.
//!
//! For what is built on the engine there is the disk as well on which the engine's own tests die (`faults/disk.rs`).
//!
//! **Why not a crate.** The `fail` crate keeps a registry of actions by name, parsed from texts, and brings a generator of
//! random numbers. What is needed is one function, and mutants besides, which it does not have.
//!
//! **Cost.** None without the cargo feature `faults`, which is off unless somebody asks for it: both functions are empty
//! then. With it, one atomic read for each step, of which there are few for each sync.

#[cfg(feature = "faults")]
mod disk;

#[cfg(feature = "faults")]
pub use disk::Disk;

/// A mistake made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "faults"), expect(unreachable_pub, reason = "public where it can be chosen"))]
#[non_exhaustive]
#[repr(u8)]
pub enum Mutant {
    /// A write is acknowledged while its record is only queued.
    AcknowledgeBeforeLog = 1,
    /// A write is acknowledged when its record was handed to the system, without a sync. A killed process does not show
    /// it; a machine without power does.
    AcknowledgeBeforeSync,
    /// The log is cut before the manifest says that its records are stored.
    CutLogBeforeManifest,
    /// A merge forgets which rows died.
    ForgetTombstonesOnMerge,
    /// Opening takes the last frame of the log for a torn one.
    DropLastFrame,
    /// A seal leaves out its last row.
    SealDropsLastRow,
    /// The manifest takes its place without a sync of the directory. Only a machine without power shows it.
    ManifestWithoutDirectorySync,
    /// A merge forgets what updates changed while it was written.
    ForgetPatchesOnMerge,
    /// The log is cut before what updates changed of sealed rows is stored.
    CutLogBeforePatches,
    /// A copy is made of the log files that are ended, and the one that is being written is forgotten.
    CopyWithoutOpenLog,
    /// A commit forgets which requests were done.
    ForgetRequestsOnCommit,
    /// A seal forgets when rows expire.
    ForgetExpiriesOnSeal,
}

#[cfg(feature = "faults")]
impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 12] = [
        Mutant::AcknowledgeBeforeLog,
        Mutant::AcknowledgeBeforeSync,
        Mutant::CutLogBeforeManifest,
        Mutant::ForgetTombstonesOnMerge,
        Mutant::DropLastFrame,
        Mutant::SealDropsLastRow,
        Mutant::ManifestWithoutDirectorySync,
        Mutant::ForgetPatchesOnMerge,
        Mutant::CutLogBeforePatches,
        Mutant::CopyWithoutOpenLog,
        Mutant::ForgetRequestsOnCommit,
        Mutant::ForgetExpiriesOnSeal,
    ];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Mutant::AcknowledgeBeforeLog => "acknowledge-before-log",
            Mutant::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Mutant::CutLogBeforeManifest => "cut-log-before-manifest",
            Mutant::ForgetTombstonesOnMerge => "forget-tombstones-on-merge",
            Mutant::DropLastFrame => "drop-last-frame",
            Mutant::SealDropsLastRow => "seal-drops-last-row",
            Mutant::ManifestWithoutDirectorySync => "manifest-without-directory-sync",
            Mutant::ForgetPatchesOnMerge => "forget-patches-on-merge",
            Mutant::CutLogBeforePatches => "cut-log-before-patches",
            Mutant::CopyWithoutOpenLog => "copy-without-open-log",
            Mutant::ForgetRequestsOnCommit => "forget-requests-on-commit",
            Mutant::ForgetExpiriesOnSeal => "forget-expiries-on-seal",
        }
    }

    /// Whether a process that is killed can show it. The others need a machine that loses power.
    pub fn is_seen_by_kills(self) -> bool {
        !matches!(self, Mutant::AcknowledgeBeforeSync | Mutant::ManifestWithoutDirectorySync)
    }
}

#[cfg(not(any(test, feature = "faults")))]
mod chosen {
    /// Nobody listens.
    #[inline(always)]
    pub(crate) fn point(_name: &'static str) {}

    /// Nobody can choose a mutant.
    #[inline(always)]
    pub(crate) fn is(_mutant: super::Mutant) -> bool {
        false
    }
}

#[cfg(all(feature = "faults", not(test)))]
mod chosen {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Mutant;

    type Hook = Box<dyn Fn(&'static str) + Send + Sync>;

    static HOOK: OnceLock<Hook> = OnceLock::new();
    static CHOSEN: AtomicU8 = AtomicU8::new(0);

    pub(crate) fn point(name: &'static str) {
        if let Some(hook) = HOOK.get() {
            hook(name);
        }
    }

    pub(crate) fn is(mutant: Mutant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == mutant as u8
    }

    /// Calls a function at every point from now on, in the whole process. The first one given stays.
    pub fn on_point(hook: impl Fn(&'static str) + Send + Sync + 'static) {
        let _ = HOOK.set(Box::new(hook));
    }

    /// Makes every store of the process wrong from now on.
    pub fn choose(mutant: Mutant) {
        CHOSEN.store(mutant as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(crate) use chosen::with;
#[cfg(all(feature = "faults", not(test)))]
pub use chosen::{choose, on_point};
pub(crate) use chosen::{is, point};

/// In tests of this crate, which run side by side: a mutant is that of one thread.
#[cfg(test)]
mod chosen {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(crate) fn point(_name: &'static str) {}

    pub(crate) fn is(mutant: Mutant) -> bool {
        CHOSEN.get() == Some(mutant)
    }

    /// Makes this thread's stores wrong while the function runs.
    pub(crate) fn with<T>(mutant: Mutant, run: impl FnOnce() -> T) -> T {
        CHOSEN.set(Some(mutant));
        let result = run();
        CHOSEN.set(None);
        result
    }
}
