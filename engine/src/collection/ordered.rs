//! Rows in the order of a field, as many as somebody asks for, fetched some at a time.

use std::collections::VecDeque;

use super::ViewState;
use super::read::Found;
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::payload::{Passing, Value};
use crate::point::PointId;
use crate::query::{Cursor, OrderBy, Ordering, resolve_order};
use crate::segment::Place;

/// The matching rows of all segments in the order of a field.
pub(super) struct Ordered<'a> {
    view: &'a ViewState,
    by: OrderBy,
    ordering: Ordering,
    passing: Vec<Passing>,
    /// Rows that were fetched and not given yet.
    ahead: VecDeque<(usize, u32)>,
    /// The place of the last row that was fetched.
    after: Option<(Option<Value>, PointId)>,
    /// Rows to fetch at once.
    step: usize,
}

impl<'a> Ordered<'a> {
    /// From behind a place on.
    pub(super) fn new(
        view: &'a ViewState,
        by: &OrderBy,
        passing: Vec<Passing>,
        (after, step): (Option<&Cursor>, usize),
    ) -> Result<Self> {
        let (ordering, expected) = resolve_order(view, "order", by)?;
        let place = |cursor: &Cursor| {
            let value = cursor.value(Some(by))?.cloned();
            if let Some(actual) = value.as_ref().map(Value::field_type).filter(|actual| *actual != expected) {
                return Err(Error::FieldType { field: "after".into(), expected, actual });
            }
            Ok((value, cursor.id().clone()))
        };
        let after = after.map(place).transpose()?;
        Ok(Self { view, by: by.clone(), ordering, passing, ahead: VecDeque::new(), after, step })
    }

    /// The next row; none after an interruption, which its caller is to look for.
    pub(super) fn next(&mut self, watch: &Watch) -> Option<Found> {
        if self.ahead.is_empty() {
            self.fetch(watch);
        }
        let (segment, slot) = self.ahead.pop_front()?;
        Some(Found { id: self.view.segments[segment].id(slot), segment, slot })
    }

    /// The place of a row.
    pub(super) fn cursor(&self, found: &Found) -> Cursor {
        Cursor::ordered(self.by.clone(), self.value((found.segment, found.slot)), found.id.clone())
    }

    fn value(&self, (segment, slot): (usize, u32)) -> Option<Value> {
        let value = self.view.segments[segment].value(slot, self.ordering.field);
        value.map(|value| value.to_value())
    }

    fn fetch(&mut self, watch: &Watch) {
        let after = self.after.as_ref();
        let place = after.map(|(value, id)| Place { value: value.as_ref().map(Value::as_ref), id });
        let rows = self.ordering.after(self.view, &self.passing, place, (self.step, watch));
        // Without those that are missing, others would be taken for the next.
        if watch.interrupted().is_some() {
            return;
        }
        if let Some(last) = rows.last() {
            self.after = Some((self.value(*last), self.view.segments[last.0].id(last.1)));
        }
        self.ahead.extend(rows);
    }
}
