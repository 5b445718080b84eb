//! `ragstone export` and `ragstone import`.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use ragstone::CancelToken;
use ragstone_exchange::{BatchSize, ColumnNames, Error, ExportOptions, ImportOptions, Progress};
use serde_json::json;

use super::Session;
use crate::cli::args::{ExportArgs, ExportHow, ImportArgs, ImportHow};
use crate::cli::backend::Transfer;
use crate::cli::output;

pub(super) fn export(session: &Session, args: ExportArgs) -> Result<()> {
    let (collection, file) = (args.collection.as_str(), args.file.as_path());
    let options = export_options(session, collection, args.how)?;
    let started = Instant::now();
    let cancel = CancelToken::new();
    output::on_interrupt(cancel.clone())?;
    let left = |_| "interrupted: no file was written".to_owned();
    let done = show((&*session.progress, &cancel), ("Exporting", left), |progress| {
        session.backend.export(Transfer { collection, file, progress }, &options)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if session.json {
        return output::json(&json!({
            "file": file.display().to_string(), "rows": done.rows, "bytes": done.bytes, "seconds": seconds,
        }));
    }
    let bytes = HumanBytes(done.bytes);
    output::line(format_args!("{}: {}, {bytes}", file.display(), rate(done.rows, seconds)))
}

pub(super) fn import(session: &Session, args: ImportArgs) -> Result<()> {
    let (collection, file) = (args.collection.as_str(), args.file.as_path());
    let options = import_options(args.how);
    let started = Instant::now();
    let cancel = CancelToken::new();
    output::on_interrupt(cancel.clone())?;
    let left = |rows| format!("interrupted: {} rows are in; the same command writes all", HumanCount(rows));
    let done = show((&*session.progress, &cancel), ("Importing", left), |progress| {
        session.backend.import(Transfer { collection, file, progress }, &options)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if session.json {
        let columns = done.columns.iter().map(|(column, what)| json!({ "column": column, "is": what }));
        return session.acknowledge(&json!({
            "collection": collection,
            "created": done.created,
            "rows": done.rows,
            "seconds": seconds,
            "columns": columns.collect::<Vec<_>>(),
            "notes": done.notes,
        }));
    }
    let made = if done.created { ", which is new" } else { "" };
    output::line(format_args!("{collection}{made}: {}", rate(done.rows, seconds)))?;
    let columns = done.columns.iter().map(|(column, what)| format!("{column}: {what}"));
    // Columns are called as the file has them.
    columns.chain(done.notes).try_for_each(|line| output::line(format_args!("  {}", output::harmless(&line))))
}

/// What is asked of an export.
pub(super) fn export_options(session: &Session, collection: &str, how: ExportHow) -> Result<ExportOptions> {
    Ok(ExportOptions {
        format: how.format.map(Into::into),
        compression: how.compression.map(Into::into).unwrap_or_default(),
        filter: how.conditions.filter(session, collection)?,
        names: ColumnNames { id: how.id, vector: how.vector },
        overwrite: how.overwrite,
        ..ExportOptions::default()
    })
}

/// What is asked of an import.
pub(super) fn import_options(how: ImportHow) -> ImportOptions {
    ImportOptions {
        format: how.format.map(Into::into),
        id: how.id,
        number_rows: how.number_rows,
        vector: how.vector,
        expires_at: how.expires_at,
        columns: Some(how.columns).filter(|columns| !columns.is_empty()),
        except: how.except,
        metric: how.metric.map(Into::into),
        batch: BatchSize { rows: how.batch, ..BatchSize::default() },
    }
}

fn rate(rows: u64, seconds: f64) -> String {
    let rate = HumanCount((rows as f64 / seconds.max(1e-3)) as u64);
    format!("{} rows in {seconds:.1} s, {rate} a second", HumanCount(rows))
}

/// Does it, and shows how far it is. Cancelled, it ends behind the batch that is under way, and tells what is left, of so many rows. A
/// process that Ctrl-C kills would leave the beginning of a file.
fn show<T>(
    (bars, cancel): (&dyn ragstone_rag::progress::Progress, &CancelToken),
    (what, left): (&str, impl FnOnce(u64) -> String),
    run: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<T>,
) -> Result<T> {
    let mut shown = None;
    let result = run(&mut |progress| {
        let before = *shown.get_or_insert_with(|| {
            bars.begin(what, progress.rows_total, "rows");
            0
        });
        bars.advance(progress.rows.saturating_sub(before));
        shown = Some(progress.rows);
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if shown.is_some() {
        bars.end();
    }
    result.map_err(|error| match error.downcast_ref::<Error>() {
        Some(Error::Cancelled) => output::interrupted(left(shown.unwrap_or_default())),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use ragstone::{Db, Schema};
    use ragstone_rag::progress::Silent;

    use super::*;
    use crate::cli::output::Incomplete;

    /// Ctrl-C left the beginning of the file behind, under a name with a dot.
    #[test]
    fn interrupted_an_export_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.parquet");
        let db = Db::in_memory().unwrap();
        let rows = db.create_collection("rows", Schema::new(2).unwrap()).unwrap();
        let export = |cancel: &CancelToken| {
            show((&Silent, cancel), ("Exporting", |rows| format!("{rows} rows")), |progress| {
                Ok(ragstone_exchange::export(&rows, &file, &ExportOptions::default(), progress)?)
            })
        };
        let cancel = CancelToken::new();
        cancel.cancel();
        let ended = export(&cancel).unwrap_err();
        let incomplete = ended.downcast_ref::<Incomplete>().unwrap();
        assert_eq!((incomplete.code, incomplete.message.as_str()), (130, "0 rows"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(export(&CancelToken::new()).unwrap().rows, 0);
        assert!(file.is_file());
        let failed = export(&CancelToken::new()).unwrap_err();
        assert!(failed.downcast_ref::<Incomplete>().is_none(), "{failed}");
    }
}
