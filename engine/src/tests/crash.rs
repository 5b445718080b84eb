//! The machine dies at every call that changes the disk, one after the other.
//!
//! A fixed scenario runs until the call at which the machine dies. The disk then has what was synced and an arbitrary
//! part of the rest. Reopened, the database must hold what the scenario had when its last acknowledged step returned,
//! or that and the whole of the step that was under way: everything acknowledged, no batch by half. The same holds if
//! the machine dies again while it recovers, and if a call fails instead with EIO or ENOSPC.

use std::sync::Arc;

use super::{Contents, Step, contents, open, options};
use crate::dir::ReadOnlyDir;
use crate::dir::memory::MemoryDir;
use crate::random::SplitMix64;
use crate::{Db, DbOptions, Error};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

pub(super) fn scenario() -> Vec<Step> {
    let write =
        |ids: std::ops::Range<u64>, version| Step::Write("a", ids.map(|id| (id, Some(version))).collect());
    let update = |ids: std::ops::Range<u64>, note| Step::Update("a", ids.map(|id| (id, note)).collect());
    let delete = |ids: std::ops::Range<u64>| Step::Write("a", ids.map(|id| (id, None)).collect());
    vec![
        Step::Create("a"),
        write(0..3, 1),
        write(2..7, 2),
        // Of rows in memory, and of some that are not there.
        update(1..9, 1),
        Step::Create("b"),
        Step::Write("b", vec![(1, Some(1)), (2, Some(1)), (1, None)]),
        // Fills a segment, which this write seals.
        write(5..12, 3),
        delete(0..2),
        Step::Write("a", vec![(3, Some(4)), (20, Some(4)), (20, None), (4, None)]),
        Step::Flush,
        // Of sealed rows; again, and not any more.
        update(5..9, 2),
        update(8..10, 3),
        update(6..7, 0),
        write(10..14, 5),
        Step::Drop("b"),
        write(0..12, 6),
        update(9..13, 4),
        delete(6..9),
        Step::Create("b"),
        Step::Write("b", vec![(7, Some(7))]),
        write(9..11, 8),
        update(9..12, 5),
        // Of words, too.
        update(10..13, 7),
        Step::Flush,
        // So few that no merge folds them, at first.
        update(12..13, 6),
        Step::Flush,
        // A third of what lives: a merge rewrites it.
        delete(0..5),
        Step::Flush,
        update(9..10, 8),
        Step::Flush,
        update(9..12, 14),
        write(3..4, 9),
        Step::Attribute("k", Some(1)),
        Step::Alias("x", Some("b")),
        Step::Replace("a", 100),
        write(20..22, 10),
        Step::Alias("x", Some("a")),
        Step::Attribute("k", Some(2)),
        Step::Attribute("l", Some(3)),
        Step::Begin("b"),
        Step::Flush,
        Step::Attribute("k", None),
        // With what was to replace it.
        Step::Drop("b"),
    ]
}

/// Runs the scenario as far as it goes: the contents after the last acknowledged step, and with the step after it. What the database holds
/// is looked at after each step once there were more calls than so many: before that, each run is as every other.
pub(super) fn run(dir: &MemoryDir, calls: u64) -> (Contents, Contents) {
    let mut acknowledged = Contents::new();
    let Ok(db) = open(dir) else { return (acknowledged.clone(), acknowledged) };
    for step in scenario() {
        let mut after = acknowledged.clone();
        step.apply(&mut after);
        if let Err(error) = step.run(&db) {
            // A segment that could not be written leaves nothing unknown, nor does a disk that was full for once.
            if (matches!(step, Step::Flush) || error.is_full()) && step.run(&db).is_ok() {
                assert_eq!(contents(&db), after, "after {step:?} at the second time");
                acknowledged = after;
                continue;
            }
            assert!(
                Step::Create("c").run(&db).is_err(),
                "after a failure of the disk nothing is acknowledged until the database is reopened"
            );
            return (acknowledged, after);
        }
        acknowledged = after;
        if dir.calls() > calls {
            assert_eq!(contents(&db), acknowledged, "after {step:?}");
        }
    }
    (acknowledged.clone(), acknowledged)
}

