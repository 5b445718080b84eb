//! The log as files of the database directory.
//!
//! **Group commit.** A writer queues its record ([`Log::submit`]), which gives it a ticket, and then waits for that ticket ([`Log::wait`]). Of those who
//! wait one becomes the *leader*: it takes all that is queued, lets go of the lock, writes and syncs it as one frame, and wakes the others, whose records were
//! in that frame or are led by the next leader. So there is one frame on its way at a time, and nobody holds the lock while the disk works.
//!
//! ```text
//! submit: queued --lead--> in a frame on its way --synced--> durable         wait returns
//!                                  |--disk is full---------> refused         wait says so; its number becomes a void (`refused.rs`)
//!                                  |--any other failure----> poisoned        cut off, and nothing more is written until the log is opened anew
//! ```
//!
//! **Files.** Frames are appended to the *tail*. Once that has [`LogOptions::file_bytes`], or somebody closes the log for a copy, the next frame begins another
//! file. Only the last file can end in a torn frame, so a file is begun only behind one that is whole.
//!
//! `opening.rs` reads the files back; `queueing.rs` has what waits for a frame; `refused.rs` what a full disk refused; `kept.rs` cutting, what is kept after that,
//! and closing for a copy.

mod kept;
mod opening;
mod queueing;
mod refused;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use self::kept::KeptFile;
use self::refused::Refused;
use super::frame::{self, FrameHeader};
use super::names::file_name;
use super::{ClosedLog, Log, LogMark, Place, Record, Ticket, check_file};
use crate::dir::{Dir, DirFile, corrupt};
use crate::error::{Error, Result};
use crate::faults::{self, Mutant};
use crate::latencies::{Durations, Latencies};

/// Gets each record with the name of its file and its place there.
type Replay<'a> = dyn FnMut(&str, Place, Record<'_>) -> Result<()> + 'a;

/// How the log behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions {
    /// Bytes after which a new file is begun.
    pub(crate) file_bytes: u64,
    /// Bytes that may be queued for the disk; a writer waits beyond them.
    pub(crate) queue_bytes: usize,
    /// Bytes of what was cut that are kept for an archive.
    pub(crate) keep_bytes: u64,
    /// Microseconds since 1970.
    pub(crate) clock: fn() -> u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, queue_bytes: 256 << 20, keep_bytes: 0, clock: system_time_us }
    }
}

/// A clock before 1970 reads as 1970: the log's times only never go back.
fn system_time_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A file with records.
#[derive(Debug)]
struct LogFile {
    number: u64,
    size_bytes: u64,
    /// The position of its first record, 0 if it has none.
    first: u64,
    /// The position of its last record.
    end: u64,
    /// When the record before it was written.
    after_us: u64,
    /// The last sequence number of each log id in it.
    last: BTreeMap<u64, u64>,
}

/// What is queued for the next frame.
#[derive(Debug, Default)]
struct Queue {
    records: Vec<u8>,
    /// Log id and number of each.
    numbers: Vec<(u64, u64)>,
}

/// The file that frames are appended to.
struct Tail {
    file: Box<dyn DirFile>,
    number: u64,
    size_bytes: u64,
    frames: u64,
}

/// Where the log stands: what is queued, what is on its way, and what is on disk.
struct State {
    queue: Queue,
    /// The position of the last record queued.
    submitted: u64,
    /// The position of the last record that is durable.
    durable: u64,
    /// When it was written.
    time_us: u64,
    /// Whether a leader is writing; it has the tail then.
    leading: bool,
    tail: Option<Tail>,
    /// Whether the next frame begins a file.
    ends_file: bool,
    /// Files with numbers below are ended: set whenever `ends_file` is fulfilled.
    ended_below: u64,
    files: VecDeque<LogFile>,
    /// What was cut and is kept, oldest first.
    kept: VecDeque<KeptFile>,
    keep_bytes: u64,
    /// That of the next file.
    next_number: u64,
    /// Why nothing more is written, if nothing is.
    poison: Option<String>,
    /// What a full disk refused, and what is to be written in its place.
    refused: Refused,
    /// How often anything was.
    refusals: u64,
}

/// One log in the files `log-<number>` of a directory.
pub(crate) struct FileLog {
    dir: Arc<dyn Dir>,
    options: LogOptions,
    /// Held for queueing and book-keeping, never while the disk works.
    state: Mutex<State>,
    changed: Condvar,
    syncs: Durations,
}

