//! Reading and removing documents; [`ingest`](super::ingest) stores them.

use std::ops::Range;

use ragstone::limits::K_MAX;
use ragstone::{Batch, Filter, Point, PointId, ScrollRequest, View};

use super::ingest::{Asked, check_request_id, engine_id};
use super::{Rag, rows};
use crate::error::{Error, Result};
use crate::ingest::{Chunk, ChunkPage, Document, DocumentPage, DocumentRemoval};
use crate::limits::DOCUMENT_ID_BYTES_MAX;
use crate::prompt::check_range;
use crate::reserved::{CONTENT, KIND, KIND_DOCUMENT, SOURCE, chunk_row, document_row};

/// Rows that are read at a time.
pub(super) const READ_BATCH: usize = 1_000;

impl Rag {
    /// A stored document with its text.
    ///
    /// # Errors
    /// [`Error::DocumentNotFound`]; the engine's errors.
    pub fn document(&self, collection: &str, id: &str) -> Result<Document> {
        let view = self.db().collection(collection)?.view();
        rows::document(document_row_of(&view, collection, id)?)
    }

    /// Stored documents, of one source or of all, in the order of their ids. `after` is the id that a page ended with,
    /// `limit` 1 to [`K_MAX`].
    ///
    /// # Errors
    /// The engine's errors, such as an unknown collection or a limit of 0.
    pub fn documents(
        &self,
        collection: &str,
        source: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DocumentPage> {
        let rows = self.db().collection(collection)?;
        let schema = rows.schema();
        check_range("limit", limit, "K_MAX", K_MAX)?;
        if !schema.fields().contains_key(KIND) {
            // Nothing was ever ingested, and the engine knows no such field to filter by.
            return Ok(DocumentPage { documents: Vec::new(), next: None });
        }
        let mut conditions = vec![Filter::AllTenants, Filter::eq(KIND, KIND_DOCUMENT)];
        conditions.extend(source.map(|source| Filter::eq(SOURCE, source)));
        let page = rows.view().scroll(&ScrollRequest {
            filter: Some(Filter::And(conditions)),
            order: None,
            after: after.map(|id| document_row(id).into()),
            limit,
            with_vectors: false,
            fields: Some(schema.fields().keys().filter(|field| *field != CONTENT).cloned().collect()),
        })?;
        let documents = page.points.into_iter().map(rows::document).collect::<Result<Vec<_>>>()?;
        let next = page.next.and(documents.last().map(|document| document.id.clone()));
        Ok(DocumentPage { documents, next })
    }

    /// Removes a document and its chunks; whether there was one.
    ///
    /// # Errors
    /// The engine's errors.
    pub fn delete_document(&self, collection: &str, id: &str) -> Result<bool> {
        Ok(self.remove_document(collection, id, None)?.deleted)
    }

    /// The same, once: within the collection's next [`REQUESTS_REMEMBERED`](ragstone::limits::REQUESTS_REMEMBERED) writes, the same
    /// request, 1 to [`REQUEST_ID_BYTES_MAX`](ragstone::limits::REQUEST_ID_BYTES_MAX) bytes, removes nothing of what was stored
    /// under the document's id since, and has the first answer.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Limit`], naming `request_id`; the engine's errors.
    pub fn delete_document_once(
        &self,
        collection: &str,
        id: &str,
        request_id: &str,
    ) -> Result<DocumentRemoval> {
        check_request_id(request_id)?;
        self.remove_document(collection, id, Some(engine_id(Asked::Delete, id, request_id)))
    }

    fn remove_document(
        &self,
        collection: &str,
        id: &str,
        request: Option<String>,
    ) -> Result<DocumentRemoval> {
        let rows = self.db().collection(collection)?;
        let _turn = rows.exclusive(id);
        let row = get(&rows.view(), document_row(id))?;
        if row.is_none() && request.is_none() {
            return Ok(DocumentRemoval::default());
        }
        let chunks = row.map(rows::document).transpose()?.map_or(0, |document| document.chunks);
        let batch = (0..chunks).fold(Batch::new(), |batch, at| batch.delete(chunk_row(id, at)));
        let batch = Batch { request_id: request, ..batch.delete(document_row(id)) };
        let receipt = rows.write(batch)?;
        Ok(DocumentRemoval { deleted: receipt.deleted > 0, repeated: receipt.repeated })
    }

    /// The chunks of a document, in order, all of one moment.
    ///
    /// # Errors
    /// [`Error::DocumentNotFound`]; the engine's errors.
    pub fn chunks(&self, collection: &str, id: &str) -> Result<Vec<Chunk>> {
        // They are read in several steps, between which none is to expire.
        let view = self.db().collection(collection)?.view().as_of_now();
        let count = rows::document(document_row_of(&view, collection, id)?)?.chunks;
        chunks_at(&view, id, 0..count)
    }

    /// Some of the chunks of a document, in order: those of `limit` places, 1 to [`K_MAX`], from `first` on, all of one moment. No others are read.
    ///
    /// # Errors
    /// [`Error::DocumentNotFound`]; [`Error::Invalid`] and [`Error::Limit`], naming `limit`; the engine's errors.
    pub fn chunk_page(&self, collection: &str, id: &str, first: usize, limit: usize) -> Result<ChunkPage> {
        check_range("limit", limit, "K_MAX", K_MAX)?;
        // A long page is read in several steps, too.
        let view = self.db().collection(collection)?.view().as_of_now();
        let count = rows::document(document_row_of(&view, collection, id)?)?.chunks;
        let end = first.saturating_add(limit).min(count);
        let chunks = chunks_at(&view, id, first.min(end)..end)?;
        Ok(ChunkPage { chunks, next: Some(end).filter(|end| *end < count) })
    }
}

/// The chunks of a document that have these places.
fn chunks_at(view: &View, id: &str, places: Range<usize>) -> Result<Vec<Chunk>> {
    let ids: Vec<PointId> = places.map(|ordinal| chunk_row(id, ordinal)).collect();
    let mut chunks = Vec::with_capacity(ids.len());
    for ids in ids.chunks(READ_BATCH) {
        for point in view.get(ids)?.into_iter().flatten() {
            chunks.push(rows::chunk(point.id, point.payload)?.0);
        }
    }
    Ok(chunks)
}

pub(super) fn get(view: &View, id: PointId) -> Result<Option<Point>> {
    Ok(view.get(&[id])?.into_iter().next().flatten())
}

fn document_row_of(view: &View, collection: &str, id: &str) -> Result<Point> {
    let not_found = || Error::DocumentNotFound { collection: collection.to_owned(), document: id.to_owned() };
    if id.is_empty() || id.len() > DOCUMENT_ID_BYTES_MAX {
        return Err(not_found());
    }
    get(view, document_row(id))?.ok_or_else(not_found)
}
