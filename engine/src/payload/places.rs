//! The rows of a sealed column of places, by where they lie.
//!
//! **Problem.** A distance takes some 40 ns, and half of a million rows may be within one. **Idea.** Bands of latitude with about as
//! many rows each, and the rows of each band in the order of their longitudes (sort-tile-recursive packing, Leutenegger et al.,
//! ICDE 1997), in *steps* of [`STEP`]. A circle takes from each band the steps between two longitudes, as far as it reaches anywhere in the
//! band, and of those the ones between two others are within it for certain, as far as it reaches everywhere. Only steps between the one
//! and the other, along the rim, are tested: by the lengths of straight lines through the sphere. How far it reaches and how long they are
//! is for `circle.rs` to say.
//!
//! A search by vector asks of the rows that it comes to alone, by the tiles of a finer grid (`tiles.rs`). For all others,
//! where a circle holds much, coarse cells that are mostly within it (`cells.rs`) are found together, and only where these and
//! what is certain differ are rows set, or taken out again, one by one.
//!
//! **Cost.** Twenty bytes and an eighth a row, and a kilobyte a band; sorting takes 28 a row meanwhile. Of `n` rows there are
//! `√n / 8` bands. A condition takes an arc sine and four binary searches a band, a nanosecond or so for each row that is set by itself,
//! and a little more for each that is tested: of a circle of `m` rows some `30 √m` are. The bands are as few as they are because a row
//! tested costs so much less than a band, whose first rows are rarely in the processor's cache.

mod cells;
mod circle;
mod tiles;

use std::ops::Range;

use fixedbitset::FixedBitSet;
use ragstone_kernels::{POINTS, Points, prefetch};

use self::cells::Cells;
use self::circle::{Circle, point, sides};
use self::tiles::Tiles;
use super::ascending::ascending;
use super::sorting::{self, PIECE};
use super::{Column, GeoPoint, Screen, Test, ValueRef};
use crate::interrupt::Watch;

const WORD_BITS: usize = usize::BITS as usize;
/// Rows of a band for each band.
const SHAPE: usize = 64;
/// Places of a band that are taken or left together.
const STEP: usize = POINTS;
/// Steps of a rim that are asked for before their turn.
const AHEAD: usize = 8;
/// Rows that are tested for each that may be listed, at most: a list is to cost what its length does.
const TESTS_A_ROW: usize = 8;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct PlaceIndex {
    /// By bands, and by longitude within each; a band begins with a step, so that there are some of no meaning before it.
    rows: Vec<u32>,
    /// Of each step, on a sphere of radius one; those of no meaning are infinitely far.
    points: Vec<Points>,
    /// Where each step of a band begins, by longitude, and where the last one ends.
    longitudes: Vec<f32>,
    bands: Vec<Band>,
    cells: Cells,
    /// None of few rows.
    tiles: Option<Tiles>,
}

/// Rows whose latitudes are near each other.
#[derive(Clone, Copy, Debug)]
struct Band {
    south: f64,
    /// The south of the next, if there is one: both have an edge in common.
    north: f64,
    /// Where its rows begin and end.
    start: u32,
    end: u32,
    /// Where its longitudes begin.
    longitudes: u32,
}

impl Band {
    fn places(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The places of some steps.
    fn steps(&self, first: usize, end: usize) -> Range<usize> {
        let place = |step: usize| (self.start as usize + step * STEP).min(self.end as usize);
        place(first)..place(end.max(first))
    }
}

/// Places of a band, each once, in two parts where the circle goes across the meridian at which degrees jump.
struct Found {
    band: usize,
    /// All that may be within a circle.
    possible: [Range<usize>; 2],
    /// Those of them that are.
    certain: [Range<usize>; 2],
}

impl Found {
    /// Those that are certain, and of the others that are possible some that are marked, as the rim is set by tests whatever is said of it.
    fn with(&self, marked: &[Range<usize>; 2]) -> [Range<usize>; 2] {
        let parts = || self.possible.iter().zip(&self.certain);
        let is_within = |(possible, certain): (&Range<usize>, &Range<usize>)| {
            certain.is_empty() || (possible.start <= certain.start && certain.end <= possible.end)
        };
        // Not where one goes across the meridian at which degrees jump and the other does not, or all the way round: their parts are not of the same
        // sides.
        if !parts().all(is_within) {
            return self.certain.clone();
        }
        let mut with = self.certain.clone();
        for (part, (possible, marked)) in with.iter_mut().zip(self.possible.iter().zip(marked)) {
            let marked = marked.start.max(possible.start)..marked.end.min(possible.end);
            if part.start == part.end {
                *part = marked.start..marked.end.max(marked.start);
            } else if !marked.is_empty() {
                *part = marked.start.min(part.start)..marked.end.max(part.end);
            }
        }
        with
    }

