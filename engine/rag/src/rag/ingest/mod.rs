//! Storing documents: one by one, or many with nothing but embedding to wait for.
//!
//! A document is *prepared* (checked, compared with what is stored, extracted, split, and the vectors of chunks that are stored already
//! taken over), then *embedded*, then *committed*. A document and its chunks change in one atomic batch, so a reader sees the old version
//! or the new one whole. The slow part, embedding, holds no lock. The batch is made in a turn of its own ([`Collection::exclusive`]), from
//! what is stored at that moment: of two writers of one document, through whatever [`Rag`] over the database, the later one replaces the
//! whole of the earlier one's work, whatever either saw when it began.
//!
//! [`Collection::exclusive`]: ragstone::Collection::exclusive

mod commit;
mod embed;
mod kept;
mod pipeline;
mod prepare;
mod request;
mod room;

use ragstone::CancelToken;

use self::embed::embed;
pub(super) use self::prepare::pipeline;
use self::prepare::{Preparation, Prepared};
pub(super) use self::request::{Asked, check_request_id, engine_id};
use super::Rag;
use super::timing::Stages;
use crate::error::Result;
use crate::ingest::{DocumentInput, IngestReport};
use crate::limits::{INGEST_AHEAD_BYTES_DEFAULT, INGEST_AHEAD_BYTES_MAX};
use crate::prompt::check_range;

/// How many documents are ingested at once.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Bytes of documents that may be under way, their texts, chunks and vectors included: what is read ahead while others are embedded
    /// and stored. 1 to [`INGEST_AHEAD_BYTES_MAX`]; a document that is larger goes by itself.
    pub ahead_bytes: usize,
    /// Ends the work between two documents, and the process that reads a PDF ([`PdfProgram`](crate::ingest::PdfProgram)).
    pub cancel: CancelToken,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self { ahead_bytes: INGEST_AHEAD_BYTES_DEFAULT, cancel: CancelToken::new() }
    }
}

/// How an ingestion of many documents came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every document was stored or refused.
    Complete,
    /// It was cancelled. What was reported is stored; of the rest nothing is.
    Cancelled,
}

impl Rag {
    /// Stores a document: extract, split, embed, and one atomic write. A document that is stored already with the same
    /// content, source, metadata and media type, made the same way, is left alone; of one that is stored with other content,
    /// chunks that are the same keep their vectors, and only the others are embedded. With the id of a request
    /// ([`DocumentInput::request_id`]) it is done once, whatever others do meanwhile.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ragstone_rag::embed::{Embedder, Embeddings, ModelInfo, ModelOptions, Models, Overflow, Pooling, Role};
    /// # use ragstone_rag::Result;
    /// # struct Ones(ModelInfo);
    /// # impl Embedder for Ones {
    /// #     fn info(&self) -> &ModelInfo { &self.0 }
    /// #     fn embed(&self, texts: &[&str], _: Role, _: Overflow) -> Result<Embeddings> {
    /// #         let (vectors, token_counts) = (vec![vec![1.0]; texts.len()], vec![1; texts.len()]);
    /// #         Ok(Embeddings { vectors, token_counts, truncated: vec![false; texts.len()] })
    /// #     }
    /// #     fn count_tokens(&self, text: &str) -> usize { text.split_whitespace().count() }
    /// #     fn overhead_tokens(&self, _: Role) -> usize { 0 }
    /// # }
    /// # let info = ModelInfo {
    /// #     name: "ones".into(), sha256: None, dimension: 1, max_tokens: 256, pooling: Pooling::Mean, normalize: false,
    /// #     query_prefix: String::new(), passage_prefix: String::new(), arithmetic: Default::default(),
    /// # };
    /// # let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    /// # models.insert(Arc::new(Ones(info)));
    /// use ragstone_rag::ingest::{DocumentInput, IngestStatus};
    /// use ragstone_rag::{CollectionSpec, Rag};
    ///
    /// let rag = Rag::new(ragstone::Db::in_memory()?, models);
    /// rag.create_collection("notes", CollectionSpec::with_model("ones"))?;
    /// let monday = DocumentInput {
    ///     request_id: Some("monday".into()),
    ///     ..DocumentInput::new("week.md", "It is Monday.")
    /// };
    /// assert_eq!(rag.ingest("notes", monday.clone())?.status, IngestStatus::Added);
    /// rag.ingest("notes", DocumentInput::new("week.md", "It is Tuesday."))?;
    /// // Asked again, as no answer came: it was done, and undoes nothing.
    /// assert!(rag.ingest("notes", monday)?.repeated);
    /// assert_eq!(rag.document("notes", "week.md")?.text, "It is Tuesday.");
    /// # Ok::<(), ragstone_rag::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) and [`Error::Limit`](crate::Error::Limit), naming the part of the document;
    /// [`Error::NotText`](crate::Error::NotText); of a PDF, [`Error::PdfReader`](crate::Error::PdfReader) and
    /// [`Error::PdfReaderBusy`](crate::Error::PdfReaderBusy); [`Error::NoModel`](crate::Error::NoModel);
    /// [`Error::ModelMismatch`](crate::Error::ModelMismatch) and what else loading the model gives; the engine's errors. Then
    /// what was stored before is still there.
    pub fn ingest(&self, collection: &str, document: DocumentInput) -> Result<IngestReport> {
        let preparation = Preparation::of(self, collection)?;
        let check_wanted = || -> Result<()> { Ok(preparation.collection.check_wanted()?) };
        match preparation.prepare(document, Stages::begin(), preparation.wanted(&check_wanted))? {
            Prepared::Unchanged(report) => Ok(report),
            Prepared::New(mut pending) => {
                embed(&preparation, &mut pending)?;
                pending.stages.end("embed");
                preparation.commit(*pending)
            }
        }
    }

