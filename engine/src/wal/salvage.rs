//! Records out of damaged log files, and a log that has no damage made of them.
//!
//! Files are read as far as they are sound; behind damage, from the next frame on whose header is. A record that one flipped
//! bit broke is made good (`mend/bits.rs`). A torn last frame is left where it is: it was never acknowledged.

use std::collections::BTreeMap;
use std::ops::Range;

use super::frame::{self, FRAME_HEADER_BYTES, FrameHeader, POSITION_MAX, RECORD_HEADER_BYTES};
use super::names::{file_name, file_number};
use super::{LogMark, Record, is_log_file, nothing};
use crate::codec::{u32_at, u64_at};
use crate::dir::Dir;
use crate::error::Result;
use crate::mend::bits;

/// Bytes of records that a frame is ended after.
const FRAME_BYTES: usize = 1 << 20;
/// As many writes of a log id may be missing, all gaps together: for each, the new log has a record that changes nothing. It is more of the smallest than a
/// file of the log holds, which may be lost as a whole. What comes behind more has a number that nobody gave it, as far as can be told, and is
/// [lost](Salvaged::too_far).
pub(crate) const MISSING_MAX: u64 = 1 << 21;
/// Records of a frame that are tried with each of their bits turned, to no avail. Each may take as many steps as a megabyte has bits, and
/// where so many are in vain, it is no single bit that is wrong.
const UNMENDED_MAX: usize = 4;

/// Where a record is.
enum Source {
    /// In a file, its body.
    File(String, Range<usize>),
    /// Made good.
    Mended(Vec<u8>),
}

/// The records that a log gives back, by log id and number.
#[derive(Default)]
pub(crate) struct Salvaged {
    records: BTreeMap<(u64, u64), Source>,
    /// How many were made good.
    pub(crate) mended: usize,
    /// The last frame whose header could be read.
    mark: LogMark,
    /// Records that cannot be read, up to the last frame.
    unread: u64,
    last_frame: Option<ReadFrame>,
    /// Since the last frame there were bytes that are none.
    has_gap: bool,
}

/// What was read of a frame.
#[derive(Clone, Copy)]
struct ReadFrame {
    /// Of its first record, 0 where it does not tell.
    position: u64,
    read: u64,
    /// As many as it seems: damage may hide others, or look like some.
    unread: u64,
}

impl Salvaged {
    /// Reads every log file. Of one that the disk could not read as a whole no frame is torn by a crash, whatever it looks like.
    pub(crate) fn read(dir: &dyn Dir, is_read: impl Fn(&str) -> bool) -> Result<Self> {
        let mut salvaged = Self::default();
        let names: Vec<String> = dir.list()?.into_iter().filter(|name| is_log_file(name)).collect();
        for (index, name) in names.iter().enumerate() {
            let mut bytes = dir.read(name)?;
            let number = file_number(name).unwrap_or_default();
            let fault = frame::read_file(&bytes, number, |_, _| Ok::<(), std::convert::Infallible>(()));
            salvaged.mark.next_file = salvaged.mark.next_file.max(number + 1);
            if let Ok(Some(fault)) = fault
                && fault.torn
                && index + 1 == names.len()
                && is_read(name)
            {
                bytes.truncate(fault.offset);
            }
            salvaged.read_file(name, &mut bytes);
        }
        Ok(salvaged)
    }

    fn read_file(&mut self, name: &str, bytes: &mut [u8]) {
        let mut offset = frame::FILE_HEADER_BYTES;
        while offset + FRAME_HEADER_BYTES <= bytes.len() {
            let start = offset + FRAME_HEADER_BYTES;
            let found = &mut bytes[offset..start];
            if frame::header_at(found, 0).is_none() && frame::looks_like_header(found) {
                bits::correct(found);
            }
            let header = frame::header_at(found, 0).filter(|header| header.position <= POSITION_MAX);
            let Some(header) = header else {
                offset += 1;
                self.has_gap = true;
                continue;
            };
            let end = start.saturating_add(header.length_bytes as usize).min(bytes.len());
            let frame = ReadFrame { position: header.position, ..self.read_frame(name, bytes, start..end) };
            let is_after_gap = std::mem::take(&mut self.has_gap);
            self.count(frame, is_after_gap);
            // A record that cannot be read had a position too, but how many there were is not known.
            let records = frame.read + frame.unread;
            self.mark.position = self.mark.position.max((header.position + records).saturating_sub(1));
            self.mark.time_us = self.mark.time_us.max(header.time_us);
            offset = end;
        }
    }

