//! `ragstone alias`.

use std::io::Write;

use anyhow::Result;
use serde_json::json;

use super::Session;
use crate::cli::args::AliasCommand;
use crate::cli::output;

pub(super) fn run(session: &Session, command: AliasCommand) -> Result<()> {
    match command {
        AliasCommand::List { of } => list(session, of.as_deref()),
        AliasCommand::Set { alias, collection } => {
            session.backend.set_alias(&alias, &collection)?;
            tell(
                session,
                &json!({ "alias": alias, "collection": collection }),
                &format!("{alias} -> {collection}"),
            )
        }
        AliasCommand::Delete { alias } => {
            session.backend.delete_alias(&alias)?;
            tell(session, &json!({ "deleted": alias }), &format!("deleted {alias}"))
        }
    }
}

fn list(session: &Session, of: Option<&str>) -> Result<()> {
    let aliases = session.backend.aliases(of)?;
    if session.json {
        let shown = |(alias, collection)| json!({ "alias": alias, "collection": collection });
        let aliases: Vec<_> = aliases.into_iter().map(shown).collect();
        return output::json(&json!({ "aliases": aliases }));
    }
    let mut out = std::io::stdout().lock();
    for (alias, collection) in aliases {
        writeln!(out, "{alias} -> {collection}")?;
    }
    Ok(())
}

pub(super) fn tell(session: &Session, json: &serde_json::Value, line: &str) -> Result<()> {
    if session.json {
        return output::json(json);
    }
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
