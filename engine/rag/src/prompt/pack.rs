//! Whole chunks into a number of tokens, best first.
//!
//! Each chunk, in the order of its rank, is dropped as a repetition, joined to kept chunks of its document that it
//! touches or overlaps, kept by itself, or dropped because there is no room; later, smaller chunks may still fit.
//! Joined chunks become one citation, whose text is exactly the stored slice: overlaps are cut once, and the white space
//! between neighbours was kept with the second when they were stored. A joined citation has the place and the score of
//! its best chunk.
//!
//! What chunks cost is an estimate, as tokenizers see them without what stands beside them; [`assemble`](super::assemble) counts what comes of it.
//!
//! Cost: O(chunks x log(chunks)) and the words of the texts.

use std::collections::{BTreeMap, HashMap};

use super::response::{Citation, CitedChunk};
use crate::ingest::split::HEADING_SEPARATOR;
use crate::retrieve::similar::{Kept, Signature};
use crate::retrieve::{DropReason, DroppedChunk, RetrievedChunk};

/// A chunk and what it takes of the prompt.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Costed {
    pub(super) found: RetrievedChunk,
    /// Tokens of its text, as the prompt has it; at least 1.
    pub(super) text: usize,
    /// Tokens of what stands around the text; chunks that are put together share it.
    pub(super) frame: usize,
    /// What its text is compared by.
    pub(super) signature: Signature,
}

/// What becomes of the chunks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Packed {
    /// Best first, numbered from 1.
    pub(super) citations: Vec<Citation>,
    /// In the order of rank.
    pub(super) dropped: Vec<DroppedChunk>,
    /// Tokens that the citations take, by the estimate.
    pub(super) used: usize,
}

/// Packs chunks, best first, into so many tokens.
pub(super) fn pack(chunks: &[Costed], room: usize) -> Packed {
    let mut packer = Packer { room, used: 0, kept: Kept::default(), documents: HashMap::new() };
    let dropped = chunks.iter().enumerate().filter_map(|(rank, chunk)| packer.offer(rank, chunk)).collect();
    Packed { dropped, used: packer.used, citations: packer.finish() }
}

/// Neighbouring chunks of one document, in the order of the text.
struct Group<'a> {
    /// The place of the best of them among the chunks.
    rank: usize,
    members: Vec<&'a RetrievedChunk>,
}

impl Group<'_> {
    fn start(&self) -> usize {
        self.members.first().map_or(0, |hit| hit.chunk.start)
    }

    fn end(&self) -> usize {
        self.members.iter().map(|hit| hit.chunk.end).max().unwrap_or(0)
    }

    fn touches(&self, next: &RetrievedChunk) -> bool {
        self.members.last().is_some_and(|last| touch(last, next))
    }

    fn is_touched_by(&self, previous: &RetrievedChunk) -> bool {
        self.members.first().is_some_and(|first| touch(previous, first))
    }
}

/// Whether the text from the start of the one to the end of the other can be put together from the two.
fn touch(a: &RetrievedChunk, b: &RetrievedChunk) -> bool {
    let neighbours = a.chunk.ordinal + 1 == b.chunk.ordinal;
    b.chunk.start <= a.chunk.end || (neighbours && b.gap.is_some())
}

struct Packer<'a> {
    room: usize,
    used: usize,
    kept: Kept,
    /// Groups by document and first code point. Groups of a document neither overlap nor touch.
    documents: HashMap<&'a str, BTreeMap<usize, Group<'a>>>,
}

impl<'a> Packer<'a> {
    fn offer(&mut self, rank: usize, offered: &'a Costed) -> Option<DroppedChunk> {
        let Costed { found, text, frame, signature } = offered;
        let groups = self.documents.get(found.chunk.document.as_str());
        let before = groups.and_then(|groups| groups.range(..=found.chunk.start).next_back());
        let after = groups.and_then(|groups| groups.range(found.chunk.start + 1..).next());
        let inside = [before, after]
            .into_iter()
            .flatten()
            .any(|(_, group)| group.start() <= found.chunk.start && found.chunk.end <= group.end());
        let dropped = |reason| Some(found.dropped(reason, text + frame));
        if inside || self.kept.contains(signature) {
            return dropped(DropReason::Duplicate);
        }
        let before = before.filter(|(_, group)| group.touches(found)).map(|(start, _)| *start);
        let after = after.filter(|(_, group)| group.is_touched_by(found)).map(|(start, _)| *start);
        let joined = usize::from(before.is_some()) + usize::from(after.is_some());
        let used = (self.used + text + frame).saturating_sub(joined * frame);
        if used > self.room {
            return dropped(DropReason::Budget);
        }
        self.used = used;
        self.kept.add(signature.clone());
        self.insert(rank, found, [before, after]);
        None
    }

    fn insert(&mut self, rank: usize, found: &'a RetrievedChunk, neighbours: [Option<usize>; 2]) {
        let groups = self.documents.entry(&found.chunk.document).or_default();
        let mut group = Group { rank, members: vec![found] };
        for neighbour in neighbours.into_iter().flatten().filter_map(|start| groups.remove(&start)) {
            group.rank = group.rank.min(neighbour.rank);
            group.members.extend(neighbour.members);
        }
        group.members.sort_by_key(|member| member.chunk.start);
        groups.insert(group.start(), group);
    }

    fn finish(self) -> Vec<Citation> {
        let mut groups: Vec<Group<'_>> =
            self.documents.into_values().flat_map(BTreeMap::into_values).collect();
        groups.sort_by_key(|group| group.rank);
        groups.into_iter().enumerate().filter_map(|(at, group)| citation(at + 1, &group)).collect()
    }
}

fn citation(index: usize, group: &Group<'_>) -> Option<Citation> {
    let score = group.members.iter().map(|hit| hit.score).reduce(f32::max)?;
    let (first, more) = group.members.split_first()?;
    let mut citation = Citation {
        index,
        document: first.chunk.document.clone(),
        heading: first.chunk.heading.clone(),
        start: first.chunk.start,
        end: first.chunk.end,
        score,
        text: first.chunk.text.clone(),
        chunks: group.members.iter().map(|found| cited(found)).collect(),
    };
    for next in more {
        let shared = citation.end.saturating_sub(next.chunk.start);
        if citation.end < next.chunk.start {
            citation.text.push_str(next.gap.as_deref().unwrap_or_default());
        }
        citation.text.extend(next.chunk.text.chars().skip(shared));
        citation.end = citation.end.max(next.chunk.end);
        citation.heading = common_heading(&citation.heading, &next.chunk.heading);
    }
    Some(citation)
}

fn cited(found: &RetrievedChunk) -> CitedChunk {
    let RetrievedChunk { chunk, score, scores, beside, .. } = found;
    let (ordinal, start, end) = (chunk.ordinal, chunk.start, chunk.end);
    CitedChunk { ordinal, start, end, score: *score, scores: *scores, beside: *beside }
}

/// The headings that both paths begin with.
fn common_heading(a: &str, b: &str) -> String {
    let common = a.split(HEADING_SEPARATOR).zip(b.split(HEADING_SEPARATOR)).take_while(|(a, b)| a == b);
    common.map(|(title, _)| title).collect::<Vec<_>>().join(HEADING_SEPARATOR)
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
