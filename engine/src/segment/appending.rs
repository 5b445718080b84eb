//! Rows on their way into a growing segment and the view that will show them.

use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::expiry::Expiry;
use super::growing::components_of;
use super::others::OtherVector;
use super::tenants::Entry;
use super::{GrowingRow, GrowingSegment, SegmentView};
use crate::clock::NEVER;
use crate::point::Vector;
use crate::schema::VectorId;

/// For each dense vector the rows of a growing segment that lack it, as of one view. Cloning copies a pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lacking(Arc<[Arc<FixedBitSet>]>);

impl Lacking {
    /// Of so many dense vectors, no row.
    fn none(places: usize) -> Self {
        Self(std::iter::repeat_with(Arc::default).take(places).collect())
    }

    /// The rows that lack a dense vector; may be shorter than the segment, rows beyond have it.
    pub(super) fn of(&self, place: usize) -> Option<&FixedBitSet> {
        self.0.get(place).map(|bits| &**bits)
    }
}

/// Appends rows to a growing segment. One thread does at a time.
pub(crate) struct Appending<'a> {
    segment: &'a GrowingSegment,
    slots: Vec<u32>,
    /// By dense vector, ascending.
    lacking: Vec<Vec<u32>>,
    expiring: Vec<Expiry>,
    tenants: Vec<Entry>,
}

impl<'a> Appending<'a> {
    pub(crate) fn new(segment: &'a GrowingSegment) -> Self {
        Self {
            segment,
            slots: Vec::new(),
            lacking: vec![Vec::new(); segment.dense.len()],
            expiring: Vec::new(),
            tenants: Vec::new(),
        }
    }

    /// Appends a row with its vectors, which no view shows yet.
    pub(crate) fn push(&mut self, mut row: GrowingRow, vectors: Vec<(VectorId, Vector)>) {
        let (vectors, others): (Vec<_>, Vec<_>) =
            vectors.into_iter().partition(|(_, vector)| matches!(vector, Vector::Dense(_)));
        let others = others.into_iter();
        row.others = others.filter_map(|(number, vector)| Some((number, OtherVector::of(vector)?))).collect();
        let expires_at = row.expires_at;
        let slot = self.segment.push(row, &vectors);
        if expires_at != NEVER {
            self.expiring.push((expires_at, slot));
        }
        let stored = self.segment.rows.get(slot);
        let tenant = self.segment.tenant.as_ref().zip(stored);
        self.tenants.extend(tenant.and_then(|(tenant, row)| tenant.entry(row, slot)));
        self.slots.push(slot);
        for (dense, lacking) in self.segment.dense.iter().zip(&mut self.lacking) {
            if components_of(&vectors, dense.number).is_none() {
                lacking.push(slot);
            }
        }
    }

    /// Has a view of the segment show the rows.
    pub(crate) fn finish(self, view: &mut SegmentView) {
        view.rows += self.slots.len() as u32;
        view.ids = view.ids.with(&self.segment.rows, self.slots);
        if !self.tenants.is_empty() {
            view.tenants = view.tenants.with(self.tenants);
        }
        if !self.expiring.is_empty() {
            view.expiring = view.expiring.with(self.expiring);
            view.known_expired = Arc::default();
        }
        if self.lacking.iter().all(Vec::is_empty) {
            return;
        }
        if view.lacking.0.is_empty() {
            view.lacking = Lacking::none(self.lacking.len());
        }
        let extended = view.lacking.0.iter().zip(self.lacking).map(|(bits, slots)| {
            let mut bits = bits.clone();
            if let Some(last) = slots.last() {
                let bits = Arc::make_mut(&mut bits);
                bits.grow(*last as usize + 1);
                slots.iter().for_each(|slot| bits.insert(*slot as usize));
            }
            bits
        });
        view.lacking = Lacking(extended.collect());
    }
}
