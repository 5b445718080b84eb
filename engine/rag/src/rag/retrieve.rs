//! Finding the chunks that a question is about. [`retrieve`](crate::retrieve) says how.

use std::collections::HashMap;
use std::sync::Arc;

use ragstone::limits::K_MAX;
use ragstone::query::{Fuse, Names, Nearest, Query, QueryHit, Rescore, Select, Source, TextQuery};
use ragstone::{Collection, Filter, Point, PointId, Value, View};

use super::timing::Stages;
use super::{Rag, embed_query_or_cut, rows};
use crate::embed::{Embedder, Models};
use crate::error::{Error, Result};
use crate::ingest::Chunk;
use crate::reserved::{self, HEADING, TEXT};
use crate::retrieve::expand::Added;
use crate::retrieve::feedback::{HEARD, SPEAKING, agreement, moved, said};
use crate::retrieve::fuse::{self, Candidate, Second};
use crate::retrieve::select::{Pooled, Selected};
use crate::retrieve::{
    DroppedChunk, Expansion, RetrievalMode, RetrieveRequest, Retrieved, RetrievedChunk, StageScores, rerank,
};

/// Candidates of each side, and of both together, at least; else twice as many as are wanted.
const CANDIDATES: usize = 400;
/// How much a word in the title and headings above a chunk counts; one in its text counts 1.
const HEADING_BOOST: f32 = 0.3;

impl Rag {
    /// The chunks that a question is about: by meaning, by word, or by both.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Limit`] and [`Error::TokenLimit`], naming the part of the request; [`Error::NoModel`];
    /// [`Error::ModelMismatch`] and what else loading the model gives, but in mode text, which needs none;
    /// the engine's errors, among them [`ragstone::Error::Cancelled`] of a handle that was cancelled ([`cancelled_by`](Rag::cancelled_by)).
    pub fn retrieve(&self, collection: &str, request: &RetrieveRequest) -> Result<Retrieved> {
        request.validate()?;
        let (rows, model) = self.text_collection(collection)?;
        let mut stages = Stages::begin();
        let embedder = || self.load(collection, &model);
        let found = passages((&rows, &self.models), request, &embedder, &mut stages)?;
        Ok(Retrieved {
            chunks: found.chunks,
            dropped: found.dropped,
            truncated: found.truncated,
            rerank_truncated: found.rerank_truncated,
            timings_ms: stages.finish_with_total(),
        })
    }
}

/// What a retrieval found, before its stages are finished.
pub(super) struct Passages {
    pub(super) chunks: Vec<RetrievedChunk>,
    pub(super) dropped: Vec<DroppedChunk>,
    pub(super) truncated: bool,
    pub(super) rerank_truncated: usize,
    /// What was searched.
    pub(super) view: View,
}

/// Retrieves from the newest view of a collection; the model is asked for only if the mode needs it.
pub(super) fn passages(
    (rows, models): (&Collection, &Models),
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
    let view = rows.view();
    let filter = reserved::only_chunks(request.filter.clone());
    let searching = Searching { view: &view, filter };
    let selection = request.selection();
    let reranker = request.rerank.as_ref().map(|rerank| models.reranker(&rerank.model)).transpose()?;
    // As many as the re-ranker is to see, and no more: it is the dearest stage.
    let wanted =
        request.rerank.as_ref().map_or_else(|| selection.pool(), |rerank| rerank.candidates.max(request.k));
    let ranked = match (nearest, words) {
        (Some(nearest), Some(words)) => searching.both(&nearest, &words, wanted)?,
        (Some(nearest), None) => {
            let scores = |score| StageScores { nearness: Some(score), ..StageScores::default() };
            searching.one(Nearest::new(nearest).into(), wanted, scores)?
        }
        (None, Some(words)) => {
            let scores = |score| StageScores { words: Some(score), ..StageScores::default() };
            searching.one(words.into(), wanted, scores)?
        }
        (None, None) => Vec::new(),
    };
    let mut pool = read(&view, ranked, selection.needs_vectors())?;
    stages.end("search");
    let check_wanted = || -> Result<()> { Ok(rows.check_wanted()?) };
    let mut rerank_truncated = 0;
    if let Some(reranker) = &reranker {
        rerank_truncated = rerank(reranker.as_ref(), &request.question, &mut pool, &check_wanted)?;
        stages.end("rerank");
    }
    let Selected { chunks, dropped } = selection.of(pool, &check_wanted)?;
    stages.end("select");
    Ok(Passages { chunks, dropped, truncated, rerank_truncated, view })
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

/// A chunk's id, the score that it is ranked by, and those of the stages.
type Scored = (PointId, f32, StageScores);

struct Searching<'a> {
    view: &'a View,
    filter: Filter,
}

