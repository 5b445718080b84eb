//! What is in the archive against what must be: after a kill every snapshot that was acknowledged is listed, its objects are
//! there, and what is restored from it is a state that the model knows; one that was not acknowledged is listed whole or not
//! at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ragstone::{Db, Verify};
use ragstone_snapshot::{Error, Repository, RestoreRequest, Snapshot, Until, quietly};

use super::compare::{Findings, explain, read};
use super::copies::Span;
use super::model::Model;
use super::rows::Random;
use super::workload::{Workload, options};

/// The folders of marks.
const MARKS: [&str; 2] = ["pending", "collecting"];
/// Older than any mark of the living.
const DEAD: Duration = Duration::from_secs(2 * 3600);

/// The archive beside a database.
pub(super) struct Archive {
    dir: PathBuf,
    /// Where copies are restored to.
    scratch: PathBuf,
}

/// Where the archive of a database is.
pub(super) fn archive_of(database: &Path) -> PathBuf {
    database.with_extension("archive")
}

impl Archive {
    /// Makes it.
    pub(super) fn begin(database: &Path) -> io::Result<Self> {
        let dir = archive_of(database);
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, scratch: database.with_extension("restored") })
    }

    /// Compares. Always what the kill may have left half done; the newest copy if the kill was in a snapshot; now and then an
    /// older one, the archived log, and what is there that nobody needs.
    pub(super) fn compare(&self, model: &mut Model, random: &mut Random, was_snapshot: bool) -> Findings {
        let mut findings = Findings::default();
        let result = self.compare_all(model, random, was_snapshot, &mut findings);
        if let Err(error) = result {
            findings.corrupt(format!("the archive: {error}"));
            let newest = model.copies.newest().and_then(|name| model.copies.snapshots.get(name));
            findings.lost_rows(newest.map_or(0, |copy| live_rows(&copy.spans, model.clock)));
        }
        findings
    }

    fn compare_all(
        &self,
        model: &mut Model,
        random: &mut Random,
        was_snapshot: bool,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let repository = Repository::open(&self.dir.display().to_string())?;
        let listed = repository.list()?;
        let names = listed.iter().map(|snapshot| snapshot.name.clone()).collect();
        let settled = model.copies.settle(&names);
        for (name, copy) in settled.lost {
            findings.lost(format!("snapshot {name}"));
            findings.lost_rows(live_rows(&copy.spans, model.clock));
        }
        settled.phantom.iter().for_each(|name| findings.phantom(format!("snapshot {name}")));
        listed.iter().for_each(|snapshot| self.find_objects(snapshot, findings));
        if random.below(6) == 0 {
            self.collect(&repository, &listed, findings)?;
        }
        self.age().map_err(|source| Error::File { file: "the marks".into(), source })?;
        let mut chosen: BTreeSet<String> = settled.unanswered.into_iter().collect();
        if was_snapshot {
            chosen.extend(model.copies.newest().cloned());
        }
        if random.below(4) == 0 {
            let older = random.below(model.copies.snapshots.len() as u64) as usize;
            chosen.extend(model.copies.snapshots.keys().nth(older).cloned());
        }
        for name in chosen {
            let Some(copy) = model.copies.snapshots.get(&name) else { continue };
            let request = RestoreRequest::snapshot(&name);
            self.restore(&repository, &request, (&model.workload, model.clock, &copy.spans), findings);
        }
        if random.below(4) == 0
            && let Some(moment) = model.copies.moment.as_ref().filter(|_| model.copies.leads_to_moment())
        {
            let request = RestoreRequest::until(Until::Position(moment.position));
            self.restore(&repository, &request, (&model.workload, model.clock, &moment.spans), findings);
        }
        Ok(())
    }

    /// Whether everything that a snapshot names is there.
    fn find_objects(&self, snapshot: &Snapshot, findings: &mut Findings) {
        for file in &snapshot.files {
            let there = fs::metadata(self.dir.join(&file.object)).map(|found| found.len());
            if there.ok() != Some(file.size_bytes) {
                findings.lost(format!("{} of snapshot {}, {}", file.name, snapshot.name, file.object));
            }
        }
    }

    /// Restores a copy and compares it with what it may be.
    fn restore(
        &self,
        repository: &Repository,
        request: &RestoreRequest,
        (workload, now, spans): (&Workload, i64, &[Span]),
        findings: &mut Findings,
    ) {
        let mut own = Findings::default();
        // What an earlier torture left there, or the one before.
        let _ = fs::remove_dir_all(&self.scratch);
        let found = repository.restore(request, &self.scratch, quietly).and_then(|_| {
            let mut options = options(now);
            (options.verify, options.background) = (Verify::OnOpen, false);
            let db = Db::open_with(&self.scratch, options)?;
            Ok(read(&db, &mut own)?)
        });
        match found {
            Ok(found) => {
                for (thread, (span, found)) in spans.iter().zip(&found).enumerate() {
                    let states = span.states(workload, thread as u64, now);
                    if !states.contains(&found.rows) {
                        explain(thread, &states, &found.rows, &mut own);
                    }
                }
            }
            Err(error) => {
                own.corrupt(error.to_string());
                own.lost_rows(live_rows(spans, now));
            }
        }
        own.stories.iter_mut().for_each(|story| story.push_str(&format!(", restored by {request:?}")));
        findings.add(own);
        if findings.is_empty() {
            let _ = fs::remove_dir_all(&self.scratch);
        }
    }

    /// A collection gives way to a mark that may be of the living, and leaves nothing that is not needed once it is not.
    fn collect(
        &self,
        repository: &Repository,
        listed: &[Snapshot],
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let read = |below: &str| {
            files(&self.dir.join(below)).map_err(|source| Error::File { file: below.to_owned(), source })
        };
        let is_fresh = |mark: &PathBuf| {
            let time = fs::metadata(mark).and_then(|mark| mark.modified());
            !is_staged(mark) && time.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < DEAD / 4))
        };
        if read("pending")?.iter().any(is_fresh)
            && !matches!(repository.collect_garbage(quietly), Err(Error::Busy { .. }))
        {
            findings.corrupt("a collection did not give way to a snapshot".into());
        }
        self.age().map_err(|source| Error::File { file: "the marks".into(), source })?;
        let collected = repository.collect_garbage(quietly)?;
        let again = repository.collect_garbage(quietly)?;
        if (again.removed, again.kept) != (0, collected.kept) {
            findings.corrupt(format!("collected twice: {collected:?}, {again:?}"));
        }
        let named: BTreeSet<&str> =
            listed.iter().flat_map(|snapshot| &snapshot.files).map(|file| file.object.as_str()).collect();
        for path in read("")?.iter().filter(|path| self.is_garbage(path, &named)) {
            findings.phantom(format!("{} after a collection", path.display()));
        }
        Ok(())
    }

    /// Whether a collection has to remove a file when nobody is at work, by the objects that snapshots name.
    fn is_garbage(&self, path: &Path, named: &BTreeSet<&str>) -> bool {
        let name = path.strip_prefix(&self.dir).unwrap_or(path).to_string_lossy();
        let is_object = name.starts_with("objects/") && !named.contains(&*name);
        is_object || self.is_mark(path) || is_staged(path)
    }

    /// Whether a file says that somebody takes a snapshot or collects garbage.
    fn is_mark(&self, path: &Path) -> bool {
        MARKS.iter().any(|folder| path.starts_with(self.dir.join(folder)))
    }

    /// Nobody is at work, and an hour goes by: for marks and for what is half written.
    fn age(&self) -> io::Result<()> {
        for path in files(&self.dir)?.iter().filter(|path| self.is_mark(path) || is_staged(path)) {
            File::options().append(true).open(path)?.set_modified(SystemTime::now() - DEAD)?;
        }
        Ok(())
    }
}

