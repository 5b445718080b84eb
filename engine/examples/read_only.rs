//! A database that is only read: by several at once, and never changed.
//!
//! `cargo run -p ragstone --example read_only`

use ragstone::{Db, Error, Point, Schema, SearchRequest};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path();
    let db = Db::open(path)?;
    let notes = db.create_collection("notes", Schema::new(2)?)?;
    notes.upsert((0..1_000_u64).map(|id| Point::new(id, [1.0, id as f32])).collect())?;
    // So that readers find a graph in a file, and need not read the log.
    db.compact()?;
    drop((notes, db));

    let readers = [Db::open_read_only(path)?, Db::open_read_only(path)?];
    for reader in &readers {
        let notes = reader.collection("notes")?;
        let found = notes.search(&SearchRequest::new([1.0, 0.0], 3))?;
        assert_eq!(found.hits[0].id, 0.into());
        let refused = notes.delete(&[0.into()]).expect_err("nothing may be written");
        println!("{refused}");
        assert!(matches!(refused, Error::ReadOnly { .. }));
    }

    // Who writes waits until the last of them has closed it.
    let refused = Db::open(path).expect_err("it is being read");
    println!("{refused}");
    assert!(matches!(refused, Error::Locked { .. }));
    drop(readers);
    Db::open(path)?.collection("notes")?.delete(&[0.into()])?;
    Ok(())
}
