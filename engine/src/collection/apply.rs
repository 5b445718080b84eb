//! Applying a batch: rows for the growing segment, deaths in all of them, and the next view.
//!
//! Deterministic: what it does depends on the rows before it and the batch alone. It cannot fail: everything that can
//! be wrong with a batch was found before it was logged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::WriteReceipt;
use super::state::{Apply, CollectionCore, ViewState};
use crate::batch::{BatchField, Change, PreparedBatch, Row};
use crate::db::Store;
use crate::payload::{FieldId, FieldTable, ValueRef};
use crate::point::PointId;
use crate::schema::{VectorId, VectorKind};
use crate::segment::{Appending, GrowingRow, GrowingSegment, Segment, SegmentView};
use crate::text::{Analyses, Run};

/// Replayed rows that become nodes when a database is opened; more are sealed.
const LINKED_AT_OPENING_MAX: u32 = 2_048;

impl CollectionCore {
    /// Applies a batch, publishes the next view, and freezes the growing segment if it is large enough.
    pub(super) fn apply_batch(
        &self,
        apply: &mut Apply,
        store: &Store,
        seq: u64,
        batch: PreparedBatch,
    ) -> WriteReceipt {
        let mut next = ViewState::clone(&self.view.load());
        next.seq = seq;
        let numbers = number_fields(&batch.fields, &mut next.fields);
        let outcome = Outcome::of(&batch.changes, &next);
        // Who logged it knows its position.
        let (upserted, deleted) = (outcome.upserted, outcome.deleted);
        let receipt = WriteReceipt { seq, position: 0, upserted, deleted };
        for (index, slots) in outcome.deaths {
            next.segments[index].kill(&slots);
        }
        let changes = batch.changes.into_iter().zip(outcome.is_last);
        let rows: Vec<Row> = changes
            .filter_map(|(change, is_last)| match change {
                Change::Upsert(row) if is_last => Some(row),
                _ => None,
            })
            .collect();
        if !rows.is_empty() {
            let segment = self.growing_segment(store, &mut next);
            append(&segment, &mut next, rows, &numbers);
            index_rows(&segment, &mut next, &mut apply.analyses);
            segment.count_memory();
        }
        // In the background a thread does it.
        if apply.links && !store.options.background {
            link_all(&next, store);
        }
        apply.seq = seq;
        apply.applied_at = Instant::now();
        freeze_if_large(&mut next, store);
        self.view.store(Arc::new(next));
        receipt
    }

    /// The segment that takes rows, which is made if there is none: the last of the view.
    fn growing_segment(&self, store: &Store, next: &mut ViewState) -> Arc<GrowingSegment> {
        if let Some(SegmentView { segment: Segment::Growing(segment), frozen_at: None, .. }) =
            next.segments.last()
        {
            return segment.clone();
        }
        let total = store.growing_bytes.clone();
        let segment = Arc::new(GrowingSegment::new(&self.schema, &self.encodings, total));
        next.segments.push(SegmentView::growing(segment.clone()));
        segment
    }

    /// Ends a replay: from now on rows become nodes.
    ///
    /// A few replayed rows become nodes now. Many are frozen instead: they become nodes once, by the seal that this makes
    /// due, not at every opening; until then a search compares them. So opening takes no longer than reading the log. Where
    /// nothing is written there is no seal: the thread that links makes them nodes.
    pub(crate) fn end_replay(&self, store: &Store) {
        let mut apply = super::state::lock(&self.apply);
        apply.links = true;
        let mut next = ViewState::clone(&self.view.load());
        let Some(view) = next.segments.last_mut().filter(|view| view.frozen_at.is_none()) else { return };
        let Segment::Growing(segment) = view.segment.clone() else { return };
        if view.rows <= LINKED_AT_OPENING_MAX {
            link_all(&next, store);
            segment.count_memory();
        } else if !store.is_read_only() {
            view.frozen_at = Some(apply.seq);
            self.view.store(Arc::new(next));
        }
    }
}

/// Makes all rows of the growing segment nodes.
fn link_all(view: &ViewState, store: &Store) {
    if let Some(view @ SegmentView { segment: Segment::Growing(segment), frozen_at: None, .. }) =
        view.segments.last()
    {
        while segment.link_some(view, &store.pools) {}
    }
}

