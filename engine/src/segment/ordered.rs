//! The first rows of a segment in the order of a field, from a place on.
//!
//! **Problem.** A page in the order of a field is a hundred rows of a million, and the next page begins where it ended.
//!
//! **Idea.** A sealed column is kept in the order of its values (`payload/index.rs`): the place is found by bisection, and from
//! there on runs of equal values are gone through until there are enough matching rows. Within a run rows come in the order of
//! their ids: of a short one they are sorted; of a long one (a language, a year) the segment's own order of ids is walked from
//! the place on. Rows without the field are the last run. Where so few rows match that most of the order would be passed by in
//! vain, or so few that they are a list, these rows are sorted instead; so are those of a growing segment, which has no order.
//! Rows that were updated since stand elsewhere by now: the order is walked without them, and they are merged in
//! (`ordered/patched.rs`).
//!
//! **Cost.** Some operations on words for the set of matching rows, then what is cheaper of `limit / share` steps along the order and
//! sorting all that match: as if matching rows were spread evenly over the order. Where they all come last in it, the
//! whole order is gone through, a step a row. The order itself is made by the first who asks for it
//! (`payload/index.rs`), or by a filter on the field.

mod patched;

use std::cmp::Ordering;

use fixedbitset::FixedBitSet;

pub(super) use patched::PatchedOrders;

use super::parts::columns::InOrder;
use super::{SealedSegment, Segment, SegmentView};
use crate::interrupt::{POLL_DISTANCES, Watch};
use crate::payload::{FieldId, Passing, SortedColumn, ValueRef};
use crate::point::PointId;

/// Reading a row's value and id and sorting it, in steps along an order.
const SORT_STEPS: usize = 24;
/// Rows that are not worth thinking about.
const SORT_ALWAYS: usize = 256;

/// A place in an order: that of a row with this value and id, whether it is there or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) value: Option<ValueRef<'a>>,
    pub(crate) id: &'a PointId,
}

/// Asks for rows in the order of a field; of equal values in the order of their ids, those without one last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderRequest<'a> {
    pub(crate) field: FieldId,
    /// Greatest value first; ids ascend nevertheless.
    pub(crate) descending: bool,
    /// Only those of these.
    pub(crate) passing: &'a Passing,
    /// Only those behind this place.
    pub(crate) after: Option<Place<'a>>,
    pub(crate) limit: usize,
    pub(crate) watch: &'a Watch,
}

/// The order of two values, where those that are missing come last.
pub(crate) fn by_value(descending: bool, a: Option<ValueRef<'_>>, b: Option<ValueRef<'_>>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => b.order(a),
        (Some(a), Some(b)) => a.order(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// What a row has in the field, and its slot.
type Row<'a> = (Option<ValueRef<'a>>, u32);

impl SegmentView {
    /// The first rows, and whether they were found through an order that is kept. After an interruption there are none.
    pub(crate) fn ordered(&self, request: &OrderRequest<'_>) -> (Vec<u32>, bool) {
        // The order is of the values that the segment was written with.
        if self.patches.is_about(request.field)
            && let Some((_, matching)) = self.to_walk(request)
        {
            return self.with_patched(request, matching);
        }
        self.unpatched(request)
    }

    /// The same, of rows that no patch is about, or that are too few to be walked to.
    fn unpatched(&self, request: &OrderRequest<'_>) -> (Vec<u32>, bool) {
        let Some((segment, matching)) = self.to_walk(request) else {
            return (self.sorted(request), false);
        };
        let walk = Ordered { view: self, segment, request, matching };
        match segment.sorted(request.field, request.watch) {
            // Lists have no order, if their strings do.
            InOrder::Unknown | InOrder::Lists(_) => (self.sorted(request), false),
            InOrder::Absent => (walk.last(None), true),
            InOrder::Ready(column) => (walk.run(column), true),
        }
    }

    /// A sealed segment and the rows that match, if walking to these along an order costs less than sorting them.
    fn to_walk<'a>(&'a self, request: &OrderRequest<'a>) -> Option<(&'a SealedSegment, &'a FixedBitSet)> {
        let (Segment::Sealed(segment), Passing::Many(matching)) = (&self.segment, request.passing) else {
            return None;
        };
        let count = matching.count_ones(..);
        let steps = (self.rows as usize).saturating_mul(request.limit) / count.max(1);
        let is_cheaper = count > SORT_ALWAYS && count.saturating_mul(SORT_STEPS) >= steps;
        is_cheaper.then_some((&**segment, &**matching))
    }

    /// The first rows by sorting all.
    fn sorted(&self, request: &OrderRequest<'_>) -> Vec<u32> {
        let OrderRequest { field, descending, limit, .. } = *request;
        let mut rows: Vec<Row<'_>> = Vec::new();
        for (number, slot) in request.passing.iter().enumerate() {
            if (number as u64).is_multiple_of(POLL_DISTANCES) && request.watch.poll() {
                return Vec::new();
            }
            let row = (self.value(slot, field), slot);
            if self.is_behind(request, &row) {
                rows.push(row);
            }
        }
        let order = |a: &Row<'_>, b: &Row<'_>| self.by_value_and_id(descending, a, b);
        if rows.len() > limit && limit > 0 {
            rows.select_nth_unstable_by(limit - 1, order);
        }
        rows.truncate(limit);
        rows.sort_unstable_by(order);
        rows.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Whether a row comes after the place that is asked for.
    fn is_behind(&self, request: &OrderRequest<'_>, row: &Row<'_>) -> bool {
        request.after.is_none_or(|after| {
            let order = by_value(request.descending, row.0, after.value);
            order.then_with(|| self.id(row.1).cmp(after.id)).is_gt()
        })
    }

    fn by_value_and_id(&self, descending: bool, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        by_value(descending, a.0, b.0).then_with(|| self.id(a.1).cmp(&self.id(b.1)))
    }
}

/// A way along the order of a sealed column.
struct Ordered<'a> {
    view: &'a SegmentView,
    segment: &'a SealedSegment,
    request: &'a OrderRequest<'a>,
    matching: &'a FixedBitSet,
}

