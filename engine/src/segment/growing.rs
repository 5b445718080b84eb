//! The segment that takes writes: rows in memory, appended while others read.
//!
//! A row gets a slot in several places at once: each dense vector in a [`GrowingDense`], everything else in an [`AppendVec`].
//! Nobody sees it until a view is published that counts it.
//!
//! One thread appends at a time (the collection's apply lock), others link (`growing/dense.rs`); any number read.

mod dense;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use dense::GrowingDense;

use super::append::AppendVec;
use super::made::MadeIndexes;
use super::others::OtherVector;
use super::tenants::{Entry, TenantKey};
use super::{Patch, SegmentView};
use crate::clock::NEVER;
use crate::payload::{FieldId, FieldTable, Value, ValueRef};
use crate::point::{PointId, Vector};
use crate::schema::{Schema, VectorId};
use crate::threads::Pools;
use crate::vectors::Encodings;

/// Stands for a count that is taken back.
const RELEASED: u64 = u64::MAX;

/// A row without its dense vectors.
#[derive(Debug)]
pub(crate) struct GrowingRow {
    pub(crate) id: PointId,
    /// The write that brought it.
    pub(crate) version: u64,
    /// [`NEVER`](crate::clock::NEVER) if it does not.
    pub(crate) expires_at: i64,
    /// Sorted by field.
    pub(crate) values: Box<[(FieldId, Value)]>,
    /// The vectors that are not dense, by number.
    pub(super) others: Box<[(VectorId, OtherVector)]>,
}

impl GrowingRow {
    /// A row without vectors, that no write brought and that never expires; values are sorted by field.
    pub(crate) fn new(id: PointId, values: Vec<(FieldId, Value)>) -> Self {
        Self { id, version: 0, expires_at: NEVER, values: values.into(), others: Box::default() }
    }

    /// A vector that is not dense.
    pub(super) fn other(&self, number: VectorId) -> Option<&OtherVector> {
        self.others.iter().find(|(found, _)| *found == number).map(|(_, vector)| vector)
    }

    pub(crate) fn value(&self, field: FieldId) -> Option<ValueRef<'_>> {
        let at = self.values.binary_search_by_key(&field, |(field, _)| *field).ok()?;
        Some(self.values[at].1.as_ref())
    }

    /// Says of a field what it is from now on, before anybody sees the row.
    pub(crate) fn set(&mut self, field: FieldId, value: Option<Value>) {
        let mut values: Vec<_> = std::mem::take(&mut self.values).into();
        let place = values.binary_search_by_key(&field, |(field, _)| *field);
        match (place, value) {
            (Ok(at), Some(value)) => values[at].1 = value,
            (Ok(at), None) => drop(values.remove(at)),
            (Err(at), Some(value)) => values.insert(at, (field, value)),
            (Err(_), None) => {}
        }
        self.values = values.into();
    }

    /// What its values count for the limit of a payload, but for their names.
    fn value_bytes(&self) -> usize {
        self.values.iter().map(|(_, value)| value.size_bytes()).sum()
    }

    /// Roughly what it takes in memory.
    fn size_bytes(&self) -> usize {
        let id = if let PointId::Str(text) = &self.id { text.len() } else { 0 };
        let values = self.values.len() * (size_of::<Value>() + 8) + self.value_bytes();
        let others: usize = self.others.iter().map(|(_, vector)| vector.size_bytes()).sum();
        size_of::<Self>() + id + values + others
    }
}

/// A segment in memory.
pub(crate) struct GrowingSegment {
    pub(crate) rows: AppendVec<GrowingRow>,
    /// In the order of their numbers.
    pub(crate) dense: Box<[GrowingDense]>,
    /// Of fields that came to be searched by word when its rows were there.
    pub(super) made: MadeIndexes,
    /// If the collection has one.
    pub(super) tenant: Option<TenantKey>,
    /// All but dense vectors.
    row_bytes: AtomicU64,
    /// No row's values are longer than this together.
    value_bytes_max: AtomicU64,
    /// The words of its rows.
    word_bytes: AtomicU64,
    /// What of this segment `total_bytes` counts; [`RELEASED`] once it counts it no more.
    counted_bytes: AtomicU64,
    /// Of every growing segment of the database together.
    total_bytes: Arc<AtomicU64>,
}

impl std::fmt::Debug for GrowingSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrowingSegment").field("dense", &self.dense).finish_non_exhaustive()
    }
}

