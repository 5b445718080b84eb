//! What a view of a restricted handle shows (`scope.rs`): the filter of every read, and rows by their ids.

use std::sync::Arc;

use super::CollectionInfo;
use super::state::ViewState;
use crate::error::Result;
use crate::interrupt::Watch;
use crate::payload::{CompiledFilter, FieldId, Filter, Payload};
use crate::point::PointId;
use crate::scope::RowFilter;
use crate::search::Explain;
use crate::segment::SegmentView;

impl ViewState {
    /// The same state, of which these rows alone are shown.
    pub(crate) fn restricted(&self, rows: &Arc<RowFilter>) -> Arc<Self> {
        let rows = Some(rows.fitted(&self.fields));
        Arc::new(Self { rows, current: self.current.of_copy(), ..self.clone() })
    }

    /// The filter of a read, as it is to be run: without a restriction, that which the caller gave. There is no other way to it.
    ///
    /// # Errors
    /// As [`CompiledFilter::of_read`].
    pub(crate) fn compiled(&self, filter: Option<&Filter>) -> Result<Option<CompiledFilter>> {
        CompiledFilter::of_read(filter, self.rows.as_deref(), &self.schema, &self.fields)
    }

    /// All of some filters, each within the limits by itself, likewise.
    ///
    /// # Errors
    /// As [`CompiledFilter::all`].
    pub(crate) fn compiled_all(&self, filters: &[&Filter]) -> Result<CompiledFilter> {
        let all = CompiledFilter::all(filters, &self.fields)?;
        Ok(match &self.rows {
            Some(rows) => CompiledFilter::shown(Some(all), rows, &self.fields),
            None => all,
        })
    }

    /// The filter of the rows that are shown, where not all are.
    pub(crate) fn shown_filter(&self) -> Option<&Filter> {
        self.rows.as_deref().map(RowFilter::filter)
    }

    /// The rows that are shown, where not all are.
    pub(crate) fn compiled_rows(&self) -> Option<CompiledFilter> {
        self.rows.as_ref().map(|rows| CompiledFilter::shown(None, rows, &self.fields))
    }

    /// Segment and slot of a live row that is shown, looked for as [`locate_sound`](Self::locate_sound) does.
    pub(crate) fn visible(&self, id: &PointId) -> Result<Option<(usize, u32)>> {
        let found = self.locate_sound(id)?;
        Ok(match &self.rows {
            Some(rows) => found.filter(|place| rows.shows(&self.asked_of(rows, *place))),
            None => found,
        })
    }

    /// The values of a row that a filter asks for.
    pub(super) fn asked_of(&self, rows: &RowFilter, (segment, slot): (usize, u32)) -> Payload {
        let fields: Vec<FieldId> =
            rows.fields().iter().filter_map(|name| Some(self.fields.find(name)?.0)).collect();
        self.segments[segment].payload(slot, &self.fields, Some(&fields))
    }

    /// What is told of a collection where not all rows are shown: it has those that are.
    pub(super) fn told(&self, info: CollectionInfo) -> CollectionInfo {
        let (filter, watch) = (self.compiled_rows(), Watch::default());
        let count = |segment: &SegmentView| segment.passing(filter.as_ref(), &watch).count() as u64;
        let points = self.segments.iter().map(count).sum();
        CollectionInfo { points, vectors: self.vectors(), growing: 0, ..info }
    }

    /// Takes out of what is told of an answer how many rows there are that are not shown, and how often words occur in them.
    pub(super) fn veil(&self, explain: Option<&mut Explain>) {
        let Some(explain) = explain.filter(|_| self.rows.is_some()) else { return };
        for stage in &mut explain.stages {
            stage.postings = 0;
            stage.segments.iter_mut().for_each(|segment| segment.rows = 0);
        }
    }

    /// Rows that are shown and have the first dense vector.
    pub(super) fn shown_vectors(&self, filter: &CompiledFilter) -> u64 {
        let watch = Watch::default();
        let with_vector = |segment: &SegmentView| {
            let first = segment.all_dense().next();
            first.map_or(0, |dense| {
                let passing = segment.passing(Some(filter), &watch);
                passing.iter().filter(|slot| dense.has(*slot)).count() as u64
            })
        };
        self.segments.iter().map(with_vector).sum()
    }
}
