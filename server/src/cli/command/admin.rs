//! `ragstone admin`.

use std::io::Write;

use anyhow::Result;
use indicatif::HumanBytes;
use serde_json::json;

use super::{Session, exchange, operation};
use crate::cli::args::AdminCommand;
use crate::cli::backend::operator::{CollectionStatsView, StatsView};
use crate::cli::output;

pub(super) fn run(session: &Session, command: AdminCommand) -> Result<()> {
    let backend = &session.backend;
    match command {
        AdminCommand::Stats => stats(session, &backend.stats()?),
        AdminCommand::Snapshot(place) => {
            let begun = backend.begin_snapshot(place.store.as_deref())?;
            operation::follow(session, &begun.id)
        }
        AdminCommand::Export { collection, file, how } => {
            let options = exchange::export_options(session, &collection, how)?;
            let begun = backend.begin_export(&collection, &file, &options)?;
            operation::follow(session, &begun.id)
        }
        AdminCommand::Import { file, collection, how } => {
            let begun = backend.begin_import(&file, &collection, &exchange::import_options(how))?;
            operation::follow(session, &begun.id)
        }
        AdminCommand::Snapshots(place) => snapshots(session, place.store.as_deref()),
        AdminCommand::VerifySnapshot { name, store } => {
            let begun = backend.begin_verify(store.store.as_deref(), name.as_deref())?;
            operation::follow(session, &begun.id)
        }
    }
}

fn stats(session: &Session, stats: &StatsView) -> Result<()> {
    if session.json {
        return output::json(stats);
    }
    let mut out = std::io::stdout().lock();
    for collection in &stats.collections {
        let CollectionStatsView {
            name, points, vectors, sealed_segments, dead_points, unlinked_points, ..
        } = collection;
        let (sealed, growing) = (HumanBytes(collection.sealed_bytes), HumanBytes(collection.growing_bytes));
        writeln!(
            out,
            "{name}: {points} points, {vectors} with a vector; {sealed_segments} segments, {sealed}; {} points in memory, {growing}; \
             {dead_points} dead, {unlinked_points} not in a graph yet{}",
            collection.growing_points,
            if collection.reembedding { "; being moved to another model" } else { "" },
        )?;
    }
    let (log, position) = (HumanBytes(stats.log_bytes), stats.log_position);
    writeln!(out, "log: {log}, up to position {position} of lineage {}", stats.lineage)?;
    if let Some(running) = stats.running_operations {
        writeln!(out, "operations under way: {running}")?;
    }
    Ok(())
}

fn snapshots(session: &Session, store: Option<&str>) -> Result<()> {
    let snapshots = session.backend.snapshots(store)?;
    if session.json {
        return output::json(&json!({ "snapshots": snapshots }));
    }
    let mut out = std::io::stdout().lock();
    for snapshot in snapshots {
        let bytes = HumanBytes(snapshot.bytes);
        writeln!(
            out,
            "{}: position {}, written {}, {bytes}",
            snapshot.name, snapshot.position, snapshot.time
        )?;
    }
    Ok(())
}
