//! Whole chunks into the token budget, best first.
//!
//! Each hit, in the order of retrieval, is dropped as a repetition, joined to kept chunks of its document that it
//! touches or overlaps, kept by itself, or dropped because the budget is used up; later, smaller hits may still fit.
//! Joined chunks become one citation, whose text is exactly the stored slice: overlaps are cut once, and the white space
//! between neighbours was kept with the second when they were stored. A joined citation has the place and the score of
//! its best chunk.
//!
//! Cost: O(hits x log(hits)) and the words of the texts.

use std::collections::{BTreeMap, HashMap};

use super::similar::{Kept, Signature};
use super::{Citation, DropReason, Dropped};
use crate::ingest::Chunk;
use crate::ingest::split::HEADING_SEPARATOR;
use crate::retrieve::RetrievedChunk;

/// What becomes of the hits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Packed {
    /// Best first, numbered from 1.
    pub(crate) citations: Vec<Citation>,
    /// In the order of retrieval.
    pub(crate) dropped: Vec<Dropped>,
}

/// Packs hits, best first, into a budget of tokens.
pub(crate) fn pack(hits: Vec<RetrievedChunk>, budget: usize, count_tokens: &dyn Fn(&str) -> usize) -> Packed {
    let mut packer =
        Packer { budget, count_tokens, used: 0, kept: Kept::default(), documents: HashMap::new() };
    let mut dropped = Vec::new();
    for (rank, hit) in hits.into_iter().enumerate() {
        dropped.extend(packer.offer(rank, hit));
    }
    Packed { citations: packer.finish(), dropped }
}

/// Neighbouring chunks of one document, in the order of the text.
struct Group {
    /// The place of the best of them among the hits.
    rank: usize,
    members: Vec<RetrievedChunk>,
    tokens: usize,
}

impl Group {
    fn start(&self) -> usize {
        self.members.first().map_or(0, |hit| hit.chunk.start)
    }

    fn end(&self) -> usize {
        self.members.last().map_or(0, |hit| hit.chunk.end)
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
    budget: usize,
    count_tokens: &'a dyn Fn(&str) -> usize,
    used: usize,
    kept: Kept,
    /// Groups by document and first code point. Groups of a document neither overlap nor touch.
    documents: HashMap<String, BTreeMap<usize, Group>>,
}

impl Packer<'_> {
    fn offer(&mut self, rank: usize, hit: RetrievedChunk) -> Option<Dropped> {
        let label = self.label_tokens(&hit.chunk);
        let tokens = hit.chunk.tokens + label;
        let groups = self.documents.get(&hit.chunk.document);
        let before = groups.and_then(|groups| groups.range(..=hit.chunk.start).next_back());
        let after = groups.and_then(|groups| groups.range(hit.chunk.start + 1..).next());
        let inside = [before, after]
            .into_iter()
            .flatten()
            .any(|(_, group)| group.start() <= hit.chunk.start && hit.chunk.end <= group.end());
        let signature = Signature::of(&hit.chunk.text);
        if inside || self.kept.contains(&signature) {
            return Some(dropped(&hit, tokens, DropReason::Duplicate));
        }
        let before = before.filter(|(_, group)| group.touches(&hit)).map(|(start, _)| *start);
        let after = after.filter(|(_, group)| group.is_touched_by(&hit)).map(|(start, _)| *start);
        // Joined chunks share one line that names their source.
        let joined = usize::from(before.is_some()) + usize::from(after.is_some());
        let used = (self.used + tokens).saturating_sub(joined * label);
        if used > self.budget {
            return Some(dropped(&hit, tokens, DropReason::Budget));
        }
        self.used = used;
        self.kept.add(signature);
        self.insert(rank, hit, tokens, [before, after]);
        None
    }

    fn insert(&mut self, rank: usize, hit: RetrievedChunk, tokens: usize, neighbours: [Option<usize>; 2]) {
        let groups = self.documents.entry(hit.chunk.document.clone()).or_default();
        let mut group = Group { rank, members: vec![hit], tokens };
        for neighbour in neighbours.into_iter().flatten().filter_map(|start| groups.remove(&start)) {
            group.rank = group.rank.min(neighbour.rank);
            group.tokens += neighbour.tokens;
            group.members.extend(neighbour.members);
        }
        group.members.sort_by_key(|member| member.chunk.start);
        groups.insert(group.start(), group);
    }

    /// Tokens of the line that names a chunk's source, its number and marks included.
    fn label_tokens(&self, chunk: &Chunk) -> usize {
        const MARKS: usize = 4;
        (self.count_tokens)(&chunk.document) + (self.count_tokens)(&chunk.heading) + MARKS
    }

    fn finish(self) -> Vec<Citation> {
        let mut groups: Vec<Group> = self.documents.into_values().flat_map(BTreeMap::into_values).collect();
        groups.sort_by_key(|group| group.rank);
        groups.into_iter().enumerate().filter_map(|(at, group)| citation(at + 1, group)).collect()
    }
}

fn citation(index: usize, group: Group) -> Option<Citation> {
    let best = group.members.iter().map(|hit| hit.score).reduce(f32::max)?;
    let mut members = group.members.into_iter();
    let first = members.next()?;
    let mut citation = Citation {
        index,
        document: first.chunk.document,
        heading: first.chunk.heading,
        start: first.chunk.start,
        end: first.chunk.end,
        score: best,
        text: first.chunk.text,
    };
    for next in members {
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

/// The headings that both paths begin with.
fn common_heading(a: &str, b: &str) -> String {
    let common = a.split(HEADING_SEPARATOR).zip(b.split(HEADING_SEPARATOR)).take_while(|(a, b)| a == b);
    common.map(|(title, _)| title).collect::<Vec<_>>().join(HEADING_SEPARATOR)
}

fn dropped(hit: &RetrievedChunk, tokens: usize, reason: DropReason) -> Dropped {
    let Chunk { document, start, end, .. } = &hit.chunk;
    Dropped { document: document.clone(), start: *start, end: *end, score: hit.score, tokens, reason }
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
