//! `ragstone template`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use ragstone_rag::prompt::{SamplePassage, TemplateChoice, default_template};
use serde::Deserialize;
use serde_json::json;

use super::Session;
use crate::cli::args::{PreviewArgs, TemplateCommand};
use crate::cli::backend::{MessageView, TemplateView};
use crate::cli::output;

/// What is asked where nothing else is.
const SAMPLE_QUESTION: &str = "When does the lease end?";

pub(super) fn run(session: &Session, command: TemplateCommand) -> Result<()> {
    match command {
        TemplateCommand::Register { name, file } => {
            let source = read("FILE", &file)?;
            let registered = session.backend.register_template(&name, &source);
            shown(session, &registered.with_context(|| file.display().to_string())?)
        }
        TemplateCommand::List { name } => list(session, name.as_deref()),
        TemplateCommand::Show { template: None } => {
            if session.json {
                return output::json(&json!({ "name": "built-in", "source": default_template() }));
            }
            output::text(default_template())
        }
        TemplateCommand::Show { template: Some(name) } => {
            let template = session.backend.template(&name)?;
            if session.json { output::json(&template) } else { output::text(&template.source) }
        }
        TemplateCommand::Preview(args) => preview(session, args),
        TemplateCommand::Delete { template } => {
            let deleted = session.backend.delete_template(&template)?;
            if session.json {
                return output::json(&json!({ "deleted": deleted }));
            }
            print(&format!("{deleted} versions removed"))
        }
    }
}

/// A template's file.
pub(super) fn read(argument: &str, path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{argument} {}", path.display()))
}

fn shown(session: &Session, template: &TemplateView) -> Result<()> {
    if session.json {
        output::json(template)
    } else {
        print(&format!("{}@{}", template.name, template.version))
    }
}

fn list(session: &Session, name: Option<&str>) -> Result<()> {
    let templates = session.backend.templates(name)?;
    if session.json {
        return output::json(&json!({ "templates": templates }));
    }
    if templates.is_empty() {
        return print("no templates yet; `ragstone template register NAME FILE` makes one");
    }
    templates.iter().try_for_each(|template| print(&format!("{}@{}", template.name, template.version)))
}

fn preview(session: &Session, args: PreviewArgs) -> Result<()> {
    let template = match (args.template, &args.file) {
        (Some(name), _) => TemplateChoice::Registered(name),
        (None, Some(file)) => TemplateChoice::Source(read("--file", file)?),
        (None, None) => TemplateChoice::BuiltIn,
    };
    let passages = args.passages.into_iter().enumerate().map(|(at, text)| passage(at, text));
    let passages: Vec<SamplePassage> = passages.collect::<Result<_>>()?;
    let question = match (args.question, &args.messages) {
        (None, None) => Some(SAMPLE_QUESTION.to_owned()),
        (question, _) => question,
    };
    let messages = super::ask::messages(args.messages.as_deref(), question)?;
    let shown = session.backend.preview_template(&template, &messages, &passages, args.data_marking)?;
    if session.json {
        return output::json(&json!({ "messages": shown }));
    }
    let text = |message: &MessageView| format!("{}:\n{}\n", message.role, message.content.trim_end());
    shown.iter().try_for_each(|message| output::text(&text(message)))
}

/// A passage that tells where it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    document: String,
    #[serde(default)]
    heading: String,
    text: String,
}

fn passage(at: usize, text: String) -> Result<SamplePassage> {
    if text.starts_with('{') {
        let placed = serde_json::from_str(&text).with_context(|| format!("--passage {text}"))?;
        let Placed { document, heading, text } = placed;
        return Ok(SamplePassage { document, heading, text });
    }
    let document = format!("document-{}.md", at + 1);
    Ok(SamplePassage { document, heading: "Heading".to_owned(), text })
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    Ok(())
}
