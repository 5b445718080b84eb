//! Search by word.

use ragstone_proto::v1;
use ragstone_proto::v1::source;

use crate::source::Source;

/// The points whose texts have the words of a query, scored by BM25 over all points of the collection, exactly.
///
/// ```
/// use ragstone_client::{Query, TextQuery};
///
/// // Any of the words in any text field.
/// let query = Query::by("notes", TextQuery::new("moon landing"), 10);
/// // All of them in one field; what stands in the title counts twice.
/// let words = TextQuery::new("moon landing").field("title", 2.0).field("body", 1.0).all_terms(true);
/// let query = Query::by("notes", words, 10);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TextQuery {
    wire: v1::TextQuery,
}

impl TextQuery {
    /// Any of these words, analysed as the fields' texts are, in any text field.
    pub fn new(query: impl Into<String>) -> Self {
        Self { wire: v1::TextQuery { query: query.into(), ..Default::default() } }
    }

    /// In this field too, of 256 at most, whose score is multiplied by so much, 0.001 to 1,000.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, boost: f32) -> Self {
        self.wire.fields.push(v1::BoostedField { field: field.into(), boost: Some(boost) });
        self
    }

    /// Whether one field must have all of the words.
    #[must_use]
    pub fn all_terms(mut self, all_terms: bool) -> Self {
        self.wire.all_terms = all_terms;
        self
    }
}

impl From<TextQuery> for Source {
    fn from(source: TextQuery) -> Self {
        Source::of(source::Source::Text(source.wire))
    }
}
