//! A segment as one view shows it: so many rows, these of them dead.

use std::sync::Arc;

use fixedbitset::FixedBitSet;
use ragstone_kernels::KernelBits;

use super::ids::IdRuns;
use super::{DeadRows, GrowingSegment, SealedSegment};
use crate::payload::{CompiledFilter, FieldId, FieldSource, FieldTable, Payload, Test, ValueRef};
use crate::point::PointId;
use crate::vectors::{Encoding, Encodings, Rows, Slot};

/// A segment, wherever it lies.
#[derive(Clone, Debug)]
pub(crate) enum Segment {
    Growing(Arc<GrowingSegment>),
    Sealed(Arc<SealedSegment>),
}

/// A segment at one moment. Cloning copies a few pointers.
#[derive(Clone, Debug)]
pub(crate) struct SegmentView {
    pub(crate) segment: Segment,
    /// Rows that the view counts; later ones are not there.
    pub(crate) rows: u32,
    /// Rows below this belong to another of its [`Parts`].
    pub(crate) from: u32,
    /// Whether its rows can be walked to.
    pub(crate) has_graph: bool,
    /// The ids of a growing segment's rows.
    pub(crate) ids: IdRuns,
    pub(crate) dead: Arc<DeadRows>,
    /// Rows of a growing segment without a vector.
    pub(crate) vectorless: Arc<FixedBitSet>,
    /// When the segment took its last row, if it takes no more: the number of the last write before.
    pub(crate) frozen_at: Option<u64>,
}

/// Rows of a segment that a search may return.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// Alive, with a vector, and passing the filter.
    pub(crate) bits: Arc<FixedBitSet>,
    pub(crate) count: usize,
}

impl SegmentView {
    /// A sealed segment.
    pub(crate) fn sealed(segment: Arc<SealedSegment>, dead: DeadRows) -> Self {
        Self {
            rows: segment.rows(),
            from: 0,
            has_graph: true,
            segment: Segment::Sealed(segment),
            ids: IdRuns::default(),
            dead: Arc::new(dead),
            vectorless: Arc::default(),
            frozen_at: None,
        }
    }

    /// A growing segment without rows.
    pub(crate) fn growing(segment: Arc<GrowingSegment>) -> Self {
        Self {
            rows: 0,
            from: 0,
            has_graph: true,
            segment: Segment::Growing(segment),
            ids: IdRuns::default(),
            dead: Arc::default(),
            vectorless: Arc::default(),
            frozen_at: None,
        }
    }

