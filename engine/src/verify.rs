//! Is what is on disk what was written? How a database's files are kept, when they are verified, and doing it.
//!
//! **Problem.** Reading every byte at opening takes as long as the disk takes: a minute for a hundred gigabytes. Never
//! reading them means that a disk that rots gives wrong answers.
//!
//! **Idea.** Opening checks what is small: the manifest, the log, the tombstones, and of each segment the footer, the
//! table of checksums and the headers. The large rest is compared with its checksums by a thread behind the first
//! searches, once; or when asked. Until then nothing read from it is trusted to be in bounds, so damage can cost
//! answers, never memory. Once damage is found, searches, pages, counts and writes of the collection fail with the file and
//! the offset; rows by id are still read from its sound segments, and other collections are as they were.
//!
//! What verifies reads the files by ordinary reads and not through their maps, so bytes that the disk cannot read are damage as well. Only what
//! touches them through a map before that ends the process ([`Storage::Mapped`]).
//!
//! **Cost.** Verifying reads a segment once from front to back, and its links once more in the order of a walk. In the
//! background it rests as long as it works, from the first block to the last link, so that it takes half of a core and
//! half of the disk at most, and ends within milliseconds when the database is closed.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::collection::CollectionCore;
use crate::dir::{Dir, corrupt};
use crate::error::{Error, Result};
use crate::segment::{Check, SealedSegment};
use crate::signal::Signal;
use crate::store::Store;
use crate::wal;

/// When the segments of a database are compared with their checksums. The headers always are, and so are manifest, log
/// and tombstones, when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Before opening returns: opening takes as long as reading everything, and fails if anything is damaged.
    OnOpen,
    /// By a thread that starts when the database was opened, reads everything once, at rest for half of the time, and
    /// ends. Until it came by, a search may meet damaged bytes and give a wrong answer; afterwards it fails.
    #[default]
    Background,
    /// Only by [`Db::verify`](crate::Db::verify), and where rows are copied to new segments.
    OnDemand,
}

/// Where sealed segments are while a database is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In their files, which are mapped: the operating system keeps in memory what is used, so a database may be larger
    /// than memory and opens in milliseconds. A file that another program cuts, or that the disk fails to deliver, ends
    /// the process with a signal (`SIGBUS`) when a search, a merge or another reader of rows touches what is gone. A verification does not touch it: it
    /// reports it, and from then on nothing of the collection that needs the segment does.
    #[default]
    Mapped,
    /// In memory, on huge pages where the system has them. Opening reads and verifies everything, whatever
    /// [`Verify`] says; afterwards no search waits for the disk, and nothing that happens to a file harms it.
    Resident,
}

/// What opening does about a collection one of whose segments or tombstone files is damaged, missing or unreadable. A damaged manifest
/// or log is refused always: they are everybody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// Opens all others. The damaged one is named by [`Db::damaged`](crate::Db::damaged), and asking for it is
    /// [`Error::Corrupt`](crate::Error::Corrupt); its files and its part of the log stay as they are, for
    /// [`repair`](crate::repair).
    #[default]
    Isolate,
    /// Opens nothing: [`Error::Corrupt`](crate::Error::Corrupt).
    Refuse,
}

/// A place in a file where the bytes are not what was written, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The first byte of the record or block that is wrong.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

impl From<Damage> for Error {
    fn from(Damage { file, offset, reason }: Damage) -> Self {
        Error::Corrupt { file, offset, reason }
    }
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Bytes of segments read so far.
    pub bytes: u64,
    /// Bytes of segments there are to read.
    pub bytes_total: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Every damaged place; empty if all is well.
    pub damaged: Vec<Damage>,
    /// Whether the progress callback ended it before everything was read.
    pub cancelled: bool,
}

/// Steps between two reports of progress: a megabyte, where a step is a block.
const REPORT_STEPS: usize = 16;
/// Between two rests in the background.
const WORKED: Duration = Duration::from_millis(2);

impl Store {
    /// Verifies manifest, log, what is kept of it, tombstones and segments, as of now.
    pub(crate) fn verify(
        &self,
        progress: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        report.note(self.manifest.verify())?;
        report.note(self.log.verify())?;
        report.damaged.extend(self.damaged().into_iter().map(|(_, damage)| damage));
        let cores = self.collections();
        let mut segments = Vec::new();
        for core in &cores {
            report.note(core.verify_beside(&*self.dir))?;
            segments.extend(core.sealed_segments().into_iter().map(|segment| (core, segment)));
        }
        let bytes_total = segments.iter().map(|(_, segment)| segment.size_bytes()).sum();
        // However little there is to read: who watches sees that it has begun.
        if progress(VerifyProgress { bytes: 0, bytes_total }).is_break() {
            report.cancelled = true;
            return Ok(report);
        }
        // An archive that is behind leaves as much of them as may be kept.
        for name in wal::kept_files(&*self.dir)? {
            let damage = report.note(wal::damage_of_kept(&*self.dir, &name))?;
            report.damaged.extend(damage.flatten());
            if progress(VerifyProgress { bytes: 0, bytes_total }).is_break() {
                report.cancelled = true;
                return Ok(report);
            }
        }
        // Of all of them together: whoever may end it is asked as often where they are many and small.
        let mut steps = 0;
        for (core, segment) in segments {
            let mut words = Vec::new();
            let on_disk = report.note(self.as_on_disk(core, segment, &mut words))?.flatten();
            report.damaged.append(&mut words);
            let Some(segment) = on_disk else { continue };
            let mut bytes = report.bytes;
            let found = segment.verify(&*self.dir, &mut |read| {
                bytes += read as u64;
                steps += 1;
                if steps % REPORT_STEPS != 0 {
                    return ControlFlow::Continue(());
                }
                progress(VerifyProgress { bytes, bytes_total })
            });
            report.bytes = bytes;
            match found {
                ControlFlow::Continue(damaged) => {
                    if !damaged.is_empty() {
                        // Words that are not used any more are to be written.
                        self.signal.notify();
                    }
                    report.damaged.extend(damaged);
                }
                ControlFlow::Break(()) => {
                    report.cancelled = true;
                    return Ok(report);
                }
            }
        }
        Ok(report)
    }

