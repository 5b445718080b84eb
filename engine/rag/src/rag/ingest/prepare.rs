//! A document as given to one that is ready to be embedded: checked, compared, extracted, split.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ragstone::{Collection, Payload, Point, Scope, Sight, Value};

use super::super::documents::get;
use super::super::timing::Stages;
use super::super::{Rag, contract, rows};
use super::kept::{Kept, kept};
use super::request::{Request, check_request_id};
use crate::embed::{Arithmetic, Embedder, ModelInfo, Wanted};
use crate::error::{Error, Result};
use crate::ingest::extract::{self, EXTRACT_VERSION};
use crate::ingest::split::{self, Passage, SPLIT_VERSION};
use crate::ingest::{
    ChunkOptions, Document, DocumentInput, IngestReport, IngestStatus, MediaType, content_sha256,
};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, METADATA_BYTES_MAX};
use crate::prompt::check_max;
use crate::reserved::{self, document_row};

/// Shows everything.
struct Whole;

impl Scope for Whole {
    fn sight(&self, _: &str) -> Sight {
        Sight::Whole
    }
}

/// What all documents of one call have in common.
pub(super) struct Preparation {
    rag: Rag,
    name: String,
    pub(super) collection: Collection,
    /// The contract of the collection.
    pub(super) model: ModelInfo,
    /// Loaded at the first document that needs it: where nothing has changed, none does.
    embedder: OnceLock<Arc<dyn Embedder>>,
    chunking: ChunkOptions,
    /// See [`pipeline`].
    pub(super) pipeline: String,
}

/// A document that was looked at.
pub(super) enum Prepared {
    /// It is stored already.
    Unchanged(IngestReport),
    /// It is to be embedded and stored.
    New(Box<Pending>),
}

/// A document on its way into a collection.
pub(super) struct Pending {
    /// The document with its text and the number of its chunks.
    pub(super) head: Document,
    pub(super) passages: Vec<Passage>,
    /// One for each passage.
    pub(super) vectors: Vec<VectorOf>,
    /// What the model has to read, each text once, and its vectors as far as they are there.
    pub(super) texts: Vec<String>,
    pub(super) embedded: Vec<Vec<f32>>,
    /// Tokens that the model read.
    pub(super) tokens: usize,
    /// What is stored and stays.
    pub(super) kept: Kept,
    /// The document's row as it was stored when this was prepared.
    pub(super) stored_etag: Option<u64>,
    /// The request that it is stored by, if that has an id.
    pub(super) request: Option<Request>,
    pub(super) stages: Stages,
}

/// Where a passage's vector comes from.
pub(super) enum VectorOf {
    /// From the chunk that is stored.
    Stored(Vec<f32>),
    /// From the model: of which of the texts.
    Text(usize),
}

impl Preparation {
    pub(super) fn of(rag: &Rag, name: &str) -> Result<Preparation> {
        let (collection, model) = rag.text_collection(name)?;
        let chunking = contract::chunking(name, &collection.schema())?;
        for (field, kind) in reserved::FIELDS {
            // A collection made before there was this field gets it; a strict one would refuse it otherwise, and from who may write some rows
            // alone any would. It is of what documents are, not of what somebody writes.
            if !collection.schema().fields().contains_key(field) {
                let whole = rag.db().within(Arc::new(Whole)).collection(name)?;
                whole.add_field(field, kind)?;
            }
        }
        let pipeline = pipeline(&model, &chunking);
        let (rag, name, embedder) = (rag.clone(), name.to_owned(), OnceLock::new());
        Ok(Preparation { rag, name, collection, model, embedder, chunking, pipeline })
    }

    /// The collection's model, checked against its contract.
    pub(super) fn embedder(&self) -> Result<Arc<dyn Embedder>> {
        if let Some(embedder) = self.embedder.get() {
            return Ok(embedder.clone());
        }
        // Of two threads that come here, both load it, and the models see to it that it is one.
        let embedder = self.rag.load(&self.name, &self.model)?;
        Ok(self.embedder.get_or_init(|| embedder).clone())
    }

