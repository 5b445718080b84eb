//! What is within a distance of a place, by latitudes and longitudes.
//!
//! **Cost.** A band takes two roots and two arc sines, a place some forty multiplications: sines and cosines are short series
//! here, as calls for them took longer than all else.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::payload::GeoPoint;
use crate::payload::geo::{EARTH_RADIUS_M, haversine};

/// What rounding may do to a longitude at the equator, and more: a 32-bit float of 180 is right to 8e-6.
const SLACK_DEGREES: f64 = 4e-5;
/// What rounding may do to a distance, and more: 8e-6 degrees are a metre.
const SLACK_M: f64 = 4.0;
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

/// As [`haversine`], of an angle of at most half a turn either way.
#[inline]
fn short_haversine(radians: f64) -> f64 {
    let half = radians / 2.0;
    let square = half * half;
    let sine = half * SINE.iter().rev().fold(0.0, |sum, term| sum * square + term);
    sine * sine
}

/// The cosine of an angle of at most half a turn either way: right to 1e-15 of one, also where it is near zero.
#[inline]
fn cosine(radians: f64) -> f64 {
    1.0 - 2.0 * short_haversine(radians)
}

/// See the module's text.
pub(super) struct Circle {
    pub(super) center: GeoPoint,
    /// Of the centre: its latitude in radians, and the cosine of that.
    latitude: f64,
    cosine: f64,
    /// The distance as an angle, in radians, and the haversine of that.
    angle: f64,
    haversine: f64,
    /// The angle in degrees, and a little more.
    pub(super) height: f64,
    /// Where a meridian touches it, which is where it is widest: a little nearer to the pole than its centre. `None` where it holds a pole.
    widest: Option<f64>,
    /// The haversine of a distance that is within it whatever rounding did, and of one that is beyond.
    surely_within: f64,
    surely_beyond: f64,
}

impl Circle {
    pub(super) fn new(center: GeoPoint, metres: f64) -> Self {
        let angle = metres / EARTH_RADIUS_M;
        let slack = SLACK_M / EARTH_RADIUS_M;
        let latitude = center.lat.to_radians();
        let sine = latitude.sin() / angle.cos();
        Self {
            center,
            latitude,
            cosine: latitude.cos(),
            angle,
            haversine: haversine(angle),
            height: angle.to_degrees() + SLACK_DEGREES,
            widest: (sine.abs() < 1.0).then(|| sine.asin().to_degrees()),
            surely_within: if angle > slack { haversine((angle - slack).min(PI)) } else { -1.0 },
            surely_beyond: if angle + slack < PI { haversine(angle + slack) } else { f64::INFINITY },
        }
    }

    /// Whether a place is within it, whose latitude and longitude were rounded; `None` if that leaves it in doubt. Haversines grow
    /// with the distance, so that no distance is worked out.
    #[inline]
    pub(super) fn holds(&self, [latitude, longitude]: [f64; 2]) -> Option<bool> {
        let apart = (longitude - self.center.lon).abs();
        let across = short_haversine(apart.min(360.0 - apart).to_radians());
        let latitude = latitude.to_radians();
        let all = short_haversine(latitude - self.latitude) + self.cosine * cosine(latitude) * across;
        match all {
            _ if all < self.surely_within => Some(true),
            _ if all > self.surely_beyond => Some(false),
            _ => None,
        }
    }

    /// Degrees of longitude to both sides of the centre within which all places between two latitudes are in the circle, if there are any,
    /// and within which all lie that are.
    pub(super) fn half_widths(&self, south: f64, north: f64) -> (Option<f64>, f64) {
        let near_pole = [south, north, self.center.lat].iter().any(|latitude| latitude.abs() > POLE_DEGREES);
        if near_pole || self.angle >= FRAC_PI_2 {
            return (None, 180.0);
        }
        let [at_south, at_north] = [south, north].map(|latitude| self.half_width(latitude));
        let inside = self.widest.filter(|latitude| (south..=north).contains(latitude));
        let at_widest = inside.and_then(|latitude| self.half_width(latitude));
        let slack = SLACK_DEGREES / cosine(south.abs().max(north.abs()).to_radians());
        let certain = at_south
            .zip(at_north)
            .map(|(south, north)| south.min(north) - slack)
            .filter(|width| *width > 0.0);
        let possible = [at_south, at_north, at_widest].into_iter().flatten().fold(0.0, f64::max) + slack;
        (certain, if self.widest.is_some() { possible } else { 180.0 })
    }

    /// Degrees of longitude from the centre to the rim at a latitude; `None` if the rim does not come there.
    fn half_width(&self, latitude: f64) -> Option<f64> {
        let latitude = latitude.to_radians();
        // The haversine formula, turned round.
        let share =
            (self.haversine - short_haversine(latitude - self.latitude)) / (self.cosine * cosine(latitude));
        (share >= 0.0).then(|| 2.0 * share.sqrt().min(1.0).asin().to_degrees())
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
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_series_are_the_functions(radians in prop_oneof![-PI..=PI, -1e-6..=1e-6, Just(PI), Just(-PI), Just(0.0)]) {
            let (found, wanted) = (short_haversine(radians), haversine(radians));
            // To a few of the last bits, of the smallest angles too.
            prop_assert!((found - wanted).abs() <= 16.0 * f64::EPSILON * wanted, "{radians}: {found} {wanted}");
            prop_assert!((cosine(radians) - radians.cos()).abs() <= 16.0 * f64::EPSILON, "{radians}");
        }
    }
}
