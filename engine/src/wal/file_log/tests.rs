//! What writers are told, and what is left of the files.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::dir::hooked::HookedDir;
use crate::dir::io_error;
use crate::dir::memory::MemoryDir;

fn open(dir: &MemoryDir) -> (FileLog, Vec<(u64, u64)>) {
    let mut seen = Vec::new();
    let options = LogOptions { file_bytes: 130, queue_bytes: 1 << 20, ..LogOptions::default() };
    let log = FileLog::open(Arc::new(dir.clone()), options, LogMark::default(), &mut |_, _, record| {
        seen.push((record.log_id, record.seq));
        Ok(())
    });
    (log.unwrap(), seen)
}

fn submit(log: &FileLog, log_id: u64, seq: u64) -> Ticket {
    log.submit(Record { log_id, seq, body: b"body" }).unwrap()
}

#[test]
fn writers_share_a_sync() {
    let dir = MemoryDir::new();
    let (log, _) = open(&dir);
    let tickets: Vec<Ticket> = (1..=50).map(|seq| submit(&log, 1, seq)).collect();
    tickets.iter().rev().for_each(|ticket| log.wait(*ticket).unwrap());
    // Create, write and sync the file; sync its name; write and sync one frame of fifty records.
    assert_eq!(dir.calls(), 6);
}

#[test]
fn files_rotate_and_are_cut_when_all_of_them_is_stored() {
    let dir = MemoryDir::new();
    let (log, _) = open(&dir);
    for seq in 1..=6 {
        // Two log ids take turns; two frames fill a file.
        log.wait(submit(&log, seq % 2, seq.div_ceil(2))).unwrap();
    }
    assert_eq!(dir.list().unwrap().len(), 3);
    log.cut(log.mark(), &|log_id| if log_id == 0 { 3 } else { 1 }).unwrap();
    assert_eq!(dir.list().unwrap().len(), 2, "the second file has write 2 of log id 1");
    assert_eq!(log.oldest(), [(0, 2), (1, 2)]);
    drop(log);
    let (log, seen) = open(&dir);
    assert_eq!(seen, [(1, 2), (0, 2), (1, 3), (0, 3)]);
    log.cut(log.mark(), &|_| 3).unwrap();
    assert!(dir.list().unwrap().is_empty());
    log.wait(submit(&log, 1, 4)).unwrap();
    assert_eq!(open(&dir).1, [(1, 4)]);
}

#[test]
fn a_failed_sync_fails_every_writer_until_the_log_is_reopened() {
    let dir = MemoryDir::new();
    let (log, _) = open(&dir);
    log.wait(submit(&log, 1, 1)).unwrap();
    let (second, third) = (submit(&log, 1, 2), submit(&log, 1, 3));
    dir.fail_at(dir.calls() + 1, 5);
    assert!(matches!(log.wait(second), Err(Error::Io { operation: "sync", .. })));
    assert!(matches!(log.wait(third), Err(Error::Poisoned { .. })));
    assert!(matches!(log.submit(Record { log_id: 1, seq: 4, body: b"" }), Err(Error::Poisoned { .. })));
    assert_eq!(open(&dir).1[0], (1, 1));
}

/// The system's cache had the frame, the disk did not. It was read as whole, the next frame began another file, and a power loss
/// then left a torn file before a sound one, which is damage: the database could not be opened any more.
#[test]
fn what_a_killed_process_left_unsynced_is_durable_before_another_file_is_begun() {
    let is_killed = Arc::new(AtomicBool::new(false));
    let killed = is_killed.clone();
    let dir = HookedDir::new(move |operation, name| match operation {
        "sync" | "truncate" if killed.load(Ordering::SeqCst) => {
            Err(io_error("sync", name.as_ref(), std::io::ErrorKind::Other.into()))
        }
        _ => Ok(()),
    });
    let options = LogOptions::default();
    let log =
        FileLog::open(Arc::new(dir.clone()), options, LogMark::default(), &mut |_, _, _| Ok(())).unwrap();
    log.wait(submit(&log, 1, 1)).unwrap();
    is_killed.store(true, Ordering::SeqCst);
    log.wait(submit(&log, 1, 2)).unwrap_err();
    drop(log);
    let (log, seen) = open(dir.inner());
    assert_eq!(seen, [(1, 1), (1, 2)], "it was written");
    log.wait(submit(&log, 1, 3)).unwrap();
    for seed in 0..20 {
        assert_eq!(open(&dir.inner().recovered(seed)).1, [(1, 1), (1, 2), (1, 3)], "{seed}");
    }
}

