//! Reading log files outside of the log that wrote them: copies, and what is checked before it is copied.

use std::io::{self, BufReader, Read};
use std::ops::Range;

use super::frame::{self, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, Fault, RECORD_HEADER_BYTES};
use super::names::{file_number, kept_number};
use super::{Place, Record};
use crate::codec::{u32_at, u64_at};
use crate::dir::Dir;
use crate::error::Error;
use crate::verify::Damage;

/// Bytes that are read at once.
const STEP_BYTES: usize = 1 << 20;

/// Where a file is wrong, and how.
pub(crate) type LogFault = (usize, String);

/// Compares a closed log file with its checksums.
pub(crate) fn check_file(bytes: &[u8], number: u64) -> Result<(), LogFault> {
    match frame::read_file(bytes, number, |_, _| Ok::<(), std::convert::Infallible>(())) {
        Ok(None) => Ok(()),
        Ok(Some(Fault { offset, reason, .. })) => Err((offset, reason)),
        Err(never) => match never {},
    }
}

/// Why a walk over a log file ended before its end.
#[derive(Debug)]
pub(crate) enum Ended<E> {
    /// The file is damaged here.
    Damaged(LogFault),
    /// The file cannot be read.
    Unread(io::Error),
    /// Whoever visits the records wants no more.
    Stopped(E),
}