    /// Those that are to be tested, in whole steps.
    fn rim(&self) -> impl Iterator<Item = Range<usize>> {
        differing(&self.possible, &self.certain)
    }
}

impl PlaceIndex {
    /// Sorts a column of a segment of `rows` rows; `None` if the watch ended it. What is no place (damage) is left out.
    pub(crate) fn new(column: &Column, file: &[u8], (rows, watch): (usize, &Watch)) -> Option<Self> {
        Self::of(column, file, (rows, watch), rows >= tiles::ROWS_MIN)
    }

    /// The same, with tiles or without.
    fn of(column: &Column, file: &[u8], (rows, watch): (usize, &Watch), has_tiles: bool) -> Option<Self> {
        let mut places: Vec<(GeoPoint, u32)> = Vec::new();
        let is_whole = column.each(file, watch, |row, value| {
            if let ValueRef::Geo(place) = value
                && place.check(String::new).is_ok()
            {
                places.push((place, row as u32));
            }
        });
        let by_latitude = |a: &(GeoPoint, u32), b: &(GeoPoint, u32)| a.0.lat.total_cmp(&b.0.lat);
        if !is_whole || !sorting::sort_by(&mut places, watch, &by_latitude) {
            return None;
        }
        let rows_a_band = (places.len() * SHAPE).isqrt().max(1);
        let (mut bands, mut longitudes): (Vec<Band>, Vec<f32>) = (Vec::new(), Vec::new());
        let (mut sorted, mut points, mut all_longitudes) = (Vec::new(), Vec::new(), Vec::new());
        let is_long = places.len() > PIECE;
        for band in places.chunks_mut(rows_a_band) {
            if is_long && watch.poll() {
                return None;
            }
            let (south, north) = (band[0].0.lat, band[band.len() - 1].0.lat);
            if let Some(before) = bands.last_mut() {
                before.north = south;
            }
            band.sort_unstable_by(|a, b| a.0.lon.total_cmp(&b.0.lon).then(a.1.cmp(&b.1)));
            let start = sorted.len() as u32;
            let end = start + band.len() as u32;
            bands.push(Band { south, north, start, end, longitudes: longitudes.len() as u32 });
            longitudes.extend(band.iter().step_by(STEP).chain(band.last()).map(|place| place.0.lon as f32));
            points.extend(band.chunks(STEP).map(points_of));
            let filled = points.len() * STEP;
            sorted.extend(band.iter().map(|place| place.1));
            sorted.resize(filled, 0);
            all_longitudes.extend(band.iter().map(|place| place.0.lon as f32));
            all_longitudes.resize(filled, band[band.len() - 1].0.lon as f32);
        }
        Some(Self {
            cells: Cells::new(&bands, &sorted, &all_longitudes, rows),
            tiles: has_tiles.then(|| Tiles::new(&bands, &sorted, &all_longitudes, rows)),
            rows: sorted,
            points,
            longitudes,
            bands,
        })
    }