/// Whether a file was to be an object and is not whole.
fn is_staged(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains('#'))
}

fn live_rows(spans: &[Span], now: i64) -> u64 {
    let rows = spans.iter().flat_map(|span| span.rows.values()).flatten();
    rows.filter(|(index, row)| row.is_there(**index, now)).count() as u64
}

/// Every file below a folder, which may not be there.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::THREADS;
    use super::super::archive::{Access, Archivist};
    use super::super::compare::make_shared;
    use super::super::model::Answer;
    use super::super::replace::replace;
    use super::super::rows::older;
    use super::super::workload::{Condition, Operation, schema};
    use super::*;

    /// A database, its archive with some snapshots, and what the model says of them.
    fn worked(dir: &Path) -> (Archive, Model) {
        let database = dir.join("database");
        let (archive, db) =
            (Archive::begin(&database).unwrap(), Db::open_with(&database, options(0)).unwrap());
        make_shared(&db).unwrap();
        let mut model = Model::new(Workload::new(5));
        let access = Access { hook: Arc::new(|_| ()), manifest_first: false };
        for thread in 0..THREADS {
            let archivist = Archivist::new(&archive_of(&database), thread, access.clone()).unwrap();
            for number in 1..120 {
                let operation = model.operation(thread as usize, number);
                let mut answer = Answer::default();
                match &operation {
                    Operation::Write(write) if write.condition != Condition::Fails => {
                        let collection = db.collection(&write.collection).unwrap();
                        answer.seq = Some(collection.write(write.batch(thread)).unwrap().seq);
                    }
                    Operation::DeleteOlder { collection, before } => {
                        let collection = db.collection(collection).unwrap();
                        answer.deleted =
                            collection.delete_where(&older(thread, *before)).unwrap().deleted as u64;
                    }
                    Operation::Create(name) => {
                        drop(db.create_collection(name, schema(name).unwrap()).unwrap())
                    }
                    Operation::Remove(name) => db.delete_collection(name).unwrap(),
                    Operation::Replace(name) => replace(&db, name, number).unwrap(),
                    Operation::Snapshot => assert!(archivist.perform(&db, number, &operation).unwrap()),
                    // They change no row.
                    _ => continue,
                }
                model.submit(thread as usize, number);
                model.acknowledge(thread as usize, number, answer).unwrap();
            }
        }
        assert!(model.copies.snapshots.len() > 2, "a seed with too few snapshots");
        (archive, model)
    }

    #[test]
    fn a_sound_archive_passes_and_each_harm_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (archive, model) = worked(dir.path());
        let compare = |seed: u64| {
            let mut model = model.clone();
            archive.compare(&mut model, &mut Random(seed), true)
        };
        for seed in 0..4 {
            let findings = compare(seed);
            assert!(findings.is_empty(), "{findings:?}");
        }
        let newest = model.copies.newest().unwrap();
        let repository = Repository::open(&archive.dir.display().to_string()).unwrap();
        let named = repository.snapshot(newest).unwrap();
        let object = archive.dir.join(&named.files.last().unwrap().object);
        let bytes = fs::read(&object).unwrap();

        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        fs::write(&object, damaged).unwrap();
        assert!(compare(0).lost > 0 && compare(0).corrupt > 0, "a flipped bit");
        fs::write(&object, &bytes[1..]).unwrap();
        assert!(compare(0).lost > 0, "a short object");
        fs::write(&object, bytes).unwrap();
        assert!(compare(0).is_empty());

        let mut other = model.clone();
        let span = &mut other.copies.snapshots.get_mut(newest).unwrap().spans[0];
        span.rows.values_mut().flat_map(|rows| rows.values_mut()).for_each(|row| row.state.version += 1_000);
        assert!(
            archive.compare(&mut other, &mut Random(0), true).lost > 0,
            "rows older than acknowledged ones"
        );

        repository.delete(newest).unwrap();
        let first = compare(0);
        assert!(first.lost > 0 && first.stories[0].contains(newest), "{first:?}");
        let mut other = model.clone();
        other.copies.snapshots.clear();
        assert!(archive.compare(&mut other, &mut Random(0), true).phantom > 0, "snapshots that nobody took");
    }

    /// The marks of killed collectors kept their freshness once: every snapshot afterwards gave way to them, and the torture
    /// passed without taking any.
    #[test]
    fn what_a_killed_collector_left_hinders_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (archive, model) = worked(dir.path());
        let database = dir.path().join("database");
        let repository = Repository::open(&archive.dir.display().to_string()).unwrap();
        let left = ["collecting/0123456789abcdef", "collecting/fedcba9876543210#1"];
        let leave = || {
            fs::create_dir_all(archive.dir.join("collecting")).unwrap();
            left.iter().for_each(|name| fs::write(archive.dir.join(name), "at work\n").unwrap());
        };
        leave();
        let db = Db::open_with(&database, options(0)).unwrap();
        let refused = repository.take(&db, Some("s-9-0"), quietly);
        assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
        let compared = archive.compare(&mut model.clone(), &mut Random(0), false);
        assert!(compared.is_empty(), "{compared:?}");
        repository.take(&db, Some("s-9-1"), quietly).unwrap();
        repository.delete("s-9-1").unwrap();
        leave();
        let mut findings = Findings::default();
        archive.collect(&repository, &repository.list().unwrap(), &mut findings).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        assert!(files(&archive.dir.join("collecting")).unwrap().is_empty());
    }

    #[test]
    fn garbage_is_what_nobody_needs() {
        let archive = Archive { dir: "archive".into(), scratch: "scratch".into() };
        let is_garbage = |name: &str| {
            archive.is_garbage(&Path::new("archive").join(name), &BTreeSet::from(["objects/aa/b"]))
        };
        for name in ["objects/aa/c", "objects/aa/b#1", "pending/0-s", "collecting/0", "collecting/0#1"] {
            assert!(is_garbage(name), "{name}");
        }
        for name in ["objects/aa/b", "snapshots/s", "log/a/b"] {
            assert!(!is_garbage(name), "{name}");
        }
    }
}
