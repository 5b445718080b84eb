//! Logs whose checksums hold and whose numbers make no sense, and damage that is much.

use super::super::LogOptions;
use super::super::frame::{encode_record, file_header};
use super::*;
use crate::batch::{Change, PreparedBatch};
use crate::catalogue::CATALOGUE;
use crate::dir::RealDir;
use crate::dir::memory::MemoryDir;
use crate::point::PointId;

fn record(log_id: u64, seq: u64) -> Vec<u8> {
    encode_record(&Record { log_id, seq, body: b"body" })
}

/// A log of one file: of each frame the position, and the bytes of its records.
fn log(frames: &[(u64, Vec<u8>)]) -> MemoryDir {
    let dir = MemoryDir::new();
    let mut file = dir.create(&file_name(1)).unwrap();
    file.write(&file_header(1)).unwrap();
    for (number, (position, records)) in (0..).zip(frames) {
        let length_bytes = records.len() as u32;
        let header = FrameHeader { number, position: *position, time_us: 7, length_bytes };
        file.write(&header.encode()).unwrap();
        file.write(records).unwrap();
    }
    drop(file);
    dir
}

/// A record with a sound checksum had a repair write one for each number up to its own, until the disk was full.
#[test]
fn a_number_that_nobody_gave_is_lost_and_nothing_is_written_up_to_it() {
    let records = [record(1, 1), record(1, 3), record(1, u64::MAX), record(u64::MAX, 1)].concat();
    let dir = log(&[(1, records)]);
    let salvaged = Salvaged::read(&dir, |_| true).unwrap();
    assert_eq!(salvaged.log_ids().collect::<Vec<_>>(), [1, u64::MAX]);
    let lost = |stored| (salvaged.missing(1, stored), salvaged.too_far(1, stored));
    assert_eq!(lost(0), (vec![2], vec![u64::MAX]));
    assert_eq!(lost(3), (vec![], vec![u64::MAX]));
    assert_eq!(lost(u64::MAX), (vec![], vec![]));
    let numbers: Vec<u64> = salvaged.bodies(&dir, 1, 0).unwrap().iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, [1, 3]);
    assert!(salvaged.bodies(&dir, 1, 3).unwrap().is_empty());
    salvaged.write(&dir, &[(1, 0)].into(), salvaged.mark()).unwrap();
    let again = Salvaged::read(&dir, |_| true).unwrap();
    assert_eq!(again.numbers(1).collect::<Vec<_>>(), [1, 2, 3]);
}

/// Deletions of single rows fill a file with more than a million records. Where it was lost, those after it were given up as well.
#[test]
fn what_follows_on_a_lost_file_of_small_writes_is_none_of_nonsense() {
    let changes = vec![Change::Delete(PointId::Num(1))];
    let smallest = RECORD_HEADER_BYTES + PreparedBatch { changes, ..PreparedBatch::default() }.encode().len();
    let lost = LogOptions::default().file_bytes / smallest as u64;
    let dir = log(&[(1, [record(1, 1), record(1, lost + 2)].concat())]);
    let salvaged = Salvaged::read(&dir, |_| true).unwrap();
    assert_eq!(salvaged.missing(1, 0).len() as u64, lost);
    assert_eq!(salvaged.bodies(&dir, 1, 0).unwrap().len(), 2);
}

/// Each gap was measured by itself, so that a record for every million writes had a repair write a million for each.
#[test]
fn as_many_writes_may_be_missing_in_all_gaps_together() {
    let far = 2 + MISSING_MAX;
    let sound: Vec<u8> = [1, far, far + 1].into_iter().flat_map(|seq| record(1, seq)).collect();
    let salvaged = Salvaged::read(&log(&[(1, sound.clone())]), |_| true).unwrap();
    assert_eq!(salvaged.missing(1, 0).len() as u64, MISSING_MAX);
    assert!(salvaged.too_far(1, 0).is_empty(), "the largest hole is no more than allowed");
    let beyond: Vec<u8> = [far + 3, far + 4].into_iter().flat_map(|seq| record(1, seq)).collect();
    let salvaged = Salvaged::read(&log(&[(1, [sound, beyond].concat())]), |_| true).unwrap();
    assert_eq!(salvaged.missing(1, 0).len() as u64, MISSING_MAX);
    assert_eq!(salvaged.too_far(1, 0), [far + 3, far + 4], "one more is missing before them");
    assert!(salvaged.too_far(1, 1 + far).is_empty(), "what is stored leaves no gap");
}