    /// The rows within the distance, among as many as the segment has.
    pub(crate) fn select(&self, column: &Column, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        let mut set = FixedBitSet::with_capacity(rows);
        let Test::Within(center, metres) = *test else { return set };
        let circle = Circle::new(center, metres);
        let (words, mut rim) = (set.as_mut_slice(), Vec::new());
        let marked = self.cells.mark(&circle);
        if let Some(marked) = &marked {
            self.cells.select(marked, words);
            let reached = self.reached(&circle);
            for band in (0..reached.start).chain(reached.end..self.bands.len()) {
                self.cells.places(marked, band).into_iter().for_each(|places| self.toggle(places, words));
            }
        }
        self.each_band(&circle, |found| {
            let marked = marked.as_ref().map(|marked| self.cells.places(marked, found.band));
            let marked = marked.unwrap_or_default();
            let set = found.with(&marked);
            for places in differing(&set, &marked) {
                self.toggle(places, words);
            }
            rim.extend(found.rim().flat_map(steps_of).map(|step| (step, bits_of(step, &set))));
            true
        });
        for (at, (step, is_set)) in rim.iter().enumerate() {
            // They lie apart, in memory that is rarely in the processor's cache.
            if let Some((later, _)) = rim.get(at + AHEAD) {
                prefetch(&self.points[*later..=*later]);
                prefetch(self.rows_of(*later));
            }
            let rows = self.rows_of(*step);
            for place in ones(self.passing(*step, &circle, (column, file, test)) ^ is_set) {
                toggle(rows[place], words);
            }
        }
        set
    }

    /// Lets through the rows that may be within the distance, and few others; `None` if these are not about so many, there are few rows at all, or
    /// it cannot be told.
    pub(crate) fn screen(&self, test: &Test, least: usize) -> Option<Screen<'_>> {
        let Test::Within(center, metres) = *test else { return None };
        self.tiles.as_ref()?.screen(&Circle::new(center, metres), least)
    }

    /// The rows of a step, and of no meaning before and behind those of its band.
    fn rows_of(&self, step: usize) -> &[u32] {
        &self.rows[step * STEP..(step + 1) * STEP]
    }

    /// At most how many rows these are.
    pub(crate) fn count(&self, test: &Test) -> usize {
        let Test::Within(center, metres) = *test else { return 0 };
        let mut count = 0;
        self.each_band(&Circle::new(center, metres), |found| {
            count += found.possible.iter().map(|places| places.len()).sum::<usize>();
            true
        });
        count
    }

    /// These rows in ascending order; `None` if there are more than `max`, or too many would have to be tested to tell.
    pub(crate) fn list(&self, column: &Column, file: &[u8], test: &Test, max: usize) -> Option<Vec<u32>> {
        let Test::Within(center, metres) = *test else { return Some(Vec::new()) };
        let circle = Circle::new(center, metres);
        let (mut rows, mut is_over) = (Vec::new(), false);
        let mut tests = max.saturating_mul(TESTS_A_ROW).max(STEP * STEP);
        self.each_band(&circle, |found| {
            let certain = found.certain.iter().map(|places| places.len()).sum::<usize>();
            let tested = found.rim().map(|places| places.len()).sum::<usize>();
            is_over = rows.len() + certain > max || tested > tests;
            if is_over {
                return false;
            }
            tests -= tested;
            found.certain.iter().for_each(|places| rows.extend_from_slice(&self.rows[places.clone()]));
            for step in found.rim().flat_map(steps_of) {
                let passing = self.passing(step, &circle, (column, file, test));
                rows.extend(ones(passing).map(|place| self.rows_of(step)[place]));
            }
            is_over = rows.len() > max;
            !is_over
        });
        (!is_over).then(|| ascending(rows))
    }

    /// Takes the rows at some places into a set, and out of it those that are there.
    fn toggle(&self, places: Range<usize>, words: &mut [usize]) {
        self.rows[places].iter().for_each(|row| toggle(*row, words));
    }

    /// Which of the rows of a step are within a circle, a bit for each: by the chord, else by what the column says.
    #[inline]
    fn passing(&self, step: usize, circle: &Circle, (column, file, test): (&Column, &[u8], &Test)) -> u32 {
        let near = circle.near(&self.points[step]);
        let in_doubt = ones(near.in_doubt).map(|place| {
            let value = column.get(file, self.rows_of(step)[place] as usize);
            u32::from(value.is_some_and(|value| test.passes(value))) << place
        });
        in_doubt.fold(near.within, |passing, bit| passing | bit)
    }

    /// The bands that a circle reaches.
    fn reached(&self, circle: &Circle) -> Range<usize> {
        let (south, north) = circle.latitudes();
        let first = self.bands.partition_point(|band| band.north < south);
        first..self.bands.partition_point(|band| band.south <= north).max(first)
    }

