//! A dense vector of a segment as one view shows it: what a search for near rows looks at.
//!
//! **Problem.** Graph, codes and sketches number the rows that have the vector, filters and results number all rows.
//!
//! **Idea.** A search within a segment speaks of *nodes*: rows that have this vector, numbered without gaps where the segment is
//! sealed. What comes in, the bitmap of candidates, is brought from slots to nodes by words, what goes out, a handful of
//! results, one by one. In a growing segment, and for the first dense vector of a sealed one, whose rows are sorted by
//! it, node and slot are the same, and nothing is brought anywhere.
//!
//! **Cost** of the way in, where they differ: some nanoseconds a word of the bitmap, and one a candidate in words that are
//! not all nodes.

use std::borrow::Cow;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use ragstone_kernels::KernelBits;

use super::parts::dense::SealedDense;
use super::{GrowingDense, Segment, SegmentView};
use crate::graph::{Walk, WalkRequest};
use crate::interrupt::Watch;
use crate::payload::{CompiledFilter, Screened};
use crate::vectors::{Encoding, Encodings, Rows, Scorer, Slot};

/// A dense vector of a segment at one moment.
#[derive(Clone, Copy)]
pub(crate) struct DenseView<'a> {
    pub(crate) segment: &'a SegmentView,
    place: usize,
    of: Of<'a>,
}

#[derive(Clone, Copy)]
enum Of<'a> {
    /// With the rows that lack it.
    Growing(&'a GrowingDense, Option<&'a FixedBitSet>),
    Sealed(&'a SealedDense),
}

/// Nodes that a search may return.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// Alive and passing the filter.
    pub(crate) bits: Arc<FixedBitSet>,
    pub(crate) count: usize,
}

impl SegmentView {
    /// A dense vector, by its place among the dense ones of the schema.
    pub(crate) fn dense(&self, place: usize) -> DenseView<'_> {
        let of = match &self.segment {
            Segment::Growing(segment) => Of::Growing(&segment.dense[place], self.lacking.of(place)),
            Segment::Sealed(segment) => Of::Sealed(&segment.dense[place]),
        };
        DenseView { segment: self, place, of }
    }

    /// Every dense vector.
    pub(crate) fn all_dense(&self) -> impl Iterator<Item = DenseView<'_>> {
        let places = match &self.segment {
            Segment::Growing(segment) => segment.dense.len(),
            Segment::Sealed(segment) => segment.dense.len(),
        };
        (0..places).map(|place| self.dense(place))
    }
}

impl<'a> DenseView<'a> {
    /// Nodes, dead ones included.
    pub(crate) fn count(&self) -> usize {
        match self.of {
            Of::Growing(_, lacking) => {
                let (from, rows) = (self.segment.from as usize, self.segment.rows as usize);
                let lack =
                    lacking.map_or(0, |bits| bits.count_ones(from.min(bits.len())..rows.min(bits.len())));
                rows - from - lack
            }
            Of::Sealed(dense) => dense.vectors() as usize,
        }
    }

    /// Dead nodes, wherever in the segment.
    pub(crate) fn dead(&self) -> usize {
        self.segment.dead_vectors.get(self.place).copied().unwrap_or_default()
    }

    /// Live nodes.
    pub(crate) fn live(&self) -> usize {
        self.count() - self.dead()
    }

    /// Nodes below this may be there: what a walk may look at.
    pub(crate) fn visible(&self) -> u32 {
        match self.of {
            Of::Growing(..) => self.segment.rows,
            Of::Sealed(dense) => dense.vectors(),
        }
    }

    /// Whether a row has the vector.
    pub(crate) fn has(&self, slot: u32) -> bool {
        match self.of {
            Of::Growing(_, lacking) => lacking.is_none_or(|bits| !bits.contains(slot as usize)),
            Of::Sealed(dense) => dense.nodes.has(slot),
        }
    }

