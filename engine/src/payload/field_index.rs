//! The index of a sealed column, whatever its type: made by itself when the column is first filtered by.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use fixedbitset::FixedBitSet;

use super::elements::ElementIndex;
use super::places::PlaceIndex;
use super::{Column, ColumnIndex, FieldType, Screen, Test};
use crate::interrupt::Watch;

/// An index of a column.
#[derive(Debug)]
pub(crate) enum FieldIndex {
    Values(ColumnIndex),
    Elements(ElementIndex),
    Places(PlaceIndex),
}

/// A column of a file.
#[derive(Clone, Copy)]
pub(crate) struct Indexed<'a> {
    pub(crate) column: &'a Column,
    pub(crate) file: &'a [u8],
    /// Of the segment.
    pub(crate) rows: usize,
}

impl FieldIndex {
    /// Whether there is one for columns of a type: of JSON there is nothing to ask but whether it is there.
    pub(crate) fn is_for(field_type: FieldType) -> bool {
        field_type != FieldType::Json
    }

    /// Makes the index of a column; `None` if the watch ended it.
    pub(crate) fn new(Indexed { column, file, rows }: Indexed<'_>, watch: &Watch) -> Option<Self> {
        Some(match column.field_type() {
            FieldType::Strings => FieldIndex::Elements(ElementIndex::new(column, file, (rows, watch))?),
            FieldType::Geo => FieldIndex::Places(PlaceIndex::new(column, file, (rows, watch))?),
            _ => FieldIndex::Values(ColumnIndex::new(column, file, (rows, watch))?),
        })
    }

    /// The rows whose value passes, among as many as the segment has.
    pub(crate) fn select(&self, Indexed { column, file, rows }: Indexed<'_>, test: &Test) -> FixedBitSet {
        match self {
            FieldIndex::Values(index) => index.select(column, file, test, rows),
            FieldIndex::Elements(index) => index.select(column, file, test, rows),
            FieldIndex::Places(index) => index.select(column, file, test, rows),
        }
    }

    /// What tells of rows one by one whether they may pass, if there is something that does and about so many do.
    pub(crate) fn screen(&self, test: &Test, least: usize) -> Option<Screen<'_>> {
        match self {
            FieldIndex::Places(index) => index.screen(test, least),
            FieldIndex::Values(_) | FieldIndex::Elements(_) => None,
        }
    }

    /// At most how many rows these are.
    pub(crate) fn count(&self, Indexed { column, file, .. }: Indexed<'_>, test: &Test) -> usize {
        match self {
            FieldIndex::Values(index) => index.count(column, file, test),
            FieldIndex::Elements(index) => index.count(column, file, test),
            FieldIndex::Places(index) => index.count(test),
        }
    }

    /// These rows in ascending order; `None` if there may be more than `max`.
    pub(crate) fn list(
        &self,
        Indexed { column, file, .. }: Indexed<'_>,
        test: &Test,
        max: usize,
    ) -> Option<Vec<u32>> {
        match self {
            FieldIndex::Values(index) => index.list(column, file, test, max),
            FieldIndex::Elements(index) => index.list(column, file, test, max),
            FieldIndex::Places(index) => index.list(column, file, test, max),
        }
    }
}

/// So many segments in succession come with an index that nobody asks for.
const SUCCESSORS: u8 = 8;

/// The index of a column, made by the first search that asks for it; those that come meanwhile do not wait. A segment that is made when others have
/// theirs comes with it (`segment/writer.rs`), but not for ever: of a field that was filtered by once no index is made and kept any more when the
/// segments that had it asked for, and [some of their successors](SUCCESSORS), are gone.
///
/// A search whose caller leaves, or whose time is spent, gives it up once. The next one makes it to the end, whatever becomes of its caller: else
/// there would never be one where nobody waits for as long as it takes. Who asks [at once](Watch::may_make) makes none, and ends here.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    index: OnceLock<FieldIndex>,
    is_begun: AtomicBool,
    is_given_up: AtomicBool,
    /// How many segments in succession, with this one, came with the index; zero once somebody asked for this one.
    unasked: AtomicU8,
}

impl Sorted {
    /// If the index is there, how many segments in succession came with it, unless so many did that the next one is not to.
    pub(crate) fn unasked(&self) -> Option<u8> {
        self.index.get()?;
        Some(self.unasked.load(Ordering::Relaxed)).filter(|unasked| *unasked < SUCCESSORS)
    }

    /// Makes the index of a new segment before anybody asks for it, as the successor of those of others, one that so many came with.
    pub(crate) fn make_ahead(
        &self,
        unasked: u8,
        watch: &Watch,
        make: impl FnOnce(&Watch) -> Option<FieldIndex>,
    ) {
        self.unasked.store(unasked.saturating_add(1), Ordering::Relaxed);
        self.made(watch, make);
    }

