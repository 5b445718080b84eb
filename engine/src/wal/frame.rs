//! Frames: what one sync makes durable.
//!
//! ```text
//! file    = file-header frame*
//! file-header = magic "RAGSLOG\0" | version u32 | number u64 | crc u32                         (24 bytes)
//! frame   = magic "RFRM" | number u64 | position u64 | time u64 | length u32 | crc u32 | record*   (header: 36 bytes)
//! record  = log-id u64 | seq u64 | length u32 | crc u32 | body                                 (header: 24 bytes)
//! ```
//! A header's crc is over the bytes before it; a record's crc is over its header before the crc, then its body. A
//! frame's number counts frames in its file from 0, its length is the bytes of its records. Its position is that of its
//! first record among all records of the database, from 1; its time, in microseconds since 1970 (UTC), is when it was
//! written, and never before that of the frame before it.
//!
//! **Torn or damaged?** A frame is written only after the frame before it was synced. So a frame that fails its
//! checks was torn by a crash (and never acknowledged) only if nothing whole follows: it is in the last file, and no
//! frame with a sound header and a higher number comes after it. Then it is cut. Otherwise something acknowledged is
//! damaged, and that is an error with its place. So is a last frame that is all there but for one flipped bit, which
//! crashes do not do. What cannot be told apart: larger damage to the very last frame looks like a torn one.

use crc32fast::Hasher;

use super::{Place, Record};
use crate::codec::{Decoder, Encoder};
use crate::mend::bits;

/// Version of the log format.
pub(super) const VERSION: u32 = 2;
const FILE_MAGIC: &[u8; 8] = b"RAGSLOG\0";
const FRAME_MAGIC: &[u8; 4] = b"RFRM";
pub(super) const FILE_HEADER_BYTES: usize = 24;
pub(super) const FRAME_HEADER_BYTES: usize = 36;
pub(super) const RECORD_HEADER_BYTES: usize = 24;
/// A record whose length is damaged is looked for up to this length: each bit of it is tried.
const OTHER_LENGTHS_BYTES_MAX: usize = 1 << 20;
/// Positions are counted one by one, so nothing comes this far.
pub(super) const POSITION_MAX: u64 = 1 << 62;

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Among the frames of its file.
    pub(super) number: u64,
    /// Of its first record.
    pub(super) position: u64,
    /// When it was written: microseconds since 1970.
    pub(super) time_us: u64,
    /// Of its records.
    pub(super) length_bytes: u32,
}

/// The header of a file.
pub(super) fn file_header(number: u64) -> Vec<u8> {
    let mut header = Encoder::new();
    header.raw(FILE_MAGIC);
    header.u32(VERSION);
    header.u64(number);
    with_crc(header)
}

impl FrameHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut header = Encoder::new();
        header.raw(FRAME_MAGIC);
        header.u64(self.number);
        header.u64(self.position);
        header.u64(self.time_us);
        header.u32(self.length_bytes);
        with_crc(header)
    }
}

/// The header of the first frame, from the first bytes of a file of this version; `None` if they are not sound.
pub(super) fn first_frame(start: &[u8], number: u64) -> Option<FrameHeader> {
    let rest = start.strip_prefix(&file_header(number)[..])?;
    header_at(rest, 0).filter(|header| header.number == 0)
}

fn with_crc(header: Encoder) -> Vec<u8> {
    let mut bytes = header.into_bytes();
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// A record with its header.
pub(super) fn encode_record(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Encoder::new();
    bytes.u64(record.log_id);
    bytes.u64(record.seq);
    bytes.u32(u32::try_from(record.body.len()).expect("a record is limited to BATCH_BYTES_MAX"));
    let mut bytes = bytes.into_bytes();
    bytes.reserve_exact(4 + record.body.len());
    let mut crc = Hasher::new();
    crc.update(&bytes);
    crc.update(record.body);
    bytes.extend_from_slice(&crc.finalize().to_le_bytes());
    bytes.extend_from_slice(record.body);
    bytes
}

/// What is wrong with a file, and from which byte on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) reason: String,
    /// Whether a crash explains it: nothing whole follows. Holds for the last file only.
    pub(crate) torn: bool,
}

