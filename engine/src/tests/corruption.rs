//! A disk that rots: one bit of one file flips. Opening says which file.

use std::sync::Arc;

use super::{IN_TEXT, Step, contents, open, options};
use crate::dir::Dir;
use crate::dir::memory::MemoryDir;
use crate::manifest::MANIFEST_COPY_FILE;
use crate::{Batch, Db, DbOptions, Error, Verify};

/// A database with every kind of file, and a log of several frames.
pub(super) fn every_file() -> MemoryDir {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    Step::Create("a").run(&db).unwrap();
    Step::Write("a", (0..20).map(|id| (id, Some(1))).collect()).run(&db).unwrap();
    Step::Write("a", vec![(1, None), (2, Some(2))]).run(&db).unwrap();
    Step::Flush.run(&db).unwrap();
    Step::Update("a", vec![(5, 8)]).run(&db).unwrap();
    db.collection("a").unwrap().write(Batch::new().delete(99).request("r")).unwrap();
    Step::Flush.run(&db).unwrap();
    for version in 3..6 {
        Step::Write("a", vec![(3, Some(version))]).run(&db).unwrap();
    }
    Step::Update("a", vec![(6, 1), (4, IN_TEXT)]).run(&db).unwrap();
    dir
}

#[test]
fn a_changed_byte_is_named_with_its_file() {
    let whole = every_file();
    let names = whole.list().unwrap();
    for kind in ["MANIFEST", "segment-", "dead-", "patch-", "requests-", "log-"] {
        assert!(names.iter().any(|name| name.starts_with(kind)), "{kind} is among {names:?}");
    }
    let before = contents(&open(&whole.copied()).unwrap());
    for name in &names {
        for offset in 0..whole.length(name) {
            let dir = whole.copied();
            dir.flip(name, offset);
            match open(&dir) {
                Err(Error::Corrupt { file, offset: found, .. }) => {
                    assert!(file.ends_with(name), "{name} was changed, {} is blamed", file.display());
                    assert!(
                        found as usize <= offset,
                        "byte {offset} of {name} was changed, {found} is blamed"
                    );
                }
                Err(error) => panic!("byte {offset} of {name}: {error}"),
                Ok(db) => {
                    assert_eq!(name, MANIFEST_COPY_FILE, "byte {offset} of {name} changed and nobody saw it");
                    assert_eq!(contents(&db), before, "the copy is written anew");
                    drop(db);
                    assert_eq!(dir.read(name).unwrap(), whole.read(name).unwrap());
                }
            }
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let whole = every_file();
    for name in whole.list().unwrap() {
        let dir = whole.copied();
        dir.remove(&name).unwrap();
        match open(&dir) {
            Err(Error::Corrupt { file, .. }) => assert!(file.ends_with(&name), "{name}: {}", file.display()),
            Err(Error::Io { path, .. }) => assert!(path.ends_with(&name), "{name}: {}", path.display()),
            Err(error) => panic!("{name}: {error}"),
            Ok(_) => assert!(
                name.starts_with("log-") || name == MANIFEST_COPY_FILE,
                "{name} is gone and nobody saw it"
            ),
        }
    }
}

#[test]
fn every_truncation_is_seen() {
    let whole = every_file();
    for name in
        whole.list().unwrap().iter().filter(|name| !name.starts_with("log-") && *name != MANIFEST_COPY_FILE)
    {
        for length in 0..whole.length(name) {
            let dir = whole.copied();
            dir.truncate(name, length as u64).unwrap();
            // Lengths and headers are checked whatever is asked for.
            for verify in [Verify::OnOpen, Verify::OnDemand] {
                let opened = Db::open_in(Arc::new(dir.copied()), DbOptions { verify, ..options() });
                match opened {
                    Err(Error::Corrupt { file, .. }) => {
                        assert!(file.ends_with(name), "{name}: {}", file.display())
                    }
                    other => panic!("{name} cut to {length} bytes: {other:?}"),
                }
            }
        }
    }
}