    /// Whether both show the same segment, at whatever moments.
    pub(crate) fn is_same(&self, other: &SegmentView) -> bool {
        match (&self.segment, &other.segment) {
            (Segment::Growing(a), Segment::Growing(b)) => Arc::ptr_eq(a, b),
            (Segment::Sealed(a), Segment::Sealed(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The sealed segment, if it is one.
    pub(crate) fn as_sealed(&self) -> Option<&Arc<SealedSegment>> {
        match &self.segment {
            Segment::Sealed(segment) => Some(segment),
            Segment::Growing(_) => None,
        }
    }

    /// Live rows.
    pub(crate) fn live(&self) -> usize {
        self.rows as usize - self.dead.count
    }

    /// Rows with a vector, dead ones included.
    pub(crate) fn vector_count(&self) -> usize {
        match &self.segment {
            Segment::Growing(_) => {
                let (from, rows) = (self.from as usize, self.rows as usize);
                let known = self.vectorless.len();
                rows - from - self.vectorless.count_ones(from.min(known)..rows.min(known))
            }
            Segment::Sealed(segment) => segment.vectors() as usize,
        }
    }

    /// Live rows with a vector.
    pub(crate) fn live_vectors(&self) -> usize {
        self.vector_count() - self.dead.vectors
    }

    /// The exact vectors and their codes, for whoever picks some.
    pub(crate) fn picked_vectors(&self) -> &dyn Rows {
        match &self.segment {
            Segment::Growing(segment) => &segment.vectors,
            Segment::Sealed(segment) => &segment.dense.picked_rows,
        }
    }

    /// The exact vectors, by slot, for whoever reads many in order.
    pub(crate) fn vectors(&self) -> &dyn Rows {
        match &self.segment {
            Segment::Growing(segment) => &segment.vectors,
            Segment::Sealed(segment) => &segment.dense.rows,
        }
    }

    /// What a walk over the segment compares.
    pub(crate) fn encoding<'a>(&self, encodings: &'a Encodings) -> &'a dyn Encoding {
        match &self.segment {
            Segment::Growing(_) => &*encodings.growing,
            Segment::Sealed(_) => &*encodings.sealed,
        }
    }

    pub(crate) fn has_vector(&self, slot: u32) -> bool {
        match &self.segment {
            Segment::Growing(_) => !self.vectorless.contains(slot as usize),
            Segment::Sealed(segment) => slot < segment.vectors(),
        }
    }

    pub(crate) fn vector(&self, slot: u32) -> Option<&[f32]> {
        self.has_vector(slot).then(|| self.vectors().row(Slot(slot)))
    }

    /// The live row with an id.
    pub(crate) fn find(&self, id: &PointId) -> Option<u32> {
        let slot = match &self.segment {
            Segment::Growing(segment) => self.ids.find(&segment.rows, id),
            Segment::Sealed(segment) => segment.find(id),
        };
        slot.filter(|slot| !self.dead.contains(*slot))
    }

    /// The id of a row that the view counts.
    pub(crate) fn id(&self, slot: u32) -> PointId {
        match &self.segment {
            // A view counts only rows that were pushed.
            Segment::Growing(segment) => segment.rows.get(slot).map_or(PointId::Num(0), |row| row.id.clone()),
            Segment::Sealed(segment) => segment.id(slot),
        }
    }

    /// Asks for what says where the id of a row is; soon after it [`prefetch_id`](Self::prefetch_id), then [`id`](Self::id).
    pub(crate) fn prefetch_id_end(&self, slot: u32) {
        if let Segment::Sealed(segment) = &self.segment {
            segment.prefetch_id_end(slot);
        }
    }

    /// Asks for the id of a row.
    pub(crate) fn prefetch_id(&self, slot: u32) {
        if let Segment::Sealed(segment) = &self.segment {
            segment.prefetch_id(slot);
        }
    }

    pub(crate) fn value(&self, slot: u32, field: FieldId) -> Option<ValueRef<'_>> {
        match &self.segment {
            Segment::Growing(segment) => segment.rows.get(slot)?.value(field),
            Segment::Sealed(segment) => segment.value(slot, field),
        }
    }

    /// The fields of a row: all of them, or the wanted ones.
    pub(crate) fn payload(&self, slot: u32, fields: &FieldTable, wanted: Option<&[FieldId]>) -> Payload {
        let mut payload = Payload::new();
        let mut take = |field: FieldId| {
            if let Some(value) = self.value(slot, field) {
                payload.insert(fields.name(field).to_owned(), value.to_value());
            }
        };
        match (wanted, &self.segment) {
            (Some(wanted), _) => wanted.iter().copied().for_each(&mut take),
            (None, Segment::Growing(segment)) => {
                let row = segment.rows.get(slot);
                row.iter().flat_map(|row| &row.values).for_each(|(field, _)| take(*field));
            }
            (None, Segment::Sealed(segment)) => segment.fields().for_each(&mut take),
        }
        payload
    }

    /// The live rows that pass.
    pub(crate) fn matching(&self, filter: Option<&CompiledFilter>) -> Arc<FixedBitSet> {
        let mut bits = match filter {
            Some(filter) => filter.run(self),
            None => {
                let mut bits = FixedBitSet::with_capacity(self.rows as usize);
                bits.insert_range(..);
                Arc::new(bits)
            }
        };
        if self.from > 0 {
            Arc::make_mut(&mut bits).remove_range(..self.from as usize);
        }
        if self.dead.count > 0 {
            Arc::make_mut(&mut bits).difference_with(&self.dead.bits);
        }
        bits
    }

    /// The live rows with a vector that pass.
    pub(crate) fn candidates(&self, filter: Option<&CompiledFilter>) -> Candidates {
        let mut bits = self.matching(filter);
        match &self.segment {
            Segment::Growing(_) if self.vectorless.is_clear() => {}
            Segment::Growing(_) => Arc::make_mut(&mut bits).difference_with(&self.vectorless),
            Segment::Sealed(segment) if segment.vectors() == segment.rows() => {}
            Segment::Sealed(segment) => {
                let first = (segment.vectors() as usize).min(bits.len());
                Arc::make_mut(&mut bits).remove_range(first..);
            }
        }
        let count = KernelBits::new().count_ones(bits.as_slice());
        Candidates { bits, count }
    }

    /// Walks over the rows with ids greater than `after`, in order within each of the walks that it gives.
    pub(crate) fn id_walks<'a>(&'a self, after: Option<&PointId>) -> Vec<Box<dyn Iterator<Item = u32> + 'a>> {
        match &self.segment {
            Segment::Growing(segment) => self
                .ids
                .after(&segment.rows, after)
                .map(|slots| Box::new(slots.iter().copied()) as Box<dyn Iterator<Item = u32>>)
                .collect(),
            Segment::Sealed(segment) => {
                let positions = segment.position_after(after)..segment.rows();
                vec![Box::new(positions.filter_map(|position| segment.slot_at(position)))]
            }
        }
    }
}

/// What a search looks at in a segment: its rows that are nodes of its graph, and those that are not yet.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    One(&'a SegmentView),
    Two([SegmentView; 2]),
}

impl<'a> Parts<'a> {
    pub(crate) fn of(view: &'a SegmentView) -> Self {
        let linked = match &view.segment {
            Segment::Growing(segment) => segment.linked_for(view),
            Segment::Sealed(_) => view.rows,
        };
        if linked == view.rows {
            return Parts::One(view);
        }
        let part = |from, rows, has_graph| SegmentView { from, rows, has_graph, ..view.clone() };
        Parts::Two([part(0, linked, true), part(linked, view.rows, false)])
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, SegmentView> {
        match self {
            Parts::One(view) => std::slice::from_ref(*view).iter(),
            Parts::Two(views) => views.iter(),
        }
    }
}

impl FieldSource for SegmentView {
    fn rows(&self) -> usize {
        self.rows as usize
    }

    fn select(&self, field: FieldId, test: &Arc<Test>) -> Arc<FixedBitSet> {
        match &self.segment {
            Segment::Growing(segment) => {
                let mut out = FixedBitSet::with_capacity(self.rows as usize);
                for slot in self.from..self.rows {
                    let value = segment.rows.get(slot).and_then(|row| row.value(field));
                    if value.is_some_and(|value| test.passes(value)) {
                        out.insert(slot as usize);
                    }
                }
                Arc::new(out)
            }
            Segment::Sealed(segment) => segment.select(field, test),
        }
    }

    fn select_text(&self, _: FieldId, _: &str) -> Arc<FixedBitSet> {
        // No field has a lexical index, so no filter asks.
        Arc::new(FixedBitSet::with_capacity(self.rows as usize))
    }
}
