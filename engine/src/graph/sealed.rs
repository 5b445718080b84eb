//! The graph of a sealed segment: immutable bytes, read where they lie.

use std::ops::Range;

use super::scratch::ScratchPool;
use super::walk::{Entry, Layer, Layers, search};
use super::{LAYERS_MAX, Walk, WalkRequest, verify};
use crate::limits::GRAPH_DEGREE_MAX;
use crate::pace::{Halt, Pace};
use crate::vectors::{SLOTS_MAX, Scorer, SharedBytes, Slot};

#[cfg(target_endian = "big")]
compile_error!("sealed segments are mapped as little-endian words");

/// Ends a list that is not full.
pub(super) const NO_LINK: u32 = u32::MAX;
/// Fills the list of a row that is no node.
pub(super) const ABSENT_LINK: u32 = u32::MAX - 1;
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_WORDS: usize = 16;
/// Bytes that are decoded when a graph is opened: they are to be sound by then.
pub(crate) const GRAPH_HEADER_BYTES: usize = HEADER_WORDS * 4;
/// Words of an upper record before its links.
pub(super) const UPPER_RECORD_HEAD: usize = 2;

/// Why bytes are not a graph. `offset` counts from the start of the graph's bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum GraphError {
    /// The range does not lie within the bytes.
    #[error("graph at bytes {start}..{end} of {len}")]
    Range { start: usize, end: usize, len: usize },
    /// The first word does not lie at a multiple of four bytes in memory.
    #[error("the graph at byte {start} is not aligned to 4 bytes in memory")]
    Alignment { start: usize },
    /// The length is not what the header says, or too short for one.
    #[error("the graph takes {actual} bytes, its header says {expected}")]
    Length { expected: usize, actual: usize },
    /// A word has a value that it cannot have.
    #[error("graph, byte {offset}: {what} is {value}")]
    Word { offset: usize, what: &'static str, value: u32 },
}

impl GraphError {
    /// The first byte that is wrong, from the start of the graph's bytes.
    pub(crate) fn offset(&self) -> usize {
        match self {
            GraphError::Word { offset, .. } => *offset,
            _ => 0,
        }
    }
}

/// The header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) rows: u32,
    pub(super) nodes: u32,
    pub(super) degree: u32,
    pub(super) upper_degree: u32,
    pub(super) layers: u32,
    pub(super) entry: u32,
    pub(super) upper_nodes: [u32; LAYERS_MAX],
}

impl Header {
    pub(super) fn encode(&self, version: u32) -> [u32; HEADER_WORDS] {
        let mut words = [0; HEADER_WORDS];
        words[..7].copy_from_slice(&[
            version,
            self.rows,
            self.nodes,
            self.degree,
            self.upper_degree,
            self.layers,
            self.entry,
        ]);
        words[7..7 + LAYERS_MAX].copy_from_slice(&self.upper_nodes);
        words
    }

    /// Decodes a header and checks each word on its own.
    fn decode(words: &[u32; HEADER_WORDS]) -> Result<Self, GraphError> {
        let [version, rows, nodes, degree, upper_degree, layers, entry, ..] = *words;
        let mut upper_nodes = [0; LAYERS_MAX];
        upper_nodes.copy_from_slice(&words[7..7 + LAYERS_MAX]);
        let check = |word: usize, what, good: bool| {
            if good { Ok(()) } else { Err(GraphError::Word { offset: word * 4, what, value: words[word] }) }
        };
        check(0, "the layout's version", version == VERSION)?;
        check(1, "the number of rows", rows as usize <= SLOTS_MAX)?;
        check(2, "the number of nodes", nodes <= rows)?;
        check(3, "the degree", (1..=GRAPH_DEGREE_MAX).contains(&(degree as usize)))?;
        check(4, "the degree of upper layers", (1..=GRAPH_DEGREE_MAX).contains(&(upper_degree as usize)))?;
        check(5, "the number of upper layers", layers as usize <= LAYERS_MAX)?;
        for (layer, count) in upper_nodes.iter().enumerate() {
            let below = if layer == 0 { nodes } else { upper_nodes[layer - 1] };
            let there = layer < layers as usize;
            check(
                7 + layer,
                "the number of an upper layer's nodes",
                if there { (1..=below).contains(count) } else { *count == 0 },
            )?;
        }
        let top = if layers == 0 { rows } else { upper_nodes[layers as usize - 1] };
        check(6, "the entry", if nodes == 0 { entry == NO_LINK } else { entry < top })?;
        (7 + LAYERS_MAX..HEADER_WORDS)
            .try_for_each(|word| check(word, "a reserved word", words[word] == 0))?;
        Ok(Self { rows, nodes, degree, upper_degree, layers, entry, upper_nodes })
    }

