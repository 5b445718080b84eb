//! The disk is full from every call on, one after the other, and then it is not.
//!
//! While it is full, what needs room is refused with the system's own error, and nothing of it is written, whether the
//! machine goes on or dies. Reads go on. Once there is room, everything goes on without reopening.

use super::corruption::every_file;
use super::crash::{calls_of_scenario, scenario};
use super::{Contents, Step, contents, open};
use crate::dir::memory::MemoryDir;
use crate::{Db, Error};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn assert_full(error: &Error, story: &str) {
    match error {
        Error::Io { source, .. } => assert_eq!(source.raw_os_error(), Some(ENOSPC), "{story}: {error}"),
        _ => panic!("{story}: {error}"),
    }
}

/// Opens, once there is room if it must be.
fn open_once_there_is_room(dir: &MemoryDir, story: &str) -> Db {
    open(dir).unwrap_or_else(|error| {
        assert_full(&error, story);
        dir.make_room();
        open(dir).unwrap_or_else(|error| panic!("{story}: {error}"))
    })
}

#[test]
fn a_full_disk_refuses_writes_and_takes_them_when_there_is_room() {
    let mut refused = 0;
    for call in 0..calls_of_scenario() {
        let story = format!("full from call {call}");
        let dir = MemoryDir::new();
        dir.full_from(call);
        let db = open_once_there_is_room(&dir, &story);
        let mut acknowledged = Contents::new();
        for step in scenario() {
            let story = format!("{story}, {step:?}");
            for _ in 0..3 {
                let Err(error) = step.run(&db) else { break };
                refused += 1;
                assert_full(&error, &story);
                assert_eq!(contents(&db), acknowledged, "{story}: reads go on");
                for seed in 0..2 {
                    let recovered = dir.recovered(seed);
                    assert_eq!(
                        contents(&open(&recovered).unwrap()),
                        acknowledged,
                        "{story}: dies while full"
                    );
                }
            }
            if contents(&db) == acknowledged {
                dir.make_room();
                step.run(&db).unwrap_or_else(|error| panic!("{story}: there is room, but {error}"));
            }
            step.apply(&mut acknowledged);
            assert_eq!(contents(&db), acknowledged, "{story}");
            assert_eq!(contents(&open(&dir.recovered(2)).unwrap()), acknowledged, "{story}: dies later");
        }
        drop(db);
        assert_eq!(contents(&open(&dir).unwrap()), acknowledged, "{story}: reopened");
    }
    assert!(refused > 200, "{refused} steps were refused");
}

/// Threads that share a refused frame, and one that comes when there is room: no number is missing in the log.
#[test]
fn writers_that_share_a_refused_frame_are_all_told() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    Step::Create("a").run(&db).unwrap();
    Step::Write("a", vec![(0, Some(0))]).run(&db).unwrap();
    let mut acknowledged = contents(&db);
    for round in 0..20 {
        dir.full_from(0);
        std::thread::scope(|scope| {
            let db = &db;
            let write = |id| move || Step::Write("a", vec![(id, Some(round))]).run(db);
            let writers: Vec<_> = (0..8).map(|id| scope.spawn(write(id))).collect();
            for writer in writers {
                assert_full(&writer.join().unwrap().unwrap_err(), "all are told");
            }
        });
        dir.make_room();
        let step = Step::Write("a", vec![(100, Some(round))]);
        step.run(&db).unwrap();
        step.apply(&mut acknowledged);
        assert_eq!(contents(&open(&dir.recovered(round as u64)).unwrap()), acknowledged);
    }
    drop(db);
    assert_eq!(contents(&open(&dir).unwrap()), acknowledged);
}

#[test]
fn a_failing_read_is_an_error_and_changes_nothing() {
    let whole = every_file();
    let counting = whole.copied();
    let expected = contents(&open(&counting).unwrap());
    let needed = {
        let counting = whole.copied();
        drop(open(&counting).unwrap());
        counting.reads()
    };
    assert!(needed >= 8, "{needed} reads");
    let mut tolerated = 0;
    for call in 0..needed {
        let dir = whole.copied();
        dir.fail_read_at(call, EIO);
        match open(&dir).map(drop).err() {
            // The copy of the manifest is written anew.
            None => tolerated += 1,
            Some(Error::Io { operation: "read" | "list", source, .. }) => {
                assert_eq!(source.raw_os_error(), Some(EIO), "read {call}");
            }
            Some(other) => panic!("read {call}: {other}"),
        }
        assert_eq!(contents(&open(&dir).unwrap()), expected, "read {call}");
    }
    assert_eq!(tolerated, 1);
}
