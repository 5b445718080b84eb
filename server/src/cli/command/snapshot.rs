//! `ragstone snapshot` and `ragstone restore`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use chrono::{DateTime, SecondsFormat};
use indicatif::HumanBytes;
use ragstone::{CancelToken, Db};
use ragstone_rag::progress::Progress;
use ragstone_snapshot::{DamagedObject, Error, Repository, RestoreRequest, Snapshot, VerifiedSnapshot};
use serde_json::{Value, json};

use crate::cli::args::{InPlace, RestoreArgs, SnapshotArgs, SnapshotCommand};
use crate::cli::output;

/// What is told of the rest of most work that is interrupted.
const REST: &str = "the same command does the rest";

/// What these commands work with.
pub(super) struct Work<'a> {
    pub(super) data: &'a Path,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) json: bool,
}

pub(super) fn run(work: &Work<'_>, args: SnapshotArgs) -> Result<()> {
    match args.command {
        None => take(work, &args.to.context("--to: say where the snapshot goes")?, args.name.as_deref()),
        Some(SnapshotCommand::List(place)) => list(work, &place),
        Some(SnapshotCommand::Verify { name, place }) => verify(work, &place, name),
        Some(SnapshotCommand::Delete { names, place }) => delete(work, &place, &names),
        Some(SnapshotCommand::Collect(place)) => collect(work, &Repository::open(&place.at)?, &[]),
        Some(SnapshotCommand::Archive { to }) => archive(work, &to),
    }
}

