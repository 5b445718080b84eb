//! The log as files of the database directory: opening, group commit, rotation, cutting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::refused::Refused;
use super::frame::{self, Fault};
use super::{Log, Record, Ticket};
use crate::dir::{Dir, DirFile, corrupt};
use crate::error::{Error, Result};
use crate::faults::{self, Mutant};

/// How the log behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions {
    /// Bytes after which a new file is begun.
    pub(crate) file_bytes: u64,
    /// Bytes that may be queued for the disk; a writer waits beyond them.
    pub(crate) queue_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, queue_bytes: 256 << 20 }
    }
}

/// The number in the name of a log file.
pub(super) fn file_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

pub(super) fn file_name(number: u64) -> String {
    format!("log-{number:016x}")
}

/// A file with records.
#[derive(Debug)]
struct LogFile {
    number: u64,
    size_bytes: u64,
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

struct State {
    queue: Queue,
    /// Tickets given out.
    submitted: u64,
    /// Tickets durable.
    durable: u64,
    /// Whether a leader is writing; it has the tail then.
    leading: bool,
    tail: Option<Tail>,
    files: VecDeque<LogFile>,
    next_number: u64,
    poison: Option<String>,
    refused: Refused,
}

/// One log in the files `log-<number>` of a directory.
pub(crate) struct FileLog {
    dir: Arc<dyn Dir>,
    options: LogOptions,
    /// Held for queueing and book-keeping, never while the disk works.
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for FileLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileLog").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl FileLog {
    /// Reads every record, oldest first, cuts a torn tail, and is then ready for new ones.
    ///
    /// `replay` gets each record with the name of its file and its offset there.
    pub(crate) fn open(
        dir: Arc<dyn Dir>,
        options: LogOptions,
        replay: &mut dyn FnMut(&str, usize, Record<'_>) -> Result<()>,
    ) -> Result<Self> {
        let numbers: Vec<u64> = dir.list()?.iter().filter_map(|name| file_number(name)).collect();
        let mut files = VecDeque::new();
        for (index, &number) in numbers.iter().enumerate() {
            let is_last = index + 1 == numbers.len();
            files.extend(Self::open_file(&dir, number, is_last, replay)?);
        }
        let state = State {
            queue: Queue::default(),
            submitted: 0,
            durable: 0,
            leading: false,
            tail: None,
            files,
            next_number: numbers.last().map_or(1, |last| last + 1),
            poison: None,
            refused: Refused::default(),
        };
        Ok(Self { dir, options, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Replays one file; `None` if it held nothing and was removed.
    fn open_file(
        dir: &Arc<dyn Dir>,
        number: u64,
        is_last: bool,
        replay: &mut dyn FnMut(&str, usize, Record<'_>) -> Result<()>,
    ) -> Result<Option<LogFile>> {
        let name = file_name(number);
        let mut bytes = dir.read(&name)?;
        if is_last && faults::is(Mutant::DropLastFrame) {
            bytes.pop();
        }
        let mut last = BTreeMap::new();
        let fault = frame::read_file(&bytes, number, |offset, record| {
            last.insert(record.log_id, record.seq);
            replay(&name, offset, record)
        })?;
        let mut size_bytes = bytes.len() as u64;
        match fault {
            None => {}
            Some(Fault { offset, torn: true, reason }) if is_last => {
                tracing::warn!(file = %name, offset, reason, "cut the torn tail of the log");
                size_bytes = offset as u64;
                faults::point("recovery.torn");
                if offset >= frame::FILE_HEADER_BYTES {
                    dir.truncate(&name, size_bytes)?;
                }
            }
            Some(Fault { offset, reason, .. }) => return Err(corrupt(&**dir, &name, offset as u64, reason)),
        }
        if last.is_empty() {
            dir.remove(&name)?;
            dir.sync()?;
            return Ok(None);
        }
        Ok(Some(LogFile { number, size_bytes, last }))
    }

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

    /// Writes and syncs one frame; only the leader is here.
    fn write_frame(&self, tail: Option<Tail>, next_number: u64, records: &[u8]) -> Result<Tail> {
        let mut tail = match tail {
            Some(tail) => tail,
            None => self.begin_file(next_number)?,
        };
        let length_bytes = u32::try_from(records.len()).expect("the queue is bounded below 4 GiB");
        let header = frame::frame_header(tail.frames, length_bytes);
        // One call, so that a small frame is one write for the system.
        let mut bytes = header;
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
        let tail = state.tail.take().filter(|tail| tail.size_bytes < self.options.file_bytes);
        let (up_to, next_number) = (state.submitted, state.next_number);
        let voids = state.refused.voids.len();
        let mut records = state.refused.records();
        records.extend_from_slice(&queue.records);
        let torn = state.refused.torn.or(tail.as_ref().map(|tail| (tail.number, tail.size_bytes)));
        let cut = state.refused.torn;
        drop(state);
        let written = cut
            .map_or(Ok(()), |(number, size_bytes)| self.dir.truncate(&file_name(number), size_bytes))
            .and_then(|()| self.write_frame(tail, next_number, &records));
        let mut state = self.state();
        state.leading = false;
        let result = match written {
            Ok(tail) => {
                state.durable = up_to;
                let voids: Vec<(u64, u64)> = state.refused.voids.drain(..voids).collect();
                state.refused.torn = None;
                state.note_frame(&tail, voids.into_iter().chain(queue.numbers));
                state.tail = Some(tail);
                Ok(())
            }
            Err(error) if error.is_full() => {
                // Together with what was queued meanwhile, so that the numbers without a record are the last ones.
                let late = std::mem::take(&mut state.queue).numbers;
                state.refused.voids.extend(queue.numbers.into_iter().chain(late));
                state.refused.torn = torn;
                let State { durable, submitted, refused, .. } = &mut *state;
                refused.note(*durable, *submitted, &error);
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
    fn note_frame(&mut self, tail: &Tail, numbers: impl Iterator<Item = (u64, u64)>) {
        if tail.number == self.next_number {
            self.next_number += 1;
            self.files.push_back(LogFile { number: tail.number, size_bytes: 0, last: BTreeMap::new() });
        }
        if let Some(file) = self.files.back_mut() {
            file.size_bytes = tail.size_bytes;
            file.last.extend(numbers);
        }
    }
}

impl Log for FileLog {
    fn submit(&self, record: Record<'_>) -> Result<Ticket> {
        let bytes = frame::encode_record(&record);
        let mut state = self.state();
        loop {
            Self::refusal(&state)?;
            let queued = state.queue.records.len();
            let has_room = queued == 0 || queued + bytes.len() <= self.options.queue_bytes;
            if has_room && state.refused.voids.is_empty() {
                break;
            }
            // Whoever queued the rest is about to wait for it, and so will lead or be led.
            if state.leading {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                let (relocked, result) = self.lead(state);
                result?;
                state = relocked;
            }
        }
        state.queue.records.extend_from_slice(&bytes);
        state.queue.numbers.push((record.log_id, record.seq));
        state.submitted += 1;
        Ok(Ticket(state.submitted))
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

    fn cut(&self, stored: &dyn Fn(u64) -> u64) -> Result<()> {
        let mut removable = Vec::new();
        {
            let mut state = self.state();
            while let Some(file) = state.files.front() {
                let is_tail = state.files.len() == 1;
                // The leader is appending to the last file.
                if (is_tail && state.leading) || file.last.iter().any(|(&log_id, &seq)| seq > stored(log_id))
                {
                    break;
                }
                let number = file.number;
                removable.push(number);
                state.refused.torn = state.refused.torn.filter(|(torn, _)| *torn != number);
                state.files.pop_front();
                if is_tail {
                    state.tail = None;
                }
            }
        }
        for number in &removable {
            faults::point("commit.cut");
            self.dir.remove(&file_name(*number))?;
        }
        if removable.is_empty() { Ok(()) } else { self.dir.sync() }
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
            let found = frame::read_file(durable, number, |_, _| Ok::<(), Error>(()))?;
            if let Some(Fault { offset, reason, .. }) = found {
                return Err(fault(offset, reason));
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.state().files.iter().map(|file| file.size_bytes).sum()
    }

    fn oldest(&self) -> Vec<u64> {
        self.state().files.front().map(|file| file.last.keys().copied().collect()).unwrap_or_default()
    }
}

mod refused;
#[cfg(test)]
mod tests;
