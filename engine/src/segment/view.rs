//! A segment as one view shows it: so many rows, these of them dead.
//!
//! **Problem.** Segments are shared by all views, and only grow or stay as they are; what a view shows of one must not change under a reader.
//!
//! **Idea.** A [`SegmentView`] is a pointer to the segment and, beside it, all that differs from view to view: up to where rows count, which died, what updates
//! changed, whose words moved, when rows expire. Each of these is shared as well, and copied by the write that changes it, so a view costs a few pointers.
//! `SegmentView` answers for a row whatever the segment is; what it is asked for in many ways has files of its own (`dense_view.rs`, `indexed.rs`,
//! `moved.rs`, `expiry.rs`, `selecting.rs`).
//!
//! Invariants:
//! * Rows are numbered by slot, from 0; those at [`rows`](SegmentView::rows) and beyond may be there already and are not shown.
//! * Whoever is asked about a row of the view takes the patch first, then the segment.
//! * `gone` has every row of `dead`, and those whose words are found elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::appending::Lacking;
use super::expiry::{ExpiredCache, ExpiryRuns};
use super::ids::IdRuns;
use super::moved::MovedWords;
use super::tenants::TenantRuns;
use super::{DeadRows, DenseView, GrowingSegment, Patch, Patches, SealedSegment};
use crate::interrupt::Watch;
use crate::payload::{CompiledFilter, FieldId, FieldTable, Passing, Payload, ValueRef};
use crate::point::{PointId, SparseVector, Vector};
use crate::schema::{VectorId, VectorKind};
use crate::text::Runs;

/// Rows up to which going through a list of them costs less than a bitmap of the segment,
const FEW: usize = 1_024;
/// if the segment has so many times as many: then the list takes fewer bytes.
const FEW_ONE_IN: usize = 32;
/// A growing segment is gone through for a tenant that has at least one in so many of its rows.
const TENANT_ONE_IN: usize = 2;

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

    // Which rows are shown, and how they are found.
    /// Rows that the view counts; later ones are not there.
    pub(crate) rows: u32,
    /// Rows below this belong to another of its [`Parts`](super::Parts).
    pub(crate) from: u32,
    /// When the segment took its last row, if it takes no more: the number of the last write before.
    pub(crate) frozen_at: Option<u64>,
    /// Whether its rows can be walked to.
    pub(crate) has_graph: bool,
    /// The ids of a growing segment's rows.
    pub(crate) ids: IdRuns,
    /// Its rows by their tenants, if the collection keeps these apart.
    pub(super) tenants: TenantRuns,
    /// Rows of a growing segment without a dense vector, for each.
    pub(super) lacking: Lacking,

    // What became of rows since they were written.
    pub(crate) dead: Arc<DeadRows>,
    /// How many of the dead rows have a dense vector, for each.
    pub(super) dead_vectors: Arc<[usize]>,
    /// What updates changed of its rows.
    pub(crate) patches: Patches,

    // Their words.
    /// The words of a growing segment's rows.
    pub(crate) runs: Runs,
    /// Fields whose words `runs` does not have, as they were not searched by word when its rows came.
    pub(super) late: Vec<FieldId>,
    /// Rows that the segment had then; it took no more.
    pub(super) late_rows: u32,
    /// The words that moved.
    pub(crate) moved: MovedWords,
    /// Rows whose words are not in the indexes of the segment: the dead, and those whose words moved.
    pub(super) gone: Arc<DeadRows>,

    // When they expire.
    /// When rows of a growing segment expire.
    pub(crate) expiring: ExpiryRuns,
    /// How many of the dead are only those because they have expired.
    pub(crate) expired: usize,
    /// What has expired, as far as somebody asked; another one once a write changes when rows expire.
    pub(crate) known_expired: Arc<ExpiredCache>,
}

impl Segment {
    /// Counts what patches of its rows take, where memory is counted.
    pub(crate) fn count_patches(&self, patches: &[(u32, Arc<Patch>)]) {
        if let Segment::Growing(segment) = self {
            segment.count_patches(patches);
        }
    }