    fn upper_record_words(&self) -> usize {
        UPPER_RECORD_HEAD + self.upper_degree as usize
    }

    /// Words of the whole graph.
    pub(super) fn words(&self) -> usize {
        let upper: usize = self.upper_nodes.iter().map(|count| *count as usize).sum();
        HEADER_WORDS + self.rows as usize * self.degree as usize + upper * self.upper_record_words()
    }

    /// The words of an upper layer, from one up.
    pub(super) fn upper_range(&self, layer: usize) -> Range<usize> {
        let before: usize = self.upper_nodes[..layer - 1].iter().map(|count| *count as usize).sum();
        let record = self.upper_record_words();
        let start = HEADER_WORDS + self.rows as usize * self.degree as usize + before * record;
        start..start + self.upper_nodes[layer - 1] as usize * record
    }

    pub(super) fn base_range(&self) -> Range<usize> {
        HEADER_WORDS..HEADER_WORDS + self.rows as usize * self.degree as usize
    }
}

/// A graph in immutable bytes, of which only the header was checked when it was opened.
///
/// So nothing that a walk reads is trusted: a link beyond its layer is skipped, an upper node's slot is brought among
/// the rows, and a way down that leads nowhere ends the walk with nothing. Damage costs answers, never more. Who wants
/// to know calls [`verify`](Self::verify).
///
/// # Bytes
/// ```text
/// graph  = header base upper*                every word is an unsigned 32-bit integer, little-endian
/// header = 16 words:
///          0      version of this layout = 1
///          1      rows: slots of the segment
///          2      nodes: rows that are in the graph
///          3      degree: links of a base list, 1..=256
///          4      upper degree: links of an upper list
///          5      layers above the base, 0..=6
///          6      entry: a node of the highest layer; 0xFFFFFFFF of a graph without nodes
///          7..13  nodes of the upper layers, lowest first; 0 beyond `layers`
///          13..16 zero
/// base   = list * rows, by slot              list = degree words
///          the slots that it links to; 0xFFFFFFFF fills up a list that is shorter.
///          A row that is no node has 0xFFFFFFFE in all words
/// upper  = record * nodes of the layer, for each layer, lowest first
/// record = slot, node of the layer below (the slot itself on the first), list of upper degree words:
///          positions within the layer, filled up as above
/// ```
/// The first word lies at a multiple of four bytes in memory; at a multiple of 64, lists of 16 or 32 links
/// keep to cache lines. A file's framing and checksums are its own.
pub(crate) struct SealedGraph {
    bytes: SharedBytes,
    range: Range<usize>,
    header: Header,
    scratch: ScratchPool,
}

impl std::fmt::Debug for SealedGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedGraph")
            .field("range", &self.range)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl SealedGraph {
    /// Opens the graph in `bytes[range]` and checks its header and length.
    pub(crate) fn open(bytes: SharedBytes, range: Range<usize>) -> Result<Self, GraphError> {
        let all = (*bytes).as_ref();
        let outside = GraphError::Range { start: range.start, end: range.end, len: all.len() };
        let part = all.get(range.clone()).ok_or(outside)?;
        let too_short = GraphError::Length { expected: HEADER_WORDS * 4, actual: part.len() };
        if part.len() % 4 != 0 {
            return Err(too_short);
        }
        let words: &[u32] =
            bytemuck::try_cast_slice(part).map_err(|_| GraphError::Alignment { start: range.start })?;
        let header = Header::decode(words.first_chunk().ok_or(too_short)?)?;
        if words.len() != header.words() {
            return Err(GraphError::Length { expected: header.words() * 4, actual: part.len() });
        }
        Ok(Self { bytes, range, header, scratch: ScratchPool::default() })
    }

    /// Checks every word.
    pub(crate) fn verify(&self, pace: &mut Pace<'_>) -> Result<(), Halt<GraphError>> {
        verify::check(&self.view(), pace)
    }

    /// Rows that are in the graph.
    pub(crate) fn len(&self) -> usize {
        self.header.nodes as usize
    }

    /// Rows of the segment, in the graph or not.
    pub(crate) fn rows(&self) -> usize {
        self.header.rows as usize
    }

    /// Whether a slot is in the graph.
    #[cfg(test)]
    pub(crate) fn contains(&self, slot: Slot) -> bool {
        slot.index() < self.rows() && self.view().base_list(slot.0)[0] != ABSENT_LINK
    }

    /// Finds candidates near a query. `scorer` must know all rows.
    pub(crate) fn search(&self, scorer: &dyn Scorer, request: &WalkRequest<'_>) -> Walk {
        self.scratch.with(|scratch| search(&self.view(), scorer, request, scratch))
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            words: bytemuck::cast_slice(&(*self.bytes).as_ref()[self.range.clone()]),
            header: &self.header,
        }
    }
}

