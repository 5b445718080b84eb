//! The rows of a sealed column of places, by where they lie.
//!
//! **Problem.** A distance takes some 40 ns, and half of a million rows may be within one. **Idea.** Bands of latitude with about as
//! many rows each, and the rows of each band in the order of their longitudes (sort-tile-recursive packing, Leutenegger et al.,
//! ICDE 1997). A circle takes from each band the rows between two longitudes, and of those the ones between two others are within
//! it for certain, as both edges of the band are there: a cap of a sphere holds all of a meridian between two points that it
//! holds, if it is no more than half of it. Only rows between the one and the other, along the rim, are tested.
//!
//! Where much of the circle lies in cells that are wholly within it (`cells.rs`), the rows of these are found together, and only the rest of
//! the certain ones is set one by one.
//!
//! **Cost.** Thirteen bytes and an eighth a row, and some hundred bytes a band; sorting takes 24 a row meanwhile. Of `n` rows there are
//! `√n / 2` bands. A condition takes two binary searches a band, a part of a nanosecond for each row that passes, and a distance for each
//! along the rim, some `√n`: by places rounded to 32 bits, and by those of the column where these leave it in doubt.

mod cells;
mod circle;

use std::ops::Range;

use fixedbitset::FixedBitSet;

use self::cells::Cells;
use self::circle::{Circle, sides};
use super::ascending::ascending;
use super::sorting::{self, PIECE};
use super::{Column, GeoPoint, Test, ValueRef};
use crate::interrupt::Watch;

const WORD_BITS: usize = usize::BITS as usize;
/// Rows of a band for each band.
const SHAPE: usize = 4;
/// Longitudes of a band from one that is kept by itself to the next.
const STEP: usize = 32;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct PlaceIndex {
    /// By bands, and by longitude within each.
    rows: Vec<u32>,
    latitudes: Vec<f32>,
    longitudes: Vec<f32>,
    /// Every [`STEP`]th longitude of each band, by which one is found: they stay in the processor's cache, all others do not.
    steps: Vec<f32>,
    bands: Vec<Band>,
    cells: Cells,
}

/// Rows whose latitudes are near each other.
#[derive(Clone, Copy, Debug)]
struct Band {
    south: f64,
    north: f64,
    /// Where its rows begin and end.
    start: u32,
    end: u32,
    /// Where its first step is.
    step: u32,
}

impl Band {
    fn places(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Places of a band that may be within a circle.
struct Found {
    band: usize,
    places: Range<usize>,
    /// Whether all of them are.
    is_certain: bool,
}

impl PlaceIndex {
    /// Sorts a column of a segment of `rows` rows; `None` if the watch ended it.
    pub(crate) fn new(column: &Column, file: &[u8], (rows, watch): (usize, &Watch)) -> Option<Self> {
        let mut places: Vec<(f64, f32, u32)> = Vec::new();
        let is_whole = column.each(file, watch, |row, value| {
            if let ValueRef::Geo(GeoPoint { lat, lon }) = value {
                places.push((lat, lon as f32, row as u32));
            }
        });
        let by_latitude = |a: &(f64, f32, u32), b: &(f64, f32, u32)| a.0.total_cmp(&b.0);
        if !is_whole || !sorting::sort_by(&mut places, watch, &by_latitude) {
            return None;
        }
        let rows_a_band = (places.len() * SHAPE).isqrt().max(1);
        let (mut bands, mut steps): (Vec<Band>, Vec<f32>) = (Vec::new(), Vec::new());
        let is_long = places.len() > PIECE;
        for band in places.chunks_mut(rows_a_band) {
            if is_long && watch.poll() {
                return None;
            }
            let start = bands.last().map_or(0, |band| band.end);
            let (south, north) = (band[0].0, band[band.len() - 1].0);
            band.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.2.cmp(&b.2)));
            bands.push(Band {
                south,
                north,
                start,
                end: start + band.len() as u32,
                step: steps.len() as u32,
            });
            steps.extend(band.iter().step_by(STEP).map(|place| place.1));
        }
        let sorted: Vec<u32> = places.iter().map(|place| place.2).collect();
        let longitudes: Vec<f32> = places.iter().map(|place| place.1).collect();
        Some(Self {
            cells: Cells::new(&bands, &sorted, &longitudes, rows),
            bands,
            steps,
            rows: sorted,
            latitudes: places.iter().map(|place| place.0 as f32).collect(),
            longitudes,
        })
    }

