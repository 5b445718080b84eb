//! A collection into step with files and folders.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use ragstone::{FieldType, Payload};
use ragstone_rag::ingest::IngestStatus;
use ragstone_rag::ingest::folder::{FileDocuments, FileEntry, FileKind, Scan, SkipReason};
use ragstone_rag::ingest::records::{ID_SEPARATOR, RecordOptions};
use ragstone_rag::{CollectionSpec, Ended, IngestOptions};
use ragstone_server::limits::PAGE_SIZE_MAX;

use super::{Skipped, Summary};
use crate::cli::backend::{Ingested, Loaded, Origin, PageAsk};
use crate::cli::command::Session;
use crate::cli::output;

/// What to bring into step with what.
pub(in crate::cli::command) struct Sync<'a> {
    pub(in crate::cli::command) collection: &'a str,
    pub(in crate::cli::command) model: &'a str,
    /// What every document is called that has no title of its own.
    pub(in crate::cli::command) title: Option<&'a str>,
    /// Fields that every document gets.
    pub(in crate::cli::command) fields: Payload,
    /// Which fields of records are what; their types are the collection's.
    pub(in crate::cli::command) records: RecordOptions,
    pub(in crate::cli::command) options: IngestOptions,
    /// Which files of a folder count.
    pub(in crate::cli::command) accept: fn(&Path) -> bool,
    /// Whether a folder that holds no documents any more loses those that are stored of it.
    pub(in crate::cli::command) allow_empty: bool,
}

impl Sync<'_> {
    /// Ingests every file, then removes what vanished from the folders; makes the collection if there is none.
    pub(in crate::cli::command) fn run(&self, session: &Session, mut scan: Scan) -> Result<Summary> {
        let started = Instant::now();
        scan.files.retain(|file| (self.accept)(&file.path));
        let (backend, collection) = (&session.backend, self.collection);
        let mut records = self.records.clone();
        match backend.collection(collection)? {
            Some(found) => records.types = declared(&found.fields),
            None => {
                backend.create_collection(collection, CollectionSpec::with_model(self.model))?;
            }
        }
        let stored = stored(session, collection)?;
        if !self.allow_empty {
            check_emptied(&scan, &stored)?;
        }
        settle_ids(&mut scan, &stored)?;
        let mut run = Run {
            session,
            scan: &scan,
            started,
            summary: Summary::default(),
            files: 0,
            broken: BTreeSet::new(),
        };
        // Pictures and programs beside the documents are no news; a document that cannot be read is.
        for (path, reason) in scan.skipped.iter().filter(|(_, reason)| *reason != SkipReason::UnknownKind) {
            run.skip(path, reason.to_string());
        }
        run.summary.other_files = scan.unknown_kinds() as u64;
        let mut documents = FolderDocuments::new(&scan, self, &records);
        let bytes = scan.files.iter().map(|file| file.bytes).sum();
        session.progress.begin("Ingesting", Some(bytes), "B");
        let ended = backend.ingest_all(collection, &mut documents, &self.options, &mut |origin, outcome| {
            run.report(&origin, outcome);
        });
        session.progress.end();
        run.summary.interrupted = ended? == Ended::Cancelled;
        if !run.summary.interrupted {
            run.remove_vanished(collection, &documents.seen, &stored)?;
        }
        run.summary.seconds = started.elapsed().as_secs_f64();
        Ok(run.summary)
    }
}

/// A sync under way.
struct Run<'a> {
    session: &'a Session,
    scan: &'a Scan,
    started: Instant,
    summary: Summary,
    /// Files of which every document is done.
    files: usize,
    /// Files of records some of which could not be read.
    broken: BTreeSet<usize>,
}

impl Run<'_> {
    fn report(&mut self, origin: &Origin, outcome: std::result::Result<Ingested, String>) {
        match outcome {
            Ok(done) => {
                match done.status {
                    IngestStatus::Added => self.summary.added += 1,
                    IngestStatus::Replaced => self.summary.replaced += 1,
                    IngestStatus::Unchanged => self.summary.unchanged += 1,
                }
                self.summary.chunks += done.chunks;
                self.summary.chunks_kept += done.kept;
                self.summary.embedded += done.embedded;
                self.summary.tokens += done.tokens;
            }
            Err(reason) => {
                self.broken.insert(origin.file);
                let path = self.scan.files[origin.file].path.clone();
                self.skip(&path, reason);
            }
        }
        self.files += usize::from(origin.is_last);
        let progress = &self.session.progress;
        progress.advance(origin.bytes);
        let rate = self.summary.chunks as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        progress.detail(&format!("{} of {} files, {rate:.0} chunks/s", self.files, self.scan.files.len()));
    }

    fn skip(&mut self, path: &Path, reason: String) {
        let path = path.display().to_string();
        self.session.progress.note(&output::harmless(&format!("skipped {path}: {reason}")));
        self.summary.skipped.push(Skipped { path, reason });
    }

    /// Removes the documents of the scanned folders whose files, or whose records, are gone.
    fn remove_vanished(
        &mut self,
        collection: &str,
        seen: &BTreeSet<String>,
        stored: &HashMap<String, String>,
    ) -> Result<()> {
        let broken: Vec<&FileEntry> = self.broken.iter().map(|at| &self.scan.files[*at]).collect();
        for id in vanished(self.scan, seen, &broken, stored) {
            let removed = self.session.backend.delete_document(collection, id, None);
            removed.with_context(|| format!("removing `{id}`"))?;
            self.summary.removed += 1;
        }
        Ok(())
    }
}

