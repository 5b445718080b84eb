//! `ragstone collection restore`.

use anyhow::Result;
use serde_json::json;

use crate::cli::args::RestoreCollectionArgs;
use crate::cli::backend::operator::RestoreAsk;
use crate::cli::command::alias::tell;
use crate::cli::command::{Session, operation};

pub(super) fn run(session: &Session, args: &RestoreCollectionArgs) -> Result<()> {
    let ask = RestoreAsk {
        collection: &args.name,
        store: args.from.as_deref(),
        snapshot: args.snapshot.as_deref(),
        name: args.to.as_deref().unwrap_or(&args.name),
        replace: args.replace,
    };
    if args.detach {
        return operation::show(session, &session.backend.begin_restore(&ask)?);
    }
    let result = session.backend.restore_collection(&ask, session.progress.as_ref())?;
    let line = format!("{}: restored", ask.name);
    let line = result.iter().fold(line, |line, (what, value)| format!("{line}, {what} {value}"));
    tell(session, &json!({ "collection": ask.name, "result": result }), &line)
}
