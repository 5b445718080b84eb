//! Documents that are stored and removed once, however often a request asks for it.
//!
//! **Problem.** Who asked and heard no answer asks again, and would undo what another has stored under the same id meanwhile, or be told
//! of another outcome than the first one. **Idea.** What a request writes carries its id, and the engine does such a write once
//! ([`Batch::request_id`](ragstone::Batch::request_id)). The id that the engine gets is made of the caller's, of the document's and of
//! what is asked for, so that one id may go with many documents, and neither meets the ids of points. What storing a document did is kept in its
//! row, by the same write. A document that is left alone is a write of nothing, for its request to be remembered.
//!
//! **Cost.** A request that was done before is found out only where it would be written: its document is embedded again if it is another
//! that is stored by then.

use ragstone::limits::REQUEST_ID_BYTES_MAX;
use ragstone::{Batch, Point, Value, WriteReceipt};
use serde::{Deserialize, Serialize};

use super::prepare::{Preparation, unchanged};
use crate::error::{Error, Result};
use crate::ingest::{IngestReport, IngestStatus, content_sha256};
use crate::prompt::check_max;
use crate::rag::timing::Stages;
use crate::reserved::{REQUEST, document_row};

/// A request to store a document.
pub(super) struct Request {
    /// Its id, as the engine has it.
    id: String,
}

/// What a request did to a document, as its row keeps it.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    request: String,
    is_new: bool,
    chunks: usize,
    chunks_added: usize,
    chunks_kept: usize,
    chunks_removed: usize,
    embedded: usize,
    tokens: usize,
}

/// What is asked for of a document.
#[derive(Clone, Copy, Debug)]
pub(in crate::rag) enum Asked {
    Ingest,
    Delete,
}

impl Asked {
    /// Part of ids that are kept: it stays what it is.
    fn name(self) -> &'static str {
        match self {
            Asked::Ingest => "ingest",
            Asked::Delete => "delete",
        }
    }
}

/// Refuses an id that is none.
pub(in crate::rag) fn check_request_id(id: &str) -> Result<()> {
    if id.is_empty() {
        let reason = "it must not be empty".to_owned();
        return Err(Error::Invalid { field: "request_id".to_owned(), reason });
    }
    check_max("request_id", id.len(), "REQUEST_ID_BYTES_MAX", REQUEST_ID_BYTES_MAX)
}

/// The id of a request about a document, as the engine has it.
pub(in crate::rag) fn engine_id(asked: Asked, document: &str, request_id: &str) -> String {
    // The length tells where the document's id ends.
    let whole = format!("{} {} {document} {request_id}", asked.name(), document.len());
    format!("doc:{}", content_sha256(whole.as_bytes()))
}

impl Request {
    /// The request of this id to store a document.
    pub(super) fn new(document: &str, request_id: &str) -> Request {
        Request { id: engine_id(Asked::Ingest, document, request_id) }
    }

    /// A batch that is written once.
    pub(super) fn once(&self, batch: Batch) -> Batch {
        batch.request(self.id.as_str())
    }

    /// The row of the document that it stores, with what that did.
    pub(super) fn noted(&self, row: Point, report: &IngestReport) -> Result<Point> {
        let note = Note {
            request: self.id.clone(),
            is_new: report.status == IngestStatus::Added,
            chunks: report.chunks,
            chunks_added: report.chunks_added,
            chunks_kept: report.chunks_kept,
            chunks_removed: report.chunks_removed,
            embedded: report.embedded,
            tokens: report.tokens,
        };
        let note = serde_json::to_string(&note).map_err(|error| Error::Invalid {
            field: "request_id".to_owned(),
            reason: format!("what it did cannot be kept: {error}"),
        })?;
        Ok(row.with(REQUEST, note))
    }

    /// What it did, if the document is stored as it left it.
    pub(super) fn first(&self, stored: Option<&Point>) -> Option<IngestReport> {
        let note = stored?.payload.get(REQUEST).and_then(Value::as_str)?;
        let note: Note = serde_json::from_str(note).ok()?;
        (note.request == self.id).then(|| IngestReport {
            status: if note.is_new { IngestStatus::Added } else { IngestStatus::Replaced },
            chunks: note.chunks,
            chunks_added: note.chunks_added,
            chunks_kept: note.chunks_kept,
            chunks_removed: note.chunks_removed,
            embedded: note.embedded,
            tokens: note.tokens,
            timings_ms: Vec::new(),
            repeated: true,
        })
    }
}

/// The answer to a request that was done before: the first one, or what is known of it where the document was changed since.
pub(super) fn repeated(first: Option<IngestReport>, receipt: WriteReceipt, stages: Stages) -> IngestReport {
    let first = first.unwrap_or_else(|| IngestReport {
        status: if receipt.upserted == 0 { IngestStatus::Unchanged } else { IngestStatus::Replaced },
        chunks: 0,
        chunks_added: 0,
        chunks_kept: 0,
        chunks_removed: 0,
        embedded: 0,
        tokens: 0,
        timings_ms: Vec::new(),
        repeated: true,
    });
    IngestReport { timings_ms: stages.finish(), ..first }
}

impl Preparation {
    /// Leaves a document as it is stored.
    pub(super) fn leave(
        &self,
        stored: &Point,
        request: Option<&Request>,
        stages: Stages,
    ) -> Result<IngestReport> {
        let Some(request) = request else { return Ok(unchanged(stored, stages)) };
        // No document has an empty id, so nothing is removed.
        let receipt = self.collection.write(request.once(Batch::new().delete(document_row(""))))?;
        Ok(match request.first(Some(stored)) {
            _ if !receipt.repeated => unchanged(stored, stages),
            None if receipt.upserted == 0 => IngestReport { repeated: true, ..unchanged(stored, stages) },
            first => repeated(first, receipt, stages),
        })
    }
}
