//! A process that writes is killed with SIGKILL, again and again; everything that it acknowledged is there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ragstone::Error;
use ragstone_tests::crash::{DELETES_EVERY, WRITERS, batch_found, open};

const KILLS: usize = 12;

fn start(directory: &Path, first: i64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_crash_writer"))
        .arg(directory)
        .arg(first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads acknowledgements until there were enough, kills the process, and reads what it still got out.
fn kill_after(mut child: Child, acknowledgements: usize) -> Vec<(u64, i64)> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("open"));
    let parse = |line: String| {
        let (writer, number) = line.split_once(' ')?;
        Some((writer.parse().ok()?, number.parse().ok()?))
    };
    let mut acknowledged: Vec<(u64, i64)> = lines.by_ref().take(acknowledgements).filter_map(parse).collect();
    child.kill().unwrap();
    // The last line may be cut by the kill; it is a promise only with its end.
    acknowledged.extend(lines.filter_map(parse));
    child.wait().unwrap();
    acknowledged
}

#[test]
fn everything_acknowledged_survives_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut last = vec![0i64; WRITERS as usize];
    for kill in 0..KILLS {
        let first = last.iter().max().unwrap() + 1;
        // Sooner and later, so that the kill meets sealing and merging in every state.
        for (writer, number) in kill_after(start(directory.path(), first), 5 + kill * 37) {
            last[writer as usize] = last[writer as usize].max(number);
        }
        let db = open(directory.path()).unwrap();
        for (writer, acknowledged) in last.iter_mut().enumerate() {
            let found = batch_found(&db, writer as u64).unwrap();
            // The write under way may be there too; it was not the last promise but it is a whole batch.
            let next = if *acknowledged < first { first } else { *acknowledged + 1 };
            let is = |number: i64| found == (number % DELETES_EVERY != 0).then_some(number);
            assert!(
                is(*acknowledged) || is(next),
                "kill {kill}, writer {writer}: acknowledged {acknowledged}, found {found:?}"
            );
            if is(next) {
                *acknowledged = next;
            }
        }
    }
    assert!(last.iter().all(|number| *number > KILLS as i64), "{last:?}");
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let child = start(directory.path(), 1);
    let (mut child, mut lines) = {
        let mut child = child;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    };
    assert_eq!(lines.next().unwrap().unwrap(), "open");
    assert!(matches!(open(directory.path()), Err(Error::Locked { .. })));
    let second =
        Command::new(env!("CARGO_BIN_EXE_crash_writer")).arg(directory.path()).arg("1").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&second.stdout).trim(), "locked");
    child.kill().unwrap();
    child.wait().unwrap();
    open(directory.path()).expect("a killed process holds no lock");
}