/// Walks over the records of a closed log file, one of them in memory at a time, however large frame and file are. Its number
/// is this one, or the one that stands in it.
///
/// Each record is sound when it is visited; what comes after it, even in its frame, is not known to be yet. Whoever must have
/// all or nothing walks twice.
pub(crate) fn walk_closed<E>(
    file: impl Read,
    number: Option<u64>,
    mut visit: impl FnMut(Place, Record<'_>) -> Result<(), E>,
) -> Result<(), Ended<E>> {
    let mut pieces = Pieces { file: BufReader::with_capacity(STEP_BYTES, file), offset: 0 };
    let mut bytes = Vec::new();
    pieces.more(FILE_HEADER_BYTES, &mut bytes)?;
    let number = number.or_else(|| bytes.get(12..20).map(|number| u64_at(number, 0))).unwrap_or_default();
    if !frame::has_header(&bytes, number) {
        let Fault { offset, reason, .. } = frame::header_fault(&bytes);
        return Err(Ended::Damaged((offset, reason)));
    }
    let (mut frame, mut position) = (0, None);
    loop {
        let start = pieces.offset;
        bytes.clear();
        pieces.more(FRAME_HEADER_BYTES, &mut bytes)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let fault = |reason| Ended::Damaged((start, reason));
        let header = frame::sound_header(&bytes, 0, (frame, position)).map_err(fault)?;
        let body = pieces.offset..pieces.offset + header.length_bytes as usize;
        let mut count = 0;
        while pieces.offset < body.end {
            let offset = pieces.offset;
            pieces.record(body.clone(), &mut bytes)?.map_err(fault)?;
            let record = frame::read_record(&bytes).map_err(fault)?;
            let place = Place { offset, position: header.position + count, time_us: header.time_us };
            visit(place, record).map_err(Ended::Stopped)?;
            count += 1;
        }
        frame += 1;
        position = Some(header.position + count);
    }
}

/// A file that is read from its start to its end.
struct Pieces<R> {
    file: BufReader<R>,
    offset: usize,
}

impl<R: Read> Pieces<R> {
    /// Appends so many bytes, or those that there are.
    fn more<E>(&mut self, length: usize, bytes: &mut Vec<u8>) -> Result<(), Ended<E>> {
        let read = self.file.by_ref().take(length as u64).read_to_end(bytes).map_err(Ended::Unread)?;
        self.offset += read;
        Ok(())
    }

    /// Reads a record of a frame whose records lie in `body`, or what there is of it.
    fn record<E>(&mut self, body: Range<usize>, bytes: &mut Vec<u8>) -> Result<Result<(), String>, Ended<E>> {
        let end = body.end.min(self.offset + RECORD_HEADER_BYTES);
        bytes.clear();
        self.more(end - self.offset, bytes)?;
        // Not believed beyond the frame, whose header is sound.
        let length = bytes.get(16..20).map_or(0, |length| u32_at(length, 0) as usize);
        let end = body.end.min(end + length);
        self.more(end.saturating_sub(self.offset), bytes)?;
        Ok(match self.offset < end {
            true => {
                Err(format!("a log frame of {} bytes ends after {}", body.len(), self.offset - body.start))
            }
            false => Ok(()),
        })
    }
}

/// Reads the file with this name by itself: its records with their places, and what is wrong with it.
pub(crate) fn read_log_file(
    bytes: &[u8],
    name: &str,
    mut visit: impl FnMut(Place, Record<'_>),
) -> Option<Fault> {
    let number = file_number(name).or_else(|| kept_number(name)).unwrap_or_default();
    let visited = frame::read_file(bytes, number, |place, record| {
        visit(place, record);
        Ok::<(), std::convert::Infallible>(())
    });
    visited.unwrap_or_else(|never| match never {})
}

/// The names of the files that were cut and are kept for an archive.
pub(crate) fn kept_files(dir: &dyn Dir) -> Result<Vec<String>, Error> {
    Ok(dir.list()?.into_iter().filter(|name| kept_number(name).is_some()).collect())
}

/// What is damaged of one of them, if anything is: the first place.
pub(crate) fn damage_of_kept(dir: &dyn Dir, name: &str) -> Result<Option<Damage>, Error> {
    let bytes = match dir.read(name) {
        // It was archived meanwhile.
        Err(_) if !dir.list()?.iter().any(|other| other == name) => return Ok(None),
        read => read?,
    };
    let fault = read_log_file(&bytes, name, |_, _| ());
    Ok(fault.map(|Fault { offset, reason, .. }| Damage {
        file: dir.file_path(name),
        offset: offset as u64,
        reason,
    }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Cursor;

    use super::super::frame::{FrameHeader, encode_record, file_header};
    use super::*;

    /// Frames of these many records each; bodies of all lengths, and none of a length that stands for nothing.
    fn file_of(counts: &[u64]) -> Vec<u8> {
        let (mut bytes, mut position) = (file_header(7), 1);
        for (number, count) in (0..).zip(counts) {
            let bodies = (position..position + count).map(|at| vec![at as u8; (at * 13 % 40) as usize]);
            let records: Vec<u8> = bodies
                .zip(position..)
                .flat_map(|(body, seq)| encode_record(&Record { log_id: 3, seq, body: &body }))
                .collect();
            let length_bytes = records.len() as u32;
            let header = FrameHeader { number, position, time_us: 9 + number, length_bytes };
            bytes.extend([header.encode(), records].concat());
            position += count;
        }
        bytes
    }

    type Seen = (Vec<(Place, u64, Vec<u8>)>, Option<usize>);

    /// What the reader of whole files says.
    fn read_whole(bytes: &[u8]) -> Seen {
        let mut seen = Vec::new();
        let fault = frame::read_file(bytes, 7, |place, record| {
            seen.push((place, record.seq, record.body.to_vec()));
            Ok::<(), Infallible>(())
        });
        let Ok(fault) = fault;
        (seen, fault.map(|fault| fault.offset))
    }

    fn walk(bytes: &[u8], number: Option<u64>) -> Seen {
        let mut seen = Vec::new();
        let walked = walk_closed(Cursor::new(bytes), number, |place, record| {
            seen.push((place, record.seq, record.body.to_vec()));
            Ok::<(), Infallible>(())
        });
        match walked {
            Ok(()) => (seen, None),
            Err(Ended::Damaged((offset, _))) => (seen, Some(offset)),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn piece_by_piece_is_as_good_as_whole() {
        for counts in [&[][..], &[1], &[3, 1, 5], &[0, 2]] {
            let sound = file_of(counts);
            assert_eq!(walk(&sound, None), read_whole(&sound));
            assert_eq!(walk(&sound, Some(7)), (read_whole(&sound).0, None));
            for at in 0..sound.len() {
                let mut changed = sound.clone();
                changed[at] ^= 1 << (at % 8);
                for bytes in [&changed[..], &sound[..at]] {
                    let (expected, found) = (read_whole(bytes), walk(bytes, Some(7)));
                    assert_eq!(found.1, expected.1, "byte {at} of {}", bytes.len());
                    // A frame that is damaged later on was visited as far as it is sound.
                    assert!(found.0.starts_with(&expected.0), "byte {at} of {}", bytes.len());
                    assert!(read_whole(&sound).0.starts_with(&found.0), "byte {at} of {}", bytes.len());
                }
            }
        }
    }

    #[test]
    fn it_ends_when_it_is_told_to_or_cannot_read() {
        let sound = file_of(&[4]);
        let mut left = 2;
        let stopped = walk_closed(Cursor::new(&sound), None, |_, _| {
            left -= 1;
            if left == 0 { Err("enough") } else { Ok(()) }
        });
        assert!(matches!(stopped, Err(Ended::Stopped("enough"))));
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("no"))
            }
        }
        let unread = walk_closed(Cursor::new(&sound).chain(Broken), None, |_, _| Ok::<(), Infallible>(()));
        assert!(matches!(unread, Err(Ended::Unread(_))), "{unread:?}");
    }
}
