//! `ragstone collection reembed`.

use anyhow::Result;
use serde_json::json;

use crate::cli::args::ReembedArgs;
use crate::cli::backend::operator::ReembedAsk;
use crate::cli::command::alias::tell;
use crate::cli::command::{Session, operation};

pub(super) fn run(session: &Session, args: &ReembedArgs) -> Result<()> {
    let name = &args.name;
    if args.cancel {
        let given_up = session.backend.abandon_reembed(name)?;
        let line = match given_up {
            true => format!("{name}: given up, it stays with its model"),
            false => format!("{name}: nothing is under way"),
        };
        return tell(session, &json!({ "collection": name, "given_up": given_up }), &line);
    }
    let model = args.model.as_deref().unwrap_or_default();
    let ask = ReembedAsk { name, model, text_field: args.text_field.as_deref() };
    if args.detach {
        return operation::show(session, &session.backend.begin_reembed(&ask)?);
    }
    let result = session.backend.reembed(&ask, session.progress.as_ref())?;
    let line =
        result.iter().fold(format!("{name}: moved"), |line, (what, count)| format!("{line}, {what} {count}"));
    tell(session, &json!({ "collection": name, "result": result }), &line)
}