/// Walks over the records of a file's sound frames.
///
/// Calls `visit` with the place of each record; stops at its first error.
pub(super) fn read_file<E>(
    bytes: &[u8],
    number: u64,
    mut visit: impl FnMut(Place, Record<'_>) -> Result<(), E>,
) -> Result<Option<Fault>, E> {
    if !has_header(bytes, number) {
        return Ok(Some(header_fault(bytes)));
    }
    let (mut offset, mut frame, mut position) = (FILE_HEADER_BYTES, 0, None);
    while offset < bytes.len() {
        let (header, records) = match sound_frame(bytes, offset, (frame, position)) {
            Ok(found) => found,
            Err(reason) => {
                let torn =
                    !frame_follows(bytes, offset, frame) && !is_one_bit_off(bytes, offset, (frame, position));
                return Ok(Some(Fault { offset, reason, torn }));
            }
        };
        let start = offset + FRAME_HEADER_BYTES;
        let count = records.len() as u64;
        for (index, (at, record)) in records.into_iter().enumerate() {
            let position = header.position + index as u64;
            visit(Place { offset: start + at, position, time_us: header.time_us }, record)?;
        }
        offset = start + header.length_bytes as usize;
        frame += 1;
        position = Some(header.position + count);
    }
    Ok(None)
}

/// A file whose header is not what it should be: unfinished, of another version, or damaged.
pub(super) fn header_fault(bytes: &[u8]) -> Fault {
    let version = bytes.get(8..12).map(|v| u32::from_le_bytes([v[0], v[1], v[2], v[3]]));
    let sound = bytes.len() >= FILE_HEADER_BYTES
        && bytes[FILE_HEADER_BYTES - 4..FILE_HEADER_BYTES]
            == crc32fast::hash(&bytes[..FILE_HEADER_BYTES - 4]).to_le_bytes();
    match version {
        Some(version) if sound && version != VERSION => Fault {
            offset: 8,
            reason: format!("log format version {version}, this program reads {VERSION}"),
            torn: false,
        },
        _ => Fault {
            offset: 0,
            reason: "the header of the log file is damaged".into(),
            // The first frame is written after the header was synced.
            torn: !frame_follows(bytes, 0, 0) && bytes.len() <= FILE_HEADER_BYTES,
        },
    }
}

/// Records of a frame, each with its offset in the frame.
type Records<'a> = Vec<(usize, Record<'a>)>;

/// Whether a file starts as one with this number does.
pub(super) fn has_header(bytes: &[u8], number: u64) -> bool {
    bytes.starts_with(&file_header(number))
}

/// The frame header that stands at an offset, if its checksum is right.
pub(super) fn header_at(bytes: &[u8], offset: usize) -> Option<FrameHeader> {
    let header = bytes.get(offset..)?.get(..FRAME_HEADER_BYTES)?;
    let (content, crc) = header.split_at(FRAME_HEADER_BYTES - 4);
    if !content.starts_with(FRAME_MAGIC) || crc32fast::hash(content).to_le_bytes() != crc {
        return None;
    }
    let mut decoder = Decoder::new(&content[FRAME_MAGIC.len()..]);
    let number = decoder.u64().ok()?;
    let (position, time_us) = (decoder.u64().ok()?, decoder.u64().ok()?);
    Some(FrameHeader { number, position, time_us, length_bytes: decoder.u32().ok()? })
}

/// The frame header at an offset, if it is as it was written, has this number and, where it is known, this position.
pub(super) fn sound_header(
    bytes: &[u8],
    offset: usize,
    (number, position): (u64, Option<u64>),
) -> Result<FrameHeader, String> {
    let header = match header_at(bytes, offset) {
        None => return Err("the header of a log frame is damaged".into()),
        Some(found) if found.number != number => {
            return Err(format!("log frame {} where {number} belongs", found.number));
        }
        Some(found) => found,
    };
    let expected = position.unwrap_or(header.position);
    if header.position != expected || !(1..=POSITION_MAX).contains(&header.position) {
        return Err(format!("log position {} where {expected} belongs", header.position));
    }
    Ok(header)
}

/// The frame at an offset, if all of it is as it was written and follows on what is before it.
fn sound_frame<'a>(
    bytes: &'a [u8],
    offset: usize,
    expected: (u64, Option<u64>),
) -> Result<(FrameHeader, Records<'a>), String> {
    let header = sound_header(bytes, offset, expected)?;
    let start = offset + FRAME_HEADER_BYTES;
    let length = header.length_bytes as usize;
    let Some(content) = bytes.get(start..start + length) else {
        return Err(format!("a log frame of {length} bytes ends after {}", bytes.len() - start));
    };
    let (mut records, mut at) = (Vec::new(), 0);
    while at < content.len() {
        let record = read_record(&content[at..])?;
        let next = at + RECORD_HEADER_BYTES + record.body.len();
        records.push((at, record));
        at = next;
    }
    Ok((header, records))
}