    /// The vector of a row, if it has it.
    pub(crate) fn vector(&self, slot: u32) -> Option<Cow<'a, [f32]>> {
        match self.of {
            Of::Growing(dense, _) => self.has(slot).then(|| dense.vectors.row(Slot(slot))),
            Of::Sealed(dense) => dense.nodes.node_of(slot).map(|node| dense.rows.row(Slot(node))),
        }
    }

    /// The row of a node.
    #[inline]
    pub(crate) fn slot_of(&self, node: Slot) -> Slot {
        match self.of {
            Of::Growing(..) => node,
            Of::Sealed(dense) => Slot(dense.nodes.slot_of(node.0)),
        }
    }

    /// The node of a row, if it has the vector.
    pub(crate) fn node_of(&self, slot: Slot) -> Option<Slot> {
        match self.of {
            Of::Growing(..) => self.has(slot.0).then_some(slot),
            Of::Sealed(dense) => dense.nodes.node_of(slot.0).map(Slot),
        }
    }

    /// Asks for what says where the id of a node's row is.
    pub(crate) fn prefetch_id_end(&self, node: Slot) {
        self.segment.prefetch_id_end(self.slot_of(node).0);
    }

    /// The exact vectors and their codes, for whoever picks some.
    pub(crate) fn picked_vectors(&self) -> &'a dyn Rows {
        match self.of {
            Of::Growing(dense, _) => &dense.vectors,
            Of::Sealed(dense) => &dense.picked_rows,
        }
    }

    /// The exact vectors, by node, for whoever reads many in order.
    pub(crate) fn vectors(&self) -> &'a dyn Rows {
        match self.of {
            Of::Growing(dense, _) => &dense.vectors,
            Of::Sealed(dense) => &dense.rows,
        }
    }

    /// What a walk over the segment compares.
    pub(crate) fn encoding<'b>(&self, encodings: &'b Encodings) -> &'b dyn Encoding {
        match self.of {
            Of::Growing(..) => &*encodings.growing,
            Of::Sealed(_) => &*encodings.sealed,
        }
    }

    /// Walks the graph.
    pub(crate) fn walk(&self, scorer: &dyn Scorer, request: &WalkRequest<'_>) -> Walk {
        match self.of {
            Of::Growing(dense, _) => dense.graph.search(scorer, request),
            Of::Sealed(dense) => dense.graph.search(scorer, request),
        }
    }

    /// Rows below this can be walked to.
    pub(crate) fn linked(&self) -> u32 {
        match self.of {
            Of::Growing(dense, _) => dense.linked_for(self),
            Of::Sealed(_) => self.segment.rows,
        }
    }

    /// The live nodes that pass, if the filter finds few rows by an index.
    pub(crate) fn few(&self, filter: Option<&CompiledFilter>, watch: &Watch) -> Option<Vec<Slot>> {
        let node_of = |slot: u32| match self.of {
            Of::Growing(..) => self.has(slot).then_some(Slot(slot)),
            Of::Sealed(dense) => dense.nodes.node_of(slot).map(Slot),
        };
        Some(self.segment.few(filter, watch)?.into_iter().filter_map(node_of).collect())
    }

    /// What lets through the live nodes that pass and few others, if there is such a thing for about so many rows, and nodes are rows.
    pub(crate) fn screened(
        &self,
        filter: Option<&CompiledFilter>,
        least: usize,
        watch: &Watch,
    ) -> Option<Screened<'a>> {
        let Of::Sealed(dense) = self.of else { return None };
        let filter = filter.filter(|_| dense.nodes.are_slots())?;
        // Rows without the vector come after those that have it.
        let mut screened = filter.screened(self.segment, least, watch)?.of_first(dense.vectors() as usize);
        let dead = &self.segment.dead;
        if dead.count > 0 {
            screened.refuse(&dead.bits);
        }
        Some(screened)
    }

    /// The live nodes that pass; none if the watch ended looking for them.
    pub(crate) fn candidates(&self, filter: Option<&CompiledFilter>, watch: &Watch) -> Candidates {
        self.candidates_of(self.segment.matching(filter, watch))
    }

    /// The nodes of these rows.
    pub(crate) fn candidates_of(&self, mut bits: Arc<FixedBitSet>) -> Candidates {
        match self.of {
            Of::Growing(_, lacking) => {
                if let Some(lacking) = lacking.filter(|bits| !bits.is_clear()) {
                    Arc::make_mut(&mut bits).difference_with(lacking);
                }
            }
            Of::Sealed(dense) => dense.nodes.keep(&mut bits),
        }
        let count = KernelBits::new().count_ones(bits.as_slice());
        Candidates { bits, count }
    }
}

/// What a search looks at in a segment: its rows that are nodes of the graph, and those that are not yet.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    One(&'a SegmentView),
    Two(Box<[SegmentView; 2]>),
}

impl<'a> Parts<'a> {
    /// Of a search for a dense vector.
    pub(crate) fn of(view: &'a SegmentView, place: usize) -> Self {
        let linked = view.dense(place).linked();
        if linked == view.rows {
            return Parts::One(view);
        }
        let part = |from, rows, has_graph| SegmentView { from, rows, has_graph, ..view.clone() };
        Parts::Two(Box::new([part(0, linked, true), part(linked, view.rows, false)]))
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, SegmentView> {
        match self {
            Parts::One(view) => std::slice::from_ref(*view).iter(),
            Parts::Two(views) => views.iter(),
        }
    }
}