    /// The rows within the distance, among as many as the segment has.
    pub(crate) fn select(&self, column: &Column, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        let mut found = FixedBitSet::with_capacity(rows);
        let Test::Within(center, metres) = *test else { return found };
        let circle = Circle::new(center, metres);
        let words = found.as_mut_slice();
        let whole = self.cells.within(&circle);
        if let Some(whole) = &whole {
            self.cells.select(whole, words);
        }
        let mut set = |place: usize, passes: bool| {
            let row = self.rows[place] as usize;
            words[row / WORD_BITS] |= usize::from(passes) << (row % WORD_BITS);
        };
        self.parts(&circle, |Found { band, places, is_certain }| {
            match &whole {
                // Whether they pass is anybody's guess, so nothing is made to depend on it but a bit.
                _ if !is_certain => {
                    places.for_each(|place| set(place, self.passes(place, &circle, (column, file, test))));
                }
                Some(whole) => self.cells.each_left(whole, (band, places), |left| {
                    left.for_each(|place| set(place, true));
                }),
                None => places.for_each(|place| set(place, true)),
            }
            true
        });
        found
    }

    /// At most how many rows these are.
    pub(crate) fn count(&self, test: &Test) -> usize {
        let Test::Within(center, metres) = *test else { return 0 };
        let mut count = 0;
        self.parts(&Circle::new(center, metres), |found| {
            count += found.places.len();
            true
        });
        count
    }

    /// These rows in ascending order; `None` if there may be more than `max`.
    pub(crate) fn list(&self, column: &Column, file: &[u8], test: &Test, max: usize) -> Option<Vec<u32>> {
        let Test::Within(center, metres) = *test else { return Some(Vec::new()) };
        let circle = Circle::new(center, metres);
        let mut left = Some(max);
        self.parts(&circle, |found| {
            left = left.and_then(|left| left.checked_sub(found.places.len()));
            left.is_some()
        });
        left?;
        let mut rows = Vec::new();
        self.parts(&circle, |Found { places, is_certain, .. }| {
            let found =
                places.filter(|place| is_certain || self.passes(*place, &circle, (column, file, test)));
            rows.extend(found.map(|place| self.rows[place]));
            true
        });
        Some(ascending(rows))
    }

    /// Whether the row at a place is within a circle: by what is kept of the place, else by what the column says.
    #[inline]
    fn passes(&self, place: usize, circle: &Circle, (column, file, test): (&Column, &[u8], &Test)) -> bool {
        let rounded = [self.latitudes[place], self.longitudes[place]].map(f64::from);
        circle.holds(rounded).unwrap_or_else(|| {
            column.get(file, self.rows[place] as usize).is_some_and(|value| test.passes(value))
        })
    }

    /// Gives the places that may be within a circle, each once, until `each` says that it has enough.
    fn parts(&self, circle: &Circle, mut each: impl FnMut(Found) -> bool) {
        let Circle { center, height, .. } = circle;
        let first = self.bands.partition_point(|band| band.north < center.lat - height);
        for (number, band) in self.bands.iter().enumerate().skip(first) {
            if band.south > center.lat + height {
                return;
            }
            let mut give = |places, is_certain| each(Found { band: number, places, is_certain });
            let (certain, possible) = circle.half_widths(band.south, band.north);
            // From the west edge of what is possible over what is certain to the east edge.
            for (west, east) in sides(center.lon, possible).into_iter().flatten() {
                let possible = self.between(band, west, east);
                let mut at = possible.start;
                for (west, east) in certain.into_iter().flat_map(|width| sides(center.lon, width)).flatten() {
                    let sure = self.among(at..possible.end, west, east);
                    if sure.is_empty() {
                        continue;
                    }
                    let before = at..sure.start;
                    at = sure.end;
                    if !give(before, false) || !give(sure, true) {
                        return;
                    }
                }
                if !give(at..possible.end, false) {
                    return;
                }
            }
        }
    }

