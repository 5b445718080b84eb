//! Applying a batch: rows for the growing segment, deaths in all of them, and the next view.
//!
//! Deterministic: what it does depends on the rows before it and the batch alone. It cannot fail: everything that can
//! be wrong with a batch was found before it was logged.

use std::sync::Arc;
use std::time::Instant;

use super::WriteReceipt;
use super::outcome::{Action, Outcome};
use super::state::{Apply, CollectionCore, ViewState};
use super::write::Place;
use crate::batch::{BatchField, Change, FieldChanges, PreparedBatch, Row};
use crate::db::Store;
use crate::payload::{FieldId, FieldTable, Value, ValueRef};
use crate::point::Vector;
use crate::schema::{VectorId, VectorKind};
use crate::segment::{Appending, GrowingRow, GrowingSegment, Patch, Segment, SegmentView, SlotPatch};
use crate::text::{Analyses, Run};

/// Replayed rows that become nodes when a database is opened; more are sealed.
const LINKED_AT_OPENING_MAX: u32 = 2_048;

impl CollectionCore {
    /// Applies a batch, publishes the next view, and freezes the growing segment if it is large enough.
    pub(super) fn apply_batch(
        &self,
        apply: &mut Apply,
        store: &Store,
        Place { seq, position }: Place,
        batch: PreparedBatch,
    ) -> WriteReceipt {
        let mut next = ViewState::clone(&self.view.load());
        next.seq = seq;
        next.time_us = next.time_us.max(batch.time_us);
        let numbers = number_fields(&batch.fields, &mut next.fields);
        begin_texts(&batch.fields, &numbers, &mut next);
        let outcome = Outcome::of(&batch.changes, &next, batch.time_us);
        let Outcome { upserted, deleted, updated, .. } = outcome;
        let missing = outcome.missing + batch.passed_over;
        let receipt = WriteReceipt { seq, position, upserted, deleted, updated, missing, repeated: false };
        for (index, slots) in outcome.deaths {
            Arc::make_mut(&mut next.segments)[index].kill(&slots);
        }
        let made = Made::of(batch.changes, &outcome.actions, &next, &numbers);
        for (index, patches) in made.patches {
            let view = &mut Arc::make_mut(&mut next.segments)[index];
            view.segment.count_patches(&patches);
            if patches.iter().any(|(_, patch)| patch.expires_at.is_some()) {
                view.known_expired = Arc::default();
            }
            view.patch(patches, &next.fields, &mut apply.analyses);
            if let Segment::Growing(segment) = &view.segment {
                segment.set_word_bytes(view.word_bytes());
                segment.count_memory();
            }
        }
        if !made.rows.is_empty() {
            let segment = self.growing_segment(store, &mut next);
            append(&segment, &mut next, made.rows);
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
        if let Some(id) = &batch.request_id {
            self.requests.remember(id, receipt);
        }
        self.requests.forget_before(seq);
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
        let segment = Arc::new(GrowingSegment::new(&self.schema, &next.fields, &self.encodings, total));
        Arc::make_mut(&mut next.segments).push(SegmentView::growing(segment.clone()));
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
        let last = Arc::make_mut(&mut next.segments).last_mut();
        let Some(view) = last.filter(|view| view.frozen_at.is_none()) else { return };
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

/// A row that is to be stored.
struct NewRow {
    stored: GrowingRow,
    vectors: Vec<(VectorId, Vector)>,
}

/// What a batch makes.
#[derive(Default)]
struct Made {
    rows: Vec<NewRow>,
    /// By segment, of rows that are there.
    patches: Vec<(usize, Vec<SlotPatch>)>,
}

/// A patch on its way.
struct NewPatch {
    segment: usize,
    slot: u32,
    patch: Patch,
}

impl Made {
    /// Carries out what was decided; `numbers` are those of the batch's fields.
    fn of(changes: Vec<Change>, actions: &[Action], view: &ViewState, numbers: &[FieldId]) -> Self {
        let (mut made, mut patches) = (Self::default(), Vec::<NewPatch>::new());
        // Where among them is what a change made.
        let mut places = vec![0; changes.len()];
        for (index, change) in changes.into_iter().enumerate() {
            match (change, actions[index]) {
                (Change::Upsert(row) | Change::Rewrite(row), Action::Row) => {
                    places[index] = made.rows.len();
                    made.rows.push(new_row(row, view.seq, numbers));
                }
                (Change::Update(changes), Action::Patch { segment, slot }) => {
                    let before = view.segments[segment].patches.get(slot);
                    let mut patch = Patch {
                        version: view.seq,
                        expires_at: changes.expires_at.or(before.and_then(|patch| patch.expires_at)),
                        values: before.map(|patch| patch.values.clone()).unwrap_or_default(),
                    };
                    each_change(changes, view, numbers, |field, value| patch.set(field, value));
                    places[index] = patches.len();
                    patches.push(NewPatch { segment, slot, patch });
                }
                (Change::Update(changes), Action::Onto(first)) => match actions[first] {
                    Action::Row => {
                        let stored = &mut made.rows[places[first]].stored;
                        stored.expires_at = changes.expires_at.unwrap_or(stored.expires_at);
                        each_change(changes, view, numbers, |field, value| stored.set(field, value));
                    }
                    Action::Patch { .. } => {
                        let patch = &mut patches[places[first]].patch;
                        patch.expires_at = changes.expires_at.or(patch.expires_at);
                        each_change(changes, view, numbers, |field, value| patch.set(field, value));
                    }
                    Action::Onto(_) | Action::Nothing => {}
                },
                _ => {}
            }
        }
        made.take(patches);
        made
    }

    /// Takes in patches, in the order of their segments.
    fn take(&mut self, mut patches: Vec<NewPatch>) {
        patches.sort_by_key(|new| new.segment);
        for NewPatch { segment, slot, patch } in patches {
            let entry = (slot, Arc::new(patch));
            match self.patches.last_mut().filter(|(last, _)| *last == segment) {
                Some((_, of_segment)) => of_segment.push(entry),
                None => self.patches.push((segment, vec![entry])),
            }
        }
    }
}

fn new_row(row: Row, version: u64, numbers: &[FieldId]) -> NewRow {
    let number = |(index, value): (u16, Value)| (numbers[usize::from(index)], value);
    let mut values: Vec<_> = row.values.into_iter().map(number).collect();
    values.sort_unstable_by_key(|(field, _)| *field);
    let mut stored = GrowingRow::new(row.id, values);
    (stored.version, stored.expires_at) = (version, row.expires_at);
    NewRow { stored, vectors: row.vectors }
}

/// Says of each field that is changed what it is from now on. Names that the collection does not know are passed over.
fn each_change(
    changes: FieldChanges,
    view: &ViewState,
    numbers: &[FieldId],
    mut each: impl FnMut(FieldId, Option<Value>),
) {
    changes.set.into_iter().for_each(|(index, value)| each(numbers[usize::from(index)], Some(value)));
    let known = changes.unset.iter().filter_map(|name| view.fields.find(name));
    known.for_each(|(field, _)| each(field, None));
}

/// Appends rows to the growing segment, the last of the view.
fn append(segment: &GrowingSegment, next: &mut ViewState, rows: Vec<NewRow>) {
    let mut appending = Appending::new(segment);
    rows.into_iter().for_each(|NewRow { stored, vectors }| appending.push(stored, vectors));
    if let Some(view) = Arc::make_mut(&mut next.segments).last_mut() {
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
    let last = Arc::make_mut(&mut next.segments).last_mut();
    let Some(view) = last.filter(|_| has_indexes) else { return };
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
    // Rows whose words moved have sparse vectors here still.
    view.runs = view.runs.with(run, &view.dead);
    segment.set_word_bytes(view.word_bytes());
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

/// Has fields searched by word from this write on. Rows in memory were not indexed for them: their segment takes no more, and is told to
/// index them when it is asked (`segment/view.rs`). Where a write says it again there is nothing to do.
fn begin_texts(batch: &[BatchField], numbers: &[FieldId], next: &mut ViewState) {
    for (field, analyzer) in
        batch.iter().zip(numbers).filter_map(|(field, number)| Some((*number, field.text?)))
    {
        if next.fields.text(field) == Some(analyzer) {
            continue;
        }
        Arc::make_mut(&mut next.fields).set_text(field, analyzer, next.seq);
        for view in Arc::make_mut(&mut next.segments) {
            if view.as_sealed().is_none() {
                view.frozen_at.get_or_insert(next.seq);
                view.index_later(field);
            }
            view.move_patched_in(field);
        }
    }
}

/// Freezes the growing segment if it reached its bounds.
fn freeze_if_large(next: &mut ViewState, store: &Store) {
    let seq = next.seq;
    if let Some(view) = Arc::make_mut(&mut next.segments).last_mut()
        && let Segment::Growing(segment) = &view.segment
        && view.frozen_at.is_none()
        && (view.rows as usize >= store.options.seal_rows || segment.size_bytes() >= store.options.seal_bytes)
    {
        view.frozen_at = Some(seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::NEVER;
    use crate::dir::memory::MemoryDir;
    use crate::payload::FieldType;
    use crate::{Analyzer, Db, DbOptions, Filter, PointId, Schema, validate};

    /// Logs and applies changes as they are, as an earlier version did.
    fn log(db: &Db, changes: Vec<Change>) -> WriteReceipt {
        let fields = vec![BatchField::new("t", FieldType::String), BatchField::new("n", FieldType::Int)];
        let batch = PreparedBatch { fields, changes, ..PreparedBatch::default() };
        let (store, core) = (db.any_store(), db.any_store().collection("c").unwrap());
        let mut body = batch.encode();
        let mut submit = core.lock_submit(store, None).unwrap();
        validate::resolve_fields(&batch, &mut submit.fields, false).unwrap();
        let queued = core.queue(store, &mut submit, (&batch, &mut body), None).unwrap().unwrap();
        drop(submit);
        core.finish(store, queued, batch).unwrap()
    }

    fn row(id: u64, text: &str, number: Option<i64>) -> Row {
        let text = (0, Value::from(text));
        let values = [text].into_iter().chain(number.map(|number| (1, Value::Int(number)))).collect();
        let vectors = vec![(0, Vector::Dense(vec![1.0, 0.0]))];
        Row { id: PointId::Num(id), vectors, expires_at: NEVER, values }
    }

    /// Updates of texts were once logged as the rows that they leave.
    #[test]
    fn a_rewrite_is_an_update_that_brings_the_whole_row() {
        let dir = MemoryDir::new();
        let open = || {
            let options = DbOptions { background: false, ..DbOptions::default() };
            Db::open_in(Arc::new(dir.clone()), options).unwrap()
        };
        let db = open();
        let schema = Schema::builder(2).text("t", Analyzer::English).build().unwrap();
        let collection = db.create_collection("c", schema).unwrap();
        let counts = |receipt: &WriteReceipt| (receipt.upserted, receipt.updated, receipt.deleted);

        let first =
            log(&db, vec![Change::Upsert(row(1, "old", Some(1))), Change::Upsert(row(2, "old", Some(2)))]);
        assert_eq!(counts(&first), (2, 0, 0));
        // Of a row that is stored, with what another change of the batch says of it then.
        let number = FieldChanges {
            id: PointId::Num(1),
            set: vec![(1, Value::Int(7))],
            unset: Vec::new(),
            expires_at: None,
        };
        let second = log(&db, vec![Change::Rewrite(row(1, "new", None)), Change::Update(number)]);
        assert_eq!(counts(&second), (0, 2, 0));
        // Of a row that the batch brings, and of one that it removes.
        let third = log(
            &db,
            vec![
                Change::Upsert(row(3, "old", Some(3))),
                Change::Rewrite(row(3, "new", None)),
                Change::Rewrite(row(2, "new", None)),
                Change::Delete(PointId::Num(2)),
            ],
        );
        assert_eq!(counts(&third), (1, 2, 1));

        let holds = |collection: &crate::Collection| {
            let found = collection.get(&[1, 2, 3].map(PointId::Num)).unwrap();
            let told = found.iter().map(|point| {
                let point = point.as_ref()?;
                Some((point.etag, point.payload.get("t").cloned(), point.payload.get("n").cloned()))
            });
            let text = Some(Value::from("new"));
            let rows = [
                Some((Some(second.seq), text.clone(), Some(Value::Int(7)))),
                None,
                Some((Some(third.seq), text, None)),
            ];
            assert!(told.eq(rows), "{found:?}");
            let with = |word: &str| collection.count(Some(&Filter::Match("t".into(), word.into()))).unwrap();
            assert_eq!((with("new"), with("old"), collection.count(None).unwrap()), (2, 0, 2));
        };
        holds(&collection);
        drop((collection, db));
        let db = open();
        holds(&db.collection("c").unwrap());
        db.flush().unwrap();
        holds(&db.collection("c").unwrap());
    }
}