fn check(dir: &MemoryDir, (acknowledged, after): &(Contents, Contents), story: &str) {
    let db = open(dir).unwrap_or_else(|error| panic!("{story}: {error}"));
    let found = contents(&db);
    assert!(
        found == *acknowledged || found == *after,
        "{story}: found {found:?}\nacknowledged {acknowledged:?}\nor {after:?}"
    );
    // It takes writes again, and keeps them.
    if found.contains_key("a") {
        let step = Step::Write("a", (0..9).map(|id| (id, Some(99))).collect());
        step.run(&db).unwrap();
        let mut expected = found;
        step.apply(&mut expected);
        drop(db);
        assert_eq!(contents(&open(dir).unwrap()), expected, "{story}");
    }
}

pub(super) fn calls_of_scenario() -> u64 {
    let dir = MemoryDir::new();
    run(&dir, 0);
    dir.calls()
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_machine_dies() {
    let calls = calls_of_scenario();
    assert!(calls > 100, "the scenario does something: {calls} calls");
    for call in 0..=calls {
        let dir = MemoryDir::new();
        dir.crash_at(call);
        let expected = run(&dir, call);
        for seed in 0..4 {
            check(&dir.recovered(seed), &expected, &format!("crash at call {call}, seed {seed}"));
        }
    }
}

#[test]
fn a_reader_finds_what_recovery_would_and_changes_nothing() {
    for call in 0..=calls_of_scenario() {
        let dir = MemoryDir::new();
        dir.crash_at(call);
        run(&dir, call);
        for seed in 0..2 {
            let left = dir.recovered(seed);
            let reader = Arc::new(ReadOnlyDir::new(Arc::new(left.clone())));
            let opened = Db::open_in(reader, DbOptions { read_only: true, ..options() });
            let story = format!("crash at call {call}, seed {seed}");
            match opened {
                Ok(db) => assert_eq!(contents(&db), contents(&open(&left.copied()).unwrap()), "{story}"),
                // Before the first manifest there is no database.
                Err(Error::Io { operation: "read", .. }) => {
                    assert!(contents(&open(&left.copied()).unwrap()).is_empty(), "{story}");
                }
                Err(error) => panic!("{story}: {error}"),
            }
            assert_eq!(left.calls(), 0, "{story}");
        }
    }
}

#[test]
fn nothing_is_lost_when_it_dies_again_while_recovering() {
    let calls = calls_of_scenario();
    let mut random = SplitMix64(1);
    for call in 0..=calls {
        let dir = MemoryDir::new();
        dir.crash_at(call);
        let expected = run(&dir, call);
        let recovered = dir.recovered(random.next());
        let needed = {
            let counting = recovered.copied();
            drop(open(&counting));
            counting.calls()
        };
        for again in 0..needed {
            let dir = recovered.copied();
            dir.crash_at(again);
            drop(open(&dir));
            let story = format!("crash at call {call}, then at call {again} of the recovery");
            check(&dir.recovered(random.next()), &expected, &story);
        }
    }
}

#[test]
fn a_failing_call_is_an_error_and_loses_nothing() {
    for call in 0..calls_of_scenario() {
        for errno in [EIO, ENOSPC] {
            let dir = MemoryDir::new();
            dir.fail_at(call, errno);
            let expected = run(&dir, call);
            let story = format!("error {errno} at call {call}");
            let reopened = dir.copied();
            check(&reopened, &expected, &story);
            // Also if the power fails after the program that met the error was followed by another.
            let found = contents(&open(&reopened).unwrap());
            assert_eq!(contents(&open(&reopened.recovered(call)).unwrap()), found, "{story}");
            check(&dir.recovered(call), &expected, &story);
        }
    }
}

#[test]
fn a_failed_sync_poisons_the_store_and_says_why() {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    Step::Create("a").run(&db).unwrap();
    let write = Step::Write("a", vec![(1, Some(1))]);
    db.check_writes().unwrap();
    // After the bytes are written.
    dir.fail_at(dir.calls() + 1, ENOSPC);
    match write.run(&db).unwrap_err() {
        Error::Io { operation, path, source } => {
            assert_eq!((operation, source.raw_os_error()), ("sync", Some(ENOSPC)));
            assert!(path.ends_with("log-0000000000000001"), "{path:?}");
        }
        other => panic!("{other}"),
    }
    assert!(matches!(write.run(&db).unwrap_err(), Error::Poisoned { .. }));
    assert!(matches!(db.flush().unwrap_err(), Error::Poisoned { .. }));
    assert!(matches!(db.check_writes().unwrap_err(), Error::Poisoned { .. }));
    assert_eq!(contents(&db)["a"].len(), 0, "reads go on");
}
