//! `ragstone export` and `ragstone import`.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use ragstone_exchange::{BatchSize, ColumnNames, ExportOptions, ImportOptions, Progress};
use serde_json::json;

use super::Session;
use crate::cli::args::{ExportArgs, ExportHow, ImportArgs, ImportHow};
use crate::cli::backend::Transfer;
use crate::cli::output;

pub(super) fn export(session: &Session, args: ExportArgs) -> Result<()> {
    let (collection, file) = (args.collection.as_str(), args.file.as_path());
    let options = export_options(session, collection, args.how)?;
    let started = Instant::now();
    let done = show(session, "Exporting", |progress| {
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
    let done = show(session, "Importing", |progress| {
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

/// Does it, and shows how far it is.
fn show<T>(
    session: &Session,
    what: &str,
    run: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<T>,
) -> Result<T> {
    let mut shown = None;
    let result = run(&mut |progress| {
        let before = *shown.get_or_insert_with(|| {
            session.progress.begin(what, progress.rows_total, "rows");
            0
        });
        session.progress.advance(progress.rows.saturating_sub(before));
        shown = Some(progress.rows);
        ControlFlow::Continue(())
    });
    if shown.is_some() {
        session.progress.end();
    }
    result
}
