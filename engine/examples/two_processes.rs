//! Two processes and one directory: the lock refuses the second writer, and is gone with its process, however that ends.
//!
//! `cargo run -p ragstone --example two_processes`

use std::io::{BufRead, BufReader, Error};
use std::path::Path;
use std::process::{Command, Stdio};

use ragstone::{Db, LockHolder, Point, Schema};

/// How this program calls itself: `two_processes writer DIRECTORY`.
const WRITER: &str = "writer";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(role), Some(directory)) if role == WRITER => write(Path::new(&directory)),
        _ => watch(),
    }
}

/// Writes a row, says so, and goes on until it is killed.
fn write(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let db = Db::open(directory)?;
    let notes = db.create_collection("notes", Schema::new(2)?)?;
    notes.upsert(vec![Point::new("tea", [1.0, 0.0])])?;
    println!("acknowledged");
    loop {
        std::thread::park();
    }
}

/// Starts a writer, is refused beside it, kills it, and finds what it acknowledged.
fn watch() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let mut writer =
        Command::new(std::env::current_exe()?).arg(WRITER).arg(path).stdout(Stdio::piped()).spawn()?;
    let output = writer.stdout.take().ok_or_else(|| Error::other("the writer has no output"))?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    assert_eq!(line, "acknowledged\n");

    for refused in [Db::open(path), Db::open_read_only(path)] {
        let error = refused.expect_err("the writer has it");
        println!("{error}");
        assert!(matches!(error, ragstone::Error::Locked { holder: LockHolder::Writer, .. }));
    }

    // Not a goodbye: the system gives back the lock of a process that is gone.
    writer.kill()?;
    writer.wait()?;
    let db = Db::open(path)?;
    let found = db.collection("notes")?.get(&["tea".into()])?;
    assert!(found[0].is_some(), "what was acknowledged is there");
    println!("after the kill: {found:?}");
    Ok(())
}
