//! An embedded document into its collection, in one batch.

use ragstone::Batch;

use super::super::rows;
use super::prepare::{Pending, Preparation, VectorOf};
use super::request::repeated;
use crate::error::Result;
use crate::ingest::{IngestReport, IngestStatus};
use crate::reserved::chunk_row;

impl Preparation {
    /// Writes a document that is embedded whole.
    pub(super) fn commit(&self, pending: Pending) -> Result<IngestReport> {
        let Pending {
            head, passages, vectors, embedded, tokens, kept, stored_etag, request, mut stages, ..
        } = pending;
        let _turn = self.collection.exclusive(&head.id);
        let stored = self.stored(&head.id)?;
        if let Some(stored) = stored.as_ref().filter(|stored| self.is_unchanged(stored, &head)) {
            // Somebody else stored the same meanwhile.
            return self.leave(stored, request.as_ref(), stages);
        }
        let status = if stored.is_some() { IngestStatus::Replaced } else { IngestStatus::Added };
        // Rows may be left as they are only if they are the ones that were compared.
        let is_as_compared = stored.as_ref().and_then(|stored| stored.etag) == stored_etag;
        let first = request.as_ref().and_then(|request| request.first(stored.as_ref()));
        let before = stored.map(rows::document).transpose()?.map_or(0, |document| document.chunks);
        let chunks = passages.len();
        let mut batch =
            (chunks..before).fold(Batch::new(), |batch, at| batch.delete(chunk_row(&head.id, at)));
        for ((passage, vector), is_stored) in passages.into_iter().zip(vectors).zip(kept.rows) {
            if is_stored && is_as_compared {
                continue;
            }
            let vector = match vector {
                VectorOf::Stored(vector) => vector,
                VectorOf::Text(at) => embedded[at].clone(),
            };
            batch = batch.upsert(rows::chunk_point(&head, passage, vector));
        }
        let mut report = IngestReport {
            status,
            chunks,
            chunks_added: chunks - kept.chunks,
            chunks_kept: kept.chunks,
            chunks_removed: kept.before - kept.chunks,
            embedded: embedded.len(),
            tokens,
            timings_ms: Vec::new(),
            repeated: false,
        };
        let mut row = rows::document_point(&head, &self.pipeline);
        if let Some(request) = &request {
            row = request.noted(row, &report)?;
            batch = request.once(batch);
        }
        let receipt = self.collection.write(batch.upsert(row))?;
        stages.end("store");
        if receipt.repeated {
            return Ok(repeated(first, receipt, stages));
        }
        report.timings_ms = stages.finish();
        Ok(report)
    }
}
