//! Writes until it is killed, and says what was acknowledged.
//!
//! `crash_writer DIRECTORY FIRST`: opens the database, prints `open`, and lets several threads write batches from
//! number FIRST on; each acknowledged one is printed as `writer number`. Ends only by being killed, or after printing
//! `locked` if another process has the database.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use ragstone::{Db, Error};
use ragstone_tests::crash::{COLLECTION, WRITERS, batch, open, schema};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(first)) =
        (arguments.next(), arguments.next().and_then(|first| first.parse().ok()))
    else {
        eprintln!("usage: crash_writer DIRECTORY FIRST");
        return ExitCode::from(2);
    };
    match open(&PathBuf::from(directory)) {
        Ok(db) => match write_on(&db, first) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Err(Error::Locked { .. }) => {
            println!("locked");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write_on(db: &Db, first: i64) -> Result<(), Box<dyn std::error::Error>> {
    if matches!(db.collection(COLLECTION), Err(Error::CollectionNotFound { .. })) {
        db.create_collection(COLLECTION, schema()?)?;
    }
    say("open")?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || -> Result<(), String> {
                    let collection = db.collection(COLLECTION).map_err(|error| error.to_string())?;
                    for number in first.. {
                        collection.write(batch(writer, number)).map_err(|error| error.to_string())?;
                        say(&format!("{writer} {number}")).map_err(|error| error.to_string())?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err("a writer panicked".into()),
        })
    })
}

/// One line, out at once: the reader takes it for a promise.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
