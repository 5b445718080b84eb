//! What a batch does to the rows before it, decided without changing anything.

use std::collections::HashMap;

use super::state::ViewState;
use crate::batch::Change;
use crate::point::PointId;
use crate::segment::Expiring;

/// What becomes of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing is left of it: a later one undoes it, or there was nothing to change.
    Nothing,
    /// A new row.
    Row,
    /// The first update of a row that is there.
    Patch { segment: usize, slot: u32 },
    /// An update of what another change of the batch makes.
    Onto(usize),
}

/// What a batch does.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) upserted: usize,
    pub(super) deleted: usize,
    pub(super) updated: usize,
    pub(super) missing: usize,
    /// Rows that die, by segment.
    pub(super) deaths: Vec<(usize, Vec<u32>)>,
    /// By change.
    pub(super) actions: Vec<Action>,
}

/// A row after some changes of the batch.
#[derive(Clone, Copy)]
enum Now {
    Absent,
    /// Made by this change.
    New(usize),
    /// As it was, but for updates, the first of which is this change.
    Stored {
        segment: usize,
        slot: u32,
        updated_by: Option<usize>,
    },
}

impl Outcome {
    /// What a batch with a time does: rows that expire by then are not there for it.
    pub(super) fn of(changes: &[Change], view: &ViewState, time_us: i64) -> Self {
        let mut outcome = Self {
            upserted: 0,
            deleted: 0,
            updated: 0,
            missing: 0,
            deaths: Vec::new(),
            actions: vec![Action::Nothing; changes.len()],
        };
        let mut deaths: Vec<Vec<u32>> = vec![Vec::new(); view.segments.len()];
        let mut rows: HashMap<&PointId, Now> = HashMap::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            let now = rows.entry(change.id()).or_insert_with(|| match view.locate(change.id()) {
                // It takes no part any more, and its id belongs to who comes next.
                Some((segment, slot)) if view.segments[segment].expires_at(slot) <= time_us => {
                    deaths[segment].push(slot);
                    Now::Absent
                }
                Some((segment, slot)) => Now::Stored { segment, slot, updated_by: None },
                None => Now::Absent,
            });
            if let Change::Update(_) = change {
                outcome.update(index, now);
                continue;
            }
            let existed = outcome.undo(*now, &mut deaths);
            *now = Now::New(index);
            outcome.actions[index] = Action::Row;
            match change {
                Change::Upsert(_) => outcome.upserted += 1,
                Change::Rewrite(_) => outcome.updated += 1,
                Change::Update(_) | Change::Delete(_) => {
                    outcome.deleted += usize::from(existed);
                    outcome.actions[index] = Action::Nothing;
                    *now = Now::Absent;
                }
            }
        }
        let deaths = deaths.into_iter().enumerate();
        outcome.deaths = deaths.filter(|(_, slots)| !slots.is_empty()).collect();
        outcome
    }

    fn update(&mut self, index: usize, now: &mut Now) {
        match now {
            Now::Absent => {
                self.missing += 1;
                return;
            }
            Now::New(made_by) | Now::Stored { updated_by: Some(made_by), .. } => {
                self.actions[index] = Action::Onto(*made_by);
            }
            Now::Stored { segment, slot, updated_by } => {
                self.actions[index] = Action::Patch { segment: *segment, slot: *slot };
                *updated_by = Some(index);
            }
        }
        self.updated += 1;
    }

    /// Takes back what the batch did to a row so far, which dies; whether there was one.
    fn undo(&mut self, now: Now, deaths: &mut [Vec<u32>]) -> bool {
        match now {
            Now::Absent => return false,
            Now::New(made_by) => self.actions[made_by] = Action::Nothing,
            Now::Stored { segment, slot, updated_by } => {
                deaths[segment].push(slot);
                if let Some(first) = updated_by {
                    self.actions[first] = Action::Nothing;
                }
            }
        }
        true
    }
}
