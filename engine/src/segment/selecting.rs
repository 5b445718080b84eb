//! Where a filter finds the values of a segment: in its columns and indexes, or row by row while it grows, but for those of the tenant
//! key; and in the patches of its rows, which say otherwise.
//!
//! **Cost.** A segment without patches of a field pays nothing for those of others; with some, each is tested.

use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::{Segment, SegmentView, TextPart};
use crate::interrupt::{POLL_DISTANCES, Watch};
use crate::payload::{FieldId, FieldSource, Screen, Test, ValueRef};
use crate::text::{Analyzer, QueryTerms, having_all, having_all_among};

/// Patched rows are let through a screen, whatever they pass, up to one in so many of those that it lets through.
const PATCHED_ONE_IN: usize = 16;

impl SegmentView {
    /// The rows that have a field whose value passes, by the rows as the segment has them, and by their patches.
    fn patched(&self, field: FieldId, test: &Test, mut rows: Arc<FixedBitSet>) -> Arc<FixedBitSet> {
        if !self.patches.is_about(field) {
            return rows;
        }
        let visible = self.from..self.rows;
        for (slot, value) in self.patches.values(field).filter(|(slot, _)| visible.contains(slot)) {
            let passes = value.is_some_and(|value| test.passes(value));
            if rows.contains(slot as usize) != passes {
                Arc::make_mut(&mut rows).set(slot as usize, passes);
            }
        }
        rows
    }
}

impl FieldSource for SegmentView {
    fn rows(&self) -> usize {
        self.rows as usize
    }

    fn select(&self, field: FieldId, test: &Arc<Test>, watch: &Watch) -> Arc<FixedBitSet> {
        let rows = match &self.segment {
            Segment::Growing(segment) => {
                let mut out = FixedBitSet::with_capacity(self.rows as usize);
                for slot in self.from..self.rows {
                    if u64::from(slot - self.from).is_multiple_of(POLL_DISTANCES) && watch.poll() {
                        return Arc::new(out);
                    }
                    let value = segment.rows.get(slot).and_then(|row| row.value(field));
                    if value.is_some_and(|value| test.passes(value)) {
                        out.insert(slot as usize);
                    }
                }
                Arc::new(out)
            }
            Segment::Sealed(segment) => match segment.select(field, test, watch) {
                Some(rows) => rows,
                None => return Arc::new(FixedBitSet::with_capacity(self.rows as usize)),
            },
        };
        self.patched(field, test, rows)
    }

    fn select_text(&self, field: FieldId, analyzer: Analyzer, terms: &QueryTerms) -> Arc<FixedBitSet> {
        let mut having = FixedBitSet::with_capacity(self.rows as usize);
        for TextPart { rows, index } in self.texts(field, analyzer) {
            let places = index.map(|index| having_all(&index, terms)).into_iter().flatten();
            let found = places.filter(|place| !rows.is_gone(*place)).filter_map(|place| rows.row(place));
            // Of a growing segment the view may show fewer rows than were indexed.
            having.extend(found.filter(|row| *row < self.rows).map(|row| row as usize));
        }
        Arc::new(having)
    }

    fn among_text(&self, field: FieldId, analyzer: Analyzer, terms: &QueryTerms, rows: Vec<u32>) -> Vec<u32> {
        let mut having = Vec::new();
        for TextPart { rows: indexed, index } in self.texts(field, analyzer) {
            let Some(index) = index else { continue };
            let places = rows.iter().filter_map(|row| indexed.place(*row)).collect();
            let found = having_all_among(&index, terms, places);
            having.extend(found.into_iter().filter_map(|place| indexed.row(place)));
        }
        having.sort_unstable();
        having
    }

    fn count(&self, field: FieldId, test: &Test, watch: &Watch) -> Option<usize> {
        let of_rows = match &self.segment {
            Segment::Growing(segment) => self.tenants.count(&segment.tenant.as_ref()?.hashes(field, test)?),
            Segment::Sealed(segment) => segment.count(field, test, watch)?,
        };
        Some(if self.patches.is_about(field) { of_rows + self.patches.count() } else { of_rows })
    }

    fn list(&self, field: FieldId, test: &Test, max: usize, watch: &Watch) -> Option<Vec<u32>> {
        let mut rows = match &self.segment {
            Segment::Growing(segment) => {
                let mut rows = self.tenants.list(&segment.tenant.as_ref()?.hashes(field, test)?, max)?;
                let value = |slot: u32| segment.rows.get(slot)?.value(field);
                // Another tenant may have the same hash.
                rows.retain(|slot| value(*slot).is_some_and(|value| test.passes(value)));
                rows
            }
            Segment::Sealed(segment) => segment.list((field, test), max, watch)?,
        };
        if self.patches.is_about(field) {
            let passes = |value: Option<ValueRef<'_>>| value.is_some_and(|value| test.passes(value));
            // The newest patch of a row counts, which says again what those before it said.
            let patched = |row: u32| self.patches.get(row)?.value(field);
            rows.retain(|row| patched(*row).is_none_or(passes));
            let passed = self.patches.values(field).filter(|(_, value)| passes(*value)).map(|(row, _)| row);
            rows.extend(passed.filter(|row| patched(*row).is_some_and(passes)));
            rows.sort_unstable();
            rows.dedup();
        }
        (rows.len() <= max).then_some(rows)
    }

    fn screen(&self, asked: (FieldId, &Test), least: usize, watch: &Watch) -> Option<Screen<'_>> {
        let segment = self.as_sealed()?;
        let screen = segment.screen(asked, least, watch)?;
        if !self.patches.is_about(asked.0) {
            return Some(screen);
        }
        let patched = self.patches.count();
        (patched * PATCHED_ONE_IN <= screen.count()).then(|| screen.and_moved(self.patches.slots(), patched))
    }

    fn value_of(&self, row: u32, field: FieldId) -> Option<ValueRef<'_>> {
        self.value(row, field)
    }
}
