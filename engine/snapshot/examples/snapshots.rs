//! Backups of a database that is in use, and the way back to the moment before a mistake.
//!
//! `cargo run -p ragstone-snapshot --example snapshots`

use ragstone::{Db, DbOptions, Point, Schema};
use ragstone_snapshot::{Repository, RestoreRequest, Until, quietly};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let place = |name: &str| directory.path().join(name);

    // Segments and log go their ways; what is to be archived is kept until it is.
    let mut options = DbOptions::default();
    options.keep_log_bytes = Some(1 << 30);
    let db = Db::open_with(place("data"), options)?;
    let notes = db.create_collection("notes", Schema::new(2)?)?;
    notes.upsert((0..1_000_u64).map(|id| Point::new(id, [1.0, id as f32])).collect())?;

    // A directory here; with the features `aws`, `gcp` and `azure` also s3://bucket/prefix, gs://… and az://…
    let repository = Repository::open_or_make(place("copies").to_str().ok_or("the path is no text")?)?;
    let taken = repository.take(&db, Some("monday"), quietly)?;
    println!("{}: {} files, {} bytes uploaded", taken.snapshot.name, taken.uploaded, taken.uploaded_bytes);

    // Every minute or so: what was written since. From here on each write is a moment that can be restored.
    let good = notes.upsert(vec![Point::new(1_000, [0.0, 1.0])])?;
    let mistake = notes.delete(&(0..900_u64).map(Into::into).collect::<Vec<_>>())?;
    let archived = repository.archive(&db, quietly)?;
    assert_eq!((archived.position, archived.gap), (mistake.position, None));

    // A second snapshot uploads what is new.
    let second = repository.take(&db, Some("tuesday"), quietly)?;
    assert!(second.uploaded < second.snapshot.files.len());

    // A copy is worth as much as the last time that somebody looked whether it can be restored.
    let verified = repository.verify("monday", quietly)?;
    assert!(verified.damaged.is_empty() && verified.position >= mistake.position);

    // Back to the moment before the mistake, into a new directory. `Until::TimeUs` takes a time instead.
    let request = RestoreRequest::until(Until::Position(good.position));
    let restored = repository.restore(&request, place("restored"), quietly)?;
    assert_eq!(restored.position, good.position);
    let before = Db::open(place("restored"))?;
    assert_eq!(before.collection("notes")?.info().points, 1_001);
    assert_eq!(notes.info().points, 101);

    // What is not needed any more goes in two steps: the snapshot, then what only it named.
    repository.delete("monday")?;
    let collected = repository.collect_garbage(quietly)?;
    println!("{} objects removed, {} kept", collected.removed, collected.kept);
    Ok(())
}
