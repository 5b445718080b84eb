//! `ragstone repair`.

use std::io::Write;

use anyhow::{Context, Result};
use ragstone::{Loss, PointId};
use serde_json::{Value, json};

use super::check::{damage, line};
use crate::cli::args::{Place, RepairArgs};
use crate::cli::output;

/// Ids of lost rows that are shown; `--json` has all.
const IDS_SHOWN: usize = 20;

/// Repairs the directory.
pub(super) fn run(place: &Place, args: &RepairArgs, json: bool) -> Result<()> {
    let repaired = ragstone::repair(&place.data, args.dry_run);
    let report = repaired.with_context(|| format!("--data {}", place.data.display()))?;
    if json {
        let damaged: Vec<Value> = report.damaged.iter().map(damage).collect();
        let lost: Vec<Value> = report.lost.iter().map(loss).collect();
        return output::json(&json!({
            "dry_run": args.dry_run,
            "damaged": damaged,
            "actions": report.actions,
            "lost": lost,
        }));
    }
    let mut out = std::io::stdout().lock();
    for damage in &report.damaged {
        writeln!(out, "{}", line(damage))?;
    }
    for action in &report.actions {
        writeln!(
            out,
            "{}: {}",
            if args.dry_run { "would be done" } else { "done" },
            output::harmless(action)
        )?;
    }
    for loss in &report.lost {
        writeln!(out, "lost: {}", output::harmless(&loss_line(loss)))?;
    }
    match (report.damaged.is_empty(), args.dry_run) {
        (true, _) => writeln!(out, "nothing is damaged")?,
        (false, true) => writeln!(out, "nothing was changed")?,
        (false, false) => {
            writeln!(out, "the damaged files are kept in {}", place.data.join("damaged").display())?
        }
    }
    Ok(())
}

fn loss(loss: &Loss) -> Value {
    let id = |id: &PointId| match id {
        PointId::Num(number) => json!(number),
        PointId::Str(text) => json!(text),
    };
    json!({
        "collection": loss.collection,
        "what": loss.what,
        "ids": loss.ids.iter().map(id).collect::<Vec<_>>(),
        "rows_without_id": loss.rows_without_id,
        "writes": loss.writes,
    })
}

fn loss_line(loss: &Loss) -> String {
    let Loss { collection, what, ids, writes, .. } = loss;
    let mut line = format!("collection {collection}: {what}");
    let ids: Vec<String> = ids.iter().map(PointId::to_string).collect();
    let writes: Vec<String> = writes.iter().map(u64::to_string).collect();
    for (name, words) in [("ids", ids), ("writes", writes)] {
        if !words.is_empty() {
            let more = if words.len() > IDS_SHOWN { ", …; --json has all" } else { "" };
            line += &format!("; {name} {}{more}", words[..words.len().min(IDS_SHOWN)].join(", "));
        }
    }
    line
}
