//! What the process that is killed and the test that kills it agree on.
//!
//! Batches are numbered. Batch `n` of a writer gives each of its [`POINTS`] points the number `n` in every part, or, if
//! `n` is a multiple of [`DELETES_EVERY`], deletes them all. So whatever is found tells which batch was last, and a
//! batch that is there by half shows.

use std::path::Path;

use ragstone::{Batch, Db, DbOptions, Metric, Point, PointId, Result, Schema, Value};

/// Points that each batch writes.
pub const POINTS: u64 = 5;
/// Threads that write at once, each its own points.
pub const WRITERS: u64 = 3;
/// Every so many batches the points are deleted instead.
pub const DELETES_EVERY: i64 = 7;
/// The collection.
pub const COLLECTION: &str = "crash";

/// Opens the database with segments so small that sealing and merging are always under way.
///
/// # Errors
/// As [`Db::open`].
pub fn open(path: &Path) -> Result<Db> {
    let mut options = DbOptions::default();
    options.seal_rows = 60;
    options.log_file_bytes = 4 << 10;
    Db::open_with(path, options)
}

/// The schema of the collection.
///
/// # Errors
/// None that a test will see; as [`ragstone::SchemaBuilder::build`].
pub fn schema() -> Result<Schema> {
    Schema::builder(2).metric(Metric::L2).build()
}

/// The id of a point of a writer.
pub fn id(writer: u64, point: u64) -> PointId {
    PointId::Num(writer * POINTS + point)
}

/// The batch with a number.
pub fn batch(writer: u64, number: i64) -> Batch {
    (0..POINTS).fold(Batch::new(), |batch, point| {
        if number % DELETES_EVERY == 0 {
            batch.delete(id(writer, point))
        } else {
            batch.upsert(Point::new(id(writer, point), [number as f32, point as f32]).with("number", number))
        }
    })
}

/// Which batch a writer's points are of: `Ok(None)` if they are deleted or never were.
///
/// # Errors
/// What is wrong if they are of several batches, or not what their batch wrote.
pub fn batch_found(db: &Db, writer: u64) -> Result<Option<i64>, String> {
    let collection = db.collection(COLLECTION).map_err(|error| error.to_string())?;
    let ids: Vec<PointId> = (0..POINTS).map(|point| id(writer, point)).collect();
    let found = collection.get(&ids).map_err(|error| error.to_string())?;
    let number = |point: &Option<Point>| match point.as_ref()?.payload.get("number") {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    };
    let first = found.first().and_then(number);
    // One batch, one write: all of its rows say so.
    let etag = found.first().and_then(|point| point.as_ref()?.etag);
    let expected: Vec<Option<Point>> = match first {
        None => vec![None; ids.len()],
        Some(number) => (0..POINTS)
            .map(|point| {
                let row = Point::new(id(writer, point), [number as f32, point as f32]).with("number", number);
                Some(Point { etag, ..row })
            })
            .collect(),
    };
    if found == expected { Ok(first) } else { Err(format!("writer {writer}: {found:?}")) }
}
