//! Copies of a database: their files damaged behind sound checksums, and a place of snapshots that somebody has been at.
//!
//! The objects of a place are named by their hashes, so that what is changed in one is found at once. So there are two ways: the files of a copy are put
//! into a directory as a restore puts them, damaged as readers meet them; and the manifest of a snapshot is changed with its own hash over it, or
//! any object as it is.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ragstone::snapshot::Restore;
use ragstone::{Db, Error, Metric, Point, Schema, SparseVector};
use ragstone_snapshot::{Repository, RestoreRequest, Until, quietly};
use ring::digest::{SHA256, digest};

use crate::exercise::{open, read_all};
use crate::input::{Input, edit};
use crate::sample::options;
use crate::{Outcome, Sample, damage};

/// The name of the snapshot.
const NAME: &str = "copy";
/// Changes of one input at most.
const CHANGES_MAX: usize = 6;

/// The files of a place with a snapshot and archived log, by their paths in it.
static PLACE: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let (data, place) = (tempfile::tempdir(), tempfile::tempdir());
    let (data, place) = (data.expect("a scratch directory"), place.expect("a scratch directory"));
    let db = Db::open_with(data.path(), options()).expect("a fresh database opens");
    let schema = Schema::builder(2).metric(Metric::L2).sparse("words").build().expect("the schema is valid");
    let notes = db.create_collection("notes", schema).expect("the name is free");
    let point = |id: u64| {
        let words = SparseVector { indices: vec![id as u32], values: vec![1.0] };
        Point::new(id, [id as f32, 1.0]).with("n", id as i64).with_vector("words", words)
    };
    notes.upsert((0..30).map(point).collect()).expect("rows are written");
    db.flush().expect("a segment is sealed");
    notes.delete(&[3.into()]).expect("a row is deleted");
    let repository =
        Repository::open(place.path().to_str().expect("a path of ours")).expect("it is a directory");
    repository.take(&db, Some(NAME), quietly).expect("a snapshot is taken");
    notes.upsert(vec![point(40)]).expect("the log takes rows");
    repository.archive(&db, quietly).expect("the log is archived");
    let mut files = Vec::new();
    collect(place.path(), place.path(), &mut files);
    files.sort();
    files
});

/// The files of a folder and those in it, by their paths from the root.
pub(crate) fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("it lies in it").to_owned();
            files.push((name, std::fs::read(&path).expect("a file can be read")));
        }
    }
}

/// Damages a copy, or a place of snapshots, as `input` says, restores it, and reads what came of it.
///
/// # Panics
/// If the engine does, or if what was restored to the end cannot be opened.
pub fn exercise_snapshot(input: &[u8]) -> Outcome {
    let _named = crate::NamedOnPanic(input);
    let (which, rest) = input.split_first().unwrap_or((&0, &[]));
    let directory = tempfile::tempdir().expect("a scratch directory");
    match which % 2 {
        0 => copy(&damage(&crate::SAMPLE, rest).0, directory.path()),
        _ => place(&mut Input(rest), directory.path()),
    }
}

/// Restores the files of a copy, and what is kept of its log behind them.
fn copy(damaged: &Sample, directory: &Path) -> Outcome {
    let restore = Restore::begin(directory, "fuzz").expect("the directory is empty");
    let (mut manifest, mut kept) = (Vec::new(), Vec::new());
    for (name, bytes) in &damaged.files {
        match name.as_str() {
            "MANIFEST" => manifest.clone_from(bytes),
            name if name.starts_with("kept-") => kept.push(bytes),
            // Some files are in no copy.
            name => {
                let Ok(mut file) = restore.write(name) else { continue };
                file.write_all(bytes).expect("a file can be written");
                file.commit().expect("a file can be named");
            }
        }
    }
    let mut opened = match restore.open(&manifest) {
        Ok(opened) => opened,
        Err(Error::Corrupt { .. } | Error::Io { .. }) => return Outcome::Refused,
        Err(other) => panic!("a damaged copy: {other}"),
    };
    for bytes in kept {
        // Whatever it says of it.
        let _ = opened.apply_log(Cursor::new(bytes), &Until::End);
    }
    match opened.finish() {
        Ok(_) => read(directory),
        Err(_) => Outcome::Refused,
    }
}

/// Changes files of a place, then lists, verifies and restores what is there.
fn place(input: &mut Input<'_>, directory: &Path) -> Outcome {
    let place = tempfile::tempdir().expect("a scratch directory");
    let is_manifest = |path: &Path| path.starts_with("snapshots");
    let manifest = PLACE.iter().position(|(path, _)| is_manifest(path)).expect("there is a snapshot");
    let mut files = PLACE.clone();
    for _ in 0..CHANGES_MAX {
        if input.is_empty() {
            break;
        }
        match input.byte() % 8 {
            0 => {
                let other = usize::from(input.byte()) % files.len();
                edit(&mut files[other].1, input);
            }
            1 => {
                let other = usize::from(input.byte()) % files.len();
                files[other].1.clear();
            }
            _ => {
                // One line, and its hash.
                let bytes = &mut files[manifest].1;
                let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
                bytes.truncate(end);
                edit(bytes, input);
                let hash: String =
                    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                bytes.extend_from_slice(format!("\n{hash}\n").as_bytes());
            }
        }
    }
    for (path, bytes) in &files {
        let path = place.path().join(path);
        let folder = path.parent().expect("it lies in the place");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, bytes))
            .expect("a file can be written");
    }
    let repository =
        Repository::open(place.path().to_str().expect("a path of ours")).expect("it is a directory");
    // Errors are answers.
    let _ = (repository.list(), repository.verify(NAME, quietly));
    let moment = tempfile::tempdir().expect("a scratch directory");
    let until = repository.restore(&RestoreRequest::until(Until::End), moment.path(), quietly);
    if until.is_ok() {
        read(moment.path());
    }
    match repository.restore(&RestoreRequest::snapshot(NAME), directory, quietly) {
        Ok(_) => read(directory),
        Err(_) => Outcome::Refused,
    }
}

/// Reads what was restored to the end.
fn read(directory: &Path) -> Outcome {
    let db = open(directory, options()).expect("everything was compared with its checksums");
    Outcome::Read(read_all(&db, false))
}
