//! Chunks beside those that were found.
//!
//! **Problem.** A chunk is found by one sentence, and what answers the question stands in the next chunk, or all over its section.
//!
//! **Idea.** Every chunk that was found brings its neighbours in the document, so many before it and after it, or its section, or sections around
//! that. What is added comes after all that was found, so that it takes no room from them: first the neighbours and sections of all, nearest first, then,
//! level by level, what the sections around add. Where chunks touch, they are put together later, in the order of the document.
//!
//! **What a section is.** A chunk's path is its headings, outermost first. Its section is every chunk around it whose path is the same or goes on below
//! it: the section that its innermost heading names, with the sections in that. The section around is that of the path without its last
//! heading; around the outermost heading lies the whole document, which is the section of a chunk without headings, too. At most
//! [`NEIGHBOURS_MAX`] chunks on either side of the chunk are looked at.
//!
//! **Invariants.** What is added passes the same filter, in the same view: a neighbour that does not is not there, nor is what lies behind
//! it. No chunk is added twice, and none that was found.
//!
//! **Cost.** Which chunks may be meant is known by their ids alone ([`Expansion::candidates`]). Their headings are looked up once, for all that was found together,
//! and the texts of those alone that are added.
//!
//! Pure: chunks, and headings of the same documents, in; places out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::RetrievedChunk;
use crate::error::Result;
use crate::ingest::Chunk;
use crate::ingest::split::HEADING_SEPARATOR;
use crate::limits::{EXPANSION_CHUNKS_MAX, NEIGHBOURS_MAX, PARENTS_MAX};
use crate::prompt::check_max;

/// What is added to the chunks that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Chunks before each, up to [`NEIGHBOURS_MAX`].
    pub before: usize,
    /// Chunks after each, up to [`NEIGHBOURS_MAX`].
    pub after: usize,
    /// The section of each: all chunks around it that stand under the headings that it stands under, or below these;
    /// [`NEIGHBOURS_MAX`] on either side at most.
    pub section: bool,
    /// Sections around that one, from the innermost, up to [`PARENTS_MAX`]: with 1, the section that it is a part of as well. Above the outermost
    /// heading is the whole document. More than 0 brings the section itself as well, whatever [`section`](Self::section) says; the limit on either side
    /// stays the same.
    pub parents: usize,
}

/// A chunk of a document, by its place there.
pub(crate) type Place = (String, usize);

/// A chunk that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// Which of those that were found it stands beside.
    pub(crate) hit: usize,
    pub(crate) ordinal: usize,
}

impl Expansion {
    /// Refuses what is beyond the limits, for so many chunks that are found.
    pub(crate) fn validate(&self, k: usize) -> Result<()> {
        check_max("expand.before", self.before, "NEIGHBOURS_MAX", NEIGHBOURS_MAX)?;
        check_max("expand.after", self.after, "NEIGHBOURS_MAX", NEIGHBOURS_MAX)?;
        check_max("expand.parents", self.parents, "PARENTS_MAX", PARENTS_MAX)?;
        let [before, after] = self.reach();
        check_max("expand", k.saturating_mul(before + after), "EXPANSION_CHUNKS_MAX", EXPANSION_CHUNKS_MAX)
    }

    fn has_section(&self) -> bool {
        self.section || self.parents > 0
    }

    /// How far before a chunk, and behind it, those are that it may bring.
    fn reach(&self) -> [usize; 2] {
        if self.has_section() { [NEIGHBOURS_MAX; 2] } else { [self.before, self.after] }
    }

    /// Every chunk that may be added, whether there is one or not.
    pub(crate) fn candidates(&self, found: &[RetrievedChunk]) -> Vec<Place> {
        let [before, after] = self.reach();
        let mut documents: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for RetrievedChunk { chunk, .. } in found {
            let around = chunk.ordinal.saturating_sub(before)..=chunk.ordinal.saturating_add(after);
            documents.entry(&chunk.document).or_default().extend(around);
        }
        for RetrievedChunk { chunk, .. } in found {
            if let Some(ordinals) = documents.get_mut(chunk.document.as_str()) {
                ordinals.remove(&chunk.ordinal);
            }
        }
        let places = |(document, ordinals): (&str, BTreeSet<usize>)| -> Vec<Place> {
            ordinals.into_iter().map(|ordinal| (document.to_owned(), ordinal)).collect()
        };
        documents.into_iter().flat_map(places).collect()
    }

    /// What is added, in the order in which it is packed. `headings` are those of the candidates that are there.
    pub(crate) fn of(&self, found: &[RetrievedChunk], headings: HashMap<Place, String>) -> Vec<Added> {
        let mut documents: HashMap<String, HashMap<usize, String>> = HashMap::new();
        let own = found.iter().map(|found| (key(&found.chunk), found.chunk.heading.clone()));
        for ((document, ordinal), heading) in headings.into_iter().chain(own) {
            documents.entry(document).or_default().insert(ordinal, heading);
        }
        let mut there: HashSet<(&str, usize)> =
            found.iter().map(|found| (found.chunk.document.as_str(), found.chunk.ordinal)).collect();
        let mut added = Vec::new();
        for level in 0..=self.parents {
            for (hit, RetrievedChunk { chunk, .. }) in found.iter().enumerate() {
                let Some(headings) = documents.get(&chunk.document) else { continue };
                for ordinal in self.around(chunk, level, headings) {
                    if there.insert((chunk.document.as_str(), ordinal)) {
                        added.push(Added { hit, ordinal });
                    }
                }
            }
        }
        added
    }

    /// The places of the chunks that a chunk brings with so many of the sections around its own, nearest first, up to the first on either side that is
    /// not there or not meant.
    fn around(&self, chunk: &Chunk, level: usize, headings: &HashMap<usize, String>) -> Vec<usize> {
        let path = self.has_section().then(|| above(&chunk.heading, level));
        let is_meant = |ordinal: usize, distance: usize, neighbours: usize| {
            headings.get(&ordinal).is_some_and(|heading| {
                let is_within = |path: &str| distance <= NEIGHBOURS_MAX && lies_within(heading, path);
                distance <= neighbours || path.is_some_and(is_within)
            })
        };
        let after = (chunk.ordinal + 1..)
            .zip(1..)
            .take_while(|(ordinal, distance)| is_meant(*ordinal, *distance, self.after));
        let before = (0..chunk.ordinal)
            .rev()
            .zip(1..)
            .take_while(|(ordinal, distance)| is_meant(*ordinal, *distance, self.before));
        let mut around: Vec<(usize, usize)> = after.chain(before).collect();
        // Of two as near the later one, which goes on from the chunk.
        around.sort_by_key(|(_, distance)| *distance);
        around.into_iter().map(|(ordinal, _)| ordinal).collect()
    }
}

/// A path without so many of its innermost headings.
fn above(path: &str, levels: usize) -> &str {
    (0..levels).fold(path, |path, _| path.rsplit_once(HEADING_SEPARATOR).map_or("", |(outer, _)| outer))
}

/// Whether a path is another or goes on below it. Everything lies within the document, whose path is empty.
fn lies_within(path: &str, section: &str) -> bool {
    let below = path.strip_prefix(section);
    section.is_empty() || below.is_some_and(|below| below.is_empty() || below.starts_with(HEADING_SEPARATOR))
}

fn key(chunk: &Chunk) -> Place {
    (chunk.document.clone(), chunk.ordinal)
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
