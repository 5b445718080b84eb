//! A disk that rots: one byte of one file changes. Opening says which file, or, in the last frame of the log, cuts the
//! write that was never whole as far as anyone can tell.

use std::sync::Arc;

use super::{Step, contents, open, options};
use crate::dir::Dir;
use crate::dir::memory::MemoryDir;
use crate::{Db, DbOptions, Error, Verify};

/// A database with every kind of file, and a log of several frames.
pub(super) fn every_file() -> MemoryDir {
    let dir = MemoryDir::new();
    let db = open(&dir).unwrap();
    Step::Create("a").run(&db).unwrap();
    Step::Write("a", (0..20).map(|id| (id, Some(1))).collect()).run(&db).unwrap();
    Step::Write("a", vec![(1, None), (2, Some(2))]).run(&db).unwrap();
    Step::Flush.run(&db).unwrap();
    for version in 3..6 {
        Step::Write("a", vec![(3, Some(version))]).run(&db).unwrap();
    }
    dir
}

#[test]
fn a_changed_byte_is_named_with_its_file() {
    let whole = every_file();
    let names = whole.list().unwrap();
    for kind in ["MANIFEST", "segment-", "dead-", "log-"] {
        assert!(names.iter().any(|name| name.starts_with(kind)), "{kind} is among {names:?}");
    }
    let before = contents(&open(&whole.copied()).unwrap());
    let mut cut = 0;
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
                    assert!(name.starts_with("log-"), "byte {offset} of {name} changed and nobody saw it");
                    let mut expected = before.clone();
                    *expected.get_mut("a").unwrap().get_mut(&"p3".into()).unwrap() = 4;
                    assert_eq!(contents(&db), expected, "the last write is cut, and it alone");
                    cut += 1;
                }
            }
        }
    }
    assert!((40..200).contains(&cut), "one frame is cut: {cut} bytes");
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
            Ok(_) => assert!(name.starts_with("log-"), "{name} is gone and nobody saw it"),
        }
    }
}

#[test]
fn every_truncation_is_seen() {
    let whole = every_file();
    for name in whole.list().unwrap().iter().filter(|name| !name.starts_with("log-")) {
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