/// The words of a graph, found once per search.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    words: &'a [u32],
    pub(super) header: &'a Header,
}

impl<'a> View<'a> {
    pub(super) fn base_list(&self, slot: u32) -> &'a [u32] {
        let degree = self.header.degree as usize;
        &self.words[HEADER_WORDS + slot as usize * degree..][..degree]
    }

    pub(super) fn upper_layer(&self, layer: usize) -> SealedUpper<'a> {
        let record_words = self.header.upper_record_words();
        let last_slot = self.header.rows.saturating_sub(1);
        SealedUpper { words: &self.words[self.header.upper_range(layer)], record_words, last_slot }
    }
}

impl Layers for View<'_> {
    fn entry(&self) -> Option<Entry> {
        (self.header.nodes > 0)
            .then_some(Entry { layer: self.header.layers as usize, node: self.header.entry })
    }

    fn base(&self) -> impl Layer {
        SealedBase {
            words: &self.words[self.header.base_range()],
            degree: self.header.degree as usize,
            rows: self.header.rows as usize,
        }
    }

    fn upper(&self, layer: usize) -> impl Layer {
        self.upper_layer(layer)
    }

    #[inline]
    fn is_live(&self, _slot: Slot) -> bool {
        true
    }

    #[inline]
    fn are_live(&self) -> bool {
        true
    }

    fn below(&self, layer: usize, node: u32) -> u32 {
        let upper = self.upper_layer(layer);
        // Of no node there is none below: nothing starts from there.
        if (node as usize) < upper.limit() { upper.record(node)[1] } else { NO_LINK }
    }
}

struct SealedBase<'a> {
    words: &'a [u32],
    degree: usize,
    rows: usize,
}

impl SealedBase<'_> {
    #[inline]
    fn list(&self, node: u32) -> &[u32] {
        &self.words[node as usize * self.degree..][..self.degree]
    }
}

impl Layer for SealedBase<'_> {
    fn limit(&self) -> usize {
        self.rows
    }
    #[inline]
    fn slot(&self, node: u32) -> Slot {
        Slot(node)
    }
    #[inline]
    fn links(&self, node: u32) -> impl Iterator<Item = u32> {
        self.list(node).iter().copied().take_while(|link| *link != NO_LINK)
    }
    #[inline]
    fn prefetch(&self, node: u32) {
        ragstone_kernels::prefetch(self.list(node));
    }
}

pub(super) struct SealedUpper<'a> {
    words: &'a [u32],
    pub(super) record_words: usize,
    last_slot: u32,
}

impl<'a> SealedUpper<'a> {
    #[inline]
    pub(super) fn record(&self, node: u32) -> &'a [u32] {
        &self.words[node as usize * self.record_words..][..self.record_words]
    }
}

impl Layer for SealedUpper<'_> {
    fn limit(&self) -> usize {
        self.words.len() / self.record_words
    }
    #[inline]
    fn slot(&self, node: u32) -> Slot {
        Slot(self.record(node)[0].min(self.last_slot))
    }
    #[inline]
    fn links(&self, node: u32) -> impl Iterator<Item = u32> {
        self.record(node)[UPPER_RECORD_HEAD..].iter().copied().take_while(|link| *link != NO_LINK)
    }
    #[inline]
    fn prefetch(&self, node: u32) {
        ragstone_kernels::prefetch(self.record(node));
    }
}