/// The documents of all files, read as they are asked for.
struct FolderDocuments<'a> {
    scan: &'a Scan,
    title: Option<&'a str>,
    fields: &'a Payload,
    records: &'a RecordOptions,
    /// The next file to open.
    next: usize,
    open: Option<std::iter::Peekable<FileDocuments>>,
    /// The ids of all documents that were met.
    seen: BTreeSet<String>,
}

impl<'a> FolderDocuments<'a> {
    fn new(scan: &'a Scan, sync: &'a Sync<'_>, records: &'a RecordOptions) -> Self {
        let Sync { title, fields, .. } = sync;
        Self { scan, title: *title, fields, records, next: 0, open: None, seen: BTreeSet::new() }
    }
}

impl Iterator for FolderDocuments<'_> {
    type Item = (Origin, Loaded);

    fn next(&mut self) -> Option<(Origin, Loaded)> {
        loop {
            if let Some(loaded) = self.open.as_mut().and_then(Iterator::next) {
                let is_last = self.open.as_mut().is_none_or(|open| open.peek().is_none());
                let document = loaded.document.map(|mut document| {
                    self.seen.insert(document.id.clone());
                    if let (Some(title), true) = (self.title, document.title.is_empty()) {
                        title.clone_into(&mut document.title);
                    }
                    for (name, value) in self.fields {
                        document.metadata.insert(name.clone(), value.clone());
                    }
                    document
                });
                return Some((Origin { file: self.next - 1, bytes: loaded.bytes, is_last }, document));
            }
            let file = self.scan.files.get(self.next)?;
            self.next += 1;
            // What is there and cannot be read has not vanished.
            self.seen.insert(file.id.clone());
            match file.documents(self.records) {
                Ok(documents) => self.open = Some(documents.peekable()),
                Err(error) => {
                    let origin = Origin { file: self.next - 1, bytes: file.bytes, is_last: true };
                    return Some((origin, Err(error)));
                }
            }
        }
    }
}

/// The sources of all documents that are stored, by their ids.
fn stored(session: &Session, collection: &str) -> Result<HashMap<String, String>> {
    let (mut all, mut token) = (HashMap::new(), String::new());
    loop {
        let page = PageAsk { limit: PAGE_SIZE_MAX, token: &token };
        let (documents, next) = session.backend.documents(collection, None, &page)?;
        all.extend(documents.into_iter().map(|document| (document.id, document.source)));
        match next {
            Some(next) => token = next,
            None => return Ok(all),
        }
    }
}

/// The types of a collection's own fields, by their names.
fn declared(
    fields: &std::collections::BTreeMap<String, String>,
) -> std::collections::BTreeMap<String, FieldType> {
    let known = |name: &str| FieldType::ALL.into_iter().find(|kind| kind.to_string() == name);
    let own = fields.iter().filter(|(name, _)| !name.starts_with('_'));
    own.filter_map(|(name, kind)| Some((name.clone(), known(kind)?))).collect()
}

/// Refuses folders that hold no documents, of which some are stored: a volume that is not mounted is an empty folder, too.
fn check_emptied(scan: &Scan, stored: &HashMap<String, String>) -> Result<()> {
    for source in &scan.sources {
        let count = stored.values().filter(|of| *of == source).count();
        let is_empty = !scan.files.iter().any(|file| file.source == *source);
        ensure!(
            count == 0 || !is_empty,
            "{source} holds no documents, and {count} that are stored came from there: is it mounted? \
             `ragstone ingest --allow-empty` removes them"
        );
    }
    Ok(())
}

/// Gives the files whose ids belong to documents of other folders ids of their own, `FOLDER/PATH`. A folder that is not
/// there any more was moved or removed: its documents' ids are free for the taking.
fn settle_ids(scan: &mut Scan, stored: &HashMap<String, String>) -> Result<()> {
    // A record's id begins with its file's.
    let files = stored.iter().flat_map(|(id, source)| {
        let ends = id.match_indices(ID_SEPARATOR).map(|(at, _)| at).chain([id.len()]);
        ends.map(move |end| (&id[..end], source))
    });
    let files: HashMap<&str, &String> = files.collect();
    let is_taken = |id: &str, source: &str| {
        files.get(id).is_some_and(|other| *other != source && Path::new(other).join(id).exists())
    };
    for file in &mut scan.files {
        if !is_taken(&file.id, &file.source) {
            continue;
        }
        let folder = Path::new(&file.source).file_name().unwrap_or_default().to_string_lossy();
        let qualified = format!("{folder}/{}", file.id);
        if is_taken(&qualified, &file.source) {
            bail!(
                "{}: the ids `{}` and `{qualified}` belong to documents of other folders; ingest {} into a collection \
                 of its own (-c NAME)",
                file.path.display(),
                file.id,
                file.source
            );
        }
        file.id = qualified;
    }
    Ok(())
}

