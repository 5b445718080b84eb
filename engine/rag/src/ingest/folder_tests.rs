use std::fs;

use super::*;
use crate::ingest::records::RecordFormat;
use crate::ingest::{DocumentInput, Language, MediaType};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::progress::Silent;

/// The documents of a file that has no broken one.
fn read(file: &FileEntry) -> Vec<DocumentInput> {
    file.documents(&RecordOptions::default()).unwrap().map(|loaded| loaded.document.unwrap()).collect()
}

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
        ("x.pdf", ""),
        ("y.py", ""),
        ("y.tsv", ""),
    ]);
    let scan = scan(&[root.path().to_owned()], &Silent).unwrap();
    assert_eq!(ids(&scan), ["a/b.txt", "a/c.HTML", "x.pdf", "y.py", "y.tsv", "z.md"]);
    let kinds: Vec<FileKind> = scan.files.iter().map(|file| file.kind).collect();
    assert_eq!(
        kinds[2..5],
        [
            FileKind::Document(MediaType::Pdf),
            FileKind::Document(MediaType::Code(Language::Python)),
            FileKind::Records(RecordFormat::Tsv),
        ]
    );
    assert_eq!(scan.files[1].kind, FileKind::Document(MediaType::Html));
    assert_eq!(scan.unknown_kinds(), 2);
    let source = root.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    assert_eq!(scan.sources, std::slice::from_ref(&source));
    assert!(scan.files.iter().all(|file| file.source == source));
}

#[test]
fn a_file_given_itself_is_taken_by_its_name() {
    let root = tree(&[("docs/LICENSE", "text"), ("docs/a.png", "")]);
    let found = scan(&[root.path().join("docs/LICENSE")], &Silent).unwrap();
    assert_eq!(ids(&found), ["LICENSE"]);
    assert!(found.sources.is_empty(), "a file vouches for no folder");
    let input = read(&found.files[0]).remove(0);
    assert_eq!((input.id.as_str(), input.content.as_slice()), ("LICENSE", b"text".as_slice()));
    assert!(matches!(scan(&[root.path().join("docs/a.png")], &Silent), Err(Error::NotText { .. })));
    assert!(matches!(scan(&[root.path().join("nothing")], &Silent), Err(Error::Io { .. })));
}

#[test]
fn two_folders_with_the_same_id_do_not_overwrite_each_other() {
    let root = tree(&[("a/x.md", "1"), ("b/x.md", "2"), ("b/y.md", "")]);
    let found = scan(&[root.path().join("a"), root.path().join("b")], &Silent).unwrap();
    assert_eq!(ids(&found), ["b/x.md", "x.md", "y.md"]);
    assert_eq!(read(&found.files[0])[0].content, b"2");
    assert_eq!(read(&found.files[1])[0].content, b"1");
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
    let mut documents = found.files[0].documents(&RecordOptions::default()).unwrap();
    let loaded = documents.next().unwrap();
    assert!(matches!(loaded.document, Err(Error::Limit { limit: "DOCUMENT_BYTES_MAX", .. })));
    assert!(documents.next().is_none());
}

#[test]
fn records_are_documents_of_their_file() {
    let root = tree(&[("faq/tea.jsonl", "{\"id\": 7, \"text\": \"Green.\"}\n{\n{\"text\": \"Black.\"}\n")]);
    let found = scan(&[root.path().to_owned()], &Silent).unwrap();
    let loaded: Vec<Loaded> = found.files[0].documents(&RecordOptions::default()).unwrap().collect();
    let bytes: u64 = loaded.iter().map(|loaded| loaded.bytes).sum();
    assert_eq!(bytes, found.files[0].bytes);
    let ids: Vec<_> =
        loaded.iter().map(|loaded| loaded.document.as_ref().ok().map(|found| found.id.as_str())).collect();
    assert_eq!(ids, [Some("faq/tea.jsonl#7"), None, Some("faq/tea.jsonl#3")]);
    let first = loaded[0].document.as_ref().unwrap();
    assert_eq!((first.source.as_str(), first.media_type), (found.sources[0].as_str(), Some(MediaType::Text)));
}

#[test]
fn a_kind_that_is_given_holds_for_every_file() {
    let root = tree(&[("a.log", "x"), ("b.md", "x"), ("c", "x")]);
    let kind = FileKind::Document(MediaType::Text);
    let found = scan_as(&[root.path().to_owned()], Some(kind), &Silent).unwrap();
    assert_eq!(ids(&found), ["a.log", "b.md", "c"]);
    assert!(found.files.iter().all(|file| file.kind == kind));
    let given = scan_as(&[root.path().join("a.log")], Some(kind), &Silent).unwrap();
    assert_eq!((ids(&given).len(), given.files[0].kind), (1, kind));
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