impl Work<'_> {
    /// The database of the data directory; one that is not there is not made.
    fn database(&self) -> Result<Db> {
        let place = self.data.display();
        if !self.data.join("MANIFEST").is_file() {
            bail!("--data {place}: there is no database");
        }
        let opened = Db::open(self.data).map_err(|error| match error {
            ragstone::Error::Locked { .. } => {
                anyhow!("{error}; a server takes snapshots itself: `ragstone --url URL admin snapshot`")
            }
            error => error.into(),
        });
        opened.with_context(|| format!("--data {place}"))
    }

    /// Does something long, and shows how far it is, until it is interrupted. Then it tells what becomes of the rest.
    fn show<T>(
        &self,
        (what, rest): (&str, &str),
        run: impl FnOnce(&mut dyn FnMut(ragstone_snapshot::Progress) -> ControlFlow<()>) -> Result<T, Error>,
    ) -> Result<T> {
        let cancel = CancelToken::new();
        output::on_interrupt(cancel.clone())?;
        self.show_until(&cancel, (what, rest), run)
    }

    /// The same, until it is cancelled. A process that is killed leaves its mark at the place, which holds up others for an hour.
    fn show_until<T>(
        &self,
        cancel: &CancelToken,
        (what, rest): (&str, &str),
        run: impl FnOnce(&mut dyn FnMut(ragstone_snapshot::Progress) -> ControlFlow<()>) -> Result<T, Error>,
    ) -> Result<T> {
        let (mut begun, mut shown) = (false, 0);
        let result = run(&mut |progress| {
            if !begun {
                self.progress.begin(what, Some(progress.bytes_total), "B");
                begun = true;
            }
            self.progress.advance(progress.bytes.saturating_sub(shown));
            shown = progress.bytes;
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if begun {
            self.progress.end();
        }
        result.map_err(|error| match error {
            Error::Cancelled => output::interrupted(format!("interrupted: {rest}")),
            error => error.into(),
        })
    }
}

fn take(work: &Work<'_>, to: &str, name: Option<&str>) -> Result<()> {
    let db = work.database()?;
    let repository = Repository::open_or_make(to)?;
    let taken = work.show(("taking a snapshot", REST), |progress| repository.take(&db, name, progress))?;
    let (snapshot, uploaded) = (&taken.snapshot, taken.uploaded);
    if work.json {
        let mut shown = described(snapshot);
        shown["uploaded"] = json!(uploaded);
        shown["uploaded_bytes"] = json!(taken.uploaded_bytes);
        return output::json(&shown);
    }
    let (all, new) = (HumanBytes(snapshot.size_bytes()), HumanBytes(taken.uploaded_bytes));
    let (name, files) = (&snapshot.name, snapshot.files.len());
    output::line(format_args!("{name}: {files} files, {all}; {uploaded} of them uploaded, {new}"))
}

fn archive(work: &Work<'_>, to: &str) -> Result<()> {
    let db = work.database()?;
    let repository = Repository::open_or_make(to)?;
    let archived = work.show(("archiving the log", REST), |progress| repository.archive(&db, progress))?;
    let gap = archived.gap.map(|gap| json!({ "from": gap.from, "to": gap.to }));
    if work.json {
        return output::json(&json!({
            "position": archived.position,
            "uploaded": archived.uploaded,
            "uploaded_bytes": archived.uploaded_bytes,
            "gap": gap,
            "has_snapshot": archived.has_snapshot,
        }));
    }
    let bytes = HumanBytes(archived.uploaded_bytes);
    let (position, uploaded) = (archived.position, archived.uploaded);
    output::line(format_args!("archived up to position {position}: {uploaded} files, {bytes}"))?;
    if let Some(gap) = archived.gap {
        let (from, to) = (gap.from, gap.to);
        output::line(format_args!("  writes {from} to {to} were gone before: take a snapshot"))?;
    }
    if !archived.has_snapshot {
        output::line(format_args!(
            "  no snapshot of this database is there: take one, or none of this can be restored"
        ))?;
    }
    Ok(())
}

fn list(work: &Work<'_>, place: &InPlace) -> Result<()> {
    let snapshots = Repository::open(&place.at)?.list()?;
    if work.json {
        return output::json(&json!({ "snapshots": snapshots.iter().map(described).collect::<Vec<_>>() }));
    }
    let mut out = std::io::stdout().lock();
    if snapshots.is_empty() {
        writeln!(out, "no snapshots at {}", place.at)?;
    }
    for snapshot in &snapshots {
        let (created, bytes) = (time(snapshot.created_us), HumanBytes(snapshot.size_bytes()));
        let (name, position, files) = (&snapshot.name, snapshot.position, snapshot.files.len());
        writeln!(out, "{name}: {created}, position {position}, {files} files, {bytes}")?;
    }
    Ok(())
}

fn verify(work: &Work<'_>, place: &InPlace, name: Option<String>) -> Result<()> {
    let repository = Repository::open(&place.at)?;
    let name = match name {
        Some(name) => name,
        None => repository.newest().with_context(|| format!("--at {}", place.at))?.name,
    };
    let what = ("verifying", "the same command begins anew");
    let found = work.show(what, |progress| repository.verify(&name, progress))?;
    let told = verified(work, &name, &found);
    if found.damaged.is_empty() { told } else { bail!("snapshot {name} is damaged") }
}

fn verified(work: &Work<'_>, name: &str, found: &VerifiedSnapshot) -> Result<()> {
    let gap = found.gap.map(|gap| json!({ "from": gap.from, "to": gap.to }));
    if work.json {
        let damaged = |of: &DamagedObject| json!({ "object": of.object, "reason": of.reason });
        return output::json(&json!({
            "name": name,
            "objects": found.objects,
            "bytes": found.bytes,
            "restorable_until": found.position,
            "gap": gap,
            "damaged": found.damaged.iter().map(damaged).collect::<Vec<_>>(),
        }));
    }
    let (objects, bytes, position) = (found.objects, HumanBytes(found.bytes), found.position);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{name}: {objects} objects, {bytes}; restorable up to position {position}")?;
    for damaged in &found.damaged {
        writeln!(out, "  {}: {}", damaged.object, damaged.reason)?;
    }
    if let Some(gap) = found.gap {
        writeln!(out, "  the archived log lacks the writes {} to {}", gap.from, gap.to)?;
    }
    Ok(())
}

fn delete(work: &Work<'_>, place: &InPlace, names: &[String]) -> Result<()> {
    let repository = Repository::open(&place.at)?;
    names.iter().try_for_each(|name| repository.delete(name))?;
    collect(work, &repository, names)
}

fn collect(work: &Work<'_>, repository: &Repository, deleted: &[String]) -> Result<()> {
    // Run again, `snapshot delete` would find nothing of that name.
    let what = ("removing", "`ragstone snapshot collect` does the rest");
    let collected = work.show(what, |progress| repository.collect_garbage(progress))?;
    if work.json {
        return output::json(&json!({
            "deleted": deleted,
            "removed": collected.removed,
            "removed_bytes": collected.removed_bytes,
            "kept": collected.kept,
        }));
    }
    deleted.iter().try_for_each(|name| output::line(format_args!("deleted snapshot {name}")))?;
    let (removed, bytes) = (collected.removed, HumanBytes(collected.removed_bytes));
    output::line(format_args!("{removed} objects removed, {bytes}"))
}

pub(super) fn restore(work: &Work<'_>, args: RestoreArgs) -> Result<()> {
    let repository = Repository::open(&args.from)?;
    let request = RestoreRequest { snapshot: args.snapshot, until: args.until };
    let restored = work
        .show(("restoring", REST), |progress| repository.restore(&request, work.data, progress))
        .map_err(|error| match error.downcast_ref::<Error>() {
            Some(Error::Undecided { .. }) => error.context("--snapshot"),
            _ => error,
        })
        .with_context(|| format!("--data {}", work.data.display()))?;
    if work.json {
        return output::json(&json!({
            "data": work.data.display().to_string(),
            "position": restored.position,
            "time": time(restored.time_us),
            "lineage": restored.lineage.to_string(),
        }));
    }
    let at = time(restored.time_us);
    let (data, position) = (work.data.display(), restored.position);
    output::line(format_args!("restored {data} as of position {position}, written {at}"))
}

fn described(snapshot: &Snapshot) -> Value {
    let collections = snapshot.collections.iter().map(|(name, seq)| json!({ "name": name, "seq": seq }));
    json!({
        "name": snapshot.name,
        "lineage": snapshot.lineage.to_string(),
        "position": snapshot.position,
        "time": time(snapshot.time_us),
        "created": time(snapshot.created_us),
        "files": snapshot.files.len(),
        "bytes": snapshot.size_bytes(),
        "collections": collections.collect::<Vec<_>>(),
    })
}

/// RFC 3339, in UTC.
fn time(time_us: u64) -> String {
    let time = i64::try_from(time_us).ok().and_then(DateTime::from_timestamp_micros);
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use ragstone_rag::progress::Silent;

    use super::*;

    /// After Ctrl-C, garbage could not be collected for an hour, as of a snapshot that is being taken.
    #[test]
    fn interrupted_a_snapshot_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let db = Db::open(&data).unwrap();
        let repository = Repository::open_or_make(folder.path().join("copies").to_str().unwrap()).unwrap();
        let work = Work { data: &data, progress: Arc::new(Silent), json: false };
        let take = |cancel: &CancelToken| {
            work.show_until(cancel, ("taking a snapshot", REST), |progress| {
                repository.take(&db, Some("a"), progress)
            })
        };
        let cancel = CancelToken::new();
        cancel.cancel();
        let ended = take(&cancel).err().unwrap();
        assert_eq!(ended.downcast_ref::<output::Incomplete>().unwrap().code, 130, "{ended}");
        assert!(repository.list().unwrap().is_empty());
        repository.collect_garbage(ragstone_snapshot::quietly).unwrap();
        take(&CancelToken::new()).unwrap();
        assert_eq!(repository.list().unwrap().len(), 1);
    }
}
