//! What is within a distance of a place, by latitudes and longitudes.
//!
//! **Idea.** Two places are as far apart as the straight line between them says, their *chord* through the sphere: its square takes
//! three differences of coordinates and no sine, and 32 bits tell a metre at any distance, as what is rounded is not the square but
//! the coordinates. Only nearly opposite of the centre do chords hardly grow any more, and more is left in doubt.
//!
//! How far a circle reaches to both sides of its centre along a parallel, from nothing to half a turn, is told by the haversine formula turned
//! round. From one parallel to the next it grows or shrinks all the way, but where a meridian touches the rim: so between two parallels it is
//! between what it is at them and there. There it turns in circles of less than half of the sphere that hold no pole, which are widest there,
//! and in those of more than half that hold both, which are narrowest there, as what they leave out is such a circle on the other side.
//!
//! **Cost.** An edge of a band takes a root and an arc sine, a place eight additions and multiplications, several places at a time. Sines
//! and cosines are short series here, as calls for them took longer than all else.

use std::f64::consts::{FRAC_PI_2, PI};

use ragstone_kernels::{KernelPoints, Near, Points, Squares};

use crate::payload::GeoPoint;
use crate::payload::geo::{EARTH_RADIUS_M, haversine};

/// What rounding may do to a longitude at the equator, and more: a 32-bit float of 180 is right to 8e-6.
const SLACK_DEGREES: f64 = 4e-5;
/// What rounding may do to the square of a chord, and more: as a share of the chord, as both ends are rounded to 3e-8 in each direction;
const SLACK_CHORD: f64 = 4e-7;
/// as a share of the square, for five steps of reckoning;
const SLACK_SQUARE: f64 = 5e-7;
/// and of the shortest.
const SLACK_LEAST: f64 = 1e-13;
/// Beyond this latitude a degree of longitude is too short to reckon with.
const POLE_DEGREES: f64 = 89.0;

/// The series of the sine of an angle, divided by the angle: what is left out is below 2e-18 for a right angle.
const SINE: [f64; 11] = {
    let mut terms = [1.0; 11];
    let mut at = 1;
    while at < terms.len() {
        let square_of = (2 * at * (2 * at + 1)) as f64;
        terms[at] = -terms[at - 1] / square_of;
        at += 1;
    }
    terms
};

/// The sine of an angle of at most half a turn either way, right to 2e-11; of at most a right angle to the last bits.
#[inline]
fn sine(radians: f64) -> f64 {
    let square = radians * radians;
    radians * SINE.iter().rev().fold(0.0, |sum, term| sum * square + term)
}

/// As [`haversine`], of an angle of at most half a turn either way.
#[inline]
fn short_haversine(radians: f64) -> f64 {
    let sine = sine(radians / 2.0);
    sine * sine
}

/// The cosine of an angle of at most half a turn either way: right to 1e-15 of one, also where it is near zero.
#[inline]
fn cosine(radians: f64) -> f64 {
    1.0 - 2.0 * short_haversine(radians)
}

/// Where a place is on a sphere of radius one around zero.
#[inline]
pub(super) fn point(place: GeoPoint) -> [f32; 3] {
    let [latitude, longitude] = [place.lat, place.lon].map(f64::to_radians);
    let across = cosine(latitude);
    [across * cosine(longitude), across * sine(longitude), sine(latitude)].map(|axis| axis as f32)
}

/// See the module's text.
pub(super) struct Circle {
    pub(super) center: GeoPoint,
    /// The centre as a [`point`].
    point: [f32; 3],
    /// Of the centre: its latitude in radians, and the cosine of that.
    latitude: f64,
    cosine: f64,
    /// The distance as an angle, in radians, and the haversine of that.
    angle: f64,
    haversine: f64,
    /// The angle in degrees, and a little more.
    height: f64,
    /// The latitude at which meridians touch it. `None` where it holds one pole and not the other.
    touched: Option<f64>,
    /// What the square of a chord is below if it is within whatever rounding did, and above if it is beyond.
    squares: Squares,
    kernel: KernelPoints,
}

/// A parallel, and where it leaves a circle.
pub(super) struct Edge {
    latitude: f64,
    cosine: f64,
    /// Degrees of longitude from the centre to the rim; `None` if the circle does not come there.
    pub(super) half_width: Option<f64>,
}

