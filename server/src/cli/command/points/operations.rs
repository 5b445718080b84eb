//! `ragstone points write`: operations of every kind, all or none.

use anyhow::{Context, Result};

use super::write::{told, types};
use crate::cli::args::OperationsArgs;
use crate::cli::command::{Session, unmarked};
use crate::cli::json;

pub(super) fn run(session: &Session, args: OperationsArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    let types = types(session, collection)?;
    let name = args.file.display().to_string();
    let text = match name.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(&args.file),
    };
    let text = text.with_context(|| name.clone())?;
    let (mut batch, places) = json::write(unmarked(&text), &name, &types)?;
    batch.request_id = args.request_id.or(batch.request_id);
    let written = session.backend.write(collection, batch).map_err(|error| places.of(error))?;
    told(session, &written, "written, changed or removed")
}
