//! `ragstone ask`.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use ragstone_rag::prompt::EnrichRequest;
use serde::Serialize;

use super::Session;
use crate::cli::args::AskArgs;
use crate::cli::backend::EnrichedView;
use crate::cli::{llm, output};

/// What `--json` prints.
#[derive(Serialize)]
struct Answered {
    #[serde(flatten)]
    enriched: EnrichedView,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

pub(super) fn run(session: &Session, args: AskArgs) -> Result<()> {
    let template = args
        .template
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("--template {}", path.display())));
    let request = EnrichRequest {
        question: args.question,
        k: args.k,
        token_budget: args.token_budget,
        filter: args.conditions.filter(session, &args.collection.collection)?,
        mode: args.mode,
        template: template.transpose()?,
    };
    let mut enriched = session.backend.enrich(&args.collection.collection, &request)?;
    if !session.json {
        output::enriched(&enriched)?;
    }
    let mut answer = None;
    if let (Some(url), Some(model)) = (&args.llm, &args.llm_model) {
        let (started, json) = (Instant::now(), session.json);
        if !json {
            println!("\nAnswer of {model}:");
        }
        answer = Some(llm::stream(url, model, &enriched.prompt, |piece| {
            if !json {
                let mut out = std::io::stdout().lock();
                write!(out, "{piece}")?;
                out.flush()?;
            }
            Ok(())
        })?);
        let generate_ms = started.elapsed().as_secs_f64() * 1e3;
        enriched.timings_ms.0.push(("generate".to_owned(), generate_ms));
        if !json {
            println!("\n(generate {generate_ms:.0} ms)");
        }
    }
    if session.json {
        output::json(&Answered { enriched, answer })?;
    }
    Ok(())
}