    /// Who waits for the texts and the vectors of its documents.
    pub(super) fn wanted<'a>(&self, check: &'a dyn Fn() -> Result<()>) -> Wanted<'a> {
        self.rag.wanted(check)
    }

    /// Components of a vector.
    pub(super) fn dimension(&self) -> usize {
        self.model.dimension
    }

    /// Checks a document, compares it with what is stored, and makes passages of it, as long as they are wanted.
    pub(super) fn prepare(
        &self,
        document: DocumentInput,
        mut stages: Stages,
        wanted: Wanted<'_>,
    ) -> Result<Prepared> {
        let media_type = validate(&document)?;
        let request = document.request_id.as_deref().map(|id| Request::new(&document.id, id));
        let mut head = Document {
            content_sha256: content_sha256(&document.content),
            id: document.id,
            title: document.title,
            source: document.source,
            media_type,
            text: String::new(),
            chunks: 0,
            metadata: document.metadata,
        };
        let stored = self.stored(&head.id)?;
        if let Some(stored) = stored.as_ref().filter(|stored| self.is_unchanged(stored, &head)) {
            return Ok(Prepared::Unchanged(self.leave(stored, request.as_ref(), stages)?));
        }
        let reading = (self.rag.pdf_program.as_ref(), wanted);
        head.text = extract::text(&head.id, media_type, &document.content, reading)?;
        drop(document.content);
        stages.end("extract");
        let source = split::Source { document: &head.id, title: &head.title, text: &head.text, media_type };
        let passages = split::split(source, &self.chunking, self.embedder()?.as_ref())?;
        head.chunks = passages.len();
        let mut kept = kept(self, stored.as_ref(), &head, &passages)?;
        let (mut texts, mut known) = (Vec::new(), HashMap::new());
        let mut vector_of = |(passage, stored): (&Passage, Option<Vec<f32>>)| match stored {
            Some(vector) => VectorOf::Stored(vector),
            None => VectorOf::Text(*known.entry(passage.chunk.content_sha256.clone()).or_insert_with(|| {
                texts.push(passage.embedded());
                texts.len() - 1
            })),
        };
        let vectors = std::mem::take(&mut kept.vectors);
        let vectors = passages.iter().zip(vectors).map(&mut vector_of).collect();
        stages.end("split");
        let (stored_etag, embedded) = (stored.and_then(|stored| stored.etag), Vec::new());
        Ok(Prepared::New(Box::new(Pending {
            head,
            passages,
            vectors,
            texts,
            embedded,
            tokens: 0,
            kept,
            stored_etag,
            request,
            stages,
        })))
    }

    /// The row of a document as it is stored now.
    pub(super) fn stored(&self, id: &str) -> Result<Option<Point>> {
        get(&self.collection.view(), document_row(id))
    }

    /// Whether a document is stored as it is given, made the same way.
    pub(super) fn is_unchanged(&self, stored: &Point, given: &Document) -> bool {
        rows::pipeline(stored) == Some(self.pipeline.as_str())
            && rows::document(stored.clone()).is_ok_and(|stored| {
                let stored = Document { text: String::new(), chunks: 0, ..stored };
                stored == Document { text: String::new(), chunks: 0, ..given.clone() }
            })
    }
}

impl Pending {
    /// Bytes that it takes until it is stored, about.
    pub(super) fn bytes(&self, dimension: usize) -> usize {
        let passages: usize =
            self.passages.iter().map(|passage| passage.chunk.text.len() + passage.chunk.heading.len()).sum();
        let texts: usize = self.texts.iter().map(String::len).sum();
        let vectors = self.passages.len() * (size_of::<Passage>() + dimension * size_of::<f32>());
        // Every chunk's row gets a copy of the fields.
        let metadata = metadata_bytes(&self.head.metadata) * self.passages.len();
        self.head.text.len() + passages + texts + vectors + metadata
    }
}

/// The report of a document that is stored as it is.
pub(super) fn unchanged(stored: &Point, mut stages: Stages) -> IngestReport {
    let chunks = stored.payload.get(reserved::CHUNKS).and_then(Value::as_int).unwrap_or(0);
    let chunks = usize::try_from(chunks).unwrap_or(0);
    stages.end("compare");
    IngestReport {
        status: IngestStatus::Unchanged,
        chunks,
        chunks_added: 0,
        chunks_kept: chunks,
        chunks_removed: 0,
        embedded: 0,
        tokens: 0,
        timings_ms: stages.finish(),
        repeated: false,
    }
}

/// What a document's chunks depend on besides its content: if it differs, they are made anew.
pub(in crate::rag) fn pipeline(model: &ModelInfo, chunking: &ChunkOptions) -> String {
    let ChunkOptions { tokens, overlap } = chunking;
    format!(
        "extract {EXTRACT_VERSION}; split {SPLIT_VERSION}, {tokens} tokens, {overlap} shared{}",
        made_by(model)
    )
}

/// How the pipeline ends: what the vectors were made with.
fn made_by(model: &ModelInfo) -> String {
    let arithmetic = match model.arithmetic {
        Arithmetic::Float => "",
        Arithmetic::Int8 => " in int8",
    };
    format!("; model {}{arithmetic}", model.sha256.as_deref().unwrap_or(&model.name))
}

/// Whether the vectors of a stored document are this model's.
pub(super) fn is_made_by(stored: &Point, model: &ModelInfo) -> bool {
    rows::pipeline(stored).is_some_and(|pipeline| pipeline.ends_with(&made_by(model)))
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
    check_max("metadata", metadata_bytes(&document.metadata), "METADATA_BYTES_MAX", METADATA_BYTES_MAX)?;
    reserved::check_payload("metadata", &document.metadata)?;
    document.request_id.as_deref().map_or(Ok(()), check_request_id)?;
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

fn metadata_bytes(metadata: &Payload) -> usize {
    metadata.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
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
