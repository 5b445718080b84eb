//! Finding the chunks that a question is about. [`retrieve`](crate::retrieve) says how.

use std::collections::HashMap;
use std::sync::Arc;

use ragstone::limits::K_MAX;
use ragstone::query::{Fuse, Names, Nearest, Query, Rescore, Select, Source, TextQuery};
use ragstone::{Collection, Filter, PointId, View};

use super::timing::Stages;
use super::{Rag, embed_query_or_cut, rows};
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::reserved::{self, HEADING, TEXT};
use crate::retrieve::fuse::{Candidate, fuse};
use crate::retrieve::{RetrievalMode, RetrieveRequest, Retrieved, RetrievedChunk};

/// Candidates of each side, at least.
const CANDIDATES: usize = 200;
/// How much a word in the headings above a chunk counts; one in its text counts 1.
const HEADING_BOOST: f32 = 0.5;

impl Rag {
    /// The chunks that a question is about: by meaning, by word, or by both.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Limit`] and [`Error::TokenLimit`], naming the part of the request; [`Error::NoModel`];
    /// [`Error::ModelMismatch`] and what else loading the model gives, but in mode text, which needs none; the engine's errors.
    pub fn retrieve(&self, collection: &str, request: &RetrieveRequest) -> Result<Retrieved> {
        request.validate()?;
        let (rows, model) = self.text_collection(collection)?;
        let mut stages = Stages::begin();
        let embedder = || self.load(collection, &model);
        let found = passages(&rows, request, &embedder, &mut stages)?;
        Ok(Retrieved {
            chunks: found.chunks,
            truncated: found.truncated,
            timings_ms: stages.finish_with_total(),
        })
    }
}

/// What a retrieval found, before its stages are finished.
pub(super) struct Passages {
    pub(super) chunks: Vec<RetrievedChunk>,
    pub(super) truncated: bool,
}

/// Retrieves from the newest view of a collection; the model is asked for only if the mode needs it.
pub(super) fn passages(
    rows: &Collection,
    request: &RetrieveRequest,
    embedder: &dyn Fn() -> Result<Arc<dyn Embedder>>,
    stages: &mut Stages,
) -> Result<Passages> {
    let side = |mode| request.mode == mode || request.mode == RetrievalMode::Hybrid;
    let words = side(RetrievalMode::Text).then(|| words(rows, &request.question)).transpose()?;
    let (mut nearest, mut truncated) = (None, false);
    if side(RetrievalMode::Dense) {
        let vector =
            embed_query_or_cut(embedder()?.as_ref(), ("question", &request.question), request.overflow)?;
        truncated = vector.truncated;
        nearest = Some(Nearest::new(vector.values));
        stages.end("embed");
    }
    let view = &rows.view();
    let searching = Searching { view, filter: reserved::only_chunks(request.filter.clone()) };
    let ranked = match (nearest, words) {
        (Some(nearest), Some(words)) => searching.both(&nearest, &words, request.k)?,
        (Some(nearest), None) => searching.one(nearest.into(), request.k, |score| (Some(score), None))?,
        (None, Some(words)) => searching.one(words.into(), request.k, |score| (None, Some(score)))?,
        (None, None) => Vec::new(),
    };
    let chunks = read(view, ranked)?;
    stages.end("search");
    Ok(Passages { chunks, truncated })
}

/// The words of a question, over the fields of chunks.
fn words(rows: &Collection, question: &str) -> Result<TextQuery> {
    let schema = rows.schema();
    if reserved::WORDS.iter().any(|field| !schema.texts().contains_key(*field)) {
        return Err(Error::Invalid {
            field: "mode".to_owned(),
            reason: "the collection was made before chunks were searched by word; make it anew, or ask in mode dense"
                .to_owned(),
        });
    }
    Ok(TextQuery::new(question).field(TEXT, 1.0).field(HEADING, HEADING_BOOST))
}

/// A chunk's id and its scores: the one that it is ranked by, the nearness, the words'.
type Scored = (PointId, f32, (Option<f32>, Option<f32>));

struct Searching<'a> {
    view: &'a View,
    filter: Filter,
}

impl Searching<'_> {
    fn query(&self, source: Source, k: usize) -> Query {
        let select = Select { fields: Names::None, vectors: Names::None };
        Query::new(source, k).filter(self.filter.clone()).select(select)
    }

    /// The best chunks of one side.
    fn one(
        &self,
        source: Source,
        k: usize,
        parts: impl Fn(f32) -> (Option<f32>, Option<f32>),
    ) -> Result<Vec<Scored>> {
        let found = self.view.query(&self.query(source, k)).map_err(as_asked)?;
        let scored = found.hits.into_iter().filter_map(|hit| {
            let score = hit.score?;
            Some((hit.point.id, score, parts(score)))
        });
        Ok(scored.collect())
    }

    /// The best chunks of both sides together. Both queries have the same candidates, as they are of one view.
    fn both(&self, nearest: &Nearest, words: &TextQuery, k: usize) -> Result<Vec<Scored>> {
        let wanted = CANDIDATES.max(k);
        let all = (2 * wanted).min(K_MAX);
        let query = |by: Source| {
            let sides: [Source; 2] = [nearest.clone().into(), words.clone().into()];
            let from = Fuse::reciprocal_rank(sides).candidates(wanted);
            self.query(Rescore::new(from, by).candidates(all).into(), all)
        };
        let near = self.view.query(&query(nearest.clone().into())).map_err(as_asked)?;
        let worded = self.view.query(&query(words.clone().into())).map_err(as_asked)?;
        let mut by_words: HashMap<PointId, f32> =
            worded.hits.into_iter().filter_map(|hit| Some((hit.point.id, hit.score?))).collect();
        let candidates = near.hits.into_iter().filter_map(|hit| {
            let (nearness, id) = (hit.score?, hit.point.id);
            let words = by_words.remove(&id).unwrap_or_default();
            Some(Candidate { id, nearness, words })
        });
        let fused = fuse(candidates.collect()).into_iter().take(k);
        Ok(fused.map(|(score, of)| (of.id, score, (Some(of.nearness), Some(of.words)))).collect())
    }
}

/// The chunks of some rows.
fn read(view: &View, ranked: Vec<Scored>) -> Result<Vec<RetrievedChunk>> {
    let ids: Vec<PointId> = ranked.iter().map(|(id, ..)| id.clone()).collect();
    let points = view.get(&ids)?.into_iter().flatten();
    let chunk = |(point, (_, score, (nearness, words))): (ragstone::Point, Scored)| {
        let (chunk, gap) = rows::chunk(point.id, point.payload)?;
        Ok(RetrievedChunk { chunk, score, nearness, words, gap })
    };
    // All of them are there: they were found in this view.
    points.zip(ranked).map(chunk).collect()
}

/// An error of a query as one about what was asked: the filter as it was given, or the question.
fn as_asked(error: ragstone::Error) -> Error {
    let mut error = reserved::as_given(error);
    if let ragstone::Error::Invalid { field, .. } | ragstone::Error::Limit { field, .. } = &mut error
        && field.starts_with("source")
    {
        "question".clone_into(field);
    }
    error.into()
}
