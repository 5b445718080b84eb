//! `ragstone rerank`.

use std::io::Write;

use anyhow::{Result, ensure};

use super::Session;
use crate::cli::args::RerankArgs;
use crate::cli::backend::RerankAsk;
use crate::cli::output;

pub(super) fn run(session: &Session, args: &RerankArgs) -> Result<()> {
    let passages: Vec<&str> = args.passages.iter().map(String::as_str).collect();
    ensure!(args.top_k != Some(0), "--top-k: it must be 1 or more");
    let reranked = session.backend.rerank(&RerankAsk {
        model: &args.model,
        query: &args.query,
        passages: &passages,
        top_k: args.top_k.unwrap_or(passages.len()),
        overflow: args.on_overflow.into(),
    })?;
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
