//! `ragstone ask`.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use ragstone_rag::prompt::{ChatMessage, EnrichRequest, TemplateChoice};
use ragstone_rag::retrieve::Expansion;
use serde::{Deserialize, Serialize};

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
    let template = match (args.template, &args.template_file) {
        (Some(name), _) => TemplateChoice::Registered(name),
        (None, Some(path)) => TemplateChoice::Source(super::template::read("--template-file", path)?),
        (None, None) => TemplateChoice::BuiltIn,
    };
    let (before, after) = args.neighbours.unwrap_or_default();
    let finding = args.finding;
    let request = EnrichRequest {
        k: finding.k,
        token_budget: args.budget,
        filter: finding.conditions.filter(session, &args.collection.collection)?,
        mode: finding.mode,
        min_score: finding.min_score,
        mmr: finding.mmr,
        per_document: finding.per_document,
        expand: Expansion { before, after, section: args.section },
        template,
        data_marking: args.data_marking,
        ..EnrichRequest::chat(messages(args.messages.as_deref(), args.question)?)
    };
    let mut enriched = session.backend.enrich(&args.collection.collection, &request)?;
    if !session.json {
        output::enriched(&enriched, args.explain)?;
    }
    let mut answer = None;
    if let (Some(url), Some(model)) = (&args.llm, &args.llm_model) {
        let (started, json) = (Instant::now(), session.json);
        if !json {
            println!("\nAnswer of {model}:");
        }
        answer = Some(llm::stream((url, model), &enriched.messages, |piece| {
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

/// A message as chat endpoints have it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    role: String,
    content: String,
}

/// The conversation that is given, and the question at its end.
pub(super) fn messages(given: Option<&str>, question: Option<String>) -> Result<Vec<ChatMessage>> {
    let mut messages = Vec::new();
    if let Some(text) = given {
        let json = super::json_or_file("--messages", text)?;
        let said: Vec<Said> = serde_json::from_value(json).context("--messages")?;
        for (at, said) in said.into_iter().enumerate() {
            let role = said.role.parse().with_context(|| format!("--messages, message {at}"))?;
            messages.push(ChatMessage { role, content: said.content });
        }
    }
    messages.extend(question.map(ChatMessage::user));
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_comes_after_what_was_said() {
        let json = r#"[{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"}]"#;
        let all = messages(Some(json), Some("Two?".to_owned())).unwrap();
        assert_eq!(all, [ChatMessage::user("One?"), ChatMessage::assistant("1"), ChatMessage::user("Two?")]);
        assert_eq!(messages(None, Some("x".to_owned())).unwrap(), [ChatMessage::user("x")]);
        for (json, word) in [
            (r#"[{"role": "tool", "content": "x"}]"#, "message 0"),
            (r#"[{"role": "user"}]"#, "--messages"),
            (r#"[{"role": "user", "content": "x", "name": "y"}]"#, "--messages"),
            ("[", "--messages"),
        ] {
            let error = messages(Some(json), None).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{error:#}");
        }
    }
}