    /// What a row has in a field, but for its patch.
    pub(super) fn own_value(&self, slot: u32, field: FieldId) -> Option<ValueRef<'_>> {
        match self {
            Segment::Growing(segment) => segment.rows.get(slot)?.value(field),
            Segment::Sealed(segment) => segment.value(slot, field),
        }
    }
}

impl SegmentView {
    /// A sealed segment.
    pub(crate) fn sealed(
        segment: Arc<SealedSegment>,
        (dead, patches): (DeadRows, Patches),
        fields: &FieldTable,
    ) -> Self {
        let dead_vectors = segment.dense.iter().map(|dense| dense.nodes.count_of(&dead.bits)).collect();
        let (rows, dead) = (segment.rows(), Arc::new(dead));
        let without = Self::without_rows(Segment::Sealed(segment), dead_vectors);
        let mut view = Self { rows, gone: dead.clone(), dead, patches, ..without };
        view.move_patched(fields);
        view
    }

    /// A growing segment without rows.
    pub(crate) fn growing(segment: Arc<GrowingSegment>) -> Self {
        let dead_vectors = vec![0; segment.dense.len()].into();
        Self::without_rows(Segment::Growing(segment), dead_vectors)
    }

    fn without_rows(segment: Segment, dead_vectors: Arc<[usize]>) -> Self {
        Self {
            segment,
            rows: 0,
            from: 0,
            frozen_at: None,
            has_graph: true,
            ids: IdRuns::default(),
            tenants: TenantRuns::default(),
            lacking: Lacking::default(),
            dead: Arc::default(),
            dead_vectors,
            patches: Patches::default(),
            runs: Runs::default(),
            late: Vec::new(),
            late_rows: 0,
            moved: MovedWords::default(),
            gone: Arc::default(),
            expiring: ExpiryRuns::default(),
            expired: 0,
            known_expired: Arc::default(),
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

    /// Marks rows as dead.
    pub(crate) fn kill(&mut self, slots: &[u32]) {
        // A copy of the bitmap: the views before still show these rows.
        let mut dead = DeadRows::clone(&self.dead);
        let newly: Vec<u32> = slots.iter().copied().filter(|slot| dead.insert(*slot)).collect();
        let count = |dense: DenseView<'_>| newly.iter().filter(|slot| dense.has(**slot)).count();
        self.dead_vectors = self.all_dense().map(|dense| dense.dead() + count(dense)).collect();
        self.dead = Arc::new(dead);
        if self.moved.is_empty() {
            self.gone = self.dead.clone();
            return;
        }
        let mut gone = DeadRows::clone(&self.gone);
        for slot in &newly {
            gone.insert(*slot);
        }
        self.gone = Arc::new(gone);
        self.moved.lose(&newly);
    }

    /// A vector of a row, if it has it. `place` counts the dense vectors before it.
    pub(crate) fn vector(
        &self,
        slot: u32,
        number: VectorId,
        kind: &VectorKind,
        place: usize,
    ) -> Option<Vector> {
        Some(match kind {
            VectorKind::Dense(_) => Vector::Dense(self.dense(place).vector(slot)?.into_owned()),
            VectorKind::Sparse(_) => {
                let row = self.sparse_row(slot, number)?;
                Vector::Sparse(SparseVector { indices: row.indices.into(), values: row.values.into() })
            }
            VectorKind::Multi(options) => {
                let row = self.multi_row(slot, number)?;
                Vector::Multi(row.iter(options.dimension).map(Cow::into_owned).collect())
            }
        })
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

    /// The number of the write that last changed a row.
    pub(crate) fn version(&self, slot: u32) -> u64 {
        if let Some(patch) = self.patches.get(slot) {
            return patch.version;
        }
        match &self.segment {
            Segment::Growing(segment) => segment.rows.get(slot).map_or(0, |row| row.version),
            Segment::Sealed(segment) => segment.version(slot),
        }
    }

    pub(crate) fn value(&self, slot: u32, field: FieldId) -> Option<ValueRef<'_>> {
        if let Some(value) = self.patches.get(slot).and_then(|patch| patch.value(field)) {
            return value;
        }
        self.segment.own_value(slot, field)
    }

    /// Bytes that no row's values exceed together, patches included.
    pub(crate) fn row_bytes_max(&self) -> usize {
        let of_rows = match &self.segment {
            Segment::Growing(segment) => segment.row_bytes_max(),
            Segment::Sealed(segment) => segment.row_bytes_max(),
        };
        of_rows + self.patches.largest()
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
        if wanted.is_none()
            && let Some(patch) = self.patches.get(slot)
        {
            // Fields that the segment does not know of, too.
            patch.values.iter().for_each(|(field, _)| take(*field));
        }
        payload
    }

    /// The live rows that pass; none if the watch ended looking for them, as some of those found may not.
    pub(crate) fn matching(&self, filter: Option<&CompiledFilter>, watch: &Watch) -> Arc<FixedBitSet> {
        let mut bits = match filter {
            Some(filter) => {
                let found = self.of_tenant(filter, watch).unwrap_or_else(|| filter.run(self, watch));
                if watch.interrupted().is_some() {
                    return Arc::new(FixedBitSet::with_capacity(self.rows as usize));
                }
                found
            }
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

    /// The rows of a growing segment that pass, if the filter names a tenant that has less than one in [`TENANT_ONE_IN`] of those that are looked
    /// at: the others are not gone through.
    fn of_tenant(&self, filter: &CompiledFilter, watch: &Watch) -> Option<Arc<FixedBitSet>> {
        let Segment::Growing(_) = &self.segment else { return None };
        let rows = filter.few(self, (self.rows - self.from) as usize / TENANT_ONE_IN, watch)?;
        let mut bits = FixedBitSet::with_capacity(self.rows as usize);
        rows.into_iter().filter(|row| *row < self.rows).for_each(|row| bits.insert(row as usize));
        Some(Arc::new(bits))
    }

    /// The live rows that pass, in the form that takes less; none likewise.
    pub(crate) fn passing(&self, filter: Option<&CompiledFilter>, watch: &Watch) -> Passing {
        self.few(filter, watch).map_or_else(|| Passing::Many(self.matching(filter, watch)), Passing::Few)
    }

    /// The live rows that pass, in ascending order, if the filter finds them among [`FEW`] by an index: no cost here grows
    /// with the segment.
    pub(crate) fn few(&self, filter: Option<&CompiledFilter>, watch: &Watch) -> Option<Vec<u32>> {
        let mut rows = filter?.few(self, FEW.min(self.rows as usize / FEW_ONE_IN), watch)?;
        rows.retain(|row| (self.from..self.rows).contains(row) && !self.dead.contains(*row));
        Some(rows)
    }

    /// Walks over rows with ids greater than `after`, in order within each of the walks that it gives: over those that pass,
    /// and where they are many over others too.
    pub(crate) fn id_walks<'a>(
        &'a self,
        passing: &Passing,
        after: Option<&PointId>,
    ) -> Vec<Box<dyn Iterator<Item = u32> + 'a>> {
        match (&self.segment, passing) {
            (_, Passing::Few(rows)) => {
                let mut keyed: Vec<(PointId, u32)> = rows.iter().map(|row| (self.id(*row), *row)).collect();
                keyed.retain(|(id, _)| after.is_none_or(|after| id > after));
                keyed.sort_unstable();
                vec![Box::new(keyed.into_iter().map(|(_, row)| row))]
            }
            (Segment::Growing(segment), _) => self
                .ids
                .after(&segment.rows, after)
                .map(|slots| Box::new(slots.iter().copied()) as Box<dyn Iterator<Item = u32>>)
                .collect(),
            (Segment::Sealed(segment), _) => {
                let positions = segment.position_after(after)..segment.rows();
                vec![Box::new(positions.filter_map(|position| segment.slot_at(position)))]
            }
        }
    }
}
