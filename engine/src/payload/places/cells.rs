//! The rows of a column of places by the cells of a grid, two bytes a row.
//!
//! **Problem.** To set a bit for each of half a million rows takes longer than all else that finds them. **Idea.** Some bands of latitude
//! together are a *strip*, and a strip is divided by longitude into columns. The bytes of all rows say in which column of which strip
//! each is, so the rows of all cells that are *marked*, a run of columns in each strip, are found in one go through the bytes
//! (`ragstone_kernels::KernelBits`). Marked are those whose middle is in the circle, which are mostly within it by more than half: so what remains
//! is a half of the cells along the rim, and less, whose rows are set or taken out again one by one. Which cells are marked is a matter of speed alone.
//!
//! **Cost.** Two bytes a row, a kilobyte a band and four a strip. The go through the bytes takes as long as setting one in [`SHARE`] of the rows or so: where
//! the marked cells have fewer, all are set one by one.

use std::ops::Range;

use ragstone_kernels::{KernelBits, Runs, STRIPS as STRIPS_MAX};

use super::Band;
use super::circle::{Circle, sides};

/// One less than there may be: what has no place is in the last.
const STRIPS: usize = STRIPS_MAX - 1;
/// One less than a byte tells apart, so that all of them are a number, too.
const COLUMNS: usize = 255;
/// In place of a strip, none of whose columns is ever marked.
const NOWHERE: u8 = STRIPS as u8;
/// Marks are worth it from one in so many of the rows on.
const SHARE: usize = 20;
/// Longitudes of a strip that its columns are made by.
const SAMPLE: usize = 8_192;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Cells {
    /// Of each row.
    strip_of: Vec<u8>,
    column_of: Vec<u8>,
    strips: Vec<Strip>,
    bands_a_strip: usize,
    /// Where the places of each column begin in each band, and the band's end.
    starts: Vec<[u32; COLUMNS + 1]>,
}

/// Bands that follow one another.
#[derive(Debug)]
struct Strip {
    /// A latitude in the middle of them.
    middle: f64,
    /// A longitude in the middle of each column.
    middles: [f64; COLUMNS],
    /// How many places the columns before each have, and all.
    before: [usize; COLUMNS + 1],
}

/// Some cells.
pub(super) struct Marked {
    runs: Runs,
    /// Of each strip the columns, in two parts where the circle goes across the meridian at which degrees jump.
    columns: Vec<[Range<usize>; 2]>,
}

impl Cells {
    /// Of so many rows, whose places are in bands.
    pub(super) fn new(bands: &[Band], places: &[u32], longitudes: &[f32], rows: usize) -> Self {
        let bands_a_strip = bands.len().div_ceil(STRIPS).max(1);
        let mut cells = Self {
            strip_of: vec![NOWHERE; rows],
            column_of: vec![0; rows],
            strips: Vec::with_capacity(STRIPS),
            bands_a_strip,
            starts: Vec::with_capacity(bands.len()),
        };
        for (number, bands) in bands.chunks(bands_a_strip).enumerate() {
            let edges: [f32; COLUMNS - 1] = edges(bands, longitudes);
            let mut extents = [None; COLUMNS];
            let mut before = [0; COLUMNS + 1];
            for band in bands {
                let of_band = &longitudes[band.places()];
                let (mut starts, mut passed) = ([band.end; COLUMNS + 1], 0);
                starts[0] = band.start;
                for (start, edge) in starts[1..COLUMNS].iter_mut().zip(&edges) {
                    passed += of_band[passed..].partition_point(|longitude| longitude < edge);
                    *start = band.start + passed as u32;
                }
                for at in 0..COLUMNS {
                    let range = starts[at] as usize..starts[at + 1] as usize;
                    extents[at] = joined(extents[at], &longitudes[range.clone()]);
                    before[at + 1] += range.len();
                    for row in &places[range] {
                        cells.strip_of[*row as usize] = number as u8;
                        cells.column_of[*row as usize] = at as u8;
                    }
                }
                cells.starts.push(starts);
            }
            (0..COLUMNS).for_each(|at| before[at + 1] += before[at]);
            // Within all parts that begin with the first column, as those do of a circle across the meridian at which degrees jump.
            let mut last = -180.0;
            let middles = extents.map(|extent| {
                // What holds nothing stands in its place among the others.
                last = extent.map_or(last, |(west, east)| f64::midpoint(west, east));
                last
            });
            let middle = f64::midpoint(bands[bands.len() / 2].south, bands[(bands.len() - 1) / 2].north);
            cells.strips.push(Strip { middle, middles, before });
        }
        cells
    }