/// Whether a frame is all there, but for one flipped bit. A crash does not do that, a disk does.
fn is_one_bit_off(bytes: &[u8], offset: usize, expected: (u64, Option<u64>)) -> bool {
    let mut frame = bytes[offset..].to_vec();
    let Some(header) = header_at(&frame, 0) else {
        let Some(header) = frame.get_mut(..FRAME_HEADER_BYTES) else { return false };
        return bits::correct(header) == Some(true) && sound_frame(&frame, 0, expected).is_ok();
    };
    let content = FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.length_bytes as usize;
    let Some(content) = frame.get(content) else { return false };
    let mut at = 0;
    while let Ok(record) = read_record(&content[at..]) {
        at += RECORD_HEADER_BYTES + record.body.len();
    }
    mended(&content[at..]).is_some()
}

/// Whether a later frame's header stands somewhere after a frame that is not sound.
fn frame_follows(bytes: &[u8], offset: usize, number: u64) -> bool {
    // With a sound header its length is known, and its body, which may hold anything, is skipped.
    let from = match header_at(bytes, offset) {
        Some(header) if header.number == number => offset + FRAME_HEADER_BYTES + header.length_bytes as usize,
        _ => offset,
    };
    let Some(rest) = bytes.get(from..) else { return false };
    rest.windows(FRAME_MAGIC.len())
        .enumerate()
        .filter(|(_, window)| window == FRAME_MAGIC)
        .any(|(at, _)| header_at(rest, at).is_some_and(|found| found.number > number || offset == 0))
}
pub(super) fn read_record(bytes: &[u8]) -> Result<Record<'_>, String> {
    let broken = |_| "a log record is cut short".to_owned();
    let mut decoder = Decoder::new(bytes);
    let log_id = decoder.u64().map_err(broken)?;
    let seq = decoder.u64().map_err(broken)?;
    let length = decoder.u32().map_err(broken)? as usize;
    let crc = decoder.u32().map_err(broken)?;
    let body = decoder.raw(length).map_err(broken)?;
    let mut expected = Hasher::new();
    expected.update(&bytes[..RECORD_HEADER_BYTES - 4]);
    expected.update(body);
    if expected.finalize() != crc {
        return Err("the checksum of a log record does not match".into());
    }
    Ok(Record { log_id, seq, body })
}

/// The record at the start of these bytes with one bit turned back, if that makes it good, and how long it is.
pub(super) fn mended(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    // The length may be what is wrong: as it is, then with each of its bits turned.
    let length = crate::codec::u32_at(bytes.get(16..RECORD_HEADER_BYTES)?, 0);
    let lengths = std::iter::once(length).chain((0..32).map(|bit| length ^ 1 << bit));
    for other in lengths {
        let end = RECORD_HEADER_BYTES + other as usize;
        let Some(mut record) = bytes.get(..end).map(<[u8]>::to_vec) else { continue };
        if other != length && end > OTHER_LENGTHS_BYTES_MAX {
            continue;
        }
        // The checksum stands between what it covers.
        let stored = crate::codec::u32_at(&record[20..24], 0);
        let covered = [&record[..20], &record[24..]].concat();
        match bits::flipped(&covered, stored) {
            Some(bits::Flip::Content(at, mask)) => record[if at < 20 { at } else { at + 4 }] ^= mask,
            Some(bits::Flip::Checksum) => {
                record[20..24].copy_from_slice(&crc32fast::hash(&covered).to_le_bytes());
            }
            None => continue,
        }
        if read_record(&record).is_ok_and(|read| read.body.len() + RECORD_HEADER_BYTES == end) {
            return Some((record, end));
        }
    }
    None
}

/// Whether most of a frame's magic stands at the start of these bytes.
pub(super) fn looks_like_header(bytes: &[u8]) -> bool {
    let same = bytes.iter().zip(FRAME_MAGIC).filter(|(byte, magic)| byte == magic).count();
    same + 1 >= FRAME_MAGIC.len()
}

#[cfg(test)]
mod tests;