impl GrowingSegment {
    /// An empty segment; `total_bytes` counts its memory together with that of others.
    pub(crate) fn new(
        schema: &Schema,
        fields: &FieldTable,
        encodings: &[Encodings],
        total_bytes: Arc<AtomicU64>,
    ) -> Self {
        let dense = schema.dense().zip(encodings);
        let tenant = schema.tenant.as_deref().and_then(|tenant| fields.find(tenant));
        Self {
            rows: AppendVec::new(),
            dense: dense
                .map(|((number, _, options), encodings)| GrowingDense::new(number, options, encodings))
                .collect(),
            made: MadeIndexes::default(),
            tenant: tenant.map(|(field, _)| TenantKey::new(field)),
            row_bytes: AtomicU64::new(0),
            value_bytes_max: AtomicU64::new(0),
            word_bytes: AtomicU64::new(0),
            counted_bytes: AtomicU64::new(0),
            total_bytes,
        }
    }

    /// Appends a row; not yet a node of any graph.
    pub(super) fn push(&self, row: GrowingRow, vectors: &[(VectorId, Vector)]) -> u32 {
        let of_tenant = self.tenant.as_ref().map_or(0, |_| size_of::<Entry>());
        self.row_bytes.fetch_add((row.size_bytes() + of_tenant) as u64, Ordering::Relaxed);
        self.value_bytes_max.fetch_max(row.value_bytes() as u64, Ordering::Relaxed);
        let slots: Vec<u32> =
            self.dense.iter().map(|dense| dense.push(components_of(vectors, dense.number)).0).collect();
        let index = self.rows.push(row);
        debug_assert!(
            slots.iter().all(|slot| *slot == index),
            "one thread appends at a time, so all places agree"
        );
        index
    }

    /// Makes the next of a view's rows nodes of the graphs, a bounded number at a time, and repairs them if that is
    /// due. Says whether there are more.
    pub(crate) fn link_some(&self, view: &SegmentView, pools: &Pools) -> bool {
        let more = (0..self.dense.len())
            .fold(false, |more, place| self.dense[place].link_some(&view.dense(place), pools) | more);
        self.count_memory();
        more
    }

    /// Sets how much memory the words of its rows take.
    pub(crate) fn set_word_bytes(&self, bytes: usize) {
        self.word_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that no row's values exceed together.
    pub(crate) fn row_bytes_max(&self) -> usize {
        self.value_bytes_max.load(Ordering::Relaxed) as usize
    }

    /// Memory of everything.
    pub(crate) fn size_bytes(&self) -> u64 {
        let dense: usize = self.dense.iter().map(GrowingDense::size_bytes).sum();
        let (rows, words) = (self.row_bytes.load(Ordering::Relaxed), self.word_bytes.load(Ordering::Relaxed));
        rows + words + dense as u64
    }

    /// Counts what patches of its rows take. What newer ones take the place of stays counted, so that a segment whose rows are
    /// changed again and again is sealed in the end, and its part of the log goes.
    pub(crate) fn count_patches(&self, patches: &[(u32, Arc<Patch>)]) {
        let bytes: usize = patches.iter().map(|(_, patch)| patch.size_bytes()).sum();
        self.row_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.count_memory();
    }

    /// Brings the common count to what the segment takes now: more than before, or less, since words take less once their runs are merged. Of
    /// two threads at once one is enough: the other's rows are counted next time.
    pub(crate) fn count_memory(&self) {
        let (before, now) = (self.counted_bytes.load(Ordering::Acquire), self.size_bytes());
        if before == RELEASED {
            return;
        }
        // The common count has what this one says before it says so, and until it says so no more: whoever takes something back finds it.
        let more = now.saturating_sub(before);
        self.total_bytes.fetch_add(more, Ordering::Relaxed);
        let exchanged =
            self.counted_bytes.compare_exchange(before, now, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let less = if exchanged { before.saturating_sub(now) } else { more };
        self.total_bytes.fetch_sub(less, Ordering::Relaxed);
    }

    /// Counts its memory no longer: it is sealed or deleted, and lives only as long as views show it.
    pub(crate) fn release(&self) {
        let counted = self.counted_bytes.swap(RELEASED, Ordering::AcqRel);
        if counted != RELEASED {
            self.total_bytes.fetch_sub(counted, Ordering::Relaxed);
        }
    }
}

/// The components of a dense vector among those of a row, if it has it.
pub(super) fn components_of(vectors: &[(VectorId, Vector)], number: VectorId) -> Option<&[f32]> {
    match vectors.iter().find(|(found, _)| *found == number) {
        Some((_, Vector::Dense(components))) => Some(components),
        _ => None,
    }
}

/// A write that was on its way when its collection was deleted makes a segment that nobody seals or deletes.
impl Drop for GrowingSegment {
    fn drop(&mut self) {
        self.release();
    }
}
