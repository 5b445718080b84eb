//! The rows of a sealed column of places, by where they lie.
//!
//! **Idea.** Bands of [`BAND_DEGREES`] of latitude, and the rows of each in the order of their longitudes. All within a distance
//! lie between two latitudes and, but around a pole, two longitudes: of each band, one run or two. Each row of these is tested
//! by its distance: a box is not much larger than the circle in it.
//!
//! **Cost.** Eight bytes a row; sorting takes 24 meanwhile. A condition takes two binary searches a band, and a distance for
//! each row of the box, some 40 ns.

use fixedbitset::FixedBitSet;

use super::geo::EARTH_RADIUS_M;
use super::{Column, GeoPoint, Test, ValueRef};

/// Degrees of latitude of a band, a quarter of a degree.
const BAND_DEGREES: f64 = 0.25;
const BANDS: usize = (180.0 / BAND_DEGREES) as usize;
/// What rounding may take from the sides of a box, and more.
const SLACK_DEGREES: f64 = 1e-3;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct PlaceIndex {
    /// By bands, and by longitude within each.
    rows: Vec<u32>,
    longitudes: Vec<f32>,
    /// Where each band begins, and the end.
    starts: Vec<u32>,
}

fn band_of(latitude: f64) -> usize {
    // What is no latitude (damage) is in some band.
    (((latitude + 90.0) / BAND_DEGREES) as usize).min(BANDS - 1)
}

impl PlaceIndex {
    /// Sorts a column.
    pub(crate) fn new(column: &Column, file: &[u8]) -> Self {
        let mut places: Vec<(usize, f32, u32)> = Vec::new();
        column.each(file, |row, value| {
            if let ValueRef::Geo(GeoPoint { lat, lon }) = value {
                places.push((band_of(lat), lon as f32, row as u32));
            }
        });
        places.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let start = |band| places.partition_point(|place| place.0 < band) as u32;
        Self {
            starts: (0..=BANDS).map(start).collect(),
            rows: places.iter().map(|place| place.2).collect(),
            longitudes: places.iter().map(|place| place.1).collect(),
        }
    }

    /// The rows within the distance, among as many as the segment has.
    pub(crate) fn select(&self, column: &Column, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        let mut found = FixedBitSet::with_capacity(rows);
        self.each(column, file, test, |row| found.insert(row as usize));
        found
    }

    /// At most how many rows these are.
    pub(crate) fn count(&self, test: &Test) -> usize {
        self.runs(test).map(|run| run.len()).sum()
    }

    /// These rows in ascending order.
    pub(crate) fn list(&self, column: &Column, file: &[u8], test: &Test) -> Vec<u32> {
        let mut rows = Vec::new();
        self.each(column, file, test, |row| rows.push(row));
        rows.sort_unstable();
        rows
    }

    fn each(&self, column: &Column, file: &[u8], test: &Test, mut found: impl FnMut(u32)) {
        for row in self.runs(test).flatten() {
            if column.get(file, row as usize).is_some_and(|value| test.passes(value)) {
                found(row);
            }
        }
    }

    /// The rows of the box around what is asked.
    fn runs(&self, test: &Test) -> impl Iterator<Item = impl ExactSizeIterator<Item = u32>> {
        let (center, metres) = match test {
            Test::Within(center, metres) => (*center, *metres),
            _ => (GeoPoint::default(), f64::INFINITY),
        };
        let (height, width) = half_box(center, metres);
        let bands = band_of(center.lat - height)..=band_of(center.lat + height);
        bands.flat_map(move |band| {
            sides(center.lon, width).into_iter().flatten().map(move |(west, east)| {
                let (start, end) = (self.starts[band] as usize, self.starts[band + 1] as usize);
                let longitudes = &self.longitudes[start..end];
                let from = longitudes.partition_point(|longitude| f64::from(*longitude) < west);
                let to = longitudes.partition_point(|longitude| f64::from(*longitude) <= east);
                self.rows[start + from..start + to.max(from)].iter().copied()
            })
        })
    }
}

/// Half the height and half the width, in degrees, of the box around a circle.
fn half_box(center: GeoPoint, metres: f64) -> (f64, f64) {
    let angle = metres / EARTH_RADIUS_M;
    let height = angle.to_degrees() + SLACK_DEGREES;
    // A circle with a pole in it goes all around.
    if center.lat.abs() + height >= 90.0 {
        return (height, 180.0);
    }
    let width = (angle.sin() / center.lat.to_radians().cos()).min(1.0).asin();
    (height, width.to_degrees() + SLACK_DEGREES)
}

/// From where to where a box reaches, in two parts where it goes across the meridian at which degrees jump.
fn sides(longitude: f64, width: f64) -> [Option<(f64, f64)>; 2] {
    let (west, east) = (longitude - width, longitude + width);
    match (west < -180.0, east > 180.0) {
        _ if width >= 180.0 - SLACK_DEGREES => [Some((-181.0, 181.0)), None],
        (true, _) => [Some((-181.0, east)), Some((west + 360.0, 181.0))],
        (_, true) => [Some((west, 181.0)), Some((-181.0, east - 360.0))],
        (false, false) => [Some((west, east)), None],
    }
}
