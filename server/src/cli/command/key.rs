//! `ragstone key`.

use std::io::Write;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::json;

use super::Session;
use super::alias::tell;
use crate::cli::args::{CreateKeyArgs, KeyCommand};
use crate::cli::backend::keys::{KeyAsk, KeyView, MadeKey};
use crate::cli::output;

pub(super) fn run(session: &Session, command: KeyCommand) -> Result<()> {
    let backend = &session.backend;
    match command {
        KeyCommand::Create(args) => create(session, args),
        KeyCommand::List => list(session, &backend.keys()?),
        KeyCommand::Revoke { id } => {
            backend.revoke_key(&id)?;
            tell(session, &json!({ "revoked": id }), &format!("revoked {id}"))
        }
        KeyCommand::Rotate { id, keep } => show(session, &backend.rotate_key(&id, keep)?),
    }
}

fn create(session: &Session, args: CreateKeyArgs) -> Result<()> {
    let expires = match args.expires {
        Some(after) => Some(SystemTime::now().checked_add(after).context("--expires: that is too long")?),
        None => None,
    };
    let (claims, limits) = (args.claims()?, args.limits());
    let ask = KeyAsk { name: args.name, grants: args.grants, claims, limits, expires };
    show(session, &session.backend.create_key(ask)?)
}

/// Prints a new key: the key alone on standard output, so that it can be piped to where it is kept.
fn show(session: &Session, made: &MadeKey) -> Result<()> {
    if session.json {
        return output::json(made);
    }
    writeln!(std::io::stderr(), "{}\nThe key is shown this once:", line(&made.key))?;
    writeln!(std::io::stdout(), "{}", made.secret)?;
    Ok(())
}

fn list(session: &Session, keys: &[KeyView]) -> Result<()> {
    if session.json {
        return output::json(&json!({ "keys": keys }));
    }
    keys.iter().try_for_each(|key| writeln!(std::io::stdout(), "{}", line(key)))?;
    Ok(())
}

fn line(key: &KeyView) -> String {
    let KeyView { id, name, grants, expires, previous_until, .. } = key;
    let mut line = format!("{id}  {name}: {}", grants.join("; "));
    if let Some(expires) = expires {
        line += &format!(", ends {expires}");
    }
    if let Some(until) = previous_until {
        line += &format!(", the one before is taken until {until}");
    }
    line
}
