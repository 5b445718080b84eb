//! `ragstone search`.

use std::io::Write;

use anyhow::Result;
use ragstone_rag::TextQuery;

use super::Session;
use crate::cli::args::SearchArgs;
use crate::cli::output;

pub(super) fn run(session: &Session, args: SearchArgs) -> Result<()> {
    let filter = args.conditions.filter(session, &args.collection.collection)?;
    let query = TextQuery { text: args.text, k: args.k, filter, ef: args.ef, exact: args.exact };
    let found = session.backend.search(&args.collection.collection, &query)?;
    if session.json {
        return output::json(&found);
    }
    let mut out = std::io::stdout().lock();
    for (place, hit) in found.hits.iter().enumerate() {
        let text = |field: &str| hit.payload.get(field).and_then(|value| value.as_str()).unwrap_or_default();
        let number =
            |field: &str| hit.payload.get(field).and_then(serde_json::Value::as_u64).unwrap_or_default();
        match text("_document") {
            "" => writeln!(out, "{:>2}. {:.3}  {}", place + 1, hit.score, hit.id)?,
            document => {
                let (start, end) = (number("_start"), number("_end"));
                writeln!(
                    out,
                    "{:>2}. {:.3}  {document} [{start}..{end}] {}",
                    place + 1,
                    hit.score,
                    text("_heading")
                )?;
                writeln!(out, "      {}", output::snippet(text("_text")))?;
            }
        }
    }
    if found.hits.is_empty() {
        writeln!(out, "nothing found")?;
    }
    writeln!(out, "{}", output::timings(&found.timings_ms))?;
    Ok(())
}
