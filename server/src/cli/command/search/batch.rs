//! `ragstone search --batch`: many queries at once.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ragstone::Filter;
use ragstone::query::Names;
use serde_json::json;

use super::super::{Session, conditions, lines};
use crate::cli::args::SearchArgs;
use crate::cli::backend::{CollectionView, QueryAsk};
use crate::cli::json::{self, Places};
use crate::cli::output;

/// The list of queries, as errors name it.
const QUERIES: &str = "queries";

pub(super) fn run(session: &Session, file: &Path, args: &SearchArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    let found = session.backend.collection(collection)?;
    let filter = args.conditions.filter(session, collection)?;
    let (mut asks, mut places) = (Vec::new(), Places::default());
    for line in lines(file)? {
        let (place, raw) = line?;
        let ask = json::unambiguous(raw.get())
            .map_err(anyhow::Error::from)
            .and_then(|json| ask(json, found.as_ref(), filter.as_ref(), args));
        asks.push(ask.with_context(|| place.clone())?);
        places.push(QUERIES, place);
    }
    if asks.is_empty() {
        bail!("--batch {}: there is no query", file.display());
    }
    let answers = session.backend.query_batch(collection, &asks).map_err(|error| places.of(error))?;
    if session.json {
        return output::json(&json!({ "answers": answers }));
    }
    for (place, found) in places.all(QUERIES).iter().zip(&answers) {
        writeln!(std::io::stdout(), "{place}")?;
        super::show(found)?;
    }
    Ok(())
}

/// The query of a line; what it does not say is as the arguments have it.
fn ask(
    line: serde_json::Value,
    found: Option<&CollectionView>,
    filter: Option<&Filter>,
    args: &SearchArgs,
) -> Result<QueryAsk> {
    let line = json::query(line)?;
    let own = line.filter.map(|text| conditions::parsed(&text, found).context("filter")).transpose()?;
    let filter = match (filter.cloned(), own) {
        (Some(of_all), Some(own)) => Some(Filter::And(vec![of_all, own])),
        (of_all, own) => of_all.or(own),
    };
    let mut ask = super::query(line.source, filter, args);
    ask.k = line.k.unwrap_or(ask.k);
    ask.threshold = line.threshold.or(ask.threshold);
    if let Some(fields) = line.fields {
        ask.select.fields = if fields.is_empty() { Names::None } else { Names::Only(fields) };
    }
    Ok(ask)
}
