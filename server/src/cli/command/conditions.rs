//! Which rows a command is about: `--filter` and `--where`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ragstone::{FieldType, Filter, ParseError};

use super::{Session, assignment};
use crate::cli::args::Conditions;
use crate::cli::backend::CollectionView;

impl Conditions {
    /// The filter that all of them make, over the fields of a collection; none where nothing is asked.
    pub(super) fn filter(&self, session: &Session, collection: &str) -> Result<Option<Filter>> {
        let mut terms = Vec::new();
        for text in &self.conditions {
            let (name, value) = assignment("--where", text)?;
            terms.push(Filter::Eq(name, value));
        }
        if let Some(text) = &self.filter {
            let found = session.backend.collection(collection)?;
            terms.push(parsed(text, found.as_ref()).context("--filter")?);
        }
        Ok(match terms.len() {
            0 => None,
            1 => terms.pop(),
            _ => Some(Filter::And(terms)),
        })
    }
}

/// A filter over the fields of a collection.
pub(super) fn parsed(text: &str, found: Option<&CollectionView>) -> Result<Filter, ParseError> {
    match found {
        Some(found) => {
            Filter::parse_for_texts(text, &typed(&found.fields), |field| found.texts.contains_key(field))
        }
        // The command itself says that there is no such collection.
        None => Filter::parse(text),
    }
}

fn typed(fields: &BTreeMap<String, String>) -> BTreeMap<String, FieldType> {
    let typed = |(name, kind): (&String, &String)| Some((name.clone(), field_type(kind)?));
    fields.iter().filter_map(typed).collect()
}

/// The type of this name.
pub(super) fn field_type(name: &str) -> Option<FieldType> {
    Some(match name {
        "bool" => FieldType::Bool,
        "int" => FieldType::Int,
        "float" => FieldType::Float,
        "string" => FieldType::String,
        "timestamp" => FieldType::Timestamp,
        "strings" => FieldType::Strings,
        "geo" => FieldType::Geo,
        "json" => FieldType::Json,
        _ => return None,
    })
}
