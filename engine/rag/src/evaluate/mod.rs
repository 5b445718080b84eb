//! How well questions find their documents.
//!
//! A judged set ([`JudgedSet`]) has documents, questions, and judgements of which documents answer which question. Its documents are ingested as
//! any are ([`ingest`]), its questions asked as [`Rag::enrich`] asks them ([`measure`]), and a document is ranked by its best chunk. So
//! what is measured is what users get, and a setting that helps here helps them: chunks of another size, another model, another mode.

mod metrics;
mod sets;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::Instant;

use ragstone::limits::K_MAX;

pub use self::metrics::{Judgements, ndcg, recall, reciprocal_rank};
pub use self::sets::{JudgedDocument, JudgedQuery, JudgedSet};
use crate::embed::Overflow;
use crate::error::{Error, Result};
use crate::ingest::{DocumentInput, MediaType};
use crate::progress::Progress;
use crate::rag::{IngestOptions, Rag};
use crate::retrieve::{Rerank, RetrievalMode, RetrieveRequest};

/// Documents that are looked at for each question, unless chunks of more are asked for: recall is counted among so many.
const DOCUMENTS: usize = 100;
/// Chunks that are asked for first: several of them may be of one document.
const CHUNKS: usize = 3 * DOCUMENTS;

/// What ingesting a judged set did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ingested {
    /// Documents stored.
    pub documents: usize,
    /// Chunks that they have together.
    pub chunks: usize,
    /// Tokens embedded.
    pub tokens: usize,
    /// Seconds that it took.
    pub seconds: f64,
}

/// How a judged set is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// How chunks are found.
    pub mode: RetrievalMode,
    /// How many chunks users ask for, 1 to [`K_MAX`]: finding so many is what is timed, and recall is counted among so many documents, too.
    pub k: usize,
    /// Ranks the best of what is found anew; then no more chunks than it ranks are looked at.
    pub rerank: Option<Rerank>,
}

impl Measure {
    /// A mode, and 10 chunks.
    pub fn new(mode: RetrievalMode) -> Self {
        Self { mode, k: 10, rerank: None }
    }
}

/// How well a mode finds documents. Figures are means over the questions that are judged, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// How chunks were found.
    pub mode: RetrievalMode,
    /// How many chunks were asked for where time was taken.
    pub k: usize,
    /// Questions asked.
    pub queries: usize,
    /// Of these, those that were cut, as they have more tokens than the model reads.
    pub queries_truncated: usize,
    /// Normalised discounted cumulative gain of the first 10 documents, gains counting linearly.
    pub ndcg_at_10: f64,
    /// How much of what answers a question is among the first [`k`](Self::k) documents.
    pub recall_at_k: f64,
    /// And among the first 10.
    pub recall_at_10: f64,
    /// And among the first 100.
    pub recall_at_100: f64,
    /// One over the place of the first document that answers, of the first 10.
    pub mrr_at_10: f64,
    /// Milliseconds from a question to its [`k`](Self::k) chunks, embedding included, of each question, least first.
    pub latencies_ms: Vec<f64>,
}

impl Measured {
    /// The latency that so large a part of the questions, 0 to 1, did not exceed.
    pub fn latency_ms(&self, part: f64) -> f64 {
        let rank = (part.clamp(0.0, 1.0) * self.latencies_ms.len() as f64).ceil() as usize;
        self.latencies_ms.get(rank.max(1) - 1).copied().unwrap_or(0.0)
    }
}

/// Ingests the documents of a set, as plain texts under their titles.
///
/// # Errors
/// As [`Rag::ingest_all`], and the first document's that is refused, naming its line.
pub fn ingest(rag: &Rag, collection: &str, set: &JudgedSet, progress: &dyn Progress) -> Result<Ingested> {
    let began = Instant::now();
    let mut done = Ingested { documents: set.documents.len(), chunks: 0, tokens: 0, seconds: 0.0 };
    progress.begin("Ingesting", Some(done.documents as u64), "documents");
    let documents = set.documents.iter().map(|document| {
        let input = DocumentInput {
            title: document.title.clone(),
            media_type: Some(MediaType::Text),
            ..DocumentInput::new(document.id.as_str(), document.whole())
        };
        (document, Ok(input))
    });
    let options = IngestOptions::default();
    let mut failure = None;
    let ended = rag.ingest_all(collection, documents, &options, |document, report| {
        match report {
            Ok(report) => {
                done.chunks += report.chunks;
                done.tokens += report.tokens;
            }
            // Figures of a part would be no figures of the set.
            Err(error) => {
                options.cancel.cancel();
                failure.get_or_insert_with(|| document.origin.error(&error));
            }
        }
        progress.advance(1);
    });
    progress.end();
    ended?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(Ingested { seconds: began.elapsed().as_secs_f64(), ..done })
}

