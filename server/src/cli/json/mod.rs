//! Points, values and queries as JSON: what the command line reads and prints.
//!
//! JSON has fewer types than fields have. What is read is taken for what the collection's field is; where it has none, for what
//! it looks like.

mod point;
mod query;
mod value;

pub(crate) use point::{parse_id, point, shown_point, update, vector};
pub(crate) use query::source;
pub(crate) use value::{Types, moment, shown_value, types, value};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value as Json};

/// The object that a JSON value is.
fn object(json: Json, what: &str) -> Result<Map<String, Json>> {
    match json {
        Json::Object(object) => Ok(object),
        other => bail!("{what}: {other} is no object"),
    }
}

/// Numbers.
fn floats(json: Json, what: &str) -> Result<Vec<f32>> {
    serde_json::from_value(json).with_context(|| format!("{what}: no list of numbers"))
}

/// Refuses what is left of an object: a name that is not known is a mistake.
fn nothing_left(object: &Map<String, Json>, what: &str, known: &str) -> Result<()> {
    match object.keys().next() {
        Some(name) => bail!("{what}: there is no `{name}`; there are {known}"),
        None => Ok(()),
    }
}
