//! Log files that change no more: closed for a copy, or cut and kept for an archive.
//!
//! **Problem.** A file is cut once segments hold its records; whoever wants to go back to a moment between two snapshots
//! needs it longer, and must be able to copy it without stopping the writers.
//!
//! **Idea.** A cut file is not removed but renamed, `log-…` to `kept-…`: it is read no more when the database is opened, and
//! does not count as log that holds up a seal. An archive copies it and then says so ([`Log::release`](super::Log::release)).
//! What is kept is bounded: without an archive the oldest goes, which the archive sees as a gap and says. A copy of what is
//! durable now begins with closing the file that is being written: the next frame begins another.
//!
//! **Cost.** Closing waits for the frame under way, and leaves a file that is smaller than others.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read;
use std::sync::PoisonError;

use super::super::frame::{self, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FrameHeader};
use super::super::names::{file_name, kept_name, kept_number};
use super::super::{ClosedFile, ClosedLog, LogMark};
use super::{FileLog, LogFile, State};
use crate::dir::{Dir, io_error};
use crate::error::{Error, Result};
use crate::faults::{self, Mutant};

/// A file that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptFile {
    pub(super) number: u64,
    size_bytes: u64,
    /// The position of its first record.
    first: u64,
    /// The position of its last record.
    end: u64,
}

/// What earlier openings kept, before these files of the log. A file whose beginning cannot be read is left alone, so that the archive finds a gap: where in
/// the log it belongs is not known, so neither is when it is archived, and somebody may still read the rest of it. That is told at each opening.
pub(super) fn find(
    dir: &dyn Dir,
    names: &[String],
    files: &VecDeque<LogFile>,
    mark: LogMark,
) -> VecDeque<KeptFile> {
    let damaged = |error: &Error| {
        tracing::warn!(
            %error,
            "a log file that is kept for an archive cannot be read: the archive has a gap there, and the file stays until a repair puts it away"
        );
    };
    let numbers = names.iter().filter_map(|name| kept_number(name));
    let mut found: VecDeque<KeptFile> =
        numbers.filter_map(|number| read_first(dir, number).inspect_err(damaged).ok()).collect();
    // The number and the first position of the file behind it.
    let mut next =
        files.front().map_or((mark.next_file, mark.position + 1), |file| (file.number, file.first));
    for file in found.iter_mut().rev() {
        let is_followed = file.number + 1 == next.0 && file.first < next.1;
        file.end = if is_followed { next.1 - 1 } else { last_of(dir, file) };
        next = (file.number, file.first);
    }
    found
}

fn read_first(dir: &dyn Dir, number: u64) -> Result<KeptFile> {
    let name = kept_name(number);
    let mut start = [0; FILE_HEADER_BYTES + FRAME_HEADER_BYTES];
    dir.reader(&name)?
        .read_exact(&mut start)
        .map_err(|source| io_error("read", &dir.file_path(&name), source))?;
    let Some(FrameHeader { position: first, .. }) = frame::first_frame(&start, number) else {
        return Err(crate::dir::corrupt(dir, &name, 0, "the first frame of a log file is damaged"));
    };
    Ok(KeptFile { number, size_bytes: dir.size_bytes(&name)?, first, end: first })
}

/// The position of the last record of a file behind which one is missing, as a crash leaves those that a copy held; whoever archives it finds
/// out if it is damaged.
fn last_of(dir: &dyn Dir, file: &KeptFile) -> u64 {
    let mut last = file.first;
    if let Ok(bytes) = dir.read(&kept_name(file.number)) {
        let read = frame::read_file(&bytes, file.number, |place, _| {
            last = place.position;
            Ok::<(), Infallible>(())
        });
        debug_assert!(read.is_ok(), "nothing stops it");
    }
    last
}

impl FileLog {
    /// Removes files all of whose records are stored, but what is beyond `noted`. That is asked under the lock with which frames are counted:
    /// one that comes meanwhile may have records that nobody needs any more, of a collection that is gone, and its positions are given all the same.
    pub(super) fn cut_files(&self, noted: LogMark, stored: &dyn Fn(u64) -> u64) -> Result<()> {
        let mut removable = Vec::new();
        {
            let mut state = self.state();
            while let Some(file) = state.files.front() {
                let is_tail = state.files.len() == 1;
                let is_needed = file.last.iter().any(|(&log_id, &seq)| seq > stored(log_id));
                // Whoever writes next cuts off what a full disk left at its end. Were it removed meanwhile, a crash might bring it
                // back as it is, with other files after it.
                let is_torn = state.refused.torn.is_some_and(|(torn, _)| torn == file.number);
                let is_beyond = file.number >= noted.next_file || file.end > noted.position;
                // The leader is appending to the last file.
                if (is_tail && state.leading) || is_torn || is_needed || is_beyond {
                    break;
                }
                removable.extend(state.files.pop_front());
                if is_tail {
                    state.tail = None;
                }
            }
        }
        self.remove_or_keep(&removable)
    }