    /// The places of a band between two longitudes.
    fn between(&self, band: &Band, west: f64, east: f64) -> Range<usize> {
        let from = self.first(band, |longitude| longitude < west);
        let to = self.first(band, |longitude| longitude <= east);
        from..to.max(from)
    }

    /// Those of some places of a band that are between two longitudes: mostly all but a few at both ends.
    fn among(&self, places: Range<usize>, west: f64, east: f64) -> Range<usize> {
        let longitudes = &self.longitudes[places.clone()];
        let is_before = |longitude: &f32| f64::from(*longitude) < west;
        let is_behind = |longitude: &f32| f64::from(*longitude) > east;
        let at_west = longitudes.iter().take(STEP).position(|longitude| !is_before(longitude));
        let from = at_west.unwrap_or_else(|| longitudes.partition_point(is_before));
        let at_east = longitudes.iter().rev().take(STEP).position(|longitude| !is_behind(longitude));
        let behind = at_east.unwrap_or_else(|| {
            longitudes.len() - longitudes.partition_point(|longitude| !is_behind(longitude))
        });
        let to = (longitudes.len() - behind).max(from);
        places.start + from..places.start + to
    }

    /// The first place of a band whose longitude is not before something, or its end.
    fn first(&self, band: &Band, is_before: impl Fn(f64) -> bool) -> usize {
        let (start, end) = (band.start as usize, band.end as usize);
        let before = |longitude: &f32| is_before(f64::from(*longitude));
        let steps = &self.steps[band.step as usize..][..(end - start).div_ceil(STEP)];
        // The step before it is before it, the next is not.
        let low = start + steps.partition_point(before).saturating_sub(1) * STEP;
        low + self.longitudes[low..end.min(low + STEP)].partition_point(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::column::tests::column_of;
    use crate::payload::{FieldType, Value};
    use crate::random::SplitMix64;

    /// Against testing every row: the rows of whole cells, and those between them and the rim.
    #[test]
    fn large_circles_hold_what_is_within_them() {
        let (rows, mut random) = (20_000, SplitMix64(3));
        for (lat, lon, degrees) in
            [(0.0, 0.0, 10.0), (50.0, 175.0, 10.0), (-40.0, -179.0, 4.0), (0.0, 0.0, 170.0)]
        {
            let mut near = |middle: f64| middle + (f64::from(random.uniform()) - 0.5) * degrees;
            let mut place = || {
                let (lat, lon) = (near(lat), near(lon));
                GeoPoint { lat, lon: if lon.abs() > 180.0 { lon - 360.0 * lon.signum() } else { lon } }
            };
            let values: Vec<Option<Value>> =
                (0..rows).map(|row| (row % 7 != 3).then(|| Value::Geo(place()))).collect();
            let center = place();
            let (entry, batch_rows, file) = column_of(&values, FieldType::Geo, 3_000);
            let column = Column::open(&entry, &batch_rows, file.len()).unwrap();
            let index = PlaceIndex::new(&column, &file, (rows, &Watch::default())).unwrap();
            for (share, center) in [0.02, 0.1, 0.3, 0.5, 0.9]
                .map(|share| (share, GeoPoint { lat, lon }))
                .into_iter()
                .chain([(0.5, center)])
            {
                let metres = degrees * 111_195.0 * f64::sqrt(share / std::f64::consts::PI);
                let test = Test::Within(center, metres);
                let found = index.select(&column, &file, &test, rows);
                assert_eq!(found, column.tested(&file, &test, rows), "{share} around {center:?}");
                let whole = index.cells.within(&Circle::new(center, metres));
                // So both ways are gone.
                let is_sure = (center.lat, center.lon, degrees) == (0.0, 0.0, 10.0);
                assert!(!is_sure || whole.is_some() == (share >= 0.5) || share == 0.3, "{share}");
            }
        }
    }
}
