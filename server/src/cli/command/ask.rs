//! `ragstone ask`.

use std::io::Write;

use anyhow::{Context, Result};
use ragstone_rag::generate::{GenerateOptions, GenerateRequest};
use ragstone_rag::prompt::{ChatMessage, EnrichRequest, TemplateChoice};
use ragstone_rag::retrieve::Expansion;
use serde::{Deserialize, Serialize};

use super::Session;
use crate::cli::args::AskArgs;
use crate::cli::backend::{AnswerView, EnrichedView, Generated};
use crate::cli::output;

/// What `--json` prints.
#[derive(Serialize)]
struct Answered {
    #[serde(flatten)]
    enriched: EnrichedView,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated: Option<AnswerView>,
}

pub(super) fn run(session: &Session, args: AskArgs) -> Result<()> {
    let template = match (args.template, &args.template_file) {
        (Some(name), _) => TemplateChoice::Registered(name),
        (None, Some(path)) => TemplateChoice::Source(super::template::read("--template-file", path)?),
        (None, None) => TemplateChoice::BuiltIn,
    };
    let (before, after) = args.neighbours.unwrap_or_default();
    let (finding, collection) = (args.finding, args.collection.collection.as_str());
    let request = EnrichRequest {
        rerank: finding.rerank(),
        tokens_of: args.tokens_of,
        k: finding.k,
        token_budget: args.budget,
        filter: finding.conditions.filter(session, collection)?,
        mode: finding.mode,
        min_score: finding.min_score,
        mmr: finding.mmr,
        per_document: finding.per_document,
        expand: Expansion { before, after, section: args.section, parents: args.parents },
        template,
        data_marking: args.data_marking,
        ..EnrichRequest::chat(messages(args.messages.as_deref(), args.question)?)
    };
    let Some(model) = args.generate else {
        let enriched = session.backend.enrich(collection, &request)?;
        return match session.json {
            true => output::json(&Answered { enriched, answer: None, generated: None }),
            false => output::enriched(&enriched, args.explain),
        };
    };
    let options = GenerateOptions {
        model,
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        top_p: args.top_p,
        stop: args.stop,
        seed: args.seed,
        ..GenerateOptions::default()
    };
    let request = GenerateRequest { enrich: request, options };
    match session.json {
        true => answer_as_json(session, collection, &request),
        false => answer(session, collection, &request, args.explain),
    }
}

/// Prints what comes as it comes.
fn answer(session: &Session, collection: &str, request: &GenerateRequest, explain: bool) -> Result<()> {
    session.backend.generate(collection, request, &mut |event| match event {
        Generated::Evidence(enriched) => {
            output::enriched(&enriched, explain)?;
            output::line("\nAnswer:")
        }
        Generated::Delta(text) => {
            let mut out = std::io::stdout().lock();
            write!(out, "{}", output::harmless_lines(&text))?;
            Ok(out.flush()?)
        }
        Generated::Done(answer) => output::answered(&answer),
    })
}

fn answer_as_json(session: &Session, collection: &str, request: &GenerateRequest) -> Result<()> {
    let (mut evidence, mut text, mut generated) = (None, String::new(), None);
    session.backend.generate(collection, request, &mut |event| {
        match event {
            Generated::Evidence(enriched) => evidence = Some(enriched),
            Generated::Delta(delta) => text.push_str(&delta),
            Generated::Done(answer) => generated = Some(answer),
        }
        Ok(())
    })?;
    let enriched = evidence.context("the answer came without its evidence")?;
    output::json(&Answered { enriched, answer: Some(text), generated })
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