    /// The cells of a circle, if they have so many rows that it is worth it, and not all of them are to be tested.
    pub(super) fn mark(&self, circle: &Circle) -> Option<Marked> {
        if !circle.has_half_widths() {
            return None;
        }
        let mut marked = Marked { runs: Runs::default(), columns: vec![[0..0, 0..0]; self.strips.len()] };
        let mut places = 0;
        for (number, (strip, columns)) in self.strips.iter().zip(&mut marked.columns).enumerate() {
            let Some(width) = circle.edge(strip.middle).half_width else { continue };
            let parts = sides(circle.center.lon, width).into_iter().flatten();
            for ((west, east), inside) in parts.zip(&mut *columns) {
                let first = strip.middles.partition_point(|middle| *middle < west);
                let end = strip.middles.partition_point(|middle| *middle <= east).max(first);
                *inside = first..end;
            }
            let (first, count) = run(columns);
            marked.runs.set(number as u8, first, count);
            let places_of = |columns: &Range<usize>| strip.before[columns.end] - strip.before[columns.start];
            places += columns.iter().map(places_of).sum::<usize>();
        }
        (places * SHARE >= self.strip_of.len()).then_some(marked)
    }

    /// Writes the set of the rows of some cells.
    pub(super) fn select(&self, marked: &Marked, words: &mut [usize]) {
        KernelBits::new().select_within((&self.strip_of, &self.column_of), &marked.runs, words);
    }

    /// The places of a band that are in some cells.
    pub(super) fn places(&self, marked: &Marked, band: usize) -> [Range<usize>; 2] {
        let starts = &self.starts[band];
        let columns = marked.columns[band / self.bands_a_strip].clone();
        columns.map(|columns| starts[columns.start] as usize..starts[columns.end] as usize)
    }
}

/// Columns in two parts, of which the first begins with the first column and the second ends with the last one if both have any, as one run in a
/// circle: where it begins, and how many there are, with the one behind the last that no row has. Where these are all, one is taken out of both.
fn run(parts: &mut [Range<usize>; 2]) -> (u8, u8) {
    let [first, second] = parts;
    if second.start == second.end {
        return (first.start as u8, first.len() as u8);
    }
    if first.start == first.end {
        return (second.start as u8, second.len() as u8);
    }
    if first.len() + second.len() == COLUMNS {
        first.end -= 1;
    }
    (second.start as u8, (second.len() + 1 + first.len()) as u8)
}

/// From where to where longitudes reach, and more of them in ascending order.
fn joined(extent: Option<(f64, f64)>, longitudes: &[f32]) -> Option<(f64, f64)> {
    let more = longitudes.first().zip(longitudes.last());
    let more = more.map(|(first, last)| (f64::from(*first), f64::from(*last)));
    match (extent, more) {
        (Some((west, east)), Some((first, last))) => Some((west.min(first), east.max(last))),
        _ => extent.or(more),
    }
}

/// Where the second column of a strip begins, and each after it, so that they have about as many places each.
pub(super) fn edges<const EDGES: usize>(bands: &[Band], longitudes: &[f32]) -> [f32; EDGES] {
    let of_strip = &longitudes[bands[0].start as usize..bands[bands.len() - 1].end as usize];
    let step = (of_strip.len() / SAMPLE).max(1);
    let mut sample: Vec<f32> = of_strip.iter().step_by(step).copied().collect();
    sample.sort_unstable_by(f32::total_cmp);
    std::array::from_fn(|at| {
        sample.get(sample.len() * (at + 1) / (EDGES + 1)).copied().unwrap_or(f32::INFINITY)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_are_one_run_that_has_the_same_columns() {
        for (mut parts, is_whole) in [
            ([0..0, 0..0], true),
            ([3..9, 0..0], true),
            ([0..COLUMNS, 0..0], true),
            ([0..4, 250..COLUMNS], true),
            ([0..0, 254..COLUMNS], true),
            ([0..0, 0..COLUMNS], true),
            ([0..1, COLUMNS - 1..COLUMNS], true),
            ([0..100, 100..COLUMNS], false),
            ([0..COLUMNS - 1, COLUMNS - 1..COLUMNS], false),
        ] {
            let asked = parts.clone();
            let (first, count) = run(&mut parts);
            assert_eq!(parts == asked, is_whole, "{asked:?}");
            let mut runs = Runs::default();
            runs.set(0, first, count);
            for column in 0..COLUMNS {
                let is_in = parts.iter().any(|part| part.contains(&column));
                assert_eq!(runs.contains(0, column as u8), is_in, "{asked:?} {column}");
            }
        }
    }
}
