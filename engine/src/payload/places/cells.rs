//! The rows of a column of places by coarse cells, a byte a row.
//!
//! **Problem.** To set a bit for each of half a million rows takes longer than all else that finds them. **Idea.** Some bands of latitude
//! together are a *group*, and a group is divided by longitude into columns: its *cells*, 255 in all. The bytes of all rows say which cell
//! each is in, so the rows of all cells that lie within a circle are found in one go through the bytes (`ragstone_kernels::KernelBits`), and
//! those of the rest of the circle, along its rim, are set one by one.
//!
//! **Cost.** A byte a row, and 72 bytes a band. The go through the bytes takes as long as setting a sixth of the rows or so: where the cells
//! have fewer, all are set one by one.

use std::ops::Range;

use ragstone_kernels::{ByteSet, KernelBits};

use super::Band;
use super::circle::{Circle, sides};

const GROUPS: usize = 15;
const COLUMNS: usize = 17;
/// In place of a cell: the row has no place.
const NOWHERE: u8 = u8::MAX;
/// Cells are worth it from one in so many of the rows on.
const SHARE: usize = 6;
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
    south: f64,
    north: f64,
    columns: [Column; COLUMNS],
}

/// A cell: from where to where its places reach, and how many these are.
#[derive(Clone, Copy, Debug)]
struct Column {
    west: f64,
    east: f64,
    places: usize,
}

/// The cells that lie within a circle.
pub(super) struct Whole {
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
            let nothing = Column { west: f64::INFINITY, east: f64::NEG_INFINITY, places: 0 };
            let mut columns = [nothing; COLUMNS];
            for band in bands {
                let of_band = &longitudes[band.places()];
                let (mut starts, mut before) = ([band.end; COLUMNS + 1], 0);
                starts[0] = band.start;
                for (start, edge) in starts[1..COLUMNS].iter_mut().zip(edges) {
                    // Ascending also where damage left no numbers.
                    before += of_band[before..].partition_point(|longitude| *longitude < edge);
                    *start = band.start + before as u32;
                }
                for (at, column) in columns.iter_mut().enumerate() {
                    let range = starts[at] as usize..starts[at + 1] as usize;
                    column.take(&longitudes[range.clone()]);
                    let label = (number * COLUMNS + at) as u8;
                    places[range].iter().for_each(|row| cells.labels[*row as usize] = label);
                }
                cells.starts.push(starts);
            }
            let mut east = f64::NEG_INFINITY;
            for column in &mut columns {
                // What holds nothing stands in its place among the others.
                if column.places == 0 {
                    (column.west, column.east) = (east, east);
                }
                east = column.east;
            }
            let (south, north) = (bands[0].south, bands[bands.len() - 1].north);
            cells.groups.push(Group { south, north, columns });
        }
        cells
    }

    /// The cells that lie within a circle, if they have so many rows that it is worth it.
    pub(super) fn within(&self, circle: &Circle) -> Option<Whole> {
        let mut whole = Whole { labels: ByteSet::default(), columns: vec![[0..0, 0..0]; self.groups.len()] };
        let mut places = 0;
        for (number, group) in self.groups.iter().enumerate() {
            let (Some(width), _) = circle.half_widths(group.south, group.north) else { continue };
            let parts = sides(circle.center.lon, width).into_iter().flatten();
            for ((west, east), inside) in parts.zip(&mut whole.columns[number]) {
                let first = group.columns.partition_point(|column| column.west < west);
                let end = group.columns.partition_point(|column| column.east <= east);
                if first < end {
                    *inside = first..end;
                    (first..end).for_each(|at| whole.labels.insert((number * COLUMNS + at) as u8));
                    places += group.columns[first..end].iter().map(|column| column.places).sum::<usize>();
                }
            }
        }
        (places * SHARE >= self.labels.len()).then_some(whole)
    }

    /// Writes the set of the rows of some cells.
    pub(super) fn select(&self, whole: &Whole, words: &mut [usize]) {
        KernelBits::new().select(&self.labels, &whole.labels, words);
    }

    /// Gives what is left of some places of a band without those in some cells.
    pub(super) fn each_left(
        &self,
        whole: &Whole,
        (band, places): (usize, Range<usize>),
        mut each: impl FnMut(Range<usize>),
    ) {
        let (starts, mut at) = (&self.starts[band], places.start);
        for columns in &whole.columns[band / self.bands_a_group] {
            let [start, end] =
                [columns.start, columns.end].map(|column| (starts[column] as usize).clamp(at, places.end));
            if start < end {
                each(at..start);
                at = end;
            }
        }
        each(at..places.end);
    }
}

impl Column {
    /// Takes in the places of a band.
    fn take(&mut self, longitudes: &[f32]) {
        if let Some((first, last)) = longitudes.first().zip(longitudes.last()) {
            self.west = self.west.min(f64::from(*first));
            self.east = self.east.max(f64::from(*last));
            self.places += longitudes.len();
        }
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
