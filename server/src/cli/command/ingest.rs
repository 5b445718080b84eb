//! `ragstone ingest`, and the folder sync that the demo shares.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ragstone::{Metric, Payload};
use ragstone_rag::CollectionSpec;
use ragstone_rag::ingest::IngestStatus;
use ragstone_rag::ingest::folder::{self, Scan, SkipReason};
use serde::Serialize;

use super::Session;
use crate::cli::args::IngestArgs;
use crate::cli::output;

/// What a sync did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) added: u64,
    pub(super) replaced: u64,
    pub(super) unchanged: u64,
    pub(super) removed: u64,
    /// Files that could not be ingested; the rest went in.
    pub(super) skipped: Vec<Skipped>,
    /// Files in the folders that are no kind of document that is understood.
    pub(super) other_files: u64,
    /// Chunks of the documents that are stored now.
    pub(super) chunks: u64,
    /// Tokens embedded by this run.
    pub(super) tokens: u64,
    pub(super) seconds: f64,
}

/// A file that was left out.
#[derive(Debug, Serialize)]
pub(super) struct Skipped {
    pub(super) path: String,
    pub(super) reason: String,
}

impl Summary {
    /// One line for people.
    pub(super) fn line(&self) -> String {
        let Summary { added, replaced, unchanged, removed, skipped, chunks, tokens, seconds, .. } = self;
        let rate =
            if *tokens > 0 { format!(", {:.0} tokens/s", *tokens as f64 / seconds) } else { String::new() };
        let skipped = skipped.len();
        format!(
            "{added} added, {replaced} replaced, {unchanged} unchanged, {removed} removed, {skipped} skipped; \
             {chunks} chunks, {tokens} tokens embedded in {seconds:.1} s{rate}"
        )
    }
}

/// What to bring into step with what.
pub(super) struct Sync<'a> {
    pub(super) collection: &'a str,
    pub(super) model: &'a str,
    pub(super) paths: &'a [PathBuf],
    pub(super) fields: Payload,
    /// Which files of a folder count.
    pub(super) accept: fn(&Path) -> bool,
}

pub(super) fn run(session: &Session, args: &IngestArgs) -> Result<()> {
    let fields =
        args.fields.iter().map(|text| super::assignment("--field", text)).collect::<Result<Payload>>()?;
    let collection = &args.collection.collection;
    let sync = Sync { collection, model: &args.model, paths: &args.paths, fields, accept: |_| true };
    let summary = sync.run(session)?;
    if session.json {
        return output::json(&summary);
    }
    println!("{collection} in {}: {}", session.backend.place(), summary.line());
    Ok(())
}

impl Sync<'_> {
    /// Ingests every file, then removes what vanished from the folders; makes the collection if there is none.
    pub(super) fn run(&self, session: &Session) -> Result<Summary> {
        let started = Instant::now();
        let mut scan = folder::scan(self.paths, session.progress.as_ref())?;
        scan.files.retain(|file| (self.accept)(&file.path));
        let (backend, collection) = (&session.backend, self.collection);
        if backend.collection(collection)?.is_none() {
            let model = Some(self.model.to_owned());
            let metric = Metric::Cosine;
            backend.create_collection(
                collection,
                CollectionSpec { model, metric, ..CollectionSpec::default() },
            )?;
        }
        let stored: HashMap<String, String> = backend
            .documents(collection)?
            .into_iter()
            .map(|document| (document.id, document.source))
            .collect();
        settle_ids(&mut scan, &stored)?;
        let mut summary = Summary::default();
        // Pictures and programs beside the documents are no news; a document that cannot be read is.
        for (path, reason) in scan.skipped.iter().filter(|(_, reason)| *reason != SkipReason::UnknownKind) {
            self.skip(session, &mut summary, path, reason.to_string());
        }
        summary.other_files = scan.unknown_kinds() as u64;
        session.progress.begin("Ingesting", Some(scan.files.len() as u64), "documents");
        let outcome = self.files(session, &scan, &mut summary);
        session.progress.end();
        outcome?;
        self.vanished(session, &scan, &stored, &mut summary)?;
        summary.seconds = started.elapsed().as_secs_f64();
        Ok(summary)
    }

    fn files(&self, session: &Session, scan: &Scan, summary: &mut Summary) -> Result<()> {
        for file in &scan.files {
            let mut document = match file.read() {
                Ok(document) => document,
                Err(error) => {
                    self.skip(session, summary, &file.path, error.to_string());
                    session.progress.advance(1);
                    continue;
                }
            };
            document.metadata = self.fields.clone();
            match session.backend.ingest(self.collection, document) {
                Ok(done) => {
                    match done.status {
                        IngestStatus::Added => summary.added += 1,
                        IngestStatus::Replaced => summary.replaced += 1,
                        IngestStatus::Unchanged => summary.unchanged += 1,
                    }
                    summary.chunks += done.chunks;
                    summary.tokens += done.tokens;
                }
                Err(error) if session.backend.is_about_document(&error) => {
                    self.skip(session, summary, &file.path, format!("{error:#}"));
                }
                Err(error) => return Err(error.context(format!("ingesting {}", file.path.display()))),
            }
            session.progress.advance(1);
        }
        Ok(())
    }

    /// Removes the documents of the scanned folders whose files are gone.
    fn vanished(
        &self,
        session: &Session,
        scan: &Scan,
        stored: &HashMap<String, String>,
        summary: &mut Summary,
    ) -> Result<()> {
        for id in vanished(scan, stored) {
            session
                .backend
                .delete_document(self.collection, id)
                .with_context(|| format!("removing `{id}`"))?;
            summary.removed += 1;
        }
        Ok(())
    }

    fn skip(&self, session: &Session, summary: &mut Summary, path: &Path, reason: String) {
        let path = path.display().to_string();
        session.progress.note(&output::harmless(&format!("skipped {path}: {reason}")));
        summary.skipped.push(Skipped { path, reason });
    }
}