/// Appends rows to the growing segment, the last of the view.
fn append(segment: &GrowingSegment, next: &mut ViewState, rows: Vec<Row>, numbers: &[FieldId]) {
    let mut appending = Appending::new(segment);
    for row in rows {
        let mut values: Vec<_> =
            row.values.into_iter().map(|(index, value)| (numbers[usize::from(index)], value)).collect();
        values.sort_unstable_by_key(|(field, _)| *field);
        appending.push(GrowingRow::new(row.id, values), row.vectors);
    }
    if let Some(view) = next.segments.last_mut() {
        appending.finish(view);
    }
}

/// Indexes the words and the sparse vectors of the rows that were just appended: whoever searches finds them in the next view.
fn index_rows(segment: &GrowingSegment, next: &mut ViewState, analyses: &mut Analyses) {
    let sparse: Vec<VectorId> = next
        .schema
        .numbered()
        .filter(|(_, _, kind)| matches!(kind, VectorKind::Sparse(_)))
        .map(|(number, ..)| number)
        .collect();
    let has_indexes = next.fields.texts().next().is_some() || !sparse.is_empty();
    let Some(view) = next.segments.last_mut().filter(|_| has_indexes) else { return };
    let (first, rows) = (view.runs.end(), view.rows - view.runs.end());
    let text = |slot: u32, field: FieldId| match segment.rows.get(first + slot)?.value(field)? {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    let mut run = Run::of_texts((first, rows), next.fields.texts(), analyses, text);
    for number in sparse {
        let entries = |slot: u32| view.sparse_row(first + slot, number).map(|row| (row.indices, row.values));
        run.add_sparse(number, entries);
    }
    view.runs = view.runs.with(run, &view.dead);
    segment.set_word_bytes(view.runs.bytes());
}

/// The collection's numbers of a batch's fields; new ones are added.
fn number_fields(batch: &[BatchField], fields: &mut Arc<FieldTable>) -> Vec<FieldId> {
    batch
        .iter()
        .map(|field| match fields.find(&field.name) {
            Some((number, _)) => number,
            None => Arc::make_mut(fields).add(&field.name, field.field_type),
        })
        .collect()
}

/// Freezes the growing segment if it reached its bounds.
fn freeze_if_large(next: &mut ViewState, store: &Store) {
    let seq = next.seq;
    if let Some(view) = next.segments.last_mut()
        && let Segment::Growing(segment) = &view.segment
        && view.frozen_at.is_none()
        && (view.rows as usize >= store.options.seal_rows || segment.size_bytes() >= store.options.seal_bytes)
    {
        view.frozen_at = Some(seq);
    }
}

/// What a batch does to the rows before it.
struct Outcome {
    upserted: usize,
    deleted: usize,
    /// Rows that die, by segment.
    deaths: Vec<(usize, Vec<u32>)>,
    /// Whether no later change of the batch has the same id.
    is_last: Vec<bool>,
}

impl Outcome {
    fn of(changes: &[Change], view: &ViewState) -> Self {
        let (mut upserted, mut deleted) = (0, 0);
        let mut deaths: Vec<Vec<u32>> = vec![Vec::new(); view.segments.len()];
        let mut is_last = vec![false; changes.len()];
        // By id: whether the point exists after the changes so far, and the last of them.
        let mut seen: HashMap<&PointId, (bool, usize)> = HashMap::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            let existed = match seen.get(change.id()) {
                Some((exists, _)) => *exists,
                None => match view.locate(change.id()) {
                    Some((segment, slot)) => {
                        deaths[segment].push(slot);
                        true
                    }
                    None => false,
                },
            };
            let is_upsert = matches!(change, Change::Upsert(_));
            upserted += usize::from(is_upsert);
            deleted += usize::from(!is_upsert && existed);
            seen.insert(change.id(), (is_upsert, index));
        }
        seen.values().for_each(|(_, index)| is_last[*index] = true);
        let deaths = deaths.into_iter().enumerate().filter(|(_, slots)| !slots.is_empty()).collect();
        Self { upserted, deleted, deaths, is_last }
    }
}
