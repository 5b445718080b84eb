//! `full_disk DIRECTORY`: a store on a disk that runs full, and then is not.
//!
//! Give it a directory on a small file system of its own: `mount -t tmpfs -o size=6m none DIRECTORY`. A file takes half of
//! the room. Batches are written until one is refused; reads and searches must go on, and so must refusals; then the file
//! goes, and the same handle must take writes again. What was acknowledged is there, after reopening too.

use std::path::Path;
use std::process::ExitCode;

use ragstone::{Collection, Db, DbOptions, Error, Metric, Point, PointId, Schema, SearchRequest, Verify};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const DIMENSION: usize = 32;
const BATCH: u64 = 20;
const FILLER_BYTES: usize = 3 << 20;
const BATCHES_MAX: u64 = 1_000_000;

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: full_disk DIRECTORY");
        return ExitCode::from(2);
    };
    match run(Path::new(&directory)) {
        Ok(story) => {
            println!("{story}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("full_disk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn vector(id: u64) -> Vec<f32> {
    (0..DIMENSION as u64).map(|component| ((id * 37 + component * component * 11) % 1009) as f32).collect()
}

fn write(rows: &Collection, batch: u64) -> Result<(), Error> {
    let ids = batch * BATCH..(batch + 1) * BATCH;
    rows.upsert(ids.map(|id| Point::new(id, vector(id)).with("batch", batch as i64)).collect()).map(drop)
}

/// Reads every row of the acknowledged batches, none of the next, and searches for some.
fn check(rows: &Collection, batches: u64) -> Outcome<()> {
    let ids: Vec<PointId> = (0..(batches + 1) * BATCH).map(PointId::Num).collect();
    for (id, found) in (0u64..).zip(rows.get(&ids)?) {
        if found.is_some() != (id < batches * BATCH) {
            return Err(format!("row {id} of {} is there: {}", batches * BATCH, found.is_some()).into());
        }
    }
    for id in (0..batches * BATCH).step_by(101) {
        let hits = rows.search(&SearchRequest::new(vector(id), 1).ef(200))?.hits;
        if hits.first().is_none_or(|hit| hit.score > 1e-3) {
            return Err(format!("row {id} is not found by its vector").into());
        }
    }
    Ok(())
}

fn run(directory: &Path) -> Outcome<String> {
    let filler = directory.join("filler");
    std::fs::write(&filler, vec![1; FILLER_BYTES])?;
    let mut options = DbOptions::default();
    (options.seal_rows, options.log_file_bytes, options.log_bytes_max) = (1_000, 256 << 10, 1 << 20);
    let data = directory.join("data");
    let db = Db::open_with(&data, options.clone())?;
    let rows = db.create_collection("rows", Schema::builder(DIMENSION).metric(Metric::L2).build()?)?;
    let mut written = 0;
    let refusal = loop {
        match write(&rows, written) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        if written == BATCHES_MAX {
            return Err("the disk does not run full".into());
        }
    };
    if !matches!(&refusal, Error::Io { .. }) {
        return Err(format!("refused with: {refusal}").into());
    }
    check(&rows, written)?;
    let mut refused = 1;
    for _ in 0..50 {
        // A seal may have made some room.
        match write(&rows, written) {
            Ok(()) => written += 1,
            Err(Error::Io { .. }) => refused += 1,
            Err(other) => return Err(other.into()),
        }
        check(&rows, written)?;
    }
    let while_full = written;
    std::fs::remove_file(&filler)?;
    // A seal that failed is tried again after half a second, a little later each time.
    for attempt in 0.. {
        match write(&rows, written) {
            Ok(()) => break,
            Err(Error::Io { .. }) if attempt < 400 => {
                std::thread::sleep(std::time::Duration::from_millis(100))
            }
            Err(other) => return Err(format!("there is room, but: {other}").into()),
        }
    }
    written += 1;
    for _ in 0..20 {
        write(&rows, written)?;
        written += 1;
    }
    check(&rows, written)?;
    drop((rows, db));
    options.verify = Verify::OnOpen;
    let db = Db::open_with(&data, options)?;
    check(&db.collection("rows")?, written)?;
    drop(db);
    let damaged = ragstone::check(&data)?.damaged;
    if !damaged.is_empty() {
        return Err(format!("{damaged:?}").into());
    }
    Ok(format!(
        "{while_full} batches of {BATCH} until the disk was full, {refused} refused ({refusal}), \
         {} more once there was room; nothing lost",
        written - while_full
    ))
}
