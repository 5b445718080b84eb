//! Files of records, each of which is to be a document.

use ragstone_proto::v1;

use crate::point::Value;

/// How a file of records is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFormat {
    /// JSON Lines: an object a line.
    JsonLines,
    /// Comma-separated values, names in the first row.
    Csv,
    /// The same with tabs for commas.
    Tsv,
}

/// A file of records to store.
///
/// ```
/// use ragstone_client::{IngestRecords, RecordFormat};
///
/// let file = "key,question,answer,year\n1,Where?,Here.,2026\n";
/// let faq = IngestRecords::new("notes", "faq.csv", RecordFormat::Csv, file)
///     .id_field("key")
///     .text_fields(["question", "answer"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct IngestRecords {
    wire: v1::IngestRecordsRequest,
}

impl IngestRecords {
    /// A file of at most 16 MiB, called by a name of 1 to 400 bytes; a record's document is `FILE#ID`.
    pub fn new(
        collection: impl Into<String>,
        file: impl Into<String>,
        format: RecordFormat,
        content: impl Into<Vec<u8>>,
    ) -> Self {
        let content: Vec<u8> = content.into();
        let format = match format {
            RecordFormat::JsonLines => v1::RecordFormat::JsonLines,
            RecordFormat::Csv => v1::RecordFormat::Csv,
            RecordFormat::Tsv => v1::RecordFormat::Tsv,
        };
        Self {
            wire: v1::IngestRecordsRequest {
                collection: collection.into(),
                file: file.into(),
                format: format.into(),
                content: content.into(),
                ..Default::default()
            },
        }
    }

    /// What the documents belong to, at most 400 bytes; nothing by default.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.wire.source = source.into();
        self
    }

    /// The field that is a record's id; by default `id` or `_id`, and the record's number where there is none.
    #[must_use]
    pub fn id_field(mut self, field: impl Into<String>) -> Self {
        self.wire.id_field = field.into();
        self
    }

    /// The field that is a record's title; `title` by default.
    #[must_use]
    pub fn title_field(mut self, field: impl Into<String>) -> Self {
        self.wire.title_field = field.into();
        self
    }

    /// The fields that are a record's text, joined by blank lines; by default the first of `text`, `content` and `body` that it has.
    #[must_use]
    pub fn text_fields<F: Into<String>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.wire.text_fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// A field that every document gets, unless the record has one of this name.
    #[must_use]
    pub fn metadata(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.wire.metadata.insert(field.into(), value.into().into_wire());
        self
    }

    pub(crate) fn into_wire(self) -> v1::IngestRecordsRequest {
        self.wire
    }
}

/// What became of a file of records.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IngestedRecords {
    /// Documents that are new.
    pub added: usize,
    /// Documents whose earlier version is gone.
    pub replaced: usize,
    /// Documents that were there already, as they are.
    pub unchanged: usize,
    /// Records that were left out.
    pub failed: usize,
    /// The first 100 of those.
    pub failures: Vec<RecordFailure>,
    /// Chunks that the documents have now.
    pub chunks: u64,
    /// Of these, those that keep their vectors.
    pub chunks_kept: u64,
    /// Texts that were embedded.
    pub embedded: u64,
    /// Tokens embedded.
    pub tokens: u64,
}

/// A record that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFailure {
    /// The id that its document would have; empty if it has none that can be read.
    pub id: String,
    /// Why.
    pub reason: String,
}

impl IngestedRecords {
    pub(crate) fn from_wire(wire: v1::IngestRecordsResponse) -> IngestedRecords {
        let failure = |failure: v1::RecordFailure| RecordFailure { id: failure.id, reason: failure.reason };
        IngestedRecords {
            added: wire.added as usize,
            replaced: wire.replaced as usize,
            unchanged: wire.unchanged as usize,
            failed: wire.failed as usize,
            failures: wire.failures.into_iter().map(failure).collect(),
            chunks: wire.chunks,
            chunks_kept: wire.chunks_kept,
            embedded: wire.embedded,
            tokens: wire.tokens,
        }
    }
}
