//! Records out of damaged log files, and a log that has no damage made of them.
//!
//! Files are read as far as they are sound; behind damage, from the next frame on whose header is. A record that one flipped
//! bit broke is made good (`mend/bits.rs`). A torn last frame is left where it is: it was never acknowledged.

use std::collections::BTreeMap;
use std::ops::Range;

use super::file_log::{file_name, file_number};
use super::frame::{self, FRAME_HEADER_BYTES, RECORD_HEADER_BYTES};
use super::{Record, is_log_file};
use crate::batch::PreparedBatch;
use crate::codec::{u32_at, u64_at};
use crate::dir::Dir;
use crate::error::Result;
use crate::mend::bits;

/// Bytes of records that a frame is ended after.
const FRAME_BYTES: usize = 1 << 20;

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
}

impl Salvaged {
    /// Reads every log file.
    pub(crate) fn read(dir: &dyn Dir) -> Result<Self> {
        let mut salvaged = Self::default();
        let names: Vec<String> = dir.list()?.into_iter().filter(|name| is_log_file(name)).collect();
        for (index, name) in names.iter().enumerate() {
            let mut bytes = dir.read(name)?;
            let number = file_number(name).unwrap_or_default();
            let fault = frame::read_file(&bytes, number, |_, _| Ok::<(), std::convert::Infallible>(()));
            if let Ok(Some(fault)) = fault
                && fault.torn
                && index + 1 == names.len()
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
            let header = &mut bytes[offset..offset + FRAME_HEADER_BYTES];
            let is_header = frame::is_frame_header(header, 0).is_some()
                || (frame::looks_like_header(header)
                    && bits::correct(header).is_some()
                    && frame::is_frame_header(header, 0).is_some());
            if !is_header {
                offset += 1;
                continue;
            }
            let start = offset + FRAME_HEADER_BYTES;
            let end = (start + frame::frame_length(bytes, offset)).min(bytes.len());
            self.read_frame(name, bytes, start..end);
            offset = end;
        }
    }

    fn read_frame(&mut self, name: &str, bytes: &[u8], frame: Range<usize>) {
        let mut at = frame.start;
        while at + RECORD_HEADER_BYTES <= frame.end {
            let length = u32_at(&bytes[at + 16..], 0) as usize;
            let end = at.saturating_add(RECORD_HEADER_BYTES).saturating_add(length);
            let mut end_now = end;
            if end <= frame.end && frame::read_record(&bytes[at..end]).is_ok() {
                let key = (u64_at(&bytes[at..], 0), u64_at(&bytes[at + 8..], 0));
                let body = at + RECORD_HEADER_BYTES..end;
                self.records.entry(key).or_insert(Source::File(name.to_owned(), body));
            } else if let Some((record, consumed)) = frame::mended(&bytes[at..frame.end]) {
                end_now = at + consumed;
                self.mended += 1;
                let key = (u64_at(&record, 0), u64_at(&record, 1));
                self.records.entry(key).or_insert(Source::Mended(record[RECORD_HEADER_BYTES..].to_vec()));
            }
            at = end_now;
        }
    }

    /// The highest number of a log id.
    fn last(&self, log_id: u64) -> Option<u64> {
        let of_id = self.records.range((log_id, 0)..=(log_id, u64::MAX));
        of_id.map(|((_, seq), _)| *seq).next_back()
    }

    /// The numbers of a log id that are missing between `stored` and the last one there is.
    pub(crate) fn missing(&self, log_id: u64, stored: u64) -> Vec<u64> {
        let last = self.last(log_id).unwrap_or(stored);
        (stored + 1..=last).filter(|seq| !self.records.contains_key(&(log_id, *seq))).collect()
    }

    /// Writes a new log file behind all others with the records after `stored(log_id)`, the missing ones as batches
    /// without changes; then removes the others. Collections without `stored` are gone.
    pub(crate) fn write(&self, dir: &dyn Dir, stored: &BTreeMap<u64, u64>) -> Result<()> {
        let old: Vec<String> = dir.list()?.into_iter().filter(|name| is_log_file(name)).collect();
        let number = old.iter().filter_map(|name| file_number(name)).max().unwrap_or(0) + 1;
        let mut file = dir.create(&file_name(number))?;
        file.write(&frame::file_header(number))?;
        let nothing = PreparedBatch::default().encode();
        let (mut frames, mut records, mut read) = (0, Vec::new(), None::<(String, Vec<u8>)>);
        let mut end_frame = |records: &mut Vec<u8>| -> Result<()> {
            file.write(&frame::frame_header(frames, records.len() as u32))?;
            file.write(records)?;
            frames += 1;
            records.clear();
            Ok(())
        };
        for (&log_id, &stored) in stored {
            for seq in stored + 1..=self.last(log_id).unwrap_or(stored) {
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
                if records.len() >= FRAME_BYTES {
                    end_frame(&mut records)?;
                }
            }
        }
        if !records.is_empty() {
            end_frame(&mut records)?;
        }
        file.sync()?;
        dir.sync()?;
        old.iter().try_for_each(|name| dir.remove(name))?;
        dir.sync()
    }
}
