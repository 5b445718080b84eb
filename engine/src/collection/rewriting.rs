//! Updates of fields that are searched by word.
//!
//! **Problem.** The words of a row are indexed when it is written, and a segment's index never changes; so a patch
//! (`segment/patches.rs`) cannot change them.
//!
//! **Idea.** Such an update writes the row anew, as it is after all writes before, with its vectors: logged whole, as a change
//! that counts as an update. Which updates these are is decided before the write has its place in the log; if by then another field has come
//! to be searched by word, it is decided again. Of the updates of a row within a batch the first becomes the row, and those behind it change that
//! before it is stored.
//!
//! **Cost.** That of an upsert. What is copied into the log was compared with its checksums before: the first such update of a row in a
//! segment that nobody verified yet reads all of that.

use std::collections::HashMap;
use std::sync::Arc;

use super::resolving::Resolving;
use super::state::ViewState;
use crate::batch::{BatchField, Change, FieldChanges, PreparedBatch, Row};
use crate::clock::NEVER;
use crate::db::Store;
use crate::error::Result;
use crate::payload::{FieldId, FieldTable, Value};
use crate::point::PointId;
use crate::schema::VectorKind;
use crate::segment::Expiring;
use crate::threads::Work;
use crate::validate;

/// A batch with updates that write rows anew.
pub(super) struct Rewriting<'a> {
    store: &'a Store,
    batch: PreparedBatch,
    /// These updates and their places in the batch.
    updates: Vec<(usize, FieldChanges)>,
    /// Fields that are searched by word, by which it was decided which updates these are.
    texts: usize,
}

impl<'a> Rewriting<'a> {
    /// The batch back, if it has no update of a field that is searched by word.
    pub(super) fn new(
        store: &'a Store,
        batch: PreparedBatch,
        fields: &FieldTable,
    ) -> Result<Self, PreparedBatch> {
        let places = rewritten(&batch, fields);
        if places.is_empty() {
            return Err(batch);
        }
        let update = |place: usize| match &batch.changes[place] {
            Change::Update(changes) => Some((place, changes.clone())),
            _ => None,
        };
        let updates = places.into_iter().filter_map(update).collect();
        Ok(Self { store, batch, updates, texts: fields.text_count() })
    }

    pub(super) fn into_batch(self) -> PreparedBatch {
        self.batch
    }

    /// The batch as it came.
    pub(super) fn into_unresolved(mut self) -> PreparedBatch {
        for (place, changes) in self.updates {
            self.batch.changes[place] = Change::Update(changes);
        }
        self.batch
    }
}

impl Resolving for Rewriting<'_> {
    fn resolve(&mut self, view: &Arc<ViewState>, now: i64) -> Result<Option<i64>> {
        let mut until = NEVER;
        for (place, changes) in &self.updates {
            let found = view.locate_sound(&changes.id)?;
            let expires_at = |(segment, slot): (usize, u32)| view.segments[segment].expires_at(slot);
            self.batch.changes[*place] = match found.filter(|row| expires_at(*row) > now) {
                None => Change::Update(changes.clone()),
                Some(row) => {
                    if let Some(sealed) =
                        view.segments[row.0].as_sealed().filter(|sealed| !sealed.is_verified())
                    {
                        self.store.pools.run(Work::Flush, || sealed.verify_once())??;
                    }
                    until = until.min(expires_at(row));
                    Change::Rewrite(updated(view, row, changes, &mut self.batch.fields))
                }
            };
        }
        Ok(Some(until))
    }

    fn batch(&self) -> &PreparedBatch {
        &self.batch
    }

    fn fits(&self, fields: &FieldTable) -> bool {
        self.texts == fields.text_count()
    }

    fn check_known(&self, fields: &FieldTable) -> Result<()> {
        let updates = self.updates.iter().map(|(place, changes)| (*place, changes));
        validate::check_unset(updates, fields)
    }
}

/// The places of the updates that become rows, by what a batch says of each row before it makes or removes it itself.
fn rewritten(batch: &PreparedBatch, fields: &FieldTable) -> Vec<usize> {
    if fields.text_count() == 0 {
        return Vec::new();
    }
    let is_searched = |name: &str| fields.find(name).is_some_and(|(field, _)| fields.text(field).is_some());
    let set = |(field, _): &(u16, Value)| is_searched(&batch.fields[usize::from(*field)].name);
    let (mut first, mut places) = (HashMap::<&PointId, Option<usize>>::new(), Vec::new());
    for (place, change) in batch.changes.iter().enumerate() {
        let Change::Update(changes) = change else {
            first.insert(change.id(), None);
            continue;
        };
        let first = first.entry(&changes.id).or_insert(Some(place));
        if changes.set.iter().any(set) || changes.unset.iter().any(|name| is_searched(name)) {
            places.extend(first.take());
        }
    }
    places
}

/// A row as an update leaves it, by the fields of the batch; the row's own are added.
fn updated(
    view: &ViewState,
    (segment, slot): (usize, u32),
    changes: &FieldChanges,
    fields: &mut Vec<BatchField>,
) -> Row {
    let stored = &view.segments[segment];
    let (mut vectors, mut dense) = (Vec::new(), 0);
    for (number, _, kind) in view.schema.numbered() {
        vectors.extend(stored.vector(slot, number, kind, dense).map(|vector| (number, vector)));
        dense += usize::from(matches!(kind, VectorKind::Dense(_)));
    }
    let mut values: Vec<(u16, Value)> = Vec::new();
    for (field, (name, field_type)) in (0..).zip(view.fields.iter()) {
        let Some(value) = stored.value(slot, field as FieldId) else { continue };
        let number = match fields.iter().position(|known| known.name == name) {
            Some(number) => number,
            None => {
                fields.push(BatchField::new(name, field_type));
                fields.len() - 1
            }
        } as u16;
        let is_set = changes.set.iter().any(|(set, _)| *set == number);
        if !is_set && !changes.unset.iter().any(|unset| unset == name) {
            values.push((number, value.to_value()));
        }
    }
    values.extend(changes.set.iter().cloned());
    let expires_at = changes.expires_at.unwrap_or_else(|| stored.expires_at(slot));
    Row { id: changes.id.clone(), vectors, expires_at, values }
}
