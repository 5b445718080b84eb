//! Reading the log back when the directory is opened.
//!
//! The files are read in the order of their numbers, each record is handed out, and what a crash left torn at the end of the last
//! file is cut off. The last file is synced before anything is made of it: the process that wrote it may have been killed before
//! it did that. Anything else that is no frame is damage, and said with the file and the offset.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};

use super::super::frame::{self, Fault};
use super::super::names::{file_name, file_number};
use super::refused::Refused;
use super::{FileLog, LogFile, LogMark, LogOptions, Queue, Replay, State, kept};
use crate::dir::{Dir, corrupt};
use crate::error::Result;
use crate::faults::{self, Mutant};
use crate::latencies::Durations;

impl FileLog {
    /// Reads every record, oldest first, cuts a torn tail, and is then ready for new ones, which come after `mark`.
    ///
    /// `replay` gets each record with the name of its file and its place there.
    pub(crate) fn open(
        dir: Arc<dyn Dir>,
        options: LogOptions,
        mut mark: LogMark,
        replay: &mut Replay<'_>,
    ) -> Result<Self> {
        let names = dir.list()?;
        let numbers: Vec<u64> = names.iter().filter_map(|name| file_number(name)).collect();
        let mut files = VecDeque::new();
        for (index, &number) in numbers.iter().enumerate() {
            let is_last = index + 1 == numbers.len();
            files.extend(Self::open_file(&dir, (number, is_last), &mut mark, replay)?);
        }
        let kept = kept::find(&*dir, &names, &files, mark);
        let used = kept.back().map(|file| file.number).into_iter().chain(numbers.last().copied()).max();
        let state = State {
            queue: Queue::default(),
            submitted: mark.position,
            durable: mark.position,
            time_us: mark.time_us,
            leading: false,
            tail: None,
            ends_file: false,
            ended_below: 0,
            files,
            kept,
            keep_bytes: options.keep_bytes,
            next_number: used.map_or(1, |last| last + 1).max(mark.next_file),
            poison: None,
            refused: Refused::default(),
            refusals: 0,
        };
        let (state, changed, syncs) = (Mutex::new(state), Condvar::new(), Durations::default());
        Ok(Self { dir, options, state, changed, syncs })
    }

    /// Replays one file; `None` if it held nothing and was removed.
    fn open_file(
        dir: &Arc<dyn Dir>,
        (number, is_last): (u64, bool),
        mark: &mut LogMark,
        replay: &mut Replay<'_>,
    ) -> Result<Option<LogFile>> {
        let name = file_name(number);
        if is_last {
            // The next frame begins another file, so what a killed process left unsynced in this one would never be synced.
            dir.sync_file(&name)?;
        }
        let mut bytes = dir.read(&name)?;
        if is_last && faults::is(Mutant::DropLastFrame) {
            bytes.pop();
        }
        let (mut first, mut end, mut last, after_us) = (0, 0, BTreeMap::new(), mark.time_us);
        let fault = frame::read_file(&bytes, number, |place, record| {
            if last.is_empty() {
                first = place.position;
            }
            end = place.position;
            mark.position = mark.position.max(place.position);
            mark.time_us = mark.time_us.max(place.time_us);
            last.insert(record.log_id, record.seq);
            replay(&name, place, record)
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
        Ok(Some(LogFile { number, size_bytes, first, end, after_us, last }))
    }
}
