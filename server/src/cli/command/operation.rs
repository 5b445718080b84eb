//! `ragstone operation`.

use std::io::Write;

use anyhow::{Result, bail};
use serde_json::json;

use super::Session;
use super::alias::tell;
use crate::cli::args::OperationCommand;
use crate::cli::backend::operator::OperationView;
use crate::cli::output;

pub(super) fn run(session: &Session, command: OperationCommand) -> Result<()> {
    let backend = &session.backend;
    match command {
        OperationCommand::List { state } => list(session, backend.operations(state.map(Into::into))?),
        OperationCommand::Show { id } => show(session, &backend.operation(&id)?),
        OperationCommand::Watch { id } => follow(session, &id),
        OperationCommand::Cancel { id } => show(session, &backend.cancel(&id)?),
        OperationCommand::Delete { id } => {
            backend.delete_operation(&id)?;
            tell(session, &json!({ "deleted": id }), &format!("deleted {id}"))
        }
    }
}

fn list(session: &Session, operations: Vec<OperationView>) -> Result<()> {
    if session.json {
        return output::json(&json!({ "operations": operations }));
    }
    operations.iter().try_for_each(|operation| writeln!(std::io::stdout(), "{}", line(operation)))?;
    Ok(())
}

/// Prints an operation.
pub(super) fn show(session: &Session, operation: &OperationView) -> Result<()> {
    if session.json {
        return output::json(operation);
    }
    writeln!(std::io::stdout(), "{}", line(operation))?;
    Ok(())
}

/// Shows how far an operation is, until it has ended, and how it ended; that it failed is a failure of the command.
pub(super) fn follow(session: &Session, id: &str) -> Result<()> {
    let ended = session.backend.watch(id, session.progress.as_ref())?;
    show(session, &ended)?;
    match (ended.state, &ended.error) {
        ("failed", Some(error)) => bail!("operation `{id}` failed: {error}"),
        _ => Ok(()),
    }
}

fn line(operation: &OperationView) -> String {
    let OperationView { id, kind, target, state, done, total, unit, result, .. } = operation;
    let mut line = format!("{id}  {kind} {target}: {state}");
    if *state == "running" {
        line += &match total {
            Some(total) => format!(", {done} of {total} {unit}"),
            None => format!(", {done} {unit}"),
        };
    }
    if let Some(error) = &operation.error {
        line += &format!(", {error}");
    }
    result.iter().fold(line, |line, (name, value)| format!("{line}, {name} {value}"))
}
