//! Storing, reading and removing documents.
//!
//! A document and its chunks change in one atomic batch, so a reader sees the old version or the new one whole. The slow
//! part, embedding, holds no lock. The batch is made in a turn of its own ([`Collection::exclusive`]), from what is stored at
//! that moment: of two writers of one document, through whatever [`Rag`] over the database, the later one replaces the whole of
//! the earlier one's work, whatever either saw when it began.

use ragstone::limits::K_MAX;
use ragstone::{Batch, Collection, Filter, Point, PointId, ScrollRequest, Value, View};

use super::timing::Stages;
use super::{Rag, contract, rows};
use crate::embed::{Embedder, ModelInfo, Overflow, Role};
use crate::error::{Error, Result};
use crate::ingest::extract::{self, EXTRACT_VERSION};
use crate::ingest::split::{self, Passage, SPLIT_VERSION};
use crate::ingest::{
    Chunk, ChunkOptions, Document, DocumentInput, DocumentPage, IngestReport, IngestStatus, MediaType,
    content_sha256,
};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, METADATA_BYTES_MAX};
use crate::prompt::check_max;
use crate::reserved::{self, CONTENT, KIND, KIND_DOCUMENT, SOURCE, chunk_row, document_row};

/// Chunks that are embedded at a time: enough to fill a model's batches, few enough that a query which comes in between
/// waits for a fraction of a second.
const EMBED_BATCH: usize = 16;
/// Rows that are read at a time.
const READ_BATCH: usize = 1_000;

impl Rag {
    /// Stores a document: extract, split, embed, and one atomic write. A document that is stored already with the same
    /// content, source, metadata and media type, made the same way, is left alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Limit`], naming the part of the document; [`Error::NotText`];
    /// [`Error::NoModel`]; [`Error::ModelMismatch`] and what else loading the model gives; the engine's errors. Then
    /// what was stored before is still there.
    pub fn ingest(&self, collection: &str, document: DocumentInput) -> Result<IngestReport> {
        let mut stages = Stages::begin();
        let media_type = validate(&document)?;
        let (rows, model) = self.text_collection(collection)?;
        let chunking = contract::chunking(collection, &rows.schema())?;
        let write = Write {
            collection: &rows,
            pipeline: pipeline(&model, &chunking),
            head: Document {
                content_sha256: content_sha256(&document.content),
                id: document.id,
                title: document.title,
                source: document.source,
                media_type,
                text: String::new(),
                chunks: 0,
                metadata: document.metadata,
            },
        };
        if let Some(stored) = write.stored()?.filter(|stored| write.is_unchanged(stored)) {
            return Ok(unchanged(&stored, stages));
        }
        let text = extract::text(&write.head.id, media_type, &document.content)?;
        drop(document.content);
        stages.end("extract");
        let embedder = self.load(collection, &model)?;
        let passages = split::split(
            split::Source { document: &write.head.id, title: &write.head.title, text: &text, media_type },
            &chunking,
            embedder.as_ref(),
        )?;
        stages.end("split");
        let (points, tokens) = write.embed(passages, embedder.as_ref())?;
        stages.end("embed");
        write.store(text, points, tokens, stages)
    }

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
        if limit == 0 {
            return Err(Error::Invalid {
                field: "limit".to_owned(),
                reason: format!("it must be 1 to {K_MAX}"),
            });
        }
        check_max("limit", limit, "K_MAX", K_MAX)?;
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
        let rows = self.db().collection(collection)?;
        let _turn = rows.exclusive(id);
        let Some(row) = get(&rows.view(), document_row(id))? else { return Ok(false) };
        let chunks = rows::document(row)?.chunks;
        let batch = (0..chunks).fold(Batch::new(), |batch, at| batch.delete(chunk_row(id, at)));
        rows.write(batch.delete(document_row(id)))?;
        Ok(true)
    }

    /// The chunks of a document, in order.
    ///
    /// # Errors
    /// [`Error::DocumentNotFound`]; the engine's errors.
    pub fn chunks(&self, collection: &str, id: &str) -> Result<Vec<Chunk>> {
        let view = self.db().collection(collection)?.view();
        let count = rows::document(document_row_of(&view, collection, id)?)?.chunks;
        let ids: Vec<PointId> = (0..count).map(|ordinal| chunk_row(id, ordinal)).collect();
        let mut chunks = Vec::with_capacity(count);
        for ids in ids.chunks(READ_BATCH) {
            for point in view.get(ids)?.into_iter().flatten() {
                chunks.push(rows::chunk(point.id, point.payload)?.0);
            }
        }
        Ok(chunks)
    }
}

/// A document on its way into a collection.
struct Write<'a> {
    collection: &'a Collection,
    /// The document without its text and the number of its chunks.
    head: Document,
    pipeline: String,
}

