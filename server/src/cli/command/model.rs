//! `ragstone model`.

use std::io::Write;

use anyhow::Result;
use serde_json::json;

use super::Session;
use crate::cli::args::ModelCommand;
use crate::cli::output;

pub(super) fn run(session: &Session, command: &ModelCommand) -> Result<()> {
    match command {
        ModelCommand::List => list(session),
        ModelCommand::Pull { name } => pull(session, name),
    }
}

fn list(session: &Session) -> Result<()> {
    let models = session.backend.models()?;
    if session.json {
        return output::json(&json!({ "models": models }));
    }
    let mut out = std::io::stdout().lock();
    if models.is_empty() {
        writeln!(out, "no models yet; `ragstone model pull` fetches the default one")?;
    }
    for model in &models {
        let default = if model.default { " (default)" } else { "" };
        let loaded = if model.loaded { ", loaded" } else { "" };
        match (model.dimension, model.max_tokens) {
            (Some(dimension), Some(tokens)) => {
                writeln!(out, "{}{default}: {dimension} dimensions, {tokens} tokens{loaded}", model.name)?;
            }
            _ => writeln!(out, "{}{default}: not fetched, or not readable", model.name)?,
        }
        if let Some(path) = &model.path {
            writeln!(out, "  {path}")?;
        }
    }
    Ok(())
}

fn pull(session: &Session, name: &str) -> Result<()> {
    let pulled = session.backend.pull_model(name)?;
    if session.json {
        return output::json(&pulled);
    }
    let path = pulled.path.map_or(String::new(), |path| format!("  {path}\n"));
    let (name, source, sha256) = (pulled.name, pulled.source, pulled.sha256);
    output::line(format_args!("{name} from {source}\n{path}  weights SHA-256 {sha256}"))
}