impl std::fmt::Debug for FileLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileLog").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl FileLog {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held would have to come from the book-keeping below, which does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(state: &State) -> Result<()> {
        match &state.poison {
            Some(cause) => Err(Error::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Writes and syncs one frame, which comes after `mark`; only the leader is here.
    fn write_frame(&self, tail: Option<Tail>, mark: &mut LogMark, records: &[u8]) -> Result<Tail> {
        let mut tail = match tail {
            Some(tail) => tail,
            None => self.begin_file(mark.next_file)?,
        };
        mark.time_us = mark.time_us.max((self.options.clock)());
        let length_bytes = u32::try_from(records.len()).expect("the queue is bounded below 4 GiB");
        let (number, position, time_us) = (tail.frames, mark.position + 1, mark.time_us);
        let header = FrameHeader { number, position, time_us, length_bytes };
        // One call, so that a small frame is one write for the system.
        let mut bytes = header.encode();
        bytes.extend_from_slice(records);
        faults::point("write.frame");
        tail.file.write(&bytes)?;
        faults::point("write.written");
        if !faults::is(Mutant::AcknowledgeBeforeSync) {
            tail.file.sync()?;
        }
        faults::point("write.synced");
        tail.size_bytes += bytes.len() as u64;
        tail.frames += 1;
        Ok(tail)
    }

    fn begin_file(&self, number: u64) -> Result<Tail> {
        let mut file = self.dir.create(&file_name(number))?;
        let header = frame::file_header(number);
        file.write(&header)?;
        file.sync()?;
        faults::point("write.file");
        self.dir.sync()?;
        Ok(Tail { file, number, size_bytes: header.len() as u64, frames: 0 })
    }

    /// Writes what is queued, for every writer that waits.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, Result<()>) {
        state.leading = true;
        let queue = std::mem::take(&mut state.queue);
        let ends_file = std::mem::take(&mut state.ends_file);
        let goes_on = |tail: &Tail| !ends_file && tail.size_bytes < self.options.file_bytes;
        let tail = state.tail.take().filter(goes_on);
        if ends_file {
            state.ended_below = state.next_number;
        }
        let (up_to, mut mark) = (state.submitted, state.mark());
        // They are the records right behind what is durable, so they keep their positions.
        let voids = state.refused.voids.len();
        let mut records = state.refused.records();
        records.extend_from_slice(&queue.records);
        let torn = state.refused.torn.or(tail.as_ref().map(|tail| (tail.number, tail.size_bytes)));
        let cut = state.refused.torn;
        let behind_header = (mark.next_file, frame::FILE_HEADER_BYTES as u64);
        let (number, begin) = tail.as_ref().map_or(behind_header, |tail| (tail.number, tail.size_bytes));
        drop(state);
        let written = cut
            .map_or(Ok(()), |(number, size_bytes)| self.dir.truncate(&file_name(number), size_bytes))
            .and_then(|()| self.syncs.of(|| self.write_frame(tail, &mut mark, &records)));
        if written.as_ref().is_err_and(|error| !error.is_full()) {
            // After a failed sync the system may show bytes that no later sync writes. Whoever opens the log next must not take
            // them for durable.
            let _ = self.dir.truncate(&file_name(number), begin);
        }
        let mut state = self.state();
        state.leading = false;
        let result = match written {
            Ok(tail) => {
                let voids: Vec<(u64, u64)> = state.refused.voids.drain(..voids).collect();
                state.refused.torn = None;
                state.note_frame(&tail, up_to, voids.into_iter().chain(queue.numbers));
                (state.durable, state.time_us) = (up_to, mark.time_us);
                state.tail = Some(tail);
                Ok(())
            }
            Err(error) if error.is_full() => {
                // Together with what was queued meanwhile, so that the numbers without a record are the last ones.
                let late = std::mem::take(&mut state.queue).numbers;
                state.refusals += 1;
                let is_news = state.refused.add(queue.numbers.into_iter().chain(late), torn);
                let State { durable, submitted, refused, .. } = &mut *state;
                if is_news {
                    refused.note(*durable, *submitted, &error);
                }
                Err(error)
            }
            Err(error) => {
                state.poison.get_or_insert_with(|| error.to_string());
                Err(error)
            }
        };
        self.changed.notify_all();
        (state, result)
    }
}

