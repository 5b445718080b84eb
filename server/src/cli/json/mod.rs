//! Points, values and queries as JSON: what the command line reads and prints.
//!
//! JSON has fewer types than fields have. What is read is taken for what the collection's field is; where it has none, for what
//! it looks like.
//!
//! **What is a field's value stays as it was written.** A JSON value is kept as its text, with the order of its names and every digit
//! of its numbers, and is printed so, without the white space between. A number is taken for what the field is only if it is that: whole numbers
//! that no int or float is, and such beyond all floats, are refused; a fraction is the float next to it.

mod names;
mod places;
mod point;
mod query;
mod shown;
mod value;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

pub(crate) use names::unambiguous;
pub(crate) use places::Places;
pub(crate) use point::{parse_id, point, shown_point, update, vector};
pub(crate) use query::{query, source};
pub(crate) use shown::{Shown, ShownPoint};
pub(crate) use value::{Types, moment, shown_payload, shown_value, typed, types};
pub(crate) use write::write;

use anyhow::{Context, Result, bail};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

/// Characters of a text that an error shows.
const SHOWN_CHARS: usize = 120;

/// The parts of an object, each as it was written.
pub(crate) type RawObject = BTreeMap<String, Box<RawValue>>;

/// The object that a JSON text is. A name that stands twice is refused: nobody knows which of the two is meant.
fn raw_object(raw: &RawValue, what: &str) -> Result<RawObject> {
    if !raw.get().starts_with('{') {
        bail!("{what}: {} is no object", beginning(raw.get()));
    }
    let Entries(entries) = serde_json::from_str(raw.get()).with_context(|| what.to_owned())?;
    let mut object = RawObject::new();
    for (name, part) in entries {
        if object.contains_key(&name) {
            bail!("{what}: the name `{name}` stands twice");
        }
        object.insert(name, part);
    }
    Ok(object)
}

/// The parts of an object in their order, of which a map would keep the last of each name.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor).map(Entries)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// What a JSON text says, where nothing of it is kept as it was written.
fn parsed(raw: &RawValue, what: &str) -> Result<Json> {
    unambiguous(raw.get()).with_context(|| format!("{what}: {}", beginning(raw.get())))
}

/// The beginning of a text, for an error: a line may be a whole file.
fn beginning(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]).into(),
        None => text.into(),
    }
}

/// Whether it stands for nothing.
fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The object that a JSON value is.
fn object(json: Json, what: &str) -> Result<Map<String, Json>> {
    match json {
        Json::Object(object) => Ok(object),
        other => bail!("{what}: {} is no object", beginning(&other.to_string())),
    }
}

/// Numbers.
fn floats(json: Json, what: &str) -> Result<Vec<f32>> {
    serde_json::from_value(json).with_context(|| format!("{what}: no list of numbers"))
}

/// Refuses what is left of an object: a name that is not known is a mistake.
fn nothing_left<'a>(mut left: impl Iterator<Item = &'a String>, what: &str, known: &str) -> Result<()> {
    match left.next() {
        Some(name) => bail!("{what}: there is no `{name}`; there are {known}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
