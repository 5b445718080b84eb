//! Which rows a command is about: `--filter` and `--where`.

use anyhow::{Context, Result, bail};
use ragstone::{FieldType, Filter, ParseError};

use super::Session;
use crate::cli::args::Conditions;
use crate::cli::backend::CollectionView;
use crate::cli::json::{self, Types};

impl Conditions {
    /// The filter that all of them make, over the fields of a collection; none where nothing is asked.
    pub(super) fn filter(&self, session: &Session, collection: &str) -> Result<Option<Filter>> {
        if self.conditions.is_empty() && self.filter.is_none() {
            return Ok(None);
        }
        let found = session.backend.collection(collection)?;
        let types = found.as_ref().map(|found| json::types(&found.fields)).unwrap_or_default();
        let mut terms = Vec::new();
        for text in &self.conditions {
            terms.push(condition(text, &types)?);
        }
        if let Some(text) = &self.filter {
            terms.push(parsed(text, found.as_ref()).context("--filter")?);
        }
        Ok(match terms.len() {
            0 => None,
            1 => terms.pop(),
            _ => Some(Filter::And(terms)),
        })
    }
}

/// `NAME=VALUE`; the value is read as what the field is.
fn condition(text: &str, types: &Types) -> Result<Filter> {
    let (name, value) =
        text.split_once('=').with_context(|| format!("--where {text}: write it as NAME=VALUE"))?;
    if name.is_empty() {
        bail!("--where {text}: the name is empty; write it as NAME=VALUE");
    }
    let value = json::typed(value, types.get(name).copied(), &format!("--where {name}"))?;
    Ok(Filter::Eq(name.to_owned(), value))
}

/// A filter over the fields of a collection.
pub(super) fn parsed(text: &str, found: Option<&CollectionView>) -> Result<Filter, ParseError> {
    match found {
        Some(found) => Filter::parse_for_texts(text, &json::types(&found.fields), |field| {
            found.texts.contains_key(field)
        }),
        // The command itself says that there is no such collection.
        None => Filter::parse(text),
    }
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

#[cfg(test)]
mod tests {
    use ragstone::Value;

    use super::*;

    /// A whole number of a float field, a time, a string of digits and the key of a tenant were once taken for what they look like, and refused.
    #[test]
    fn values_are_of_the_types_of_their_fields() {
        let types = [
            ("price", FieldType::Float),
            ("at", FieldType::Timestamp),
            ("lang", FieldType::String),
            ("draft", FieldType::Bool),
            ("year", FieldType::Int),
        ];
        let types: Types = types.map(|(name, field_type)| (name.to_owned(), field_type)).into();
        for (text, name, value) in [
            ("price=0", "price", Value::Float(0.0)),
            ("at=1970-01-01T00:00:01Z", "at", Value::Timestamp(1_000_000)),
            ("at=7", "at", Value::Timestamp(7)),
            ("lang=2024", "lang", Value::from("2024")),
            ("lang=\"2024\"", "lang", Value::from("2024")),
            ("lang=a=b", "lang", Value::from("a=b")),
            ("lang=", "lang", Value::from("")),
            ("draft=true", "draft", Value::Bool(true)),
            ("year=2024", "year", Value::Int(2_024)),
            ("other=2024", "other", Value::Int(2_024)),
            ("other=x", "other", Value::from("x")),
        ] {
            assert_eq!(condition(text, &types).unwrap(), Filter::Eq(name.to_owned(), value), "{text}");
        }
        for (text, reason) in [
            ("price=dear", "--where price: the field is float, the value is \"dear\""),
            ("year=1.5", "--where year: the field is int, the value is 1.5"),
            ("at=soon", "--where at: \"soon\" is no time"),
            ("draft=1", "--where draft: the field is bool"),
            ("year", "--where year: write it as NAME=VALUE"),
            ("=1", "--where =1: the name is empty"),
        ] {
            let error = condition(text, &types).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