/// The system takes the bytes of a failed sync for written: they are read, and no later sync writes them. The same damage came of it.
#[test]
fn a_frame_whose_sync_failed_is_not_taken_for_durable_later() {
    // Behind a frame of its file, and as the first one.
    for before in [1, 0] {
        let dir = MemoryDir::new();
        let (log, _) = open(&dir);
        (1..=before).for_each(|seq| log.wait(submit(&log, 1, seq)).unwrap());
        let ticket = submit(&log, 1, before + 1);
        // The first frame comes after four calls for its file.
        dir.fail_at(dir.calls() + if before == 0 { 5 } else { 1 }, 5);
        assert!(matches!(log.wait(ticket), Err(Error::Io { operation: "sync", .. })));
        drop(log);
        let (log, _) = open(&dir);
        let next = log.mark().position + 1;
        log.wait(submit(&log, 1, next)).unwrap();
        drop(log);
        let expected = open(&dir).1;
        for seed in 0..20 {
            assert_eq!(open(&dir.recovered(seed)).1, expected, "{before} before, seed {seed}");
        }
    }
}

/// Each episode of a full disk once left behind what nobody would ask for.
#[test]
fn who_was_told_of_a_refused_frame_is_not_told_again() {
    let dir = MemoryDir::new();
    let (log, _) = open(&dir);
    log.wait(submit(&log, 1, 1)).unwrap();
    dir.full_from(0);
    let (second, third) = (submit(&log, 1, 2), submit(&log, 1, 3));
    assert!(log.wait(second).unwrap_err().is_full());
    assert!(log.wait(third).unwrap_err().is_full());
    for _ in 0..3 {
        assert!(log.submit(Record { log_id: 1, seq: 4, body: b"" }).unwrap_err().is_full());
        assert!(log.state().refused.is_told());
    }
    dir.make_room();
    log.wait(submit(&log, 1, 4)).unwrap();
    drop(log);
    assert_eq!(open(&dir).1, [(1, 1), (1, 2), (1, 3), (1, 4)]);
}

/// Their positions would be given again at the next opening.
#[test]
fn records_beyond_what_is_noted_stay_though_they_are_stored() {
    let dir = MemoryDir::new();
    let (log, _) = open(&dir);
    let write = |seq| {
        log.wait(submit(&log, 1, seq)).unwrap();
        log.mark()
    };
    // Two frames fill a file.
    let marks = [1, 2, 3, 4].map(write);
    let files_left = |noted: LogMark| {
        log.cut(noted, &|_| u64::MAX).unwrap();
        dir.list().unwrap().len()
    };
    assert_eq!(files_left(marks[0]), 2, "the second record is beyond");
    assert_eq!(files_left(marks[2]), 1, "the fourth is");
    assert_eq!(files_left(LogMark { next_file: 2, ..marks[3] }), 1, "the manifest does not know of its file");
    assert_eq!(files_left(marks[3]), 0);
}

/// Such a file could be removed while others were begun: where a crash undid that, its torn end was before theirs, which is damage.
#[test]
fn what_a_refused_frame_left_is_cut_off_before_its_file_is_removed() {
    let dir = MemoryDir::new();
    let (log, _) = open(&dir);
    log.wait(submit(&log, 1, 1)).unwrap();
    dir.full_from(0);
    assert!(log.wait(submit(&log, 1, 2)).unwrap_err().is_full());
    log.cut(log.mark(), &|_| 1).unwrap();
    assert_eq!(dir.list().unwrap(), [file_name(1)]);
    dir.make_room();
    log.fulfil().unwrap();
    log.cut(log.mark(), &|_| 1).unwrap();
    assert_eq!(dir.list().unwrap(), [file_name(2)]);
    assert_eq!(open(&dir).1, [(1, 2)]);
}

/// Two writers share a frame; while it is being synced, something else poisons the log. The frame succeeds, so both
/// writes are durable: the first of them must not be told otherwise, or the second waits for it to be applied for ever.
#[test]
fn a_frame_under_way_decides_before_a_poison() {
    let (met, is_first) = (Arc::new(Barrier::new(2)), AtomicBool::new(true));
    let in_sync = met.clone();
    let dir = HookedDir::new(move |operation, name| {
        if operation == "sync" && name.starts_with("log-") && is_first.swap(false, Ordering::SeqCst) {
            in_sync.wait();
            in_sync.wait();
        }
        Ok(())
    });
    let log = FileLog::open(Arc::new(dir), LogOptions::default(), LogMark::default(), &mut |_, _, _| Ok(()))
        .unwrap();
    let (first, second) = (submit(&log, 1, 1), submit(&log, 1, 2));
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| log.wait(second));
        met.wait();
        log.poison("elsewhere");
        let led = scope.spawn(|| log.wait(first));
        // Time for it to give up, if it would.
        std::thread::sleep(Duration::from_millis(50));
        met.wait();
        led.join().unwrap().unwrap();
        leader.join().unwrap().unwrap();
    });
    assert!(matches!(log.submit(Record { log_id: 1, seq: 3, body: b"" }), Err(Error::Poisoned { .. })));
}