    /// What is to be verified of a segment: itself, or of one in memory its file, if that is still there. Of words beside it that cannot be
    /// opened the damage is added to `words`.
    fn as_on_disk(
        &self,
        core: &CollectionCore,
        segment: Arc<SealedSegment>,
        words: &mut Vec<Damage>,
    ) -> Result<Option<Arc<SealedSegment>>> {
        if self.options.storage == Storage::Mapped {
            return Ok(Some(segment));
        }
        let is_merged_away = || !core.sealed_segments().iter().any(|now| now.id == segment.id);
        match SealedSegment::open(&*self.dir, segment.id, &core.opening()) {
            Ok(mapped) => {
                for field in segment.added_fields() {
                    let opened = mapped.open_words(&*self.dir, field, (Storage::Mapped, Check::Headers));
                    match opened {
                        // They go before their segment.
                        Err(Error::Io { .. }) if is_merged_away() => return Ok(None),
                        Err(error) => words.push(error.into_damage(OnDamage::Isolate)?),
                        Ok(_) => {}
                    }
                }
                Ok(Some(Arc::new(mapped)))
            }
            Err(Error::Io { .. }) if is_merged_away() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Segments of which only the headers were checked.
    pub(crate) fn unverified(&self) -> Vec<Weak<SealedSegment>> {
        let all = self.collections().into_iter().flat_map(|core| core.sealed_segments());
        all.filter(|segment| !segment.is_all_verified()).map(|segment| Arc::downgrade(&segment)).collect()
    }

    /// Verifies segments one after the other, resting as long as it works, until all are or the database is closed.
    pub(crate) fn verify_slowly(&self, segments: &[Weak<SealedSegment>]) {
        for segment in segments {
            // One that is not there any more was merged, after a verification of its own.
            let Some(segment) = segment.upgrade().filter(|segment| !segment.is_all_verified()) else {
                continue;
            };
            let mut rests = Rests::new(&self.signal);
            match segment.verify(&*self.dir, &mut |_| rests.next_step()) {
                ControlFlow::Continue(damaged) => {
                    let is_sound = segment.check().is_ok();
                    for error in damaged.into_iter().map(Error::from) {
                        match is_sound {
                            true => {
                                tracing::warn!(%error, "words of a field are damaged; they are made anew")
                            }
                            false => {
                                tracing::error!(%error, "a segment is damaged; its collection can be neither read nor written")
                            }
                        }
                        // Words that are not used any more are to be written.
                        self.signal.notify();
                    }
                }
                ControlFlow::Break(()) => return,
            }
        }
    }
}

/// Rests as long as it worked, and ends when the database is closed.
pub(crate) struct Rests<'a> {
    signal: &'a Signal,
    /// Of the work since the last rest.
    start: Instant,
}

impl<'a> Rests<'a> {
    pub(crate) fn new(signal: &'a Signal) -> Self {
        Self { signal, start: Instant::now() }
    }

    /// Returns when it is time for the next step, or at once if there is to be none.
    pub(crate) fn next_step(&mut self) -> ControlFlow<()> {
        let worked = self.start.elapsed();
        let goes_on = if worked < WORKED {
            !self.signal.is_stopping()
        } else {
            let goes_on = self.signal.pause(worked).is_some();
            self.start = Instant::now();
            goes_on
        };
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl VerifyReport {
    /// Takes damage into the report, a file that the disk cannot read too; other errors end the verification.
    fn note<T>(&mut self, checked: Result<T>) -> Result<Option<T>> {
        match checked {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corrupt { file, offset, reason }) => {
                self.damaged.push(Damage { file, offset, reason });
                Ok(None)
            }
            Err(error @ Error::Io { .. }) if error.is_unreadable() => {
                self.damaged.push(error.into_damage(OnDamage::Isolate)?);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// An error about a file that differs from what this process holds of it.
pub(crate) fn differs(dir: &dyn Dir, name: &str) -> Error {
    corrupt(dir, name, 0, "the file is not what this process wrote or read")
}