    /// Gives what a circle has of each band that it reaches, until `each` says that it has enough.
    fn each_band(&self, circle: &Circle, mut each: impl FnMut(Found) -> bool) {
        let reached = self.reached(circle);
        let Some(first) = self.bands.get(reached.start) else { return };
        let mut south = circle.edge(first.south);
        for number in reached {
            let band = &self.bands[number];
            let north = circle.edge(band.north);
            let (certain, possible) = circle.half_widths(&south, &north);
            south = north;
            let parts = |width: f64| sides(circle.center.lon, width);
            let mut possible =
                parts(possible).map(|part| part.map_or(0..0, |(west, east)| self.reaching(band, west, east)));
            let certain = certain
                .map_or([None, None], parts)
                .map(|part| part.map_or(0..0, |(west, east)| self.between(band, west, east)));
            // A step may reach into both.
            let [before, behind] = &mut possible;
            *behind = behind.start.max(before.end)..behind.end.max(before.end);
            if !each(Found { band: number, possible, certain }) {
                return;
            }
        }
    }

    /// The places of a band in steps that reach somewhere between two longitudes.
    fn reaching(&self, band: &Band, west: f64, east: f64) -> Range<usize> {
        let (firsts, lasts) = self.longitudes(band);
        let first = lasts.partition_point(|last| f64::from(*last) < west);
        band.steps(first, firsts.partition_point(|first| f64::from(*first) <= east))
    }

    /// The places of a band in steps that lie between two longitudes.
    fn between(&self, band: &Band, west: f64, east: f64) -> Range<usize> {
        let (firsts, lasts) = self.longitudes(band);
        let first = firsts.partition_point(|first| f64::from(*first) < west);
        band.steps(first, lasts.partition_point(|last| f64::from(*last) <= east))
    }

    /// Where the steps of a band begin, and where they end or the next begins.
    fn longitudes(&self, band: &Band) -> (&[f32], &[f32]) {
        let steps = band.places().len().div_ceil(STEP);
        let longitudes = &self.longitudes[band.longitudes as usize..][..=steps];
        (&longitudes[..steps], &longitudes[1..])
    }
}

/// What is in the ranges of one pair and not in those of the other: from every other one of all their ends to the next.
fn differing(a: &[Range<usize>; 2], b: &[Range<usize>; 2]) -> impl Iterator<Item = Range<usize>> {
    let mut ends = [a[0].start, a[0].end, b[0].start, b[0].end, a[1].start, a[1].end, b[1].start, b[1].end];
    if a[1].is_empty() && b[1].is_empty() {
        // As most are: without the comparisons of a sort, which cannot be predicted.
        let (first, last) = (ends[0].min(ends[2]), ends[1].max(ends[3]));
        let (start, end) = (ends[0].max(ends[2]), ends[1].min(ends[3]));
        ends = [first, start.min(end), start.max(end), last, 0, 0, 0, 0];
    } else {
        ends.sort_unstable();
    }
    (0..ends.len()).step_by(2).map(move |at| ends[at]..ends[at + 1])
}

#[inline]
fn toggle(row: u32, words: &mut [usize]) {
    words[row as usize / WORD_BITS] ^= 1 << (row as usize % WORD_BITS);
}

/// The places of the bits that are one.
#[inline]
fn ones(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        (bits != 0).then(|| {
            bits &= bits - 1;
            place
        })
    })
}

/// A bit for each place of a step that is one of some.
#[inline]
fn bits_of(step: usize, places: &[Range<usize>; 2]) -> u32 {
    // Of the places of the step those before one.
    let before = |place: usize| (1_u64 << place.saturating_sub(step * STEP).min(STEP)) - 1;
    places.iter().fold(0, |bits, places| bits | (before(places.end) & !before(places.start)) as u32)
}

/// The steps of places that are in whole steps.
fn steps_of(places: Range<usize>) -> impl Iterator<Item = usize> {
    places.step_by(STEP).map(|place| place / STEP)
}

/// Some places as points, filled up with what is infinitely far.
fn points_of(places: &[(GeoPoint, u32)]) -> Points {
    let mut points = [[f32::INFINITY; STEP]; 3];
    for (at, (place, _)) in places.iter().enumerate() {
        points.iter_mut().zip(point(*place)).for_each(|(axis, value)| axis[at] = value);
    }
    points
}

#[cfg(test)]
mod tests;
