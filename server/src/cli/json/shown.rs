//! What is printed of points.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// A value as it is printed.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Value(Json),
    /// A JSON text, as it was written but for the white space between.
    Text(Box<RawValue>),
}

impl Shown {
    /// A stored JSON text.
    pub(super) fn text(text: &str) -> Self {
        match RawValue::from_string(without_space(text)) {
            Ok(raw) => Shown::Text(raw),
            // Not what any write leaves.
            Err(_) => Shown::Value(text.into()),
        }
    }

    /// The text that it is, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Shown::Value(json) => json.as_str(),
            Shown::Text(_) => None,
        }
    }

    /// The number that it is, if it is one.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Shown::Value(json) => json.as_u64(),
            Shown::Text(_) => None,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Value(json) => json.fmt(f),
            Shown::Text(raw) => raw.fmt(f),
        }
    }
}

/// A point as it is printed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShownPoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Json>,
    pub(crate) id: Json,
    pub(crate) payload: BTreeMap<String, Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vector: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) vectors: BTreeMap<String, Json>,
}

/// A JSON text without white space, and so on one line, but for that in its strings.
fn without_space(text: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    let stays = |character: &char| {
        match (in_string, character) {
            (true, _) if is_escaped => is_escaped = false,
            (true, '\\') => is_escaped = true,
            (_, '"') => in_string = !in_string,
            _ => {}
        }
        in_string || !matches!(character, ' ' | '\t' | '\n' | '\r')
    };
    text.chars().filter(stays).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_text_is_printed_on_one_line_and_is_otherwise_as_it_was_written() {
        let text =
            "{\n\t\"z\" : [ 1.0, 1e400 , 12345678901234567890123 ],\r\n \"a\": \"x \\\" \\\\\", \"ü\": { } }";
        let shown = Shown::text(text);
        let printed = r#"{"z":[1.0,1e400,12345678901234567890123],"a":"x \" \\","ü":{}}"#;
        assert_eq!(serde_json::to_string(&shown).unwrap(), printed);
        assert_eq!(shown.to_string(), printed);
        let within = serde_json::to_string(&BTreeMap::from([("f", [shown])])).unwrap();
        assert_eq!(within, format!(r#"{{"f":[{printed}]}}"#));
        assert_eq!(Shown::text("{").to_string(), "\"{\"");
    }
}
