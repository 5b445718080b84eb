//! The rows of a sealed column of places, by where they lie.
//!
//! **Problem.** A distance takes some 40 ns, and half of a million rows may be within one. **Idea.** Bands of latitude with about as
//! many rows each, and the rows of each band in the order of their longitudes (sort-tile-recursive packing, Leutenegger et al.,
//! ICDE 1997). A circle takes from each band the rows between two longitudes, and of those the ones between two others are within
//! it for certain, as both edges of the band are there: a cap of a sphere holds all of a meridian between two points that it
//! holds, if it is no more than half of it. Only rows between the one and the other, along the rim, are tested.
//!
//! **Cost.** Twelve bytes and an eighth a row; sorting takes 24 meanwhile. Of `n` rows there are `√n / 2` bands. A condition takes a few binary
//! searches a band, a nanosecond for each row that passes, and a distance for each along the rim, some `√n`: by places rounded to 32
//! bits, and by those of the column where these leave it in doubt.

use std::f64::consts::{FRAC_PI_2, PI};
use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::ascending::ascending;
use super::geo::{EARTH_RADIUS_M, haversine};
use super::{Column, GeoPoint, Test, ValueRef};

const WORD_BITS: usize = usize::BITS as usize;
/// Rows of a band for each band.
const SHAPE: usize = 4;
/// Longitudes of a band from one that is kept by itself to the next.
const STEP: usize = 32;
/// What rounding may do to a longitude at the equator, and more: a 32-bit float of 180 is right to 8e-6.
const SLACK_DEGREES: f64 = 4e-5;
/// What rounding may do to a distance, and more: 8e-6 degrees are a metre.
const SLACK_M: f64 = 4.0;
/// Beyond this latitude a degree of longitude is too short to reckon with.
const POLE_DEGREES: f64 = 89.0;

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

/// Rows of a band that may be within a circle.
struct Found {
    rows: Range<usize>,
    /// Whether all of them are.
    is_certain: bool,
}

