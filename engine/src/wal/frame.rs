//! Frames: what one sync makes durable.
//!
//! ```text
//! file    = file-header frame*
//! file-header = magic "RAGSLOG\0" | version u32 | number u64 | crc u32                         (24 bytes)
//! frame   = magic "RFRM" | number u64 | length u32 | crc u32 | record*                         (header: 20 bytes)
//! record  = log-id u64 | seq u64 | length u32 | crc u32 | body                                 (header: 24 bytes)
//! ```
//! A header's crc is over the bytes before it; a record's crc is over its header before the crc, then its body. A
//! frame's number counts frames in its file from 0, its length is the bytes of its records.
//!
//! **Torn or damaged?** A frame is written only after the frame before it was synced. So a frame that fails its
//! checks was torn by a crash (and never acknowledged) only if nothing whole follows: it is in the last file, and no
//! frame with a sound header and a higher number comes after it. Then it is cut. Otherwise something acknowledged is
//! damaged, and that is an error with its place. So is a last frame that is all there but for one flipped bit, which
//! crashes do not do. What cannot be told apart: larger damage to the very last frame looks like a torn one.

use crc32fast::Hasher;

use super::Record;
use crate::codec::{Decoder, Encoder};
use crate::mend::bits;

/// Version of the log format.
pub(super) const VERSION: u32 = 1;
const FILE_MAGIC: &[u8; 8] = b"RAGSLOG\0";
const FRAME_MAGIC: &[u8; 4] = b"RFRM";
pub(super) const FILE_HEADER_BYTES: usize = 24;
pub(super) const FRAME_HEADER_BYTES: usize = 20;
pub(super) const RECORD_HEADER_BYTES: usize = 24;
/// A record whose length is damaged is looked for up to this length: each bit of it is tried.
const OTHER_LENGTHS_BYTES_MAX: usize = 1 << 20;

/// The header of a file.
pub(super) fn file_header(number: u64) -> Vec<u8> {
    let mut header = Encoder::new();
    header.raw(FILE_MAGIC);
    header.u32(VERSION);
    header.u64(number);
    with_crc(header)
}

