//! `ragstone count-tokens`.

use std::io::Write;

use anyhow::Result;

use super::Session;
use crate::cli::args::CountTokensArgs;
use crate::cli::output;

pub(super) fn run(session: &Session, args: &CountTokensArgs) -> Result<()> {
    let texts: Vec<&str> = args.texts.iter().map(String::as_str).collect();
    let counts = session.backend.count_tokens(args.model.as_deref(), &texts)?;
    if session.json {
        return output::json(&counts);
    }
    let mut out = std::io::stdout().lock();
    let most = if counts.estimated { "at most " } else { "" };
    for (text, tokens) in texts.iter().zip(&counts.tokens) {
        writeln!(out, "{most}{tokens}  {:?}", output::snippet(text))?;
    }
    Ok(())
}
