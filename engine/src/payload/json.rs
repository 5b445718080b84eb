//! JSON texts as values.

use serde_core::de::IgnoredAny;

use crate::error::{Error, Result};

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
    /// [`Error::Invalid`], saying where the text is no JSON.
    pub fn new(text: impl Into<String>) -> Result<Json> {
        let text = text.into();
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => Ok(Json(text)),
            Err(error) => Err(Error::invalid("json", error.to_string())),
        }
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
