//! Finding the chunks that a question is about. [`retrieve`](crate::retrieve) says how.

use std::collections::HashMap;
use std::sync::Arc;

use ragstone::query::{Names, Nearest, Select, TextQuery};
use ragstone::{Collection, Filter, Point, PointId, View};

use super::filling::Filling;
use super::searching::{Scored, Searching, as_asked, in_chunks};
use super::timing::Stages;
use super::{Rag, embed_query, rows};
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::ingest::Chunk;
use crate::limits::RERANK_PASSAGES_MAX;
use crate::reserved::{self, HEADING};
use crate::retrieve::expand::Added;
use crate::retrieve::select::{Pooled, Selected};
use crate::retrieve::{
    DroppedChunk, Expansion, RetrievalMode, RetrieveRequest, Retrieved, RetrievedChunk, Selection,
    StageScores, rerank,
};

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
        let found = passages((&rows, self), request, &embedder, &mut stages)?;
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
    /// What was searched, in which nothing expires any more.
    pub(super) view: View,
}

/// Retrieves from the newest view of a collection, as it is when its search begins; the model is asked for only if the mode needs it.
pub(super) fn passages(
    (rows, rag): (&Collection, &Rag),
    request: &RetrieveRequest,
    embedder: &dyn Fn() -> Result<Arc<dyn Embedder>>,
    stages: &mut Stages,
) -> Result<Passages> {
    let side = |mode| request.mode == mode || request.mode == RetrievalMode::Hybrid;
    let words = side(RetrievalMode::Text).then(|| words(rows, &request.question)).transpose()?;
    let (mut nearest, mut truncated) = (None, false);
    let check_wanted = || -> Result<()> { Ok(rows.check_wanted()?) };
    if side(RetrievalMode::Dense) {
        let (embedder, wanted) = (embedder()?, rag.wanted(&check_wanted));
        let question = ("question", request.question.as_str());
        let vector = embed_query(embedder.as_ref(), question, request.overflow, wanted)?;
        truncated = vector.truncated;
        nearest = Some(vector.values);
        stages.end("embed");
    }
    // Chunks are scored, read and added to in several steps, of which none is to lose what another found.
    let view = rows.view().as_of_now();
    let filter = reserved::only_chunks(request.filter.clone());
    let searching = Searching { view: &view, filter, name: rows.name(), watch: rag.watch.as_deref() };
    let selection = request.selection();
    let reranker = request.rerank.as_ref().map(|rerank| rag.load_reranker(&rerank.model)).transpose()?;
    // As many as the re-ranker is to see, and no more: it is the dearest stage.
    let wanted =
        request.rerank.as_ref().map_or_else(|| selection.pool(), |rerank| rerank.candidates.max(request.k));
    let ranked = |wanted: usize| match (&nearest, &words) {
        (Some(nearest), Some(words)) => searching.both(nearest, words, wanted),
        (Some(nearest), None) => {
            let scores = |score| StageScores { nearness: Some(score), ..StageScores::default() };
            searching.one(Nearest::new(nearest.clone()).into(), wanted, scores)
        }
        (None, Some(words)) => {
            let scores = |score| StageScores { words: Some(score), ..StageScores::default() };
            searching.one(words.clone().into(), wanted, scores)
        }
        (None, None) => Ok(Vec::new()),
    };
    let filling = Filling {
        // The re-ranker has yet to say which are too low.
        selection: Selection { min_score: selection.min_score.filter(|_| reranker.is_none()), ..selection },
        most: match (&reranker, request.per_document) {
            (None, _) => selection.pool_max(),
            (Some(_), Some(_)) => RERANK_PASSAGES_MAX,
            // It is too dear for copies.
            (Some(_), None) => wanted,
        },
        ranked: &ranked,
        read: &|ranked| read(&view, ranked, selection.needs_vectors()),
        check_wanted: &check_wanted,
    };
    let mut pool = filling.pool(wanted)?;
    stages.end("search");
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

/// The chunks of some rows.
fn read(view: &View, ranked: Vec<Scored>, with_vectors: bool) -> Result<Vec<Pooled>> {
    let ids: Vec<PointId> = ranked.iter().map(|(id, ..)| id.clone()).collect();
    // All of them were found in this view, in which nothing expires meanwhile.
    let points = view.get(&ids)?.into_iter().zip(ranked).filter_map(|(point, scored)| Some((point?, scored)));
    let chunk = |(mut point, (_, score, scores)): (Point, Scored)| {
        let vector = point.vector.take().filter(|_| with_vectors);
        let (chunk, gap) = rows::chunk(point.id, point.payload)?;
        Ok(Pooled { found: RetrievedChunk { chunk, score, scores, beside: None, gap }, vector })
    };
    points.map(chunk).collect()
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
    if candidates.is_empty() {
        // A collection that never had a chunk need not know the field of their headings.
        return Ok(Vec::new());
    }
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
    // All of them passed the filter in this view, in which nothing expires meanwhile.
    for (Added { hit, .. }, point) in added.into_iter().zip(view.get(&ids)?) {
        let Some(Point { id, payload, .. }) = point else { continue };
        let (chunk, gap) = rows::chunk(id, payload)?;
        let RetrievedChunk { score, chunk: Chunk { ordinal, .. }, .. } = &found[hit];
        let (score, beside) = (*score, Some(*ordinal));
        chunks.push(RetrievedChunk { chunk, score, scores: StageScores::default(), beside, gap });
    }
    Ok(chunks)
}