impl Ordered<'_> {
    fn run(&self, column: SortedColumn<'_>) -> Vec<u32> {
        let OrderRequest { descending, after, limit, .. } = *self.request;
        let mut out = Vec::new();
        // What is left of the runs, and the id after which the first of them goes on.
        let (mut first, mut end, mut within) = (0, column.runs(), None);
        match after {
            Some(Place { value: Some(value), id }) if descending => {
                end = column.first(|run| run.order(value).is_le());
                within = column.first(|run| run.order(value).is_lt()).ne(&end).then_some(id);
            }
            Some(Place { value: Some(value), id }) => {
                first = column.first(|run| run.order(value).is_lt());
                within = column.first(|run| run.order(value).is_le()).ne(&first).then_some(id);
            }
            Some(Place { value: None, .. }) => end = 0,
            None => {}
        }
        while first < end && out.len() < limit {
            let run = if descending { end - 1 } else { first };
            if descending {
                end -= 1
            } else {
                first += 1
            }
            if run % POLL_DISTANCES as usize == 0 && self.request.watch.poll() {
                return Vec::new();
            }
            self.take(column, run, within.take(), &mut out);
        }
        if out.len() < limit {
            let rest = self.last(Some(column));
            out.extend(rest.into_iter().take(limit - out.len()));
        }
        out
    }

    /// Adds the matching rows of a run.
    fn take(&self, column: SortedColumn<'_>, run: usize, after: Option<&PointId>, out: &mut Vec<u32>) {
        let rows = column.run(run);
        let wanted = self.request.limit - out.len();
        if rows.len() <= SORT_ALWAYS {
            let matching = rows.iter().copied().filter(|row| self.matching.contains(*row as usize));
            self.by_id(matching, after, wanted, out);
        } else {
            let mut set = column.set(run..run + 1);
            set.intersect_with(self.matching);
            self.first_of(&set, after, wanted, out);
        }
    }

    /// The matching rows without the field.
    fn last(&self, column: Option<SortedColumn<'_>>) -> Vec<u32> {
        let mut set = self.matching.clone();
        if let Some(column) = column {
            set.difference_with(&column.set(0..column.runs()));
        }
        let after = self.request.after.filter(|after| after.value.is_none()).map(|after| after.id);
        let mut out = Vec::new();
        self.first_of(&set, after, self.request.limit, &mut out);
        out
    }

    /// Adds the first rows of a set by their ids.
    fn first_of(&self, set: &FixedBitSet, after: Option<&PointId>, wanted: usize, out: &mut Vec<u32>) {
        let count = set.count_ones(..);
        let rows = self.segment.rows();
        let steps = (rows as usize).saturating_mul(wanted) / count.max(1);
        if count <= SORT_ALWAYS || count.saturating_mul(SORT_STEPS) < steps.min(rows as usize) {
            self.by_id(set.ones().map(|row| row as u32), after, wanted, out);
            return;
        }
        let places = self.segment.position_after(after)..rows;
        let slots = places.filter_map(|place| self.segment.slot_at(place));
        out.extend(slots.filter(|slot| set.contains(*slot as usize)).take(wanted));
    }

    /// Adds the first of some rows by their ids.
    fn by_id(
        &self,
        rows: impl Iterator<Item = u32>,
        after: Option<&PointId>,
        wanted: usize,
        out: &mut Vec<u32>,
    ) {
        let mut keyed: Vec<(PointId, u32)> = rows.map(|row| (self.view.id(row), row)).collect();
        keyed.retain(|(id, _)| after.is_none_or(|after| id > after));
        keyed.sort_unstable();
        out.extend(keyed.into_iter().take(wanted).map(|(_, row)| row));
    }
}
