//! Finding the chunks that a question is about. [`retrieve`](crate::retrieve) says how.

use std::collections::HashMap;
use std::sync::Arc;

use ragstone::limits::K_MAX;
use ragstone::query::{Fuse, Names, Nearest, Query, Rescore, Select, Source, TextQuery};
use ragstone::{Collection, Filter, Point, PointId, Value, View};

use super::timing::Stages;
use super::{Rag, embed_query_or_cut, rows};
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::reserved::{self, HEADING, TEXT};
use crate::retrieve::feedback::{HEARD, SPEAKING, agreement, moved, said};
use crate::retrieve::fuse::{self, Candidate, Second};
use crate::retrieve::{RetrievalMode, RetrieveRequest, Retrieved, RetrievedChunk};

/// Candidates of each side, and of both together, at least; else twice as many as are wanted.
const CANDIDATES: usize = 400;
/// How much a word in the title and headings above a chunk counts; one in its text counts 1.
const HEADING_BOOST: f32 = 0.3;

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
        nearest = Some(vector.values);
        stages.end("embed");
    }
    let view = &rows.view();
    let searching = Searching { view, filter: reserved::only_chunks(request.filter.clone()) };
    let ranked = match (nearest, words) {
        (Some(nearest), Some(words)) => searching.both(&nearest, &words, request.k)?,
        (Some(nearest), None) => {
            searching.one(Nearest::new(nearest).into(), request.k, |score| (Some(score), None))?
        }
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
    Ok(in_chunks(question))
}

/// Words, in the texts and headings of chunks.
fn in_chunks(words: &str) -> TextQuery {
    TextQuery::new(words).field(TEXT, 1.0).field(HEADING, HEADING_BOOST)
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

    /// The best chunks of both sides together.
    fn both(&self, vector: &[f32], words: &TextQuery, k: usize) -> Result<Vec<Scored>> {
        let pool = Pool { vector, words, size: CANDIDATES.max(2 * k).min(K_MAX) };
        let mut by_words = self.scores(&pool, words.clone().into())?;
        let candidates =
            self.scores(&pool, Nearest::new(vector.to_vec()).into())?.into_iter().map(|(id, nearness)| {
                let words = by_words.remove(&id).unwrap_or_default();
                Candidate { id, nearness, words }
            });
        let ranked = fuse::first(candidates.collect());
        let ranked = self.heard(&pool, ranked)?.into_iter().take(k);
        Ok(ranked.map(|(score, of)| (of.id, score, (Some(of.nearness), Some(of.words)))).collect())
    }

    /// Candidates ranked anew, by what the best of them say of the question.
    fn heard(&self, pool: &Pool<'_>, ranked: Vec<(f32, Candidate)>) -> Result<Vec<(f32, Candidate)>> {
        if ranked.len() <= SPEAKING {
            // So few have nothing to say of each other.
            return Ok(ranked);
        }
        let scores: Vec<f32> = ranked.iter().map(|(score, _)| *score).take(HEARD).collect();
        let ids: Vec<PointId> =
            ranked.iter().take(HEARD).map(|(_, candidate)| candidate.id.clone()).collect();
        let best: Vec<Point> = self.view.get(&ids)?.into_iter().flatten().collect();
        let text =
            |point: &'_ Point| point.payload.get(TEXT).and_then(Value::as_str).unwrap_or_default().to_owned();
        let texts: Vec<String> = best.iter().map(text).collect();
        let said = said(&scores.iter().copied().zip(texts.iter().map(String::as_str)).collect::<Vec<_>>());
        let vectors: Vec<&[f32]> =
            best.iter().take(SPEAKING).filter_map(|point| point.vector.as_deref()).collect();
        let near = self.scores(pool, Nearest::new(moved(pool.vector, &vectors)).into())?;
        let said = self.scores(pool, in_chunks(&said).into())?;
        let second = |id: &PointId| Second {
            nearness: near.get(id).copied().unwrap_or_default(),
            words: said.get(id).copied().unwrap_or_default(),
        };
        let heard = ranked.into_iter().map(|(_, candidate)| {
            let second = second(&candidate.id);
            (candidate, second)
        });
        Ok(fuse::second(heard.collect(), agreement(&scores)))
    }

    /// The scores of all candidates by one source.
    fn scores(&self, pool: &Pool<'_>, by: Source) -> Result<HashMap<PointId, f32>> {
        let found = self.view.query(&self.query(pool.ranked_by(by), pool.size)).map_err(as_asked)?;
        Ok(found.hits.into_iter().filter_map(|hit| Some((hit.point.id, hit.score?))).collect())
    }
}

/// The candidates of both sides, those first that stand first in either. They are the same for every source that ranks them, but in rows that are
/// being linked while the query runs: what one source does not find there counts nothing by it.
struct Pool<'a> {
    vector: &'a [f32],
    words: &'a TextQuery,
    /// Of each side, and of both together.
    size: usize,
}

impl Pool<'_> {
    fn ranked_by(&self, by: Source) -> Source {
        let sides: [Source; 2] = [Nearest::new(self.vector.to_vec()).into(), self.words.clone().into()];
        let from = Fuse::reciprocal_rank(sides).candidates(self.size);
        Rescore::new(from, by).candidates(self.size).into()
    }
}

/// The chunks of some rows.
fn read(view: &View, ranked: Vec<Scored>) -> Result<Vec<RetrievedChunk>> {
    let ids: Vec<PointId> = ranked.iter().map(|(id, ..)| id.clone()).collect();
    let points = view.get(&ids)?.into_iter().flatten();
    let chunk = |(point, (_, score, (nearness, words))): (Point, Scored)| {
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
