//! `ragstone check`.

use std::io::Write;

use anyhow::{Context, Result, bail};
use ragstone::{CheckReport, Damage};
use serde_json::{Value, json};

use crate::cli::args::Place;
use crate::cli::output;

/// Verifies the directory; an error if anything is damaged.
pub(super) fn run(place: &Place, json: bool) -> Result<()> {
    let report = ragstone::check(&place.data).with_context(|| format!("--data {}", place.data.display()))?;
    let told = print(&report, json);
    match report.damaged.len() {
        0 => told,
        count => bail!("{count} damaged places; `ragstone repair --dry-run` says what can be made good"),
    }
}

fn print(report: &CheckReport, json: bool) -> Result<()> {
    if json {
        let damaged: Vec<Value> = report.damaged.iter().map(damage).collect();
        return output::json(&json!({
            "files": report.files,
            "bytes": report.bytes,
            "damaged": damaged,
            "notes": report.notes,
        }));
    }
    let mut out = std::io::stdout().lock();
    for damage in &report.damaged {
        writeln!(out, "{}", line(damage))?;
    }
    for note in &report.notes {
        writeln!(out, "note: {}", output::harmless(note))?;
    }
    writeln!(out, "{} files, {} bytes verified", report.files, report.bytes)?;
    Ok(())
}

/// A damaged place as JSON.
pub(super) fn damage(damage: &Damage) -> Value {
    json!({ "file": damage.file.display().to_string(), "offset": damage.offset, "reason": damage.reason })
}

/// A damaged place for people.
pub(super) fn line(damage: &Damage) -> String {
    let Damage { file, offset, reason, .. } = damage;
    format!("damaged: {} at byte {offset}: {}", file.display(), output::harmless(reason))
}