impl Write<'_> {
    /// The row of the document as it is stored now.
    fn stored(&self) -> Result<Option<Point>> {
        get(&self.collection.view(), document_row(&self.head.id))
    }

    fn is_unchanged(&self, stored: &Point) -> bool {
        rows::pipeline(stored) == Some(self.pipeline.as_str())
            && rows::document(stored.clone()).is_ok_and(|stored| {
                let head = Document { text: String::new(), chunks: 0, ..stored };
                head == self.head
            })
    }

    /// The chunks' rows, and the tokens that the model read.
    fn embed(&self, passages: Vec<Passage>, embedder: &dyn Embedder) -> Result<(Vec<Point>, usize)> {
        let (mut points, mut tokens) = (Vec::with_capacity(passages.len()), 0);
        let mut passages = passages.into_iter().peekable();
        while passages.peek().is_some() {
            self.collection.check_wanted()?;
            let batch: Vec<Passage> = passages.by_ref().take(EMBED_BATCH).collect();
            let texts: Vec<String> = batch.iter().map(Passage::embedded).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let embeddings = embedder.embed(&texts, Role::Passage, Overflow::Error)?;
            tokens += embeddings.token_counts.iter().sum::<usize>();
            let vectors = embeddings.vectors.into_iter();
            points.extend(
                batch
                    .into_iter()
                    .zip(vectors)
                    .map(|(passage, vector)| rows::chunk_point(&self.head, passage, vector)),
            );
        }
        Ok((points, tokens))
    }

    fn store(
        self,
        text: String,
        points: Vec<Point>,
        tokens: usize,
        mut stages: Stages,
    ) -> Result<IngestReport> {
        let chunks = points.len();
        let _turn = self.collection.exclusive(&self.head.id);
        let stored = self.stored()?;
        if let Some(stored) = stored.as_ref().filter(|stored| self.is_unchanged(stored)) {
            // Somebody else stored the same meanwhile.
            return Ok(unchanged(stored, stages));
        }
        let status = if stored.is_some() { IngestStatus::Replaced } else { IngestStatus::Added };
        let before = stored.map(rows::document).transpose()?.map_or(0, |document| document.chunks);
        let document = Document { text, chunks, ..self.head };
        let mut batch =
            (chunks..before).fold(Batch::new(), |batch, at| batch.delete(chunk_row(&document.id, at)));
        batch = points.into_iter().fold(batch, Batch::upsert);
        self.collection.write(batch.upsert(rows::document_point(&document, &self.pipeline)))?;
        stages.end("store");
        Ok(IngestReport { status, chunks, tokens, timings_ms: stages.finish() })
    }
}

fn unchanged(stored: &Point, mut stages: Stages) -> IngestReport {
    let chunks = stored.payload.get(reserved::CHUNKS).and_then(ragstone::Value::as_int).unwrap_or(0);
    stages.end("compare");
    IngestReport {
        status: IngestStatus::Unchanged,
        chunks: usize::try_from(chunks).unwrap_or(0),
        tokens: 0,
        timings_ms: stages.finish(),
    }
}

/// What a document's chunks depend on besides its content: if it differs, they are made anew.
pub(super) fn pipeline(model: &ModelInfo, chunking: &ChunkOptions) -> String {
    let weights = model.sha256.as_deref().unwrap_or(&model.name);
    let ChunkOptions { tokens, overlap } = chunking;
    format!(
        "extract {EXTRACT_VERSION}; split {SPLIT_VERSION}, {tokens} tokens, {overlap} shared; model {weights}"
    )
}

fn validate(document: &DocumentInput) -> Result<MediaType> {
    if document.id.is_empty() {
        return Err(Error::Invalid { field: "id".to_owned(), reason: "it must not be empty".to_owned() });
    }
    for (field, value) in [("id", &document.id), ("source", &document.source)] {
        check_max(field, value.len(), "DOCUMENT_ID_BYTES_MAX", DOCUMENT_ID_BYTES_MAX)?;
        if value.chars().any(char::is_control) {
            let reason = "it must not hold control characters".to_owned();
            return Err(Error::Invalid { field: field.to_owned(), reason });
        }
    }
    check_max("title", document.title.len(), "METADATA_BYTES_MAX", METADATA_BYTES_MAX)?;
    check_max("content", document.content.len(), "DOCUMENT_BYTES_MAX", DOCUMENT_BYTES_MAX)?;
    let metadata_bytes = document.metadata.iter().map(|(name, value)| name.len() + value_bytes(value)).sum();
    check_max("metadata", metadata_bytes, "METADATA_BYTES_MAX", METADATA_BYTES_MAX)?;
    reserved::check_payload("metadata", &document.metadata)?;
    document.media_type.map_or_else(
        || {
            MediaType::from_name(&document.id).map_err(|unknown| Error::NotText {
                document: document.id.clone(),
                reason: unknown.to_string(),
            })
        },
        Ok,
    )
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Strings(texts) => texts.iter().map(|text| size_of::<u32>() + text.len()).sum(),
        Value::Json(json) => json.as_str().len(),
        Value::Geo(_) => 2 * size_of::<f64>(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Timestamp(_) => size_of::<u64>(),
    }
}

fn get(view: &View, id: PointId) -> Result<Option<Point>> {
    Ok(view.get(&[id])?.into_iter().next().flatten())
}

fn document_row_of(view: &View, collection: &str, id: &str) -> Result<Point> {
    let not_found = || Error::DocumentNotFound { collection: collection.to_owned(), document: id.to_owned() };
    if id.is_empty() || id.len() > DOCUMENT_ID_BYTES_MAX {
        return Err(not_found());
    }
    get(view, document_row(id))?.ok_or_else(not_found)
}