    /// The index; `None` while another thread makes it, or if the watch ended making it.
    pub(crate) fn get(
        &self,
        watch: &Watch,
        make: impl FnOnce(&Watch) -> Option<FieldIndex>,
    ) -> Option<&FieldIndex> {
        // Looked at first: who only reads shares it with other threads.
        if self.unasked.load(Ordering::Relaxed) != 0 {
            self.unasked.store(0, Ordering::Relaxed);
        }
        self.made(watch, make)
    }

    fn made(&self, watch: &Watch, make: impl FnOnce(&Watch) -> Option<FieldIndex>) -> Option<&FieldIndex> {
        let is_wanted = self.index.get().is_none() && watch.interrupted().is_none() && watch.may_make();
        // Flags that say who makes it; what is made is handed over by the cell.
        if is_wanted && !self.is_begun.swap(true, Ordering::Relaxed) {
            let always = Watch::default();
            let is_last = self.is_given_up.load(Ordering::Relaxed);
            match make(if is_last { &always } else { watch }) {
                // Nobody else comes here, so nobody waits.
                Some(index) => {
                    self.index.get_or_init(|| index);
                }
                None => {
                    self.is_given_up.store(true, Ordering::Relaxed);
                    self.is_begun.store(false, Ordering::Relaxed);
                }
            }
        }
        self.index.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::CancelToken;
    use crate::payload::column::tests::column_of;
    use crate::payload::{GeoPoint, Value, ValueRef};
    use proptest::prelude::*;

    fn open(values: &[Option<Value>], field_type: FieldType) -> Option<(Column, Vec<u8>)> {
        let (entry, batch_rows, file) = column_of(values, field_type, 700);
        Some((Column::open(&entry, &batch_rows, file.len())?, file))
    }

    /// Against testing every row.
    fn agrees(values: &[Option<Value>], field_type: FieldType, test: &Test) -> Result<(), TestCaseError> {
        let (column, file) = open(values, field_type).unwrap();
        let indexed = Indexed { column: &column, file: &file, rows: values.len() };
        let index = FieldIndex::new(indexed, &Watch::default()).unwrap();
        let tested = column.tested(&file, test, values.len());
        prop_assert_eq!(&index.select(indexed, test), &tested);
        let list = index.list(indexed, test, values.len()).unwrap();
        prop_assert!(list.iter().map(|row| *row as usize).eq(tested.ones()));
        prop_assert!(index.count(indexed, test) >= list.len());
        let passes = |value: &Option<Value>| value.as_ref().is_some_and(|value| test.passes(value.as_ref()));
        prop_assert!((0..values.len()).all(|row| passes(&values[row]) == tested.contains(row)));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn lists_are_found_by_what_they_hold(
            lists in prop::collection::vec(prop::option::of(prop::collection::vec("[ab]{0,2}|c", 0..4)), 1..900),
            asked in prop::collection::vec("[ab]{0,2}|c|x", 0..4),
        ) {
            let values: Vec<Option<Value>> = lists.into_iter().map(|list| list.map(Value::Strings)).collect();
            let mut asked: Vec<Box<[u8]>> = asked.iter().map(|text| text.as_bytes().into()).collect();
            asked.sort_unstable();
            asked.dedup();
            agrees(&values, FieldType::Strings, &Test::ListAny(asked))?;
        }

        #[test]
        fn places_are_found_by_their_distance(
            places in prop::collection::vec(prop::option::of((-90.0..=90.0, -180.0..=180.0)), 1..900),
            center in (prop_oneof![-90.0..=90.0, Just(90.0), Just(-89.9)],
                       prop_oneof![-180.0..=180.0, Just(180.0), Just(-179.5)]),
            metres in prop_oneof![Just(0.0), 0.0..1e5, 0.0..2.1e7],
        ) {
            let point = |(lat, lon)| GeoPoint { lat, lon };
            let mut values: Vec<Option<Value>> =
                places.into_iter().map(|place| place.map(|place| Value::Geo(point(place)))).collect();
            values.push(Some(Value::Geo(point(center))));
            agrees(&values, FieldType::Geo, &Test::Within(point(center), metres))?;
        }

        /// Many around a place, on both sides of the meridian at which degrees jump.
        #[test]
        fn neighbours_are_found_by_their_distance(
            places in prop::collection::vec((-1.0..=1.0, 178.0..=182.0), 1..2_000),
            latitude in prop_oneof![Just(0.0), Just(30.0), Just(-60.0), Just(88.5)],
            center in (-1.0..=1.0, 178.0..=182.0),
            metres in 0.0..2e5,
        ) {
            let point = |(lat, lon): (f64, f64)| {
                GeoPoint { lat: lat + latitude, lon: if lon > 180.0 { lon - 360.0 } else { lon } }
            };
            let values: Vec<Option<Value>> =
                places.into_iter().map(|place| Some(Value::Geo(point(place)))).collect();
            agrees(&values, FieldType::Geo, &Test::Within(point(center), metres))?;
        }
    }

    /// Circles across the meridian at which degrees jump: places on one side of it alone, and columns that have none, as many places are at
    /// the western edge of all.
    #[test]
    fn places_on_one_side_are_found_across_the_meridian() {
        let point = |lat: usize, lon: f64| Some(Value::Geo(GeoPoint { lat: lat as f64 / 1e4, lon }));
        let east: Vec<_> = (0..3_000).map(|at| point(at % 50, 170.0 + at as f64 / 301.0)).collect();
        let west: Vec<_> = (0..3_000).map(|at| point(at % 50, -180.0 + at as f64 / 301.0)).collect();
        let edge: Vec<_> = (0..1_000).map(|at| point(at % 50, -180.0)).chain(west[500..].to_vec()).collect();
        let few: Vec<_> = west.iter().step_by(20).chain(east.iter().step_by(20)).cloned().collect();
        let around: Vec<_> = edge.iter().chain(&east).cloned().collect();
        for values in [&east, &west, &edge, &few, &around] {
            for (lon, metres) in [(179.9, 3e5), (179.9, 9e5), (179.9, 3e6), (-179.9, 3e5), (-179.9, 3e6)] {
                agrees(values, FieldType::Geo, &Test::Within(GeoPoint { lat: 0.0, lon }, metres)).unwrap();
            }
        }
    }

    #[test]
    fn nobody_waits_for_an_index() {
        let values = [Some(Value::Int(1)), None, Some(Value::Int(2))];
        let (column, file) = open(&values, FieldType::Int).unwrap();
        let make = |watch: &Watch| FieldIndex::new(Indexed { column: &column, file: &file, rows: 3 }, watch);
        let (sorted, watch) = (Sorted::default(), Watch::default());
        let made = sorted.get(&watch, |watch| {
            assert!(sorted.get(watch, make).is_none(), "it is being made");
            make(watch)
        });
        assert!(made.is_some());
        assert!(sorted.get(&watch, |_| panic!("it is there")).is_some());
        assert_eq!(column.get(&file, 2), Some(ValueRef::Int(2)));
    }

    /// The index of a field that was filtered by once was made for each segment to come.
    #[test]
    fn successors_that_nobody_asks_are_the_last_ones() {
        let (column, file) = open(&[Some(Value::Int(1))], FieldType::Int).unwrap();
        let make = |watch: &Watch| FieldIndex::new(Indexed { column: &column, file: &file, rows: 1 }, watch);
        let (first, watch) = (Sorted::default(), Watch::default());
        assert_eq!(first.unasked(), None, "it is not there");
        assert!(first.get(&watch, make).is_some());
        let successors = std::iter::successors(first.unasked(), |unasked| {
            let next = Sorted::default();
            next.make_ahead(*unasked, &watch, make);
            assert!(next.index.get().is_some());
            next.unasked()
        });
        assert!(successors.eq(0..SUCCESSORS));
        let asked = Sorted::default();
        asked.make_ahead(5, &watch, make);
        assert_eq!(asked.unasked(), Some(6));
        assert!(asked.get(&watch, |_| panic!("it is there")).is_some());
        assert_eq!(asked.unasked(), Some(0));
        // Whoever closes the database waits for none.
        let token = CancelToken::new();
        token.cancel();
        let closed = Sorted::default();
        closed.make_ahead(
            0,
            &Watch::new(None, Some(&token)),
            |watch| if watch.poll() { None } else { make(watch) },
        );
        assert_eq!(closed.unasked(), None);
    }

    /// However short everybody's patience is, it comes to be there.
    #[test]
    fn one_that_was_given_up_is_made_to_the_end_by_the_next() {
        let (column, file) = open(&[Some(Value::Int(1))], FieldType::Int).unwrap();
        let (sorted, token) = (Sorted::default(), CancelToken::new());
        let left = Watch::new(None, Some(&token));
        let given_up = sorted.get(&left, |watch| {
            token.cancel();
            assert!(watch.poll(), "its caller has left");
            None
        });
        assert!(given_up.is_none());
        assert!(sorted.get(&left, |_| panic!("nobody waits")).is_none());
        // The next caller leaves as well, and is found out later.
        let next = Watch::new(None, Some(&token));
        let made = sorted.get(&next, |watch| {
            assert!(!watch.poll());
            FieldIndex::new(Indexed { column: &column, file: &file, rows: 1 }, watch)
        });
        assert!(made.is_some());
    }

    #[test]
    fn who_asks_at_once_makes_none_even_where_the_next_would_make_it_to_the_end() {
        let (column, file) = open(&[Some(Value::Int(1))], FieldType::Int).unwrap();
        let make = |watch: &Watch| FieldIndex::new(Indexed { column: &column, file: &file, rows: 1 }, watch);
        let sorted = Sorted::default();
        assert!(sorted.get(&Watch::default(), |_| None).is_none(), "one has given it up");
        let at_once = Watch::default().at_once(true);
        assert!(sorted.get(&at_once, |_| panic!("it lasts")).is_none());
        assert!(at_once.interrupted().is_some(), "nor does it go through all rows");
        assert!(sorted.get(&Watch::default(), make).is_some());
        let at_once = Watch::default().at_once(true);
        assert!(sorted.get(&at_once, |_| panic!("it is there")).is_some() && at_once.interrupted().is_none());
    }
}
