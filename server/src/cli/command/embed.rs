//! `ragstone embed`.

use std::io::Write;

use anyhow::Result;

use super::Session;
use crate::cli::args::EmbedArgs;
use crate::cli::output;

/// Components that a person is shown.
const COMPONENTS_SHOWN: usize = 6;

pub(super) fn run(session: &Session, args: &EmbedArgs) -> Result<()> {
    let texts: Vec<&str> = args.texts.iter().map(String::as_str).collect();
    let embedded =
        session.backend.embed(args.model.as_deref(), &texts, args.role.into(), args.on_overflow.into())?;
    if session.json {
        return output::json(&embedded);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} · {} dimensions", embedded.model, embedded.dimension)?;
    for (index, vector) in embedded.vectors.iter().enumerate() {
        let shown: Vec<String> =
            vector.iter().take(COMPONENTS_SHOWN).map(|component| format!("{component:.4}")).collect();
        let cut = if embedded.truncated[index] { ", cut" } else { "" };
        let (text, tokens) = (output::snippet(texts[index]), embedded.token_counts[index]);
        writeln!(out, "{text:?} ({tokens} tokens{cut}): [{}, …]", shown.join(", "))?;
    }
    writeln!(out, "(--json prints every component)")?;
    Ok(())
}
