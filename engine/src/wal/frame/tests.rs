//! Frames to bytes and back, torn and flipped.

use super::*;

fn file(frames: &[&[&[u8]]]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut offsets, mut seq) = (file_header(3), Vec::new(), 0);
    for (number, bodies) in frames.iter().enumerate() {
        offsets.push(bytes.len());
        let position = seq + 1;
        let records: Vec<u8> = bodies
            .iter()
            .flat_map(|body| {
                seq += 1;
                encode_record(&Record { log_id: 1, seq, body })
            })
            .collect();
        let (number, length_bytes) = (number as u64, records.len() as u32);
        bytes.extend(FrameHeader { number, position, time_us: 7, length_bytes }.encode());
        bytes.extend(records);
    }
    (bytes, offsets)
}

fn read(bytes: &[u8]) -> (Vec<u64>, Option<Fault>) {
    let mut seqs = Vec::new();
    let fault = read_file::<()>(bytes, 3, |place, record| {
        assert_eq!((place.position, place.time_us), (record.seq, 7));
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
fn the_first_frame_tells_where_a_file_begins() {
    let (bytes, _) = file(&[&[b"a", b"bb"]]);
    assert_eq!(first_frame(&bytes[..60], 3).unwrap().position, 1);
    assert!(first_frame(&bytes[..59], 3).is_none() && first_frame(&bytes, 4).is_none());
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
