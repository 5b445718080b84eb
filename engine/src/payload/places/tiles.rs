//! In which tile of a fine grid each row of a column of places is, two bytes a row: what a [`Screen`] for a circle asks.
//!
//! **Idea.** Some bands of latitude together are a *strip*, and a strip is divided by longitude into columns of about as many places each. Of
//! each strip a circle takes the columns that it reaches between the strip's edges, so that its table is a run of bits a strip. What it takes too much is a
//! half of the tiles along its rim: of a tenth of a million rows in a square some 4 % more, of a half of them 2 %.
//!
//! Circles that hold a pole or are more than half of the earth have no screen: their columns are not a run that says anything.
//!
//! **Cost.** Two bytes a row and 2 KiB a strip. A screen takes an arc sine and four binary searches for each strip that the circle reaches; whether
//! it is worth it is told by [`SAMPLE`] of them.

use super::Band;
use super::cells::edges;
use super::circle::{Circle, sides};
use crate::payload::screen::{Screen, TILES};

const COLUMNS: usize = 1 << 9;
/// Of the edges of a strip's columns.
const RUNS: usize = 32;
/// One less than there may be: what has no place is in the last.
const STRIPS: usize = TILES / COLUMNS - 1;
/// In place of a tile: no column of the last strip is ever wanted.
const NOWHERE: u16 = u16::MAX;
/// So many strips tell about how many rows a circle has.
const SAMPLE: usize = 16;
/// Of fewer rows the set of those within a circle takes no longer than a screen.
pub(super) const ROWS_MIN: usize = 1 << 14;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Tiles {
    of_rows: Vec<u16>,
    strips: Vec<Strip>,
}

/// Bands that follow one another.
#[derive(Debug)]
struct Strip {
    south: f64,
    north: f64,
    places: usize,
    edges: Edges,
}

/// Where the second column of a strip begins, and each after it, and infinity.
#[derive(Debug)]
struct Edges {
    /// The last of each run of them.
    lasts: [f32; RUNS],
    runs: Box<[[f32; COLUMNS / RUNS]; RUNS]>,
}

impl Edges {
    fn new(edges: &[f32; COLUMNS - 1]) -> Self {
        let edge = |at: usize| edges.get(at).copied().unwrap_or(f32::INFINITY);
        let run = |run: usize| std::array::from_fn(|at| edge(run * (COLUMNS / RUNS) + at));
        let runs: Box<[[f32; COLUMNS / RUNS]; RUNS]> = Box::new(std::array::from_fn(run));
        Self { lasts: std::array::from_fn(|run| runs[run][COLUMNS / RUNS - 1]), runs }
    }

    /// How many are not beyond a longitude: in two steps that compare all of a few, as halving waits for memory in each of nine.
    #[inline]
    fn up_to(&self, longitude: f64) -> usize {
        let mut nearest = longitude as f32;
        if f64::from(nearest) > longitude {
            nearest = nearest.next_down();
        }
        let up_to =
            |edges: &[f32]| edges.iter().map(|edge| u32::from(*edge <= nearest)).sum::<u32>() as usize;
        let run = up_to(&self.lasts).min(RUNS - 1);
        run * (COLUMNS / RUNS) + up_to(&self.runs[run])
    }
}

impl Strip {
    /// The column of a longitude.
    fn column(&self, longitude: f64) -> usize {
        self.edges.up_to(longitude)
    }
}