impl Circle {
    pub(super) fn new(center: GeoPoint, metres: f64) -> Self {
        // Nothing is farther than half a turn.
        let angle = (metres / EARTH_RADIUS_M).min(PI);
        let haversine = haversine(angle);
        let latitude = center.lat.to_radians();
        let sine = latitude.sin() / angle.cos();
        let square = 4.0 * haversine;
        let slack = SLACK_CHORD * square.sqrt() + SLACK_SQUARE * square + SLACK_LEAST;
        Self {
            center,
            point: point(center),
            latitude,
            cosine: latitude.cos(),
            angle,
            haversine,
            height: angle.to_degrees() + SLACK_DEGREES,
            touched: (sine.abs() < 1.0).then(|| sine.asin().to_degrees()),
            squares: Squares { within: (square - slack) as f32, beyond: (square + slack) as f32 },
            kernel: KernelPoints::new(),
        }
    }

    /// Which of some places are within it, by the squares of the chords from the centre, as far as coordinates that are rounded tell.
    #[inline]
    pub(super) fn near(&self, points: &Points) -> Near {
        self.kernel.near(points, self.point, self.squares)
    }

    /// Whether longitudes say anywhere what is within it.
    pub(super) fn has_half_widths(&self) -> bool {
        self.center.lat.abs() <= POLE_DEGREES
    }

    /// Whether longitudes say it of all of it: it lies between two meridians, as it is less than half of the sphere and holds no pole.
    pub(super) fn is_between_meridians(&self) -> bool {
        self.has_half_widths() && self.angle < FRAC_PI_2 && self.touched.is_some()
    }

    /// Between which latitudes all of it lies.
    pub(super) fn latitudes(&self) -> (f64, f64) {
        (self.center.lat - self.height, self.center.lat + self.height)
    }

    /// Degrees of longitude to both sides of the centre within which all places between two parallels are in the circle, if there are any,
    /// and within which all lie that are.
    pub(super) fn half_widths(&self, south: &Edge, north: &Edge) -> (Option<f64>, f64) {
        let near_pole = [south, north].iter().any(|edge| edge.latitude.abs() > POLE_DEGREES);
        if near_pole || !self.has_half_widths() {
            return (None, 180.0);
        }
        let inside = self.touched.filter(|latitude| (south.latitude..=north.latitude).contains(latitude));
        let touched = inside.and_then(|latitude| self.edge(latitude).half_width);
        // Near nothing and near half a turn what is rounded shows the more in a width, the nearer the centre or the band is to a pole.
        let slack = SLACK_DEGREES / south.cosine.min(north.cosine).min(self.cosine);
        let widths = [south.half_width, north.half_width, touched];
        let certain = south
            .half_width
            .zip(north.half_width)
            .map(|_| widths.into_iter().flatten().fold(180.0, f64::min) - slack)
            .filter(|width| *width > 0.0);
        let possible = widths.into_iter().flatten().fold(0.0, f64::max) + slack;
        (certain, possible)
    }

    /// The parallel at a latitude.
    pub(super) fn edge(&self, latitude: f64) -> Edge {
        let radians = latitude.to_radians();
        let cosine = cosine(radians);
        // The haversine formula, turned round.
        let share = (self.haversine - short_haversine(radians - self.latitude)) / (self.cosine * cosine);
        let half_width = (share >= 0.0).then(|| 2.0 * share.sqrt().min(1.0).asin().to_degrees());
        Edge { latitude, cosine, half_width }
    }
}

