//! `ragstone config`.

use std::io::Write;

use anyhow::{Error, Result};
use ragstone_server::settings::{self, Origin, Resolved, VARIABLES};
use serde_json::{Value, json};

use super::serve;
use crate::cli::args::ConfigCommand;
use crate::cli::output;

pub(super) fn run(command: ConfigCommand, json: bool) -> Result<()> {
    match command {
        ConfigCommand::Check(args) => {
            let resolved = args.resolve()?;
            // What holds is of use also to those who are then told what is wrong with it.
            let shown = if json { print_json(&resolved) } else { print(&resolved) };
            told(mistakes(&resolved)).and(shown)
        }
    }
}

/// Everything that a server would not start for, each with its place: whoever mends a file at night wants to run this twice, and not once
/// for each.
fn mistakes(resolved: &Resolved) -> Vec<Error> {
    let models = serve::generate_models(resolved).err();
    let problems = resolved.settings.problems().into_iter();
    models.into_iter().chain(problems.map(|error| serve::explained(resolved, error))).collect()
}

/// All of them as one, a line each.
fn told(mistakes: Vec<Error>) -> Result<()> {
    let lines: Vec<String> = mistakes.iter().map(output::causes).collect();
    if lines.is_empty() { Ok(()) } else { Err(Error::msg(lines.join("\n"))) }
}

/// Variables that are set and are no settings, without secrets.
fn variables() -> impl Iterator<Item = (&'static str, String)> {
    VARIABLES.iter().filter_map(|variable| {
        let value = std::env::var_os(variable.name).filter(|value| !value.is_empty())?;
        Some((variable.name, variable.shown(&value.to_string_lossy())))
    })
}

fn print(resolved: &Resolved) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(file) = &resolved.file {
        writeln!(out, "# {}", output::harmless(&file.display().to_string()))?;
    }
    for setting in settings::all() {
        let origin = match resolved.origin(setting.key()) {
            Origin::File { line, .. } => format!("line {line}"),
            origin => origin.to_string(),
        };
        // A file of these lines says the same; what is unset stands in it as a comment.
        match setting.shown(&resolved.settings) {
            Some(value) => writeln!(out, "{} = {value}  # {origin}", setting.key())?,
            None => writeln!(out, "# {} is unset  # {origin}", setting.key())?,
        }
    }
    for (name, value) in variables() {
        writeln!(out, "# {name}: {}", output::harmless(&value))?;
    }
    for (name, nearest) in serve::misspelt_variables() {
        writeln!(out, "# {} is no setting; the nearest is {nearest}", output::harmless(&name))?;
    }
    for doubt in resolved.doubts() {
        writeln!(out, "# {}", output::harmless(&doubt))?;
    }
    Ok(())
}

fn print_json(resolved: &Resolved) -> Result<()> {
    let settings: Vec<Value> = settings::all()
        .map(|setting| {
            json!({
                "setting": setting.key(),
                "value": setting.shown(&resolved.settings),
                "from": resolved.origin(setting.key()).to_string(),
            })
        })
        .collect();
    let variables: Vec<Value> =
        variables().map(|(name, value)| json!({ "variable": name, "value": value })).collect();
    let misspelt: Vec<Value> = serve::misspelt_variables()
        .into_iter()
        .map(|(name, nearest)| json!({ "variable": name, "nearest": nearest }))
        .collect();
    let file = resolved.file.as_ref().map(|file| file.display().to_string());
    output::json(&json!({
        "file": file,
        "settings": settings,
        "variables": variables,
        "misspelt": misspelt,
        "doubts": resolved.doubts(),
    }))
}
