//! How many files and maps a database takes of its process, while segments come and go.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ragstone::{Db, DbOptions, Metric, Point, Schema};

const COLLECTIONS: usize = 4;
/// So few that merges are made for the bound alone.
const SEGMENTS_MAX: usize = 12;
/// The lock, the log, the directory that is synced, and what seals, merges and the manifest write.
const FILES_MAX: usize = 12;

/// Open files of the directory, and maps.
fn taken(path: &Path) -> (usize, usize) {
    let path = fs::canonicalize(path).unwrap();
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let of_directory = |target: &Path| target.starts_with(&path);
    let files = files.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let files = files.filter(|target| of_directory(target)).count();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    (files, maps.lines().filter(|line| line.contains(path.to_str().unwrap())).count())
}

#[test]
fn files_and_maps_are_bounded_while_segments_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = DbOptions::default();
    (options.seal_rows, options.segments_max) = (50, SEGMENTS_MAX);
    let db = Db::open_with(directory.path(), options).unwrap();
    let schema = Schema::builder(8).metric(Metric::L2).build().unwrap();
    let collections: Vec<_> = (0..COLLECTIONS)
        .map(|number| db.create_collection(&format!("c{number}"), schema.clone()).unwrap())
        .collect();
    let is_over = AtomicBool::new(false);
    let (files, maps) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = (0, 0);
            while !is_over.load(Ordering::SeqCst) {
                let (files, maps) = taken(directory.path());
                most = (most.0.max(files), most.1.max(maps));
            }
            most
        });
        let writers: Vec<_> = collections
            .iter()
            .map(|collection| {
                scope.spawn(move || {
                    for round in 0..30u64 {
                        let point = |id: u64| Point::new(round % 7 * 40 + id, [id as f32; 8]);
                        collection.upsert((0..50).map(point).collect()).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_over.store(true, Ordering::SeqCst);
        watch.join().unwrap()
    });
    assert!(files <= FILES_MAX, "{files} open files");
    // Two for each segment; more come while writers of each collection are on their way, and while a merge has sources and
    // outcome at once.
    let most = 2 * (SEGMENTS_MAX + 3 * COLLECTIONS) + 2 * SEGMENTS_MAX;
    assert!((2..=most).contains(&maps), "{maps} maps, {most} at most");
    drop((collections, db));
    assert_eq!(taken(directory.path()), (0, 0), "nothing is left of a database that was closed");
}
