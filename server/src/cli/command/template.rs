//! `ragstone template`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use ragstone_rag::prompt::{SamplePassage, TemplateChoice, default_template};
use serde_json::json;

use super::Session;
use crate::cli::args::{PreviewArgs, TemplateCommand};
use crate::cli::backend::TemplateView;
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
            print(default_template())
        }
        TemplateCommand::Show { template: Some(name) } => {
            let template = session.backend.template(&name)?;
            if session.json { output::json(&template) } else { print(&template.source) }
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
    let passage = |(at, text): (usize, String)| SamplePassage {
        document: format!("document-{}.md", at + 1),
        heading: "Heading".to_owned(),
        text,
    };
    let passages: Vec<SamplePassage> = args.passages.into_iter().enumerate().map(passage).collect();
    let question = match (args.question, &args.messages) {
        (None, None) => Some(SAMPLE_QUESTION.to_owned()),
        (question, _) => question,
    };
    let messages = super::ask::messages(args.messages.as_deref(), question)?;
    let shown = session.backend.preview_template(&template, &messages, &passages, args.data_marking)?;
    if session.json {
        return output::json(&json!({ "messages": shown }));
    }
    shown.iter().try_for_each(|message| print(&format!("{}:\n{}\n", message.role, message.content)))
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    Ok(())
}
