//! JSON texts as values.

use serde_core::de::IgnoredAny;

use crate::error::{Error, Result};
use crate::limits::{JSON_DEPTH_MAX, check_limit};

/// A JSON text: valid, and kept as it was given, spaces and order included. Two are equal if their texts are.
///
/// Through serde, as rows of a user's own type go, it is the value that the text says: that has neither the order of names nor
/// digits beyond an `i64` or an `f64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Json(String);

impl Json {
    /// Takes a text that is JSON (RFC 8259), nested less than 128 deep.
    ///
    /// ```
    /// use ragstone::Json;
    ///
    /// assert!(Json::new(r#"{"pages": [1, 2], "draft": null}"#).is_ok());
    /// let error = Json::new("{pages: 1}").unwrap_err();
    /// assert_eq!(error.to_string(), "json: key must be a string at line 1 column 2");
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`], saying where the text is no JSON; [`Error::Limit`] of one that is nested deeper than
    /// [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX).
    pub fn new(text: impl Into<String>) -> Result<Json> {
        let text = text.into();
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => Json::written(text),
            Err(error) => Err(Error::invalid("json", error.to_string())),
        }
    }

    /// A text that a writer of JSON made: valid, and not nested too deep, or refused.
    pub(crate) fn written(text: String) -> Result<Json> {
        check_limit("json", "JSON_DEPTH_MAX", JSON_DEPTH_MAX, depth(&text))?;
        Ok(Json(text))
    }

    /// A text that was valid when it was written.
    pub(crate) fn stored(text: String) -> Json {
        Json(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, which is not copied.
    ///
    /// ```
    /// let json = ragstone::Json::new(r#"{"pages": [1, 2]}"#).unwrap();
    /// assert_eq!(json.into_string(), r#"{"pages": [1, 2]}"#);
    /// ```
    pub fn into_string(self) -> String {
        self.0
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many lists and objects are within each other, in a text that is JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was nested deeper was taken, and could not be read into a user's type any more.
    #[test]
    fn a_text_is_nested_as_deep_as_it_can_be_read() {
        let nested = |depth: usize| format!("{}\"[\\\"[\"{}", "[".repeat(depth), "]".repeat(depth));
        let most = Json::new(nested(JSON_DEPTH_MAX)).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(most.as_str()).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&nested(JSON_DEPTH_MAX + 1)).is_err());
        let error = Json::new(nested(JSON_DEPTH_MAX + 1)).unwrap_err().to_string();
        assert_eq!(error, "json: 128 is beyond the limit JSON_DEPTH_MAX = 127");
        let side_by_side = format!("[{}]", vec!["{\"a\": []}"; 200].join(", "));
        assert_eq!(depth(&side_by_side), 3);
    }
}
