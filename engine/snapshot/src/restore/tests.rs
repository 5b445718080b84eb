//! Which snapshot a restore begins with, and log of any size.

use ragstone::{Db, Point, Schema};

use super::*;
use crate::progress::quietly;

/// Snapshots at positions 10, 20 … with this number of the last write of `notes`, if they have the collection.
fn snapshots(seqs: &[Option<u64>]) -> Vec<Snapshot> {
    let snapshot = |(number, seq): (u64, &Option<u64>)| Snapshot {
        name: number.to_string(),
        lineage: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        position: 10 * number,
        time_us: 1_000 * number,
        created_us: number,
        collections: seq.iter().map(|seq| ("notes".to_owned(), *seq)).collect(),
        files: Vec::new(),
    };
    (1..).zip(seqs).map(snapshot).collect()
}

/// What snapshots have of the collection, the moment, and the snapshot to begin with.
type Row<'a> = (&'a [Option<u64>], Option<Until>, Option<&'a str>);

#[test]
fn the_newest_that_leads_to_the_moment_is_begun_with() {
    let write = |seq| Until::Write { collection: "notes".into(), seq };
    let rows: &[Row<'_>] = &[
        (&[None, Some(5)], None, Some("2")),
        (&[None, Some(5)], Some(Until::End), Some("2")),
        (&[None, None, None], Some(Until::Position(20)), Some("2")),
        (&[None, None], Some(Until::Position(9)), None),
        (&[None, None, None], Some(Until::TimeUs(2_999)), Some("2")),
        // It has the write to come, or has it just now.
        (&[None, Some(5), Some(8)], Some(write(7)), Some("2")),
        (&[None, Some(5), Some(8)], Some(write(8)), Some("3")),
        // Deleted afterwards, or made anew.
        (&[None, Some(5), None], Some(write(6)), Some("2")),
        (&[Some(5), None, Some(2)], Some(write(6)), Some("3")),
        // All that have it are beyond.
        (&[None, Some(5)], Some(write(4)), Some("1")),
        (&[None, Some(5), None], Some(write(4)), Some("1")),
        (&[Some(5), None, Some(7), None], Some(write(4)), Some("2")),
        (&[Some(5), None], Some(write(4)), None),
        // None has it: it was made since, or between two of them.
        (&[None, None], Some(write(1)), Some("2")),
        (&[], Some(write(1)), None),
    ];
    for (seqs, until, expected) in rows {
        let found = to_begin_with(snapshots(seqs), until.as_ref()).map(|snapshot| snapshot.name);
        assert_eq!(found.as_deref(), *expected, "{seqs:?} {until:?}");
    }
}

/// Files of the log were read as a whole, up to a bound that no option of the database knew: what was archived, and then
/// released, could not be restored.
#[test]
fn log_may_be_of_any_size() {
    let [data, copies, again] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let db = Db::open(data.path()).unwrap();
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let repository = Repository::open(copies.path().to_str().unwrap()).unwrap();
    repository.take(&db, Some("s"), quietly).unwrap();
    // One write, so one frame and one file, however small the files are to be.
    let text = "x".repeat(1_000);
    let points = (0..300_u64).map(|id| Point::new(id, [1.0, id as f32]).with("text", text.as_str()));
    let receipt = notes.upsert(points.collect()).unwrap();
    let archived = repository.archive(&db, quietly).unwrap();
    assert!(archived.uploaded_bytes > 4 * crate::repository::MANIFEST_BYTES_MAX, "{archived:?}");
    let verified = repository.verify("s", quietly).unwrap();
    assert!(verified.damaged.is_empty(), "{verified:?}");
    assert_eq!(verified.position, receipt.position);
    assert!(verified.bytes > archived.uploaded_bytes);
    let mut last = None;
    let restored = repository.restore(&RestoreRequest::until(Until::End), again.path(), |progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    });
    assert_eq!(restored.unwrap().position, receipt.position);
    let last = last.unwrap();
    assert!(last.bytes == last.bytes_total && last.bytes > archived.uploaded_bytes, "{last:?}");
    assert_eq!(Db::open(again.path()).unwrap().collection("notes").unwrap().info().points, 300);
    let names = std::fs::read_dir(again.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let strange = |name: &std::ffi::OsString| name.to_string_lossy().starts_with('.');
    assert_eq!(names.filter(strange).count(), 0, "scratch files have no name");
}