/// The header of a frame.
pub(super) fn frame_header(number: u64, length_bytes: u32) -> Vec<u8> {
    let mut header = Encoder::new();
    header.raw(FRAME_MAGIC);
    header.u64(number);
    header.u32(length_bytes);
    with_crc(header)
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
/// Calls `visit` with the offset of each record; stops at its first error.
pub(super) fn read_file<E>(
    bytes: &[u8],
    number: u64,
    mut visit: impl FnMut(usize, Record<'_>) -> Result<(), E>,
) -> Result<Option<Fault>, E> {
    if bytes.len() < FILE_HEADER_BYTES || bytes[..FILE_HEADER_BYTES] != file_header(number) {
        return Ok(Some(header_fault(bytes)));
    }
    let (mut offset, mut frame) = (FILE_HEADER_BYTES, 0);
    while offset < bytes.len() {
        let records = match sound_frame(bytes, offset, frame) {
            Ok(records) => records,
            Err(reason) => {
                let torn = !frame_follows(bytes, offset, frame) && !is_one_bit_off(bytes, offset, frame);
                return Ok(Some(Fault { offset, reason, torn }));
            }
        };
        let start = offset + FRAME_HEADER_BYTES;
        for (at, record) in records {
            visit(start + at, record)?;
        }
        offset = start + frame_length(bytes, offset);
        frame += 1;
    }
    Ok(None)
}

/// A file whose header is not what it should be: unfinished, of another version, or damaged.
fn header_fault(bytes: &[u8]) -> Fault {
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

pub(super) fn frame_length(bytes: &[u8], offset: usize) -> usize {
    crate::codec::u32_at(&bytes[offset + 12..offset + 16], 0) as usize
}

/// Whether a frame header with this number stands at an offset, its checksum right.
pub(super) fn is_frame_header(bytes: &[u8], offset: usize) -> Option<u64> {
    let header = bytes.get(offset..offset + FRAME_HEADER_BYTES)?;
    let (content, crc) = header.split_at(FRAME_HEADER_BYTES - 4);
    (content.starts_with(FRAME_MAGIC) && crc32fast::hash(content).to_le_bytes() == crc)
        .then(|| crate::codec::u64_at(&content[4..12], 0))
}

/// The records of the frame at an offset, each with its offset in the frame, if all of it is as it was written.
fn sound_frame(bytes: &[u8], offset: usize, number: u64) -> Result<Vec<(usize, Record<'_>)>, String> {
    match is_frame_header(bytes, offset) {
        None => return Err("the header of a log frame is damaged".into()),
        Some(found) if found != number => return Err(format!("log frame {found} where {number} belongs")),
        Some(_) => {}
    }
    let start = offset + FRAME_HEADER_BYTES;
    let length = frame_length(bytes, offset);
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
    Ok(records)
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

/// Whether a frame is all there, but for one flipped bit. A crash does not do that, a disk does.
fn is_one_bit_off(bytes: &[u8], offset: usize, number: u64) -> bool {
    let mut frame = bytes[offset..].to_vec();
    if is_frame_header(&frame, 0).is_none() {
        let Some(header) = frame.get_mut(..FRAME_HEADER_BYTES) else { return false };
        return bits::correct(header) == Some(true) && sound_frame(&frame, 0, number).is_ok();
    }
    let content = FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + frame_length(&frame, 0);
    let Some(content) = frame.get(content) else { return false };
    let mut at = 0;
    while let Ok(record) = read_record(&content[at..]) {
        at += RECORD_HEADER_BYTES + record.body.len();
    }
    mended(&content[at..]).is_some()
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

/// Whether a later frame's header stands somewhere after a frame that is not sound.
fn frame_follows(bytes: &[u8], offset: usize, number: u64) -> bool {
    // With a sound header its length is known, and its body, which may hold anything, is skipped.
    let sound = is_frame_header(bytes, offset) == Some(number);
    let from = if sound { offset + FRAME_HEADER_BYTES + frame_length(bytes, offset) } else { offset };
    let Some(rest) = bytes.get(from..) else { return false };
    rest.windows(FRAME_MAGIC.len())
        .enumerate()
        .filter(|(_, window)| window == FRAME_MAGIC)
        .any(|(at, _)| is_frame_header(rest, at).is_some_and(|found| found > number || offset == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[&[&[u8]]]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut offsets, mut seq) = (file_header(3), Vec::new(), 0);
        for (number, bodies) in frames.iter().enumerate() {
            offsets.push(bytes.len());
            let records: Vec<u8> = bodies
                .iter()
                .flat_map(|body| {
                    seq += 1;
                    encode_record(&Record { log_id: 1, seq, body })
                })
                .collect();
            bytes.extend(frame_header(number as u64, records.len() as u32));
            bytes.extend(records);
        }
        (bytes, offsets)
    }

    fn read(bytes: &[u8]) -> (Vec<u64>, Option<Fault>) {
        let mut seqs = Vec::new();
        let fault = read_file::<()>(bytes, 3, |_, record| {
            seqs.push(record.seq);
            Ok(())
        });
        (seqs, fault.unwrap())
    }

    #[test]
    fn records_come_back() {
        let (bytes, _) = file(&[&[b"a", b""], &[b"ccc"]]);
        assert_eq!(read(&bytes), (vec![1, 2, 3], None));
    }

    #[test]
    fn every_cut_is_a_torn_tail() {
        let (bytes, offsets) = file(&[&[b"a", b"bb"], &[b"ccc"], &[b"dddd", b"e"]]);
        // Frame ends, with the records before each.
        let ends = [(offsets[0], 0), (offsets[1], 2), (offsets[2], 3), (bytes.len(), 5)];
        for length in FILE_HEADER_BYTES..=bytes.len() {
            let (seqs, fault) = read(&bytes[..length]);
            let &(end, records) = ends.iter().rev().find(|(end, _)| *end <= length).unwrap();
            assert_eq!(seqs.len(), records, "{length}");
            match fault {
                Some(fault) => assert!(fault.torn && fault.offset == end, "{length}: {fault:?}"),
                None => assert_eq!(length, end),
            }
        }
        for length in 0..FILE_HEADER_BYTES {
            let (seqs, fault) = read(&bytes[..length]);
            assert!(seqs.is_empty() && fault.is_some_and(|fault| fault.torn));
        }
    }

    #[test]
    fn a_flipped_byte_before_the_last_frame_is_damage_at_its_frame() {
        let (bytes, offsets) = file(&[&[b"a", b"bb"], &[b"ccc"], &[b"dddd"]]);
        for at in 0..offsets[2] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let fault = read(&damaged).1.expect("a flipped byte is seen");
            assert!(!fault.torn, "{at}: {fault:?}");
            let frame = offsets.iter().rev().find(|&&offset| offset <= at);
            assert_eq!(fault.offset, frame.copied().unwrap_or(0), "{at}");
        }
    }

    #[test]
    fn one_flipped_bit_in_the_last_frame_is_damage_and_more_looks_torn() {
        let (bytes, offsets) = file(&[&[b"a"], &[b"bb", b"ccc"]]);
        for at in offsets[1]..bytes.len() {
            for (mask, torn) in [(0x10, false), (0x01, false), (0x55, true)] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                let (seqs, fault) = read(&damaged);
                assert_eq!(seqs, [1]);
                assert!(
                    fault.is_some_and(|fault| fault.torn == torn && fault.offset == offsets[1]),
                    "{at} {mask}"
                );
            }
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = file_header(3);
        bytes[8] = 9;
        let crc = crc32fast::hash(&bytes[..20]);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        let fault = read(&bytes).1.unwrap();
        assert!(!fault.torn && fault.reason.contains("version 9"), "{fault:?}");
    }
}