    /// Stores many documents, as [`ingest`](Rag::ingest) does each, and as fast as they are embedded: while some are, the next ones are
    /// taken from the iterator, extracted and split, and the last ones written. Chunks of several documents are embedded in one call.
    /// What is under way is bounded ([`IngestOptions::ahead_bytes`]): an iterator that is ahead is not asked for more.
    ///
    /// Every document comes with something of the caller's, its file for instance, which `done` is called with, on this thread: a
    /// document that could not be had, or of which an error is ([`Error::is_about_document`](crate::Error::is_about_document)), is
    /// reported, and the others go on; so is a PDF whose turn did not come in time, which may be given again
    /// ([`Error::PdfReaderBusy`](crate::Error::PdfReaderBusy)). Documents of one id are stored in the order of the iterator. A report's `embed` is the time from
    /// the document's being split to its being embedded, others before it included.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use ragstone_rag::embed::{Embedder, Embeddings, ModelInfo, ModelOptions, Models, Overflow, Pooling, Role};
    /// # use ragstone_rag::Result;
    /// # struct Ones(ModelInfo);
    /// # impl Embedder for Ones {
    /// #     fn info(&self) -> &ModelInfo { &self.0 }
    /// #     fn embed(&self, texts: &[&str], _: Role, _: Overflow) -> Result<Embeddings> {
    /// #         let (vectors, token_counts) = (vec![vec![1.0]; texts.len()], vec![1; texts.len()]);
    /// #         Ok(Embeddings { vectors, token_counts, truncated: vec![false; texts.len()] })
    /// #     }
    /// #     fn count_tokens(&self, text: &str) -> usize { text.split_whitespace().count() }
    /// #     fn overhead_tokens(&self, _: Role) -> usize { 0 }
    /// # }
    /// # let info = ModelInfo {
    /// #     name: "ones".into(), sha256: None, dimension: 1, max_tokens: 256, pooling: Pooling::Mean, normalize: false,
    /// #     query_prefix: String::new(), passage_prefix: String::new(), arithmetic: Default::default(),
    /// # };
    /// # let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    /// # models.insert(Arc::new(Ones(info)));
    /// use ragstone_rag::ingest::DocumentInput;
    /// use ragstone_rag::{CollectionSpec, Ended, IngestOptions, Rag};
    ///
    /// let rag = Rag::new(ragstone::Db::in_memory()?, models);
    /// rag.create_collection("notes", CollectionSpec::with_model("ones"))?;
    /// let notes = (0..100).map(|at| (at, Ok(DocumentInput::new(format!("{at}.md"), format!("Note {at}.")))));
    /// let mut stored = 0;
    /// let ended = rag.ingest_all("notes", notes, &IngestOptions::default(), |_at, report| {
    ///     stored += usize::from(report.is_ok());
    /// })?;
    /// assert_eq!((ended, stored), (Ended::Complete, 100));
    /// # Ok::<(), ragstone_rag::Error>(())
    /// ```
    ///
    /// # Errors
    /// What is about no document, as of [`ingest`](Rag::ingest): then it ends at once, and documents that were not reported are not
    /// stored, or as they were. [`Error::Invalid`](crate::Error::Invalid) and [`Error::Limit`](crate::Error::Limit), naming `ahead_bytes`.
    pub fn ingest_all<T: Send>(
        &self,
        collection: &str,
        documents: impl Iterator<Item = (T, Result<DocumentInput>)> + Send,
        options: &IngestOptions,
        done: impl FnMut(T, Result<IngestReport>),
    ) -> Result<Ended> {
        check_range("ahead_bytes", options.ahead_bytes, "INGEST_AHEAD_BYTES_MAX", INGEST_AHEAD_BYTES_MAX)?;
        let preparation = Preparation::of(self, collection)?;
        pipeline::run(&preparation, documents, options, done)
    }
}
