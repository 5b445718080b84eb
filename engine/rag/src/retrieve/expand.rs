//! Chunks beside those that were found.
//!
//! **Problem.** A chunk is found by one sentence, and what answers the question stands in the next chunk, or all over its section.
//!
//! **Idea.** Every chunk that was found brings its neighbours in the document, so many before it and after it, or all of its section: the chunks around
//! it that stand under the same headings. Those are added after all that were found, nearest first, so that they take no room from them; where they
//! touch, they are put together later.
//!
//! **Invariants.** What is added passes the same filter, in the same view: a neighbour that does not is not there, nor is what lies behind
//! it. No chunk is added twice, and none that was found.
//!
//! Pure: chunks, and rows of the same documents, in; more chunks out.

use std::collections::{BTreeMap, HashMap, HashSet};

use ragstone::{Filter, Range};

use super::{RetrievedChunk, StageScores};
use crate::error::Result;
use crate::ingest::Chunk;
use crate::limits::{EXPANSION_CHUNKS_MAX, NEIGHBOURS_MAX};
use crate::prompt::check_max;
use crate::reserved::{DOCUMENT, HEADING, ORDINAL};

/// What is added to the chunks that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Chunks before each, up to [`NEIGHBOURS_MAX`].
    pub before: usize,
    /// Chunks after each, up to [`NEIGHBOURS_MAX`].
    pub after: usize,
    /// All chunks around each that stand under the same headings, [`NEIGHBOURS_MAX`] on either side at most.
    pub section: bool,
}

/// A chunk of a document, and the white space before it, as it is stored.
pub(crate) type Stored = (Chunk, Option<String>);

impl Expansion {
    /// Refuses what is beyond the limits, for so many chunks that are found.
    pub(crate) fn validate(&self, k: usize) -> Result<()> {
        check_max("expand.before", self.before, "NEIGHBOURS_MAX", NEIGHBOURS_MAX)?;
        check_max("expand.after", self.after, "NEIGHBOURS_MAX", NEIGHBOURS_MAX)?;
        let reach = |own: usize| if self.section { NEIGHBOURS_MAX } else { own };
        let added = k.saturating_mul(reach(self.before) + reach(self.after));
        check_max("expand", added, "EXPANSION_CHUNKS_MAX", EXPANSION_CHUNKS_MAX)
    }

    /// Which chunks of the store may be added to one that was found, if any may.
    pub(crate) fn condition(&self, chunk: &Chunk) -> Option<Filter> {
        let document = || Filter::eq(DOCUMENT, chunk.document.as_str());
        let ordinals = |before: usize, after: usize| {
            let ordinal = |at: usize| Some(i64::try_from(at).unwrap_or(i64::MAX).into());
            let range = Range {
                gte: ordinal(chunk.ordinal.saturating_sub(before)),
                lte: ordinal(chunk.ordinal.saturating_add(after)),
                ..Range::default()
            };
            Filter::Range(ORDINAL.to_owned(), range)
        };
        let near = (self.before + self.after > 0)
            .then(|| Filter::And(vec![document(), ordinals(self.before, self.after)]));
        let section = self.section.then(|| {
            let heading = Filter::eq(HEADING, chunk.heading.as_str());
            Filter::And(vec![document(), heading, ordinals(NEIGHBOURS_MAX, NEIGHBOURS_MAX)])
        });
        match (near, section) {
            (Some(near), Some(section)) => Some(Filter::Or(vec![near, section])),
            (near, section) => near.or(section),
        }
    }

    /// What is added, in the order of what was found, nearest first. `stored` are chunks that meet the conditions.
    pub(crate) fn of(&self, found: &[RetrievedChunk], stored: Vec<Stored>) -> Vec<RetrievedChunk> {
        let mut documents: HashMap<String, BTreeMap<usize, Stored>> = HashMap::new();
        for (chunk, gap) in stored {
            documents.entry(chunk.document.clone()).or_default().insert(chunk.ordinal, (chunk, gap));
        }
        let mut there: HashSet<(String, usize)> = found.iter().map(|found| key(&found.chunk)).collect();
        let mut added = Vec::new();
        for hit in found {
            let Some(chunks) = documents.get(&hit.chunk.document) else { continue };
            for ordinal in self.around(&hit.chunk, chunks) {
                let Some((chunk, gap)) = chunks.get(&ordinal) else { continue };
                if there.insert(key(chunk)) {
                    added.push(RetrievedChunk {
                        chunk: chunk.clone(),
                        score: hit.score,
                        scores: StageScores::default(),
                        beside: Some(hit.chunk.ordinal),
                        gap: gap.clone(),
                    });
                }
            }
        }
        added
    }

    /// The places of the chunks that a chunk brings, nearest first, up to the first on either side that is not there.
    fn around(&self, chunk: &Chunk, chunks: &BTreeMap<usize, Stored>) -> Vec<usize> {
        let is_wanted = |ordinal: usize, distance: usize, reach: usize| {
            chunks.get(&ordinal).is_some_and(|(other, _)| {
                distance <= reach
                    || (self.section && distance <= NEIGHBOURS_MAX && other.heading == chunk.heading)
            })
        };
        let after = (chunk.ordinal + 1..)
            .zip(1..)
            .take_while(|(ordinal, distance)| is_wanted(*ordinal, *distance, self.after));
        let before = (0..chunk.ordinal)
            .rev()
            .zip(1..)
            .take_while(|(ordinal, distance)| is_wanted(*ordinal, *distance, self.before));
        let mut around: Vec<(usize, usize)> = after.chain(before).collect();
        // Of two as near the later one, which goes on from the chunk.
        around.sort_by_key(|(_, distance)| *distance);
        around.into_iter().map(|(ordinal, _)| ordinal).collect()
    }
}