/// They were among the writes that cannot be read, as if nothing of them were there.
#[test]
fn a_repair_says_what_it_can_read_and_leaves_out() {
    let directory = tempfile::tempdir().unwrap();
    let db = crate::Db::open(directory.path()).unwrap();
    let notes = db.create_collection("notes", crate::Schema::new(2).unwrap()).unwrap();
    notes.upsert(vec![crate::Point::new(1, [1.0, 0.0])]).unwrap();
    drop((notes, db));
    let dir = RealDir::open(directory.path()).unwrap();
    let salvaged = Salvaged::read(&dir, |_| true).unwrap();
    let log_id = salvaged.log_ids().find(|log_id| *log_id != CATALOGUE).unwrap();
    let last = salvaged.numbers(log_id).next_back().unwrap();
    // Another file behind those that are there, whose only record has a number that nobody gave.
    let LogMark { next_file: number, position, time_us } = salvaged.mark();
    let seq = last + MISSING_MAX + 2;
    let records = record(log_id, seq);
    let length_bytes = records.len() as u32;
    let header = FrameHeader { number: 0, position: position + 1, time_us, length_bytes };
    let bytes = [file_header(number), header.encode(), records].concat();
    std::fs::write(dir.file_path(&file_name(number)), bytes).unwrap();
    drop(dir);
    let plan = crate::repair(directory.path(), true).unwrap();
    let report = crate::repair(directory.path(), false).unwrap();
    assert_eq!(plan, report);
    let [lost] = &*report.lost else { panic!("{report:?}") };
    assert_eq!((&*lost.collection, &*lost.writes), ("notes", &[seq][..]));
    assert!(lost.what.contains("can be read") && lost.what.contains("MISSING_MAX = 2097152"), "{lost:?}");
    assert!(report.actions.iter().any(|action| action.contains("1 writes left out")), "{report:?}");
    let kept = directory.path().join("damaged").join(file_name(number));
    assert!(kept.exists(), "it stays there for whoever knows better");
    let db = crate::Db::open(directory.path()).unwrap();
    assert_eq!(db.collection("notes").unwrap().view().count(None).unwrap(), 1);
}

/// The sum of such a position and of the records behind it was beyond all numbers.
#[test]
fn a_frame_at_a_position_that_nothing_comes_to_is_none() {
    let dir = log(&[(1, record(1, 1)), (u64::MAX, record(1, 2)), (2, record(1, 3))]);
    let salvaged = Salvaged::read(&dir, |_| true).unwrap();
    assert_eq!((salvaged.missing(1, 0), salvaged.mark().position), (vec![2], 2));
}

/// Each record of a few bytes was tried with each bit of the megabyte behind it turned: zeros in the place of a frame took a repair hours.
#[test]
fn damage_that_is_more_than_a_bit_is_not_taken_for_one_again_and_again() {
    let (zeros, last) = (vec![0; 1 << 18], [record(1, 2), vec![0; 23]].concat());
    let dir = log(&[(1, record(1, 1)), (2, zeros), (3, last)]);
    let salvaged = Salvaged::read(&dir, |_| true).unwrap();
    assert_eq!((salvaged.numbers(1).collect::<Vec<_>>(), salvaged.mended), (vec![1, 2], 0));
}

/// As long as there are few that cannot be read, each is made good.
#[test]
fn flipped_bits_of_some_records_of_a_frame_are_all_turned_back() {
    let mut records: Vec<u8> = (1..=20).flat_map(|seq| record(1, seq)).collect();
    let record_bytes = record(1, 1).len();
    (0..20).for_each(|at| records[at * record_bytes + at] ^= 1 << (at % 8));
    let salvaged = Salvaged::read(&log(&[(1, records)]), |_| true).unwrap();
    assert_eq!((salvaged.numbers(1).collect::<Vec<_>>(), salvaged.mended), ((1..=20).collect(), 20));
}