    /// Removes files, or keeps them as far as that is wanted; and removes what is kept beyond that.
    pub(super) fn remove_or_keep(&self, cut: &[LogFile]) -> Result<()> {
        let mut changed = !cut.is_empty();
        let keeps = self.state().keep_bytes > 0;
        for file in cut {
            faults::point("commit.cut");
            // A file without positions cannot be put in order with others.
            if keeps && file.first > 0 {
                let name = file_name(file.number);
                if self.dir.size_bytes(&name)? > file.size_bytes {
                    // A frame that a full disk refused.
                    self.dir.truncate(&name, file.size_bytes)?;
                }
                self.dir.rename(&name, &kept_name(file.number))?;
                let LogFile { number, size_bytes, first, end, .. } = *file;
                let mut state = self.state();
                state.kept.push_back(KeptFile { number, size_bytes, first, end });
                // Two may cut at once.
                state.kept.make_contiguous().sort_unstable_by_key(|file| file.number);
            } else {
                self.dir.remove(&file_name(file.number))?;
            }
        }
        while let Some(oldest) = self.next_over_bound() {
            self.dir.remove(&kept_name(oldest.number))?;
            changed = true;
        }
        if changed { self.dir.sync() } else { Ok(()) }
    }

    /// Takes the oldest kept file out if there are too many bytes of them.
    fn next_over_bound(&self) -> Option<KeptFile> {
        let mut state = self.state();
        let kept_bytes: u64 = state.kept.iter().map(|file| file.size_bytes).sum();
        if kept_bytes <= state.keep_bytes {
            return None;
        }
        let oldest = state.kept.pop_front()?;
        if state.keep_bytes > 0 {
            tracing::warn!(
                first = oldest.first,
                "the oldest kept log was removed before it was released: an archive has a gap there"
            );
        }
        Some(oldest)
    }

    /// Removes kept files that hold nothing beyond a position.
    pub(super) fn release_kept(&self, position: u64) -> Result<()> {
        let released: Vec<KeptFile> = {
            let mut state = self.state();
            let count = state.kept.iter().take_while(|file| file.end <= position).count();
            state.kept.drain(..count).collect()
        };
        for file in &released {
            self.dir.remove(&kept_name(file.number))?;
        }
        if released.is_empty() { Ok(()) } else { self.dir.sync() }
    }

    /// Ends the current file and lists all that are ended then.
    pub(super) fn close_files(&self) -> Result<ClosedLog> {
        let mut state = self.state();
        state.ends_file = state.leading;
        // The frame under way is not counted yet. After it comes another leader, who ends the file, or none.
        while state.leading && state.ends_file {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Self::refusal(&state)?;
        if !state.leading
            && let Some(tail) = state.tail.as_ref().filter(|_| faults::is(Mutant::CopyWithoutOpenLog))
        {
            state.ended_below = tail.number;
        } else if !state.leading {
            state.tail = None;
            state.ends_file = false;
            state.ended_below = u64::MAX;
        }
        Ok(state.closed())
    }
}

impl State {
    /// What is in files below `ended_below`.
    fn closed(&self) -> ClosedLog {
        let open = self.files.iter().position(|file| file.number >= self.ended_below);
        // Without a later file, everything durable is in them.
        let mark = open.map_or(self.mark(), |index| {
            let LogFile { number, first, after_us, .. } = self.files[index];
            LogMark { next_file: number, position: first - 1, time_us: after_us }
        });
        let closed = self.files.iter().take(open.unwrap_or(self.files.len()));
        let last = closed.clone().flat_map(|file| &file.last).map(|(id, seq)| (*id, *seq)).collect();
        let kept = self.kept.iter().map(|&KeptFile { number, size_bytes, first, end }| ClosedFile {
            number,
            size_bytes,
            first,
            last: end,
            is_kept: true,
        });
        let live = closed.map(|&LogFile { number, size_bytes, first, end, .. }| ClosedFile {
            number,
            size_bytes,
            first,
            last: end,
            is_kept: false,
        });
        ClosedLog { mark, files: kept.chain(live).collect(), last }
    }
}