impl Searching<'_> {
    fn query(&self, source: Source, k: usize) -> Query {
        let select = Select { fields: Names::None, vectors: Names::None };
        Query::new(source, k).filter(self.filter.clone()).select(select)
    }

    /// What a query finds, all of it.
    fn found(&self, query: &Query) -> Result<Vec<QueryHit>> {
        let found = self.view.query(query).map_err(as_asked)?;
        // Nothing but the token of the handle can have interrupted it, and half a retrieval is of no use to whoever it is for.
        if found.stats.interrupted.is_some() {
            Err(ragstone::Error::Cancelled.into())
        } else {
            Ok(found.hits)
        }
    }

    /// The best chunks of one side.
    fn one(&self, source: Source, k: usize, scores: impl Fn(f32) -> StageScores) -> Result<Vec<Scored>> {
        let found = self.found(&self.query(source, k))?;
        let scored = found.into_iter().filter_map(|hit| {
            let score = hit.score?;
            Some((hit.point.id, score, scores(score)))
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
        let scored = |(score, of): (f32, Candidate)| {
            let scores = StageScores {
                nearness: Some(of.nearness),
                words: Some(of.words),
                hybrid: Some(score),
                ..StageScores::default()
            };
            (of.id, score, scores)
        };
        Ok(ranked.map(scored).collect())
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
        let found = self.found(&self.query(pool.ranked_by(by), pool.size))?;
        Ok(found.into_iter().filter_map(|hit| Some((hit.point.id, hit.score?))).collect())
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
fn read(view: &View, ranked: Vec<Scored>, with_vectors: bool) -> Result<Vec<Pooled>> {
    let ids: Vec<PointId> = ranked.iter().map(|(id, ..)| id.clone()).collect();
    let points = view.get(&ids)?.into_iter().flatten();
    let chunk = |(mut point, (_, score, scores)): (Point, Scored)| {
        let vector = point.vector.take().filter(|_| with_vectors);
        let (chunk, gap) = rows::chunk(point.id, point.payload)?;
        Ok(Pooled { found: RetrievedChunk { chunk, score, scores, beside: None, gap }, vector })
    };
    // All of them are there: they were found in this view.
    points.zip(ranked).map(chunk).collect()
}

/// The chunks beside those that were found, of the same view and under the same filter.
pub(super) fn beside(
    passages: &Passages,
    filter: Option<&Filter>,
    expansion: Expansion,
    check_wanted: &dyn Fn() -> Result<()>,
) -> Result<Vec<RetrievedChunk>> {
    let Passages { chunks: found, view, .. } = passages;
    let candidates = expansion.candidates(found);
    let row = |(document, ordinal): &(String, usize)| reserved::chunk_row(document, *ordinal);
    let ids: Vec<PointId> = candidates.iter().map(row).collect();
    let select = Select { fields: Names::of([HEADING]), vectors: Names::None };
    check_wanted()?;
    let mut headings = HashMap::new();
    for (place, point) in candidates.into_iter().zip(view.select(&ids, filter, &select).map_err(as_asked)?) {
        if let Some(point) = point {
            headings.insert(place, rows::heading(point)?);
        }
    }
    let added = expansion.of(found, headings);
    let row = |added: &Added| reserved::chunk_row(&found[added.hit].chunk.document, added.ordinal);
    let ids: Vec<PointId> = added.iter().map(row).collect();
    check_wanted()?;
    let mut chunks = Vec::with_capacity(added.len());
    // All of them passed the filter in this view; one that expired since is left out.
    for (Added { hit, .. }, point) in added.into_iter().zip(view.get(&ids)?) {
        let Some(Point { id, payload, .. }) = point else { continue };
        let (chunk, gap) = rows::chunk(id, payload)?;
        let RetrievedChunk { score, chunk: Chunk { ordinal, .. }, .. } = &found[hit];
        let (score, beside) = (*score, Some(*ordinal));
        chunks.push(RetrievedChunk { chunk, score, scores: StageScores::default(), beside, gap });
    }
    Ok(chunks)
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