impl PlaceIndex {
    /// Sorts a column.
    pub(crate) fn new(column: &Column, file: &[u8]) -> Self {
        let mut places: Vec<(f64, f32, u32)> = Vec::new();
        column.each(file, |row, value| {
            if let ValueRef::Geo(GeoPoint { lat, lon }) = value {
                places.push((lat, lon as f32, row as u32));
            }
        });
        places.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let rows_a_band = (places.len() * SHAPE).isqrt().max(1);
        let (mut bands, mut steps): (Vec<Band>, Vec<f32>) = (Vec::new(), Vec::new());
        for band in places.chunks_mut(rows_a_band) {
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
        Self {
            bands,
            steps,
            rows: places.iter().map(|place| place.2).collect(),
            latitudes: places.iter().map(|place| place.0 as f32).collect(),
            longitudes: places.iter().map(|place| place.1).collect(),
        }
    }

    /// The rows within the distance, among as many as the segment has.
    pub(crate) fn select(&self, column: &Column, file: &[u8], test: &Test, rows: usize) -> FixedBitSet {
        let mut found = FixedBitSet::with_capacity(rows);
        let words = found.as_mut_slice();
        self.each(column, file, test, |row| {
            words[row as usize / WORD_BITS] |= 1 << (row as usize % WORD_BITS)
        });
        found
    }

    /// At most how many rows these are.
    pub(crate) fn count(&self, test: &Test) -> usize {
        let mut count = 0;
        self.parts(test, |found| {
            count += found.rows.len();
            true
        });
        count
    }

    /// These rows in ascending order; `None` if there may be more than `max`.
    pub(crate) fn list(&self, column: &Column, file: &[u8], test: &Test, max: usize) -> Option<Vec<u32>> {
        let mut left = Some(max);
        self.parts(test, |found| {
            left = left.and_then(|left| left.checked_sub(found.rows.len()));
            left.is_some()
        });
        left?;
        let mut rows = Vec::new();
        self.each(column, file, test, |row| rows.push(row));
        Some(ascending(rows))
    }

    fn each(&self, column: &Column, file: &[u8], test: &Test, mut found: impl FnMut(u32)) {
        let Test::Within(center, metres) = *test else { return };
        let circle = Circle::new(center, metres);
        let passes = |place: usize| {
            let rounded = [self.latitudes[place], self.longitudes[place]].map(f64::from);
            circle.holds(rounded).unwrap_or_else(|| {
                column.get(file, self.rows[place] as usize).is_some_and(|value| test.passes(value))
            })
        };
        self.parts(test, |part| {
            let places = part.rows.filter(|place| part.is_certain || passes(*place));
            places.for_each(|place| found(self.rows[place]));
            true
        });
    }

    /// Gives the rows that may be within what is asked, each once, until `each` says that it has enough.
    fn parts(&self, test: &Test, mut each: impl FnMut(Found) -> bool) {
        let Test::Within(center, metres) = *test else { return };
        let circle = Circle::new(center, metres);
        let first = self.bands.partition_point(|band| band.north < center.lat - circle.height);
        for band in self.bands[first..].iter().take_while(|band| band.south <= center.lat + circle.height) {
            let (certain, possible) = circle.half_widths(band);
            // From the west edge of what is possible over what is certain to the east edge.
            for (west, east) in sides(center.lon, possible).into_iter().flatten() {
                let possible = self.between(band, west, east);
                let mut at = possible.start;
                for (west, east) in certain.into_iter().flat_map(|width| sides(center.lon, width)).flatten() {
                    let sure = self.between(band, west, east);
                    let sure = sure.start.clamp(at, possible.end)..sure.end.clamp(at, possible.end);
                    if sure.is_empty() {
                        continue;
                    }
                    let before = Found { rows: at..sure.start, is_certain: false };
                    at = sure.end;
                    if !each(before) || !each(Found { rows: sure, is_certain: true }) {
                        return;
                    }
                }
                if !each(Found { rows: at..possible.end, is_certain: false }) {
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

/// What is within a distance of a place.
struct Circle {
    center: GeoPoint,
    /// The distance as an angle, in radians.
    angle: f64,
    /// The same in degrees, and a little more.
    height: f64,
    /// The haversine of a distance that is within it whatever rounding did, and of one that is beyond.
    surely_within: f64,
    surely_beyond: f64,
}

impl Circle {
    fn new(center: GeoPoint, metres: f64) -> Self {
        let angle = metres / EARTH_RADIUS_M;
        let slack = SLACK_M / EARTH_RADIUS_M;
        Self {
            center,
            angle,
            height: angle.to_degrees() + SLACK_DEGREES,
            surely_within: if angle > slack { haversine((angle - slack).min(PI)) } else { -1.0 },
            surely_beyond: if angle + slack < PI { haversine(angle + slack) } else { f64::INFINITY },
        }
    }

    /// Whether a place is within it, whose latitude and longitude were rounded; `None` if that leaves it in doubt. Haversines grow
    /// with the distance, so that no distance is worked out.
    #[inline]
    fn holds(&self, [latitude, longitude]: [f64; 2]) -> Option<bool> {
        let (a, b) = (self.center.lat.to_radians(), latitude.to_radians());
        let across = haversine((longitude - self.center.lon).to_radians());
        let all = haversine(b - a) + a.cos() * b.cos() * across;
        match all {
            _ if all < self.surely_within => Some(true),
            _ if all > self.surely_beyond => Some(false),
            _ => None,
        }
    }

    /// Degrees of longitude to both sides of the centre within which all rows of a band are in the circle, if there are any, and
    /// within which all lie that are.
    fn half_widths(&self, band: &Band) -> (Option<f64>, f64) {
        let near_pole = [band.south, band.north, self.center.lat].iter().any(|lat| lat.abs() > POLE_DEGREES);
        if near_pole || self.angle >= FRAC_PI_2 {
            return (None, 180.0);
        }
        let widths = [band.south, band.north].map(|latitude| self.half_width(latitude));
        // The circle is widest where a meridian touches it, a little nearer to the pole than its centre.
        let sine = self.center.lat.to_radians().sin() / self.angle.cos();
        let widest = (sine.abs() < 1.0).then(|| sine.asin().to_degrees());
        let inside = widest.filter(|latitude| (band.south..=band.north).contains(latitude));
        let at_widest = inside.and_then(|latitude| self.half_width(latitude));
        let [south, north] = widths;
        let cosine = band.south.abs().max(band.north.abs()).to_radians().cos();
        let slack = SLACK_DEGREES / cosine;
        let certain =
            south.zip(north).map(|(south, north)| south.min(north) - slack).filter(|width| *width > 0.0);
        let possible = [south, north, at_widest].into_iter().flatten().fold(0.0, f64::max) + slack;
        (certain, if sine.abs() < 1.0 { possible } else { 180.0 })
    }

    /// Degrees of longitude from the centre to the rim at a latitude; `None` if the rim does not come there.
    fn half_width(&self, latitude: f64) -> Option<f64> {
        let (a, b) = (self.center.lat.to_radians(), latitude.to_radians());
        // The haversine formula, turned round.
        let share = (haversine(self.angle) - haversine(b - a)) / (a.cos() * b.cos());
        (share >= 0.0).then(|| 2.0 * share.sqrt().min(1.0).asin().to_degrees())
    }
}

/// From where to where a box reaches, in two parts where it goes across the meridian at which degrees jump.
fn sides(longitude: f64, width: f64) -> [Option<(f64, f64)>; 2] {
    let (west, east) = (longitude - width, longitude + width);
    match (west < -180.0, east > 180.0) {
        _ if width >= 180.0 => [Some((-181.0, 181.0)), None],
        (true, _) => [Some((-181.0, east)), Some((west + 360.0, 181.0))],
        (_, true) => [Some((-181.0, east - 360.0)), Some((west, 181.0))],
        (false, false) => [Some((west, east)), None],
    }
}
