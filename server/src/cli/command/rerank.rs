//! `ragstone rerank`.

use std::io::Write;

use anyhow::Result;

use super::Session;
use crate::cli::args::RerankArgs;
use crate::cli::backend::RerankAsk;
use crate::cli::output;

pub(super) fn run(session: &Session, args: &RerankArgs) -> Result<()> {
    let passages: Vec<&str> = args.passages.iter().map(String::as_str).collect();
    let (model, query, overflow) = (args.model.as_str(), args.query.as_str(), args.on_overflow.into());
    let reranked = session.backend.rerank(&RerankAsk { model, query, passages: &passages, overflow })?;
    if session.json {
        return output::json(&reranked);
    }
    let mut out = std::io::stdout().lock();
    for passage in &reranked.passages {
        let cut = if passage.truncated { ", cut" } else { "" };
        let text = passages.get(passage.index).copied().map(output::snippet).unwrap_or_default();
        writeln!(out, "{:>9.4}  {text:?} ({} tokens{cut})", passage.score, passage.tokens)?;
    }
    Ok(())
}