/// The stored documents (id to source) of the scanned folders that were not met. What lies in a folder that could not be read, or in a
/// file of records that could not be read whole, may be there still.
fn vanished<'a>(
    scan: &Scan,
    seen: &BTreeSet<String>,
    broken: &[&FileEntry],
    stored: &'a HashMap<String, String>,
) -> Vec<&'a str> {
    let unreadable: Vec<&Path> = scan
        .skipped
        .iter()
        .filter(|(_, reason)| matches!(reason, SkipReason::Unreadable(_)))
        .map(|(path, _)| path.as_path())
        .collect();
    let is_of_broken = |id: &str| {
        broken.iter().any(|file| {
            matches!(file.kind, FileKind::Records(_))
                && id.strip_prefix(file.id.as_str()).is_some_and(|rest| rest.starts_with(ID_SEPARATOR))
        })
    };
    let may_be_there = |id: &str, source: &Path| {
        // An id is a path below the folder, or that path after the folder's name.
        let folder = source.file_name().unwrap_or_default();
        let within = Path::new(id).strip_prefix(folder).unwrap_or(Path::new(id));
        let paths = [source.join(id), source.join(within)];
        unreadable.iter().any(|unreadable| paths.iter().any(|path| path.starts_with(unreadable)))
    };
    let is_gone = |id: &str, source: &String| {
        scan.sources.contains(source)
            && !seen.contains(id)
            && !is_of_broken(id)
            && !may_be_there(id, Path::new(source))
    };
    let mut gone: Vec<&str> =
        stored.iter().filter(|(id, source)| is_gone(id, source)).map(|(id, _)| id.as_str()).collect();
    gone.sort_unstable();
    gone
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ragstone_rag::ingest::MediaType;
    use ragstone_rag::ingest::folder;
    use ragstone_rag::ingest::records::RecordFormat;

    use super::*;

    fn entry(id: &str, kind: FileKind) -> FileEntry {
        FileEntry { id: id.into(), source: "/docs".into(), path: Path::new("/docs").join(id), kind, bytes: 0 }
    }

    #[test]
    fn only_what_is_known_to_be_gone_has_vanished() {
        let scan = Scan {
            files: vec![
                entry("a.md", FileKind::Document(MediaType::Markdown)),
                entry("b.csv", FileKind::Records(RecordFormat::Csv)),
                entry("c.csv", FileKind::Records(RecordFormat::Csv)),
            ],
            skipped: vec![("/docs/locked".into(), SkipReason::Unreadable("permission denied".into()))],
            sources: vec!["/docs".into()],
        };
        let ids = ["a.md", "gone.md", "locked/b.md", "lockedout.md", "b.csv#1", "b.csv#2", "c.csv#1"];
        let mut stored = HashMap::from(ids.map(|id| (id.to_owned(), "/docs".to_owned())));
        stored.insert("other.md".into(), "/elsewhere".into());
        let seen = ["a.md", "b.csv", "b.csv#1", "c.csv"].map(str::to_owned).into();
        let broken = [&scan.files[2]];
        assert_eq!(vanished(&scan, &seen, &broken, &stored), ["b.csv#2", "gone.md", "lockedout.md"]);
    }

    #[test]
    fn ids_of_other_folders_that_are_there_are_not_taken() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = root.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("README.md"), name).unwrap();
            std::fs::write(folder.join("faq.csv"), "text\n").unwrap();
            folder.to_str().unwrap().to_owned()
        };
        let (first, second) = (folder("first"), folder("second"));
        let scan = || folder::scan(&[PathBuf::from(&second)], &ragstone_rag::progress::Silent).unwrap();
        let ids_with = |stored: &HashMap<String, String>| {
            let mut scan = scan();
            settle_ids(&mut scan, stored).unwrap();
            scan.files.into_iter().map(|file| file.id).collect::<Vec<_>>()
        };
        let mut stored =
            HashMap::from([("README.md".to_owned(), first.clone()), ("faq.csv#1".to_owned(), first.clone())]);
        assert_eq!(ids_with(&stored), ["second/README.md", "second/faq.csv"]);
        std::fs::remove_dir_all(&first).unwrap();
        assert_eq!(ids_with(&stored), ["README.md", "faq.csv"], "a folder that moved is followed");
        stored.insert("README.md".to_owned(), scan().files[0].source.clone());
        assert_eq!(ids_with(&stored)[0], "README.md");
    }
}
