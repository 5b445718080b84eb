//! One file a command: each turns its arguments into calls of the backend and prints what they return.

mod admin;
mod alias;
mod ask;
mod check;
mod collection;
mod conditions;
mod config;
mod count_tokens;
mod demo;
mod documents;
mod embed;
mod eval;
mod exchange;
mod ingest;
mod key;
mod model;
mod operation;
mod paging;
mod points;
mod repair;
mod rerank;
mod retrieve;
mod search;
mod serve;
mod snapshot;
mod template;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ragstone::Value;
use ragstone::query::{Names, OrderBy};
use ragstone_rag::progress::Progress;
use serde::Serialize;
use serde_json::value::RawValue;

use super::args::{Arguments, Command};
use super::backend::{self, Backend};
use super::json;
use super::output;
use super::progress::Bars;

/// What every command gets.
pub(super) struct Session {
    pub(super) backend: Box<dyn Backend>,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) json: bool,
}

/// What a write did, and what has reads find it.
#[derive(Serialize)]
struct Acknowledged<'a, T> {
    #[serde(flatten)]
    done: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_token: Option<String>,
}

impl Session {
    /// Prints what a write did as JSON, with what has reads find it.
    pub(super) fn acknowledge(&self, done: &impl Serialize) -> Result<()> {
        output::json(&Acknowledged { done, write_token: self.backend.write_token() })
    }
}

/// Runs the command that the arguments name.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { place, json, quiet, command } = arguments;
    // These have a directory to work on, and no backend.
    match command {
        Command::Serve(args) => return serve::run(args),
        Command::Config(command) => return config::run(command, json),
        Command::Check => return check::run(&place, json),
        Command::Repair(args) => return repair::run(&place, &args, json),
        _ => {}
    }
    let progress: Arc<dyn Progress> = Arc::new(Bars::new(quiet));
    // These need no backend: copies are made of files, and what is measured is in memory.
    let work = snapshot::Work { data: &place.data, progress: progress.clone(), json };
    let command = match command {
        Command::Snapshot(args) => return snapshot::run(&work, args),
        Command::Restore(args) => return snapshot::restore(&work, args),
        Command::Eval(args) => return eval::run(&place, &args, progress, json),
        command => command,
    };
    let session = Session { backend: backend::open(&place, progress.clone())?, progress, json };
    match command {
        Command::Serve(_)
        | Command::Config(_)
        | Command::Check
        | Command::Repair(_)
        | Command::Snapshot(_)
        | Command::Restore(_)
        | Command::Eval(_) => unreachable!("done above"),
        Command::Demo(args) => demo::run(&session, &place, args),
        Command::Embed(args) => embed::run(&session, &args),
        Command::Rerank(args) => rerank::run(&session, &args),
        Command::CountTokens(args) => count_tokens::run(&session, &args),
        Command::Ingest(args) => ingest::run(&session, &args),
        Command::Documents(command) => documents::run(&session, command),
        Command::Search(args) => search::run(&session, args),
        Command::Points(args) => points::run(&session, args),
        Command::Retrieve(args) => retrieve::run(&session, args),
        Command::Ask(args) => ask::run(&session, args),
        Command::Alias(command) => alias::run(&session, command),
        Command::Operation(command) => operation::run(&session, command),
        Command::Admin(command) => admin::run(&session, command),
        Command::Key(command) => key::run(&session, command),
        Command::Collection(args) => collection::run(&session, args),
        Command::Template(command) => template::run(&session, command),
        Command::Model(args) => model::run(&session, &args),
        Command::Export(args) => exchange::export(&session, args),
        Command::Import(args) => exchange::import(&session, args),
    }
}

/// `NAME=VALUE` with the value typed as it looks: `true`, `12`, `1.5`, anything else a string; quotes force a string.
fn assignment(flag: &str, text: &str) -> Result<(String, Value)> {
    let (name, value) =
        text.split_once('=').with_context(|| format!("{flag} {text}: write it as NAME=VALUE"))?;
    if name.is_empty() {
        bail!("{flag} {text}: the name is empty; write it as NAME=VALUE");
    }
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let value = match (quoted, value) {
        (Some(text), _) => Value::from(text),
        (None, "true") => Value::Bool(true),
        (None, "false") => Value::Bool(false),
        (None, text) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::Int(number),
            (_, Ok(number)) if number.is_finite() => Value::Float(number),
            _ => Value::from(text),
        },
    };
    Ok((name.to_owned(), value))
}

/// `FIELD` or `FIELD:desc`.
fn order(text: &str) -> OrderBy {
    match text.rsplit_once(':') {
        Some((field, "desc")) => OrderBy::descending(field),
        Some((field, "asc")) => OrderBy::ascending(field),
        _ => OrderBy::ascending(text),
    }
}

/// The fields that are returned: those of these names, all where none is named, or none.
fn fields(names: &[String], without_payload: bool) -> Names {
    match names {
        _ if without_payload => Names::None,
        [] => Names::All,
        names => Names::Only(names.to_vec()),
    }
}

/// JSON that stands in an argument, or in the file that it names.
fn json_or_file(flag: &str, text: &str) -> Result<serde_json::Value> {
    if text.trim_start().starts_with(['[', '{']) {
        return json::unambiguous(text).with_context(|| format!("{flag}: no JSON"));
    }
    let read = std::fs::read_to_string(text).with_context(|| {
        format!("{flag} {text}: neither JSON, which begins with [ or {{, nor a file that can be read")
    })?;
    json::unambiguous(unmarked(&read)).with_context(|| format!("{flag} {text}: no JSON"))
}

/// What a file says behind its byte order mark, with which editors and shells of Windows begin it.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// JSON lines, each with where it stands; empty lines are passed over.
fn lines(file: &Path) -> Result<impl Iterator<Item = Result<(String, Box<RawValue>)>> + Send> {
    let name = file.display().to_string();
    let reader: Box<dyn BufRead + Send> = match name.as_str() {
        "-" => Box::new(BufReader::new(std::io::stdin())),
        _ => Box::new(BufReader::new(File::open(file).with_context(|| name.clone())?)),
    };
    let read = move |(index, line): (usize, std::io::Result<String>)| {
        let place = format!("{name}, line {}", index + 1);
        let raw = match line {
            Ok(line) => {
                let text = if index == 0 { unmarked(&line) } else { &line };
                if text.trim().is_empty() {
                    return None;
                }
                serde_json::from_str(text).map_err(anyhow::Error::from)
            }
            Err(error) => Err(error.into()),
        };
        Some(raw.context(place.clone()).map(|raw| (place, raw)))
    };
    Ok(reader.lines().enumerate().filter_map(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_typed_as_they_look() {
        let typed = |text: &str| assignment("--field", text).unwrap().1;
        assert_eq!(typed("a=true"), Value::Bool(true));
        assert_eq!(typed("a=-12"), Value::Int(-12));
        assert_eq!(typed("a=1.5"), Value::Float(1.5));
        assert_eq!(typed("a=nan"), Value::from("nan"));
        assert_eq!(typed("a=\"12\""), Value::from("12"));
        assert_eq!(typed("a=b=c"), Value::from("b=c"));
        assert_eq!(typed("a="), Value::from(""));
        assert!(assignment("--field", "a").is_err());
        assert!(assignment("--field", "=b").is_err());
    }
}