    /// Counts what cannot be read in and before a frame. Its position tells how many records there were before it, whatever
    /// damage has made of them.
    fn count(&mut self, frame: ReadFrame, is_after_gap: bool) {
        self.unread += match self.last_frame.replace(frame) {
            Some(last) if last.position > 0 && frame.position > last.position => {
                (frame.position - last.position).saturating_sub(last.read)
            }
            Some(last) => last.unread + u64::from(is_after_gap),
            None => u64::from(is_after_gap),
        };
    }

    /// How many records cannot be read, as far as they can be counted, whose log id and number no gap among the others tells.
    /// They may be stored: `stored(log_id)` is the last number of which that is known.
    pub(crate) fn nameless(&self, stored: &dyn Fn(u64) -> u64) -> u64 {
        let at_the_end = self.last_frame.map_or(0, |last| last.unread) + u64::from(self.has_gap);
        let unread = self.unread + at_the_end;
        let gaps = self.log_ids().map(|log_id| {
            let first = self.numbers(log_id).next().unwrap_or_default();
            self.gaps(log_id, stored(log_id).min(first.saturating_sub(1))).count() as u64
        });
        unread.saturating_sub(gaps.sum())
    }

    /// The log ids that have records.
    pub(crate) fn log_ids(&self) -> impl Iterator<Item = u64> + '_ {
        let mut next = self.records.range(..).next().map(|((log_id, _), _)| *log_id);
        std::iter::from_fn(move || {
            let log_id = next?;
            let after = log_id.checked_add(1).and_then(|after| self.records.range((after, 0)..).next());
            next = after.map(|((log_id, _), _)| *log_id);
            Some(log_id)
        })
    }

    /// The numbers of a log id that there are.
    pub(crate) fn numbers(&self, log_id: u64) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.records.range((log_id, 0)..=(log_id, u64::MAX)).map(|((_, seq), _)| *seq)
    }

    fn read_frame(&mut self, name: &str, bytes: &[u8], frame: Range<usize>) -> ReadFrame {
        let (mut at, mut found) = (frame.start, ReadFrame { position: 0, read: 0, unread: 0 });
        let mut unmended = 0;
        while at + RECORD_HEADER_BYTES <= frame.end {
            let length = u32_at(&bytes[at + 16..], 0) as usize;
            let end = at.saturating_add(RECORD_HEADER_BYTES).saturating_add(length);
            let mut end_now = end;
            if end <= frame.end && frame::read_record(&bytes[at..end]).is_ok() {
                let key = (u64_at(&bytes[at..], 0), u64_at(&bytes[at + 8..], 0));
                let body = at + RECORD_HEADER_BYTES..end;
                self.records.entry(key).or_insert(Source::File(name.to_owned(), body));
            } else if unmended < UNMENDED_MAX
                && let Some((record, consumed)) = frame::mended(&bytes[at..frame.end])
            {
                end_now = at + consumed;
                self.mended += 1;
                let key = (u64_at(&record, 0), u64_at(&record, 1));
                self.records.entry(key).or_insert(Source::Mended(record[RECORD_HEADER_BYTES..].to_vec()));
            } else {
                (found.unread, unmended) = (found.unread + 1, unmended + 1);
                at = end_now;
                continue;
            }
            found.read += 1;
            at = end_now;
        }
        // What is left is shorter than any record.
        found.unread += u64::from(at < frame.end);
        found
    }

    /// The highest number of a log id that can follow on `stored`, with so many missing between.
    fn last(&self, log_id: u64, stored: u64) -> u64 {
        let (mut last, mut missing) = (stored, 0u64);
        for number in self.numbers(log_id).filter(|number| *number > stored) {
            missing = missing.saturating_add(number - last - 1);
            if missing > MISSING_MAX {
                break;
            }
            last = number;
        }
        last
    }

    /// The numbers of a log id that are missing between `stored` and the last one that can follow on it.
    fn gaps(&self, log_id: u64, stored: u64) -> impl Iterator<Item = u64> + '_ {
        let is_missing = move |seq: &u64| !self.records.contains_key(&(log_id, *seq));
        (stored..self.last(log_id, stored)).map(|before| before + 1).filter(is_missing)
    }

    /// The writes of a log id that cannot be read: those missing behind `stored`, up to the last one that can follow on it.
    pub(crate) fn missing(&self, log_id: u64, stored: u64) -> Vec<u64> {
        self.gaps(log_id, stored).collect()
    }

    /// The writes of a log id that can be read and are lost all the same: more than [`MISSING_MAX`] are missing before them.
    pub(crate) fn too_far(&self, log_id: u64, stored: u64) -> Vec<u64> {
        let last = self.last(log_id, stored);
        self.numbers(log_id).filter(|number| *number > last).collect()
    }

    /// The bodies of the records of a log id after one of them, as far as they are there and can follow on it.
    pub(crate) fn bodies(&self, dir: &dyn Dir, log_id: u64, stored: u64) -> Result<Vec<(u64, Vec<u8>)>> {
        let (after, last) = (stored.saturating_add(1), self.last(log_id, stored));
        let of_id = self.records.range((log_id, after)..=(log_id, last.max(after)));
        let of_id = of_id.filter(|((_, seq), _)| *seq <= last);
        let body = |source: &Source| -> Result<Vec<u8>> {
            match source {
                Source::Mended(body) => Ok(body.clone()),
                Source::File(name, range) => {
                    Ok(dir.read(name)?.get(range.clone()).unwrap_or_default().to_vec())
                }
            }
        };
        of_id.map(|((_, seq), source)| Ok((*seq, body(source)?))).collect()
    }

    /// Where the log that was read ends, as far as that can be read.
    pub(crate) fn mark(&self) -> LogMark {
        self.mark
    }

    /// Writes a new log file behind all others with the records after `stored(log_id)`, the missing ones as records that
    /// change nothing; then removes the others. Collections without `stored` are gone. `mark`, which is no less than that of
    /// the others, is what it comes after.
    pub(crate) fn write(&self, dir: &dyn Dir, stored: &BTreeMap<u64, u64>, mark: LogMark) -> Result<()> {
        let old: Vec<String> = dir.list()?.into_iter().filter(|name| is_log_file(name)).collect();
        let LogMark { next_file, mut position, time_us } = mark;
        let mut file = dir.create(&file_name(next_file))?;
        file.write(&frame::file_header(next_file))?;
        let (mut frames, mut records, mut count, mut read) = (0, Vec::new(), 0, None::<(String, Vec<u8>)>);
        let mut end_frame = |records: &mut Vec<u8>, count: &mut u64| -> Result<()> {
            let length_bytes = records.len() as u32;
            let header = FrameHeader { number: frames, position: position + 1, time_us, length_bytes };
            file.write(&header.encode())?;
            file.write(records)?;
            frames += 1;
            position += std::mem::take(count);
            records.clear();
            Ok(())
        };
        for (&log_id, &stored) in stored {
            let nothing = nothing(log_id);
            for seq in (stored..self.last(log_id, stored)).map(|before| before + 1) {
                let body = match self.records.get(&(log_id, seq)) {
                    None => &nothing[..],
                    Some(Source::Mended(body)) => body,
                    Some(Source::File(name, range)) => {
                        if read.as_ref().is_none_or(|(read, _)| read != name) {
                            read = Some((name.clone(), dir.read(name)?));
                        }
                        read.as_ref().and_then(|(_, bytes)| bytes.get(range.clone())).unwrap_or(&nothing)
                    }
                };
                records.extend(frame::encode_record(&Record { log_id, seq, body }));
                count += 1;
                if records.len() >= FRAME_BYTES {
                    end_frame(&mut records, &mut count)?;
                }
            }
        }
        if !records.is_empty() {
            end_frame(&mut records, &mut count)?;
        }
        file.sync()?;
        dir.sync()?;
        old.iter().try_for_each(|name| dir.remove(name))?;
        dir.sync()
    }
}

#[cfg(test)]
mod tests;
