//! The rows that a question is about, ranked: by one side, or by both.

use ragstone::limits::K_MAX;
use ragstone::query::{Fuse, Names, Nearest, Query, QueryHit, Select, Source, TextQuery};
use ragstone::{Filter, Point, PointId, Value, View};

use super::watching::Watch;
use crate::error::{Error, Result};
use crate::reserved::{self, HEADING, TEXT};
use crate::retrieve::StageScores;
use crate::retrieve::feedback::{HEARD, SPEAKING, agreement, moved, said};
use crate::retrieve::fuse::{self, Candidate, Second};

/// Candidates of each side, and of both together, at least; else twice as many as are wanted.
const CANDIDATES: usize = 400;
/// How much a word in the title and headings above a chunk counts; one in its text counts 1.
const HEADING_BOOST: f32 = 0.3;

/// A chunk's id, the score that it is ranked by, and those of the stages.
pub(super) type Scored = (PointId, f32, StageScores);

/// Words, in the texts and headings of chunks.
pub(super) fn in_chunks(words: &str) -> TextQuery {
    TextQuery::new(words).field(TEXT, 1.0).field(HEADING, HEADING_BOOST)
}

/// Searches of one view under one filter.
pub(super) struct Searching<'a> {
    pub(super) view: &'a View,
    pub(super) filter: Filter,
    /// Of the collection.
    pub(super) name: &'a str,
    pub(super) watch: Option<&'a Watch>,
}

impl Searching<'_> {
    /// What a source finds, all of it.
    fn found(&self, source: Source, k: usize) -> Result<Vec<QueryHit>> {
        let select = Select { fields: Names::None, vectors: Names::None };
        let query = Query::new(source, k).filter(self.filter.clone()).select(select);
        let found = self.view.query(&query).map_err(as_asked)?;
        // Nothing but the token of the handle can have interrupted it, and half a retrieval is of no use to whoever it is for.
        if found.stats.interrupted.is_some() {
            Err(ragstone::Error::Cancelled.into())
        } else {
            Ok(found.hits)
        }
    }

    /// Tells that the nearest chunks are searched.
    fn tell(&self, source: &Source, k: usize) {
        if let (Some(watch), Source::Nearest(_)) = (self.watch, source) {
            watch(self.name, self.view, &Query::new(source.clone(), k).filter(self.filter.clone()));
        }
    }

    /// The best chunks of one side.
    pub(super) fn one(
        &self,
        source: Source,
        k: usize,
        scores: impl Fn(f32) -> StageScores,
    ) -> Result<Vec<Scored>> {
        self.tell(&source, k);
        let scored = self.found(source, k)?.into_iter().filter_map(|hit| {
            let score = hit.score?;
            Some((hit.point.id, score, scores(score)))
        });
        Ok(scored.collect())
    }

    /// The best chunks of both sides together: the best of each side are found once, those that stand first in either come first, and all of them are
    /// scored exactly by every source that ranks them.
    pub(super) fn both(&self, vector: &[f32], words: &TextQuery, k: usize) -> Result<Vec<Scored>> {
        let size = CANDIDATES.max(2 * k).min(K_MAX);
        let sides: [Source; 2] = [Nearest::new(vector.to_vec()).into(), words.clone().into()];
        self.tell(&sides[0], size);
        let candidates = self.found(Fuse::reciprocal_rank(sides.clone()).candidates(size).into(), size)?;
        let ids: Vec<PointId> = candidates.into_iter().map(|hit| hit.point.id).collect();
        let scores = self.scores(&ids, &sides)?;
        let candidates = ids.into_iter().zip(scores).filter_map(|(id, [nearness, words])| {
            Some(Candidate { id, nearness: nearness?, words: words.unwrap_or_default() })
        });
        let ranked = self.heard(vector, fuse::first(candidates.collect()))?;
        let scored = |(score, of): (f32, Candidate)| {
            let scores = StageScores {
                nearness: Some(of.nearness),
                words: Some(of.words),
                hybrid: Some(score),
                ..StageScores::default()
            };
            (of.id, score, scores)
        };
        Ok(ranked.into_iter().take(k).map(scored).collect())
    }

    /// Candidates ranked anew, by what the best of them say of the question.
    fn heard(&self, vector: &[f32], ranked: Vec<(f32, Candidate)>) -> Result<Vec<(f32, Candidate)>> {
        if ranked.len() <= SPEAKING {
            // So few have nothing to say of each other.
            return Ok(ranked);
        }
        let scores: Vec<f32> = ranked.iter().map(|(score, _)| *score).take(HEARD).collect();
        let ids: Vec<PointId> = ranked.iter().map(|(_, candidate)| candidate.id.clone()).collect();
        let points = self.view.get(&ids[..HEARD.min(ids.len())])?;
        let best: Vec<(f32, Point)> =
            scores.iter().zip(points).filter_map(|(score, point)| Some((*score, point?))).collect();
        let texts: Vec<(f32, &str)> = best
            .iter()
            .map(|(score, point)| {
                (*score, point.payload.get(TEXT).and_then(Value::as_str).unwrap_or_default())
            })
            .collect();
        let said = said(&texts);
        let vectors: Vec<&[f32]> =
            best.iter().take(SPEAKING).filter_map(|(_, point)| point.vector.as_deref()).collect();
        let by: [Source; 2] = [Nearest::new(moved(vector, &vectors)).into(), in_chunks(&said).into()];
        let heard = ranked.into_iter().zip(self.scores(&ids, &by)?).map(|((_, candidate), scores)| {
            let [nearness, words] = scores.map(Option::unwrap_or_default);
            (candidate, Second { nearness, words })
        });
        Ok(fuse::second(heard.collect(), agreement(&scores)))
    }

    /// The scores of candidates by two sources.
    fn scores(&self, ids: &[PointId], by: &[Source; 2]) -> Result<Vec<[Option<f32>; 2]>> {
        let mut of = self.view.score(ids, by).map_err(as_asked)?.into_iter();
        let (one, other) = (of.next().unwrap_or_default(), of.next().unwrap_or_default());
        Ok(one.into_iter().zip(other).map(|(one, other)| [one, other]).collect())
    }
}

/// An error of a query as one about what was asked: the filter as it was given, or the question.
pub(super) fn as_asked(error: ragstone::Error) -> Error {
    let mut error = reserved::as_given(error);
    if let ragstone::Error::Invalid { field, .. } | ragstone::Error::Limit { field, .. } = &mut error
        && field.starts_with("source")
    {
        "question".clone_into(field);
    }
    error.into()
}
