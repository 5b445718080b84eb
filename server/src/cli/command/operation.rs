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

/// Shows how far an operation is, until it has ended, and how it ended; that it did not succeed is a failure of the command.
pub(super) fn follow(session: &Session, id: &str) -> Result<()> {
    let ended = session.backend.watch(id, session.progress.as_ref())?;
    let told = show(session, &ended);
    outcome(&ended).and(told)
}

fn outcome(ended: &OperationView) -> Result<()> {
    let OperationView { id, state, .. } = ended;
    match (*state, &ended.error) {
        ("succeeded", _) => Ok(()),
        (_, Some(error)) => bail!("operation `{id}` {state}: {error}"),
        (_, None) => bail!("operation `{id}` {state}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot that somebody cancelled ended with exit code 0, as one that was taken.
    #[test]
    fn what_was_cancelled_did_not_succeed() {
        let ended = |state, error: Option<&str>| {
            outcome(&OperationView {
                id: "o1".to_owned(),
                kind: "snapshot",
                target: String::new(),
                state,
                stage: String::new(),
                done: 0,
                total: None,
                unit: "B".to_owned(),
                error: error.map(str::to_owned),
                started: String::new(),
                updated: String::new(),
                result: Default::default(),
            })
            .map_err(|error| error.to_string())
        };
        assert_eq!(ended("succeeded", None), Ok(()));
        assert_eq!(ended("failed", Some("no space")), Err("operation `o1` failed: no space".to_owned()));
        assert_eq!(ended("cancelled", None), Err("operation `o1` cancelled".to_owned()));
    }
}
