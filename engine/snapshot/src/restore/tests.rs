//! Log of any size.

use ragstone::{Db, Point, Schema};

use super::*;
use crate::progress::quietly;

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