impl Tiles {
    /// Of so many rows, whose places are in bands.
    pub(super) fn new(bands: &[Band], places: &[u32], longitudes: &[f32], rows: usize) -> Self {
        let mut tiles = Self { of_rows: vec![NOWHERE; rows], strips: Vec::with_capacity(STRIPS) };
        let strips = bands.len().min(STRIPS);
        for number in 0..strips {
            let bands = &bands[number * bands.len() / strips..(number + 1) * bands.len() / strips];
            let edges: [f32; COLUMNS - 1] = edges(bands, longitudes);
            for band in bands {
                let mut column = 0;
                for (row, longitude) in places[band.places()].iter().zip(&longitudes[band.places()]) {
                    while edges.get(column).is_some_and(|edge| edge <= longitude) {
                        column += 1;
                    }
                    tiles.of_rows[*row as usize] = (number * COLUMNS + column) as u16;
                }
            }
            let places = bands.iter().map(|band| band.places().len()).sum();
            let (south, north) = (bands[0].south, bands[bands.len() - 1].north);
            tiles.strips.push(Strip { south, north, places, edges: Edges::new(&edges) });
        }
        tiles
    }

    /// About how many places a circle has.
    fn about(&self, circle: &Circle) -> usize {
        let mut places = 0;
        let step = (self.strips.len() / SAMPLE).max(1);
        for strip in self.strips.iter().skip(step / 2).step_by(step) {
            let width = circle.edge(f64::midpoint(strip.south, strip.north)).half_width;
            let parts = sides(circle.center.lon, width.unwrap_or(0.0)).into_iter().flatten();
            let columns: usize = parts.map(|(west, east)| strip.column(east) - strip.column(west)).sum();
            places += columns * strip.places * step / COLUMNS;
        }
        places
    }

    /// Lets through what may be within a circle, if that is about so many rows at least.
    pub(super) fn screen(&self, circle: &Circle, least: usize) -> Option<Screen<'_>> {
        if !circle.is_between_meridians() || self.about(circle) < least {
            return None;
        }
        let mut screen = Screen::new(&self.of_rows);
        let (south, north) = circle.latitudes();
        let reached = self.strips.iter().enumerate();
        let reached = reached.filter(|(_, strip)| strip.north >= south && strip.south <= north);
        let mut edge = None;
        for (number, strip) in reached {
            // Which is the north of the strip before.
            let low = edge.take().unwrap_or_else(|| circle.edge(strip.south));
            let high = circle.edge(strip.north);
            let (certain, possible) = circle.half_widths(&low, &high);
            edge = Some(high);
            // Between the one and the other the rim goes through the strip, and at each end through a column.
            let outside = (1.0 - certain.unwrap_or(0.0) / possible) / 2.0;
            let first = number * COLUMNS;
            for (west, east) in sides(circle.center.lon, possible).into_iter().flatten() {
                let columns = strip.column(west)..strip.column(east) + 1;
                let count = (strip.places * columns.len()).div_ceil(COLUMNS);
                let failing = (count as f64 * outside) as usize + strip.places.div_ceil(COLUMNS);
                screen.want(first + columns.start..first + columns.end, (count, failing.min(count)));
            }
            for (west, east) in
                certain.into_iter().flat_map(|width| sides(circle.center.lon, width)).flatten()
            {
                // Neither the first column nor the last, as both may reach beyond.
                screen.mark_certain(first + strip.column(west) + 1..first + strip.column(east));
            }
        }
        Some(screen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against halving, of edges that are the same, too, and of longitudes at an edge and between two floats.
        #[test]
        fn as_many_edges_are_passed_as_lie_to_the_west(
            mut edges in prop::collection::vec(prop_oneof![-180.0_f32..=180.0, Just(7.0_f32), Just(f32::INFINITY)], COLUMNS - 1),
            longitude in -182.0_f64..=182.0,
            at in 0..COLUMNS - 1,
        ) {
            edges.sort_unstable_by(f32::total_cmp);
            let edges: [f32; COLUMNS - 1] = edges.try_into().unwrap();
            let edge = f64::from(edges[at]);
            let beside = [edge.next_down(), edge, edge.next_up()].into_iter().filter(|edge| edge.is_finite());
            for longitude in beside.chain([longitude, -181.0, 181.0]) {
                let west = edges.partition_point(|edge| f64::from(*edge) <= longitude);
                prop_assert_eq!(Edges::new(&edges).up_to(longitude), west, "{}", longitude);
            }
        }
    }
}