fn key(chunk: &Chunk) -> (String, usize) {
    (chunk.document.clone(), chunk.ordinal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(document: &str, ordinal: usize) -> Chunk {
        // Three chunks a section.
        let heading = format!("S{}", ordinal / 3);
        let text = format!("text {ordinal}");
        let (start, end) = (10 * ordinal, 10 * ordinal + 9);
        let content_sha256 = String::new();
        Chunk { document: document.to_owned(), ordinal, heading, start, end, text, tokens: 2, content_sha256 }
    }

    fn found(document: &str, ordinal: usize) -> RetrievedChunk {
        let scores = StageScores { words: Some(1.0), ..StageScores::default() };
        RetrievedChunk { chunk: chunk(document, ordinal), score: 0.5, scores, beside: None, gap: None }
    }

    fn stored(ordinals: impl IntoIterator<Item = usize>) -> Vec<Stored> {
        ordinals.into_iter().map(|ordinal| (chunk("d", ordinal), Some(" ".to_owned()))).collect()
    }

    #[test]
    fn neighbours_and_sections_are_added_nearest_first_and_once() {
        let near = |before, after| Expansion { before, after, section: false };
        let section = Expansion { section: true, ..Expansion::default() };
        // what is asked for, what was found, what the store has, what is added
        type Case = (Expansion, &'static [usize], Vec<usize>, &'static [usize]);
        let cases: [Case; 9] = [
            (near(0, 0), &[4], (0..9).collect(), &[]),
            (near(1, 2), &[4], (0..9).collect(), &[5, 3, 6]),
            (near(2, 2), &[0], (0..2).collect(), &[1]),
            // What lies behind a chunk that is not there is not added.
            (near(2, 2), &[4], vec![2, 4, 6], &[]),
            (near(1, 1), &[4, 5], (0..9).collect(), &[3, 6]),
            (near(1, 1), &[4, 7], (0..9).collect(), &[5, 3, 8, 6]),
            (section, &[4], (0..9).collect(), &[5, 3]),
            (section, &[3], (0..9).collect(), &[4, 5]),
            (Expansion { after: 3, ..section }, &[4], (0..9).collect(), &[5, 3, 6, 7]),
        ];
        for (expansion, hits, there, expected) in cases {
            let hits: Vec<RetrievedChunk> = hits.iter().map(|at| found("d", *at)).collect();
            let added = expansion.of(&hits, stored(there));
            let ordinals: Vec<usize> = added.iter().map(|added| added.chunk.ordinal).collect();
            assert_eq!(ordinals, expected, "{expansion:?}");
            assert!(
                added.iter().all(|added| added.beside.is_some() && added.scores == StageScores::default())
            );
        }
        assert!(near(1, 1).of(&[found("other", 4)], stored(0..9)).is_empty());
    }

    #[test]
    fn the_store_is_asked_for_what_may_be_added() {
        assert_eq!(Expansion::default().condition(&chunk("d", 4)), None);
        let near = Expansion { before: 5, after: 1, section: false };
        let Some(Filter::And(parts)) = near.condition(&chunk("d", 4)) else { panic!("one condition") };
        let range = Range { gte: Some(0.into()), lte: Some(5.into()), ..Range::default() };
        assert_eq!(parts, [Filter::eq(DOCUMENT, "d"), Filter::Range(ORDINAL.into(), range)]);
        let both = Expansion { section: true, ..near }.condition(&chunk("d", 4));
        assert!(matches!(both, Some(Filter::Or(parts)) if parts.len() == 2));
    }

    #[test]
    fn all_that_may_be_added_is_bounded() {
        let one = Expansion { after: 1, ..Expansion::default() };
        one.validate(EXPANSION_CHUNKS_MAX).unwrap();
        let section = Expansion { section: true, ..Expansion::default() };
        section.validate(EXPANSION_CHUNKS_MAX / (2 * NEIGHBOURS_MAX)).unwrap();
        Expansion::default().validate(usize::MAX).unwrap();
        for (expansion, k) in [
            (one, EXPANSION_CHUNKS_MAX + 1),
            (section, EXPANSION_CHUNKS_MAX / (2 * NEIGHBOURS_MAX) + 1),
            (Expansion { before: 1, after: 1, section: false }, EXPANSION_CHUNKS_MAX / 2 + 1),
        ] {
            let error = expansion.validate(k).unwrap_err().to_string();
            assert!(error.starts_with("expand: ") && error.contains("EXPANSION_CHUNKS_MAX"), "{error}");
        }
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        let most = Expansion { before: NEIGHBOURS_MAX, after: NEIGHBOURS_MAX, section: true };
        most.validate(1).unwrap();
        for over in [
            Expansion { before: NEIGHBOURS_MAX + 1, ..most },
            Expansion { after: NEIGHBOURS_MAX + 1, ..most },
        ] {
            assert!(over.validate(1).is_err_and(|error| error.to_string().contains("NEIGHBOURS_MAX = 32")));
        }
    }
}