/// Asks every judged question of a set whose documents were [ingested](ingest).
///
/// # Errors
/// As [`Rag::retrieve`], naming the question's line.
pub fn measure(
    rag: &Rag,
    collection: &str,
    set: &JudgedSet,
    measure: &Measure,
    progress: &dyn Progress,
) -> Result<Measured> {
    let Measure { mode, k, rerank } = measure.clone();
    let mut sums = [0.0; 5];
    let (mut latencies_ms, mut queries_truncated) = (Vec::with_capacity(set.queries.len()), 0);
    progress.begin(&format!("Asking, mode {mode}"), Some(set.queries.len() as u64), "questions");
    for query in &set.queries {
        let request = RetrieveRequest {
            mode,
            overflow: Overflow::Truncate,
            k,
            rerank: rerank.clone(),
            ..RetrieveRequest::new(query.text.as_str())
        };
        let wrong = |error: Error| query.origin.error(&error);
        let began = Instant::now();
        rag.retrieve(collection, &request).map_err(wrong)?;
        latencies_ms.push(began.elapsed().as_secs_f64() * 1e3);
        // For figures, more documents are needed than a user asks chunks for.
        let chunks = rerank.as_ref().map_or(CHUNKS, |rerank| rerank.candidates);
        let wide = RetrieveRequest { k: chunks.max(k), ..request };
        let ranked = ranked(rag, collection, wide, DOCUMENTS.max(k)).map_err(wrong)?;
        queries_truncated += usize::from(ranked.truncated);
        let gains: Vec<f64> = ranked.documents.iter().map(|id| query.judgements.gain(id)).collect();
        let judged = &query.judgements;
        let parts = [
            ndcg(&gains, judged, 10),
            recall(&gains, judged, k),
            recall(&gains, judged, 10),
            recall(&gains, judged, 100),
            reciprocal_rank(&gains, 10),
        ];
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        progress.advance(1);
    }
    progress.end();
    latencies_ms.sort_by(f64::total_cmp);
    let queries = set.queries.len();
    let [ndcg_at_10, recall_at_k, recall_at_10, recall_at_100, mrr_at_10] =
        sums.map(|sum| sum / queries.max(1) as f64);
    Ok(Measured {
        mode,
        k,
        queries,
        queries_truncated,
        ndcg_at_10,
        recall_at_k,
        recall_at_10,
        recall_at_100,
        mrr_at_10,
        latencies_ms,
    })
}

/// The documents that a question found.
struct Ranked {
    /// Best first, each once.
    documents: Vec<String>,
    truncated: bool,
}

/// So many documents by their best chunks. More chunks are asked for until there are documents enough, or no more chunks.
fn ranked(rag: &Rag, collection: &str, mut request: RetrieveRequest, wanted: usize) -> Result<Ranked> {
    loop {
        let found = rag.retrieve(collection, &request)?;
        let is_whole = found.chunks.len() < request.k || request.k >= K_MAX || request.rerank.is_some();
        let mut seen = HashSet::new();
        let mut documents: Vec<String> = found.chunks.into_iter().map(|found| found.chunk.document).collect();
        documents.retain(|document| seen.insert(document.clone()));
        if documents.len() >= wanted || is_whole {
            documents.truncate(wanted);
            return Ok(Ranked { documents, truncated: found.truncated });
        }
        request.k = (2 * request.k).min(K_MAX);
    }
}

/// Where a document or question stands: a file and a line in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl Origin {
    /// What is wrong there.
    fn error(&self, reason: &dyn std::fmt::Display) -> Error {
        Error::Invalid { field: format!("{}, line {}", self.file, self.line), reason: reason.to_string() }
    }

    /// What is wrong with a field there.
    fn field_error(&self, field: &str, reason: &dyn std::fmt::Display) -> Error {
        self.error(&format!("field `{field}`: {reason}"))
    }
}
