//! `ragstone retrieve`.

use std::io::Write;

use anyhow::Result;
use ragstone_rag::retrieve::RetrieveRequest;

use super::Session;
use crate::cli::args::RetrieveArgs;
use crate::cli::backend::RetrievedView;
use crate::cli::output;

pub(super) fn run(session: &Session, args: RetrieveArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    let finding = args.finding;
    let request = RetrieveRequest {
        rerank: finding.rerank(),
        k: finding.k,
        filter: finding.conditions.filter(session, collection)?,
        mode: finding.mode,
        min_score: finding.min_score,
        distinct: args.distinct,
        mmr: finding.mmr,
        per_document: finding.per_document,
        ..RetrieveRequest::new(args.question)
    };
    let found = session.backend.retrieve(collection, &request)?;
    if session.json { output::json(&found) } else { show(&found) }
}

fn show(found: &RetrievedView) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if found.chunks.is_empty() {
        writeln!(out, "Nothing stored fits the question")?;
    }
    for (at, chunk) in found.chunks.iter().enumerate() {
        let heading = if chunk.heading.is_empty() { "(no heading)" } else { &chunk.heading };
        let (found, start, end) = (format!("{} · {heading}", chunk.document), chunk.start, chunk.end);
        writeln!(
            out,
            "{}. {} · characters {start}..{end} · {}",
            at + 1,
            output::harmless(&found),
            output::scores(chunk.score, &chunk.scores)
        )?;
        writeln!(out, "   {}", output::snippet(&chunk.text))?;
    }
    for dropped in &found.dropped {
        writeln!(out, "  {}", output::dropped(dropped))?;
    }
    writeln!(out, "Timings: {}", output::timings(&found.timings_ms))?;
    Ok(())
}