/// From where to where a box reaches, in two parts where it goes across the meridian at which degrees jump, the western one first.
pub(super) fn sides(longitude: f64, width: f64) -> [Option<(f64, f64)>; 2] {
    let (west, east) = (longitude - width, longitude + width);
    match (west < -180.0, east > 180.0) {
        _ if width >= 180.0 => [Some((-181.0, 181.0)), None],
        (true, _) => [Some((-181.0, east)), Some((west + 360.0, 181.0))],
        (_, true) => [Some((-181.0, east - 360.0)), Some((west, 181.0))],
        (false, false) => [Some((west, east)), None],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ragstone_kernels::POINTS;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_series_are_the_functions(radians in prop_oneof![-PI..=PI, -1e-6..=1e-6, Just(PI), Just(-PI), Just(0.0)]) {
            let (found, wanted) = (short_haversine(radians), haversine(radians));
            // To a few of the last bits, of the smallest angles too.
            prop_assert!((found - wanted).abs() <= 16.0 * f64::EPSILON * wanted, "{radians}: {found} {wanted}");
            prop_assert!((cosine(radians) - radians.cos()).abs() <= 16.0 * f64::EPSILON, "{radians}");
            prop_assert!((sine(radians) - radians.sin()).abs() <= 2e-11, "{radians}");
        }

        /// Against distances, of circles and bands of any size and anywhere: what lies as far to the side as is certain, and half as far, is within;
        /// what lies farther than is possible is beyond. Rims go just by an edge of the band, too, on this side of the earth and on the other.
        #[test]
        fn half_widths_tell_what_is_within(
            lat in prop_oneof![-POLE_DEGREES..=POLE_DEGREES, 88.9..=POLE_DEGREES, Just(POLE_DEGREES), Just(-POLE_DEGREES)],
            lon in -180.0_f64..=180.0,
            metres in prop_oneof![0.0_f64..=2.1e7, 1e7_f64..=1.002e7, 2e7_f64..=2.0016e7],
            rim in prop_oneof![Just(None), Just(Some(0.0_f64)), Just(Some(180.0_f64))],
            off in prop_oneof![-1.0_f64..=1.0, -1e-6_f64..=1e-6, Just(0.0_f64)],
            south in -POLE_DEGREES..=POLE_DEGREES,
            height in prop_oneof![0.0_f64..=1.0, 0.0_f64..=180.0, Just(0.0_f64)],
            share in prop_oneof![0.0_f64..=1.0, Just(0.0_f64), Just(1.0_f64)],
            opposite in any::<bool>(),
        ) {
            let center = GeoPoint::new(lat, lon);
            let aside = |latitude: f64, width: f64| {
                let lon = center.lon + width;
                GeoPoint::new(latitude, if lon.abs() > 180.0 { lon - 360.0 * lon.signum() } else { lon })
            };
            // What a circle of nearly all leaves out is then in the band.
            let south = if opposite { (-center.lat - height * share).max(-POLE_DEGREES) } else { south };
            let north = (south + height).min(POLE_DEGREES);
            let metres = rim.map_or(metres, |width| (center.distance_m(aside(south, width)) + off).max(0.0));
            let circle = Circle::new(center, metres);
            let (certain, possible) = circle.half_widths(&circle.edge(south), &circle.edge(north));
            let latitudes = [south, north, south + (north - south) * share, (-center.lat).clamp(south, north)];
            for latitude in latitudes.into_iter().chain(circle.touched.map(|at| at.clamp(south, north))) {
                for side in [-1.0, 1.0] {
                    let is_within = |width: f64| center.distance_m(aside(latitude, side * width)) <= metres;
                    if let Some(certain) = certain {
                        let is_in = is_within(certain) && is_within(certain / 2.0) && is_within(0.0);
                        prop_assert!(is_in, "{certain} at {latitude} of {metres}");
                    }
                    if possible < 180.0 {
                        let is_out = !is_within(possible) && !is_within(f64::midpoint(possible, 180.0));
                        prop_assert!(is_out && !is_within(180.0), "{possible} at {latitude} of {metres}");
                    }
                }
            }
        }

        /// Against distances: places anywhere, and those a few metres from the rim of a circle of any size.
        #[test]
        fn chords_tell_what_is_within(
            center in (-90.0_f64..=90.0, -180.0_f64..=180.0),
            place in (-90.0_f64..=90.0, -180.0_f64..=180.0),
            near in prop_oneof![Just(1.0_f64), 0.0_f64..=1e-6, 0.0_f64..=1e-3],
            off in prop_oneof![-50.0_f64..=50.0, -0.5_f64..=0.5, Just(0.0_f64), -2e7_f64..=2e7],
        ) {
            let between = |from: f64, to: f64| from + (to - from) * near;
            let (center, place) = (GeoPoint::new(center.0, center.1), GeoPoint::new(place.0, place.1));
            let place = GeoPoint::new(between(center.lat, place.lat), between(center.lon, place.lon));
            let distance = center.distance_m(place);
            let metres = (distance + off).max(0.0);
            let circle = Circle::new(center, metres);
            let near = circle.near(&point(place).map(|axis| [axis; POINTS]));
            if near.in_doubt != 0 {
                prop_assert_eq!(near.in_doubt, u32::MAX);
                let is_near = (distance - metres).abs() < 20.0;
                prop_assert!(is_near || distance.max(metres) > 1.5e7, "{distance} {metres}");
            } else {
                let expected = if distance <= metres { u32::MAX } else { 0 };
                prop_assert_eq!(near.within, expected, "{} {}", distance, metres);
            }
        }
    }
}