impl State {
    fn mark(&self) -> LogMark {
        LogMark { next_file: self.next_number, position: self.durable, time_us: self.time_us }
    }

    /// Counts a frame that was written after what is durable so far, up to a position.
    fn note_frame(&mut self, tail: &Tail, up_to: u64, numbers: impl Iterator<Item = (u64, u64)>) {
        if tail.number == self.next_number {
            self.next_number += 1;
            let first = self.durable + 1;
            let (number, after_us, last) = (tail.number, self.time_us, BTreeMap::new());
            self.files.push_back(LogFile { number, size_bytes: 0, first, end: up_to, after_us, last });
        }
        if let Some(file) = self.files.back_mut() {
            (file.size_bytes, file.end) = (tail.size_bytes, up_to);
            file.last.extend(numbers);
        }
    }
}

impl Log for FileLog {
    fn submit(&self, record: Record<'_>) -> Result<Ticket> {
        // Without a count there is always a ticket.
        Ok(self.queue(&record, None)?.unwrap_or(Ticket(0)))
    }

    fn submit_unless_refused(&self, record: Record<'_>, refusals: u64) -> Result<Option<Ticket>> {
        self.queue(&record, Some(refusals))
    }

    fn refusals(&self) -> u64 {
        self.state().refusals
    }

    fn wait(&self, ticket: Ticket) -> Result<()> {
        let mut state = self.state();
        if faults::is(Mutant::AcknowledgeBeforeLog) && state.queue.records.len() < 8 << 10 {
            return Ok(());
        }
        loop {
            if let Some(error) = state.refused.tell(ticket.0) {
                return Err(error);
            }
            if state.durable >= ticket.0 {
                return Ok(());
            }
            // A frame under way decides before a poison does: it may make this ticket durable, and the writers after
            // it in the frame wait for this one to be applied.
            if state.leading {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            Self::refusal(&state)?;
            let (relocked, result) = self.lead(state);
            state = relocked;
            // If the disk is full, this ticket is told so like the others.
            result.or_else(|error| if error.is_full() { Ok(()) } else { Err(error) })?;
        }
    }

    fn poison(&self, cause: &str) {
        self.state().poison.get_or_insert_with(|| cause.to_owned());
        self.changed.notify_all();
    }

    fn check(&self) -> Result<()> {
        Self::refusal(&self.state())
    }

    fn cut(&self, noted: LogMark, stored: &dyn Fn(u64) -> u64) -> Result<()> {
        self.cut_files(noted, stored)
    }

    fn keep(&self, bytes: u64) -> Result<()> {
        self.state().keep_bytes = bytes;
        self.remove_or_keep(&[])
    }

    fn release(&self, position: u64) -> Result<()> {
        self.release_kept(position)
    }

    fn mark(&self) -> LogMark {
        self.state().mark()
    }

    fn fulfil(&self) -> Result<()> {
        let mut state = self.state();
        while !state.refused.voids.is_empty() {
            if state.leading {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            Self::refusal(&state)?;
            let (relocked, result) = self.lead(state);
            result?;
            state = relocked;
        }
        Ok(())
    }

    fn close(&self) -> Result<ClosedLog> {
        self.close_files()
    }

    fn verify(&self) -> Result<()> {
        let files: Vec<(u64, u64)> =
            self.state().files.iter().map(|file| (file.number, file.size_bytes)).collect();
        for (number, size_bytes) in files {
            let name = file_name(number);
            let bytes = match self.dir.read(&name) {
                Ok(bytes) => bytes,
                Err(error) if self.state().files.iter().any(|file| file.number == number) => {
                    return Err(error);
                }
                // It was cut meanwhile.
                Err(_) => continue,
            };
            let fault = |offset: usize, reason: String| corrupt(&*self.dir, &name, offset as u64, reason);
            // Beyond its size a frame may be on its way.
            let Some(durable) = bytes.get(..size_bytes as usize) else {
                return Err(fault(bytes.len(), format!("the file had {size_bytes} bytes and was cut")));
            };
            check_file(durable, number).map_err(|(offset, reason)| fault(offset, reason))?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.state().files.iter().map(|file| file.size_bytes).sum()
    }

    fn latencies(&self) -> Latencies {
        self.syncs.read()
    }

    fn oldest(&self) -> Vec<(u64, u64)> {
        let last = |file: &LogFile| file.last.iter().map(|(log_id, seq)| (*log_id, *seq)).collect();
        self.state().files.front().map(last).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
