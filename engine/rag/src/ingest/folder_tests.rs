use std::fs;

use super::*;
use crate::progress::Silent;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn ids(scan: &Scan) -> Vec<&str> {
    scan.files.iter().map(|file| file.id.as_str()).collect()
}

#[test]
fn a_folder_gives_its_documents_in_order_without_what_is_ignored() {
    let root = tree(&[
        ("z.md", ""),
        ("a/b.txt", ""),
        ("a/c.HTML", ""),
        ("a/.hidden.md", ""),
        (".git/x.md", ""),
        ("out/ignored.md", ""),
        (".gitignore", "out/\n"),
        ("node_modules/pkg/readme.md", ""),
        ("target/doc.md", ""),
        ("target/CACHEDIR.TAG", ""),
        ("image.png", ""),
        ("LICENSE", ""),
    ]);
    let scan = scan(&[root.path().to_owned()], &Silent).unwrap();
    assert_eq!(ids(&scan), ["a/b.txt", "a/c.HTML", "z.md"]);
    assert_eq!(scan.files[1].media_type, MediaType::Html);
    assert_eq!(scan.unknown_kinds(), 2);
    let source = root.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    assert_eq!(scan.sources, std::slice::from_ref(&source));
    assert!(scan.files.iter().all(|file| file.source == source));
}

#[test]
fn a_file_given_itself_is_taken_by_its_name() {
    let root = tree(&[("docs/LICENSE", "text"), ("docs/a.pdf", "")]);
    let found = scan(&[root.path().join("docs/LICENSE")], &Silent).unwrap();
    assert_eq!(ids(&found), ["LICENSE"]);
    assert!(found.sources.is_empty(), "a file vouches for no folder");
    let input = found.files[0].read().unwrap();
    assert_eq!((input.id.as_str(), input.content.as_slice()), ("LICENSE", b"text".as_slice()));
    assert!(matches!(scan(&[root.path().join("docs/a.pdf")], &Silent), Err(Error::NotText { .. })));
    assert!(matches!(scan(&[root.path().join("nothing")], &Silent), Err(Error::Io { .. })));
}

#[test]
fn two_folders_with_the_same_id_do_not_overwrite_each_other() {
    let root = tree(&[("a/x.md", "1"), ("b/x.md", "2"), ("b/y.md", "")]);
    let found = scan(&[root.path().join("a"), root.path().join("b")], &Silent).unwrap();
    assert_eq!(ids(&found), ["b/x.md", "x.md", "y.md"]);
    assert_eq!(found.files[0].read().unwrap().content, b"2");
    assert_eq!(found.files[1].read().unwrap().content, b"1");
    assert_eq!(found.skipped, []);
    // The same folder twice is no conflict.
    let twice = scan(&[root.path().join("b"), root.path().join("b/../b")], &Silent).unwrap();
    assert_eq!((ids(&twice).len(), twice.skipped.len(), twice.sources.len()), (2, 0, 1));
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let root = tree(&[("a.md", "")]);
    let file = fs::File::options().write(true).open(root.path().join("a.md")).unwrap();
    file.set_len(DOCUMENT_BYTES_MAX as u64 + 1).unwrap();
    let found = scan(&[root.path().to_owned()], &Silent).unwrap();
    assert!(matches!(found.files[0].read(), Err(Error::Limit { limit: "DOCUMENT_BYTES_MAX", .. })));
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_bad_names_are_reported() {
    use std::os::unix::ffi::OsStrExt;
    let root = tree(&[("a/x.md", "")]);
    std::os::unix::fs::symlink(root.path(), root.path().join("a/loop")).unwrap();
    std::os::unix::fs::symlink("x.md", root.path().join("a/y.md")).unwrap();
    fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"bad\xff.md")), "").unwrap();
    fs::write(root.path().join("two\nlines.md"), "").unwrap();
    let found = scan(&[root.path().to_owned()], &Silent).unwrap();
    assert_eq!(ids(&found), ["a/x.md"]);
    let links = found.skipped.iter().filter(|(_, reason)| *reason == SkipReason::SymbolicLink).count();
    let unreadable = found.skipped.iter().filter(|(_, r)| matches!(r, SkipReason::Unreadable(_))).count();
    assert_eq!((links, unreadable), (2, 2));
}

#[test]
fn the_plan_names_every_document_once() {
    let files = [("new", "1"), ("same", "2"), ("other", "3")];
    let stored = [("same", "2"), ("other", "x"), ("gone", "4")];
    let plan = plan(files, stored);
    assert_eq!(plan.add, ["new"]);
    assert_eq!(plan.unchanged, ["same"]);
    assert_eq!(plan.replace, ["other"]);
    assert_eq!(plan.remove, ["gone"]);
    assert_eq!(super::plan([], []), SyncPlan::default());
}
