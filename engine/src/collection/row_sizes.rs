//! Whether updates keep rows within the limit of a payload.
//!
//! **Problem.** A row is within `PAYLOAD_BYTES_MAX` when it is written, but updates add to it, each of them small. What a row
//! comes to depends on all writes before the update, also on those that only wait for the disk.
//!
//! **Idea.** Bounds first. Each segment tells what none of its rows exceeds, each queued write the most that it adds to one
//! row. Where these and the batch together are within the limit, no row is looked at. Only otherwise the batch is queued like those that are made of rows
//! (`resolving.rs`), and what each of them comes to is counted in a view that has every write before.
//!
//! **Cost.** Where rows are far from the limit, a few additions a write, and nothing that waits. Beyond, a look at each updated row.

use std::collections::HashMap;
use std::sync::Arc;

use super::resolving::Resolving;
use super::state::{CollectionCore, ViewState};
use crate::batch::{Change, PreparedBatch};
use crate::clock::NEVER;
use crate::error::Result;
use crate::limits::{FIELD_NAME_BYTES_MAX, FIELDS_MAX, PAYLOAD_BYTES_MAX, check_limit};
use crate::payload::{FieldId, Value};
use crate::point::PointId;
use crate::segment::Expiring;

/// The most that a batch makes of one row, or adds to it.
pub(super) fn growth(batch: &PreparedBatch) -> usize {
    let (mut made, mut added) = (0, HashMap::<&PointId, usize>::new());
    for change in &batch.changes {
        match change {
            Change::Upsert(row) | Change::Rewrite(row) => made = made.max(bytes_of(batch, &row.values)),
            Change::Update(changes) => {
                *added.entry(&changes.id).or_default() += bytes_of(batch, &changes.set);
            }
            Change::Delete(_) => {}
        }
    }
    // What updates add may be added to a row of the same batch.
    made + added.into_values().max().unwrap_or_default()
}

/// A batch of which bounds do not say whether its rows stay within the limit.
pub(super) struct Counted(pub(super) PreparedBatch);

impl Resolving for Counted {
    fn resolve(&mut self, _: &Arc<ViewState>, _: i64) -> Result<Option<i64>> {
        Ok(Some(NEVER))
    }

    fn batch(&self) -> &PreparedBatch {
        &self.0
    }
}

impl CollectionCore {
    /// Whether bounds do not exclude that some row comes to more than the limit, by a batch that adds so much to a row at most.
    /// Who asks holds `submit`.
    pub(super) fn may_outgrow(&self, growth: usize) -> bool {
        // First, so that what is applied meanwhile is in one of them.
        let queued = self.queued.growth();
        let largest = self.view.load().segments.iter().map(|segment| segment.row_bytes_max()).max();
        let names = FIELDS_MAX * FIELD_NAME_BYTES_MAX;
        largest.unwrap_or_default() + names + queued + growth > PAYLOAD_BYTES_MAX
    }
}

/// Fails if an update takes a row over the limit, with a view that has all that was written to these rows before. A row that is over
/// it already, as earlier versions allowed, may shrink.
pub(super) fn check(batch: &PreparedBatch, view: &ViewState, now: i64) -> Result<()> {
    let mut rows: HashMap<&PointId, Option<RowSize<'_>>> = HashMap::new();
    for change in &batch.changes {
        if let (Change::Update(_) | Change::Rewrite(_), id) = (change, change.id())
            && !rows.contains_key(id)
        {
            rows.insert(id, RowSize::stored(view, id, now)?);
        }
    }
    for (index, change) in batch.changes.iter().enumerate() {
        let Some(row) = rows.get_mut(change.id()) else { continue };
        let before = row.as_ref().map_or(0, |row| row.bytes);
        match change {
            Change::Upsert(new) | Change::Rewrite(new) => *row = Some(RowSize::new(batch, &new.values)),
            Change::Update(changes) => {
                let Some(row) = row.as_mut() else { continue };
                let set = changes.set.iter().map(|value| named(batch, value));
                set.for_each(|(name, bytes)| row.set(view, name, bytes));
                changes.unset.iter().for_each(|name| row.set(view, name, 0));
            }
            Change::Delete(_) => *row = None,
        }
        let bytes = row.as_ref().map_or(0, |row| row.bytes);
        if bytes > before.max(PAYLOAD_BYTES_MAX) {
            let field = format!("points[{}].payload", batch.place(index));
            check_limit(&field, "PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, bytes)?;
        }
    }
    Ok(())
}

/// What a row comes to, after some changes of a batch.
struct RowSize<'a> {
    /// Where the fields are that the batch did not change, if any are there.
    stored: Option<(usize, u32)>,
    /// The other fields.
    changed: HashMap<&'a str, usize>,
    bytes: usize,
}

impl<'a> RowSize<'a> {
    /// A row that is there at a moment.
    fn stored(view: &ViewState, id: &PointId, now: i64) -> Result<Option<Self>> {
        let found = view.locate_sound(id)?;
        let found = found.filter(|(segment, slot)| view.segments[*segment].expires_at(*slot) > now);
        Ok(found.map(|place| {
            let fields = 0..view.fields.len() as FieldId;
            let bytes = fields.map(|field| stored_bytes(view, place, field)).sum();
            Self { stored: Some(place), changed: HashMap::new(), bytes }
        }))
    }

    /// A row that the batch makes.
    fn new(batch: &'a PreparedBatch, values: &[(u16, Value)]) -> Self {
        let changed = values.iter().map(|value| named(batch, value)).collect();
        Self { stored: None, changed, bytes: bytes_of(batch, values) }
    }

    /// Says of a field how much it counts from now on.
    fn set(&mut self, view: &ViewState, name: &'a str, bytes: usize) {
        let stored = || Some(stored_bytes(view, self.stored?, view.fields.find(name)?.0));
        let before = match self.changed.insert(name, bytes) {
            Some(before) => before,
            None => stored().unwrap_or_default(),
        };
        self.bytes = self.bytes - before + bytes;
    }
}

/// What a field of a stored row counts, its name included; 0 if the row lacks it.
fn stored_bytes(view: &ViewState, (segment, slot): (usize, u32), field: FieldId) -> usize {
    let value = view.segments[segment].value(slot, field);
    value.map_or(0, |value| view.fields.name(field).len() + value.size_bytes())
}

/// The name of a value's field and what both count.
fn named<'a>(batch: &'a PreparedBatch, (field, value): &(u16, Value)) -> (&'a str, usize) {
    let name = batch.fields[usize::from(*field)].name.as_str();
    (name, name.len() + value.size_bytes())
}

/// What values count with the names of their fields.
fn bytes_of(batch: &PreparedBatch, values: &[(u16, Value)]) -> usize {
    values.iter().map(|value| named(batch, value).1).sum()
}