/// Gives the files whose ids belong to documents of other folders ids of their own, `FOLDER/PATH`. A folder that is not
/// there any more was moved or removed: its documents' ids are free for the taking.
fn settle_ids(scan: &mut Scan, stored: &HashMap<String, String>) -> Result<()> {
    let is_taken = |id: &str, source: &str| {
        stored.get(id).is_some_and(|other| other != source && Path::new(other).join(id).exists())
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

/// The stored documents (id to source) of the scanned folders whose files are gone. What lies in a folder that could not
/// be read may be there still.
fn vanished<'a>(scan: &Scan, stored: &'a HashMap<String, String>) -> Vec<&'a str> {
    let here: BTreeSet<&str> = scan.files.iter().map(|file| file.id.as_str()).collect();
    let unreadable: Vec<&Path> = scan
        .skipped
        .iter()
        .filter(|(_, reason)| matches!(reason, SkipReason::Unreadable(_)))
        .map(|(path, _)| path.as_path())
        .collect();
    let may_be_there = |id: &str, source: &Path| {
        // An id is a path below the folder, or that path after the folder's name.
        let folder = source.file_name().unwrap_or_default();
        let within = Path::new(id).strip_prefix(folder).unwrap_or(Path::new(id));
        let paths = [source.join(id), source.join(within)];
        unreadable.iter().any(|unreadable| paths.iter().any(|path| path.starts_with(unreadable)))
    };
    let is_gone = |id: &str, source: &String| {
        scan.sources.contains(source) && !here.contains(id) && !may_be_there(id, Path::new(source))
    };
    let mut gone: Vec<&str> =
        stored.iter().filter(|(id, source)| is_gone(id, source)).map(|(id, _)| id.as_str()).collect();
    gone.sort_unstable();
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use ragstone_rag::ingest::MediaType;
    use ragstone_rag::ingest::folder::FileEntry;

    #[test]
    fn only_what_is_known_to_be_gone_has_vanished() {
        let scan = Scan {
            files: vec![FileEntry {
                id: "a.md".into(),
                source: "/docs".into(),
                path: "/docs/a.md".into(),
                media_type: MediaType::Markdown,
            }],
            skipped: vec![("/docs/locked".into(), SkipReason::Unreadable("permission denied".into()))],
            sources: vec!["/docs".into()],
        };
        let stored =
            ["a.md", "gone.md", "locked/b.md", "lockedout.md"].map(|id| (id.to_owned(), "/docs".to_owned()));
        let mut stored = HashMap::from(stored);
        stored.insert("other.md".into(), "/elsewhere".into());
        assert_eq!(vanished(&scan, &stored), ["gone.md", "lockedout.md"]);
    }

    #[test]
    fn ids_of_other_folders_that_are_there_are_not_taken() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = root.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("README.md"), name).unwrap();
            folder.to_str().unwrap().to_owned()
        };
        let (first, second) = (folder("first"), folder("second"));
        let scan = || folder::scan(&[PathBuf::from(&second)], &ragstone_rag::progress::Silent).unwrap();
        let id_with = |stored: &HashMap<String, String>| {
            let mut scan = scan();
            settle_ids(&mut scan, stored).map(|()| scan.files[0].id.clone())
        };
        let mut stored = HashMap::from([("README.md".to_owned(), first.clone())]);
        assert_eq!(id_with(&stored).unwrap(), "second/README.md");
        std::fs::remove_dir_all(&first).unwrap();
        assert_eq!(id_with(&stored).unwrap(), "README.md", "a folder that moved is followed");
        stored.insert("README.md".to_owned(), scan().files[0].source.clone());
        assert_eq!(id_with(&stored).unwrap(), "README.md");
    }
}
