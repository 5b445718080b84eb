//! The rows of a column of places by coarse cells, a byte a row.
//!
//! **Problem.** To set a bit for each of half a million rows takes longer than all else that finds them. **Idea.** Some bands of latitude
//! together are a *group*, and a group is divided by longitude into columns: its *cells*, 255 in all. The bytes of all rows say which cell
//! each is in, so the rows of all cells that are *marked* are found in one go through the bytes (`ragstone_kernels::KernelBits`). Marked are
//! those whose middle is in the circle, which are mostly within it by more than half: so what remains is a half of the cells along the rim,
//! and less, whose rows are set or taken out again one by one. Which cells are marked is a matter of speed alone.
//!
//! **Cost.** A byte a row, and 72 bytes a band. The go through the bytes takes as long as setting one in [`SHARE`] of the rows or so: where
//! the marked cells have fewer, all are set one by one.

use std::ops::Range;

use ragstone_kernels::{ByteSet, KernelBits};

use super::Band;
use super::circle::{Circle, sides};

const GROUPS: usize = 15;
const COLUMNS: usize = 17;
/// In place of a cell: the row has no place.
const NOWHERE: u8 = u8::MAX;
/// Marks are worth it from one in so many of the rows on.
const SHARE: usize = 20;
/// Longitudes of a group that its columns are made by.
const SAMPLE: usize = 1_024;

const _: () = assert!(GROUPS * COLUMNS <= NOWHERE as usize, "each cell has a number");

/// See the module's text.
#[derive(Debug)]
pub(super) struct Cells {
    /// Of each row.
    labels: Vec<u8>,
    groups: Vec<Group>,
    bands_a_group: usize,
    /// Where the places of each column begin in each band, and the band's end.
    starts: Vec<[u32; COLUMNS + 1]>,
}

/// Bands that follow one another.
#[derive(Debug)]
struct Group {
    /// A latitude in the middle of them.
    middle: f64,
    columns: [Column; COLUMNS],
}

/// A cell: a longitude in its middle, and how many places it has.
#[derive(Clone, Copy, Debug)]
struct Column {
    middle: f64,
    places: usize,
}

/// Some cells.
pub(super) struct Marked {
    labels: ByteSet,
    /// Of each group the columns, in two parts where the circle goes across the meridian at which degrees jump.
    columns: Vec<[Range<usize>; 2]>,
}

impl Cells {
    /// Of so many rows, whose places are in bands.
    pub(super) fn new(bands: &[Band], places: &[u32], longitudes: &[f32], rows: usize) -> Self {
        let bands_a_group = bands.len().div_ceil(GROUPS).max(1);
        let mut cells = Self {
            labels: vec![NOWHERE; rows],
            groups: Vec::with_capacity(GROUPS),
            bands_a_group,
            starts: Vec::with_capacity(bands.len()),
        };
        for (number, bands) in bands.chunks(bands_a_group).enumerate() {
            let edges = edges(bands, longitudes);
            let mut extents = [None; COLUMNS];
            let mut columns = [Column { middle: f64::NEG_INFINITY, places: 0 }; COLUMNS];
            for band in bands {
                let of_band = &longitudes[band.places()];
                let (mut starts, mut before) = ([band.end; COLUMNS + 1], 0);
                starts[0] = band.start;
                for (start, edge) in starts[1..COLUMNS].iter_mut().zip(edges) {
                    before += of_band[before..].partition_point(|longitude| *longitude < edge);
                    *start = band.start + before as u32;
                }
                for (at, column) in columns.iter_mut().enumerate() {
                    let range = starts[at] as usize..starts[at + 1] as usize;
                    extents[at] = joined(extents[at], &longitudes[range.clone()]);
                    column.places += range.len();
                    let label = (number * COLUMNS + at) as u8;
                    places[range].iter().for_each(|row| cells.labels[*row as usize] = label);
                }
                cells.starts.push(starts);
            }
            let mut middle = f64::NEG_INFINITY;
            for (column, extent) in columns.iter_mut().zip(extents) {
                // What holds nothing stands in its place among the others.
                middle = extent.map_or(middle, |(west, east)| f64::midpoint(west, east));
                column.middle = middle;
            }
            let middle = f64::midpoint(bands[bands.len() / 2].south, bands[(bands.len() - 1) / 2].north);
            cells.groups.push(Group { middle, columns });
        }
        cells
    }

    /// The cells of a circle, if they have so many rows that it is worth it, and not all of them are to be tested.
    pub(super) fn mark(&self, circle: &Circle) -> Option<Marked> {
        if !circle.has_half_widths() {
            return None;
        }
        let mut marked =
            Marked { labels: ByteSet::default(), columns: vec![[0..0, 0..0]; self.groups.len()] };
        let mut places = 0;
        for (number, group) in self.groups.iter().enumerate() {
            let Some(width) = circle.edge(group.middle).half_width else { continue };
            let parts = sides(circle.center.lon, width).into_iter().flatten();
            for ((west, east), inside) in parts.zip(&mut marked.columns[number]) {
                let first = group.columns.partition_point(|column| column.middle < west);
                let end = group.columns.partition_point(|column| column.middle <= east).max(first);
                *inside = first..end;
                (first..end).for_each(|at| marked.labels.insert((number * COLUMNS + at) as u8));
                places += group.columns[first..end].iter().map(|column| column.places).sum::<usize>();
            }
        }
        (places * SHARE >= self.labels.len()).then_some(marked)
    }

    /// Writes the set of the rows of some cells.
    pub(super) fn select(&self, marked: &Marked, words: &mut [usize]) {
        KernelBits::new().select(&self.labels, &marked.labels, words);
    }

    /// The places of a band that are in some cells.
    pub(super) fn places(&self, marked: &Marked, band: usize) -> [Range<usize>; 2] {
        let starts = &self.starts[band];
        let columns = marked.columns[band / self.bands_a_group].clone();
        columns.map(|columns| starts[columns.start] as usize..starts[columns.end] as usize)
    }
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

/// Where the second column of a group begins, and each after it, so that they have about as many places each.
fn edges(bands: &[Band], longitudes: &[f32]) -> [f32; COLUMNS - 1] {
    let of_group = &longitudes[bands[0].start as usize..bands[bands.len() - 1].end as usize];
    let step = (of_group.len() / SAMPLE).max(1);
    let mut sample: Vec<f32> = of_group.iter().step_by(step).copied().collect();
    sample.sort_unstable_by(f32::total_cmp);
    std::array::from_fn(|at| sample.get(sample.len() * (at + 1) / COLUMNS).copied().unwrap_or(f32::INFINITY))
}
