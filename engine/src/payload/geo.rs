//! Places on the earth.

use crate::error::{Error, Result};

/// The radius of the sphere that distances are on, in metres: the mean radius of the earth (IUGG).
pub(crate) const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A place on the earth, in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GeoPoint {
    /// Degrees north of the equator, -90 to 90.
    pub lat: f64,
    /// Degrees east of Greenwich, -180 to 180.
    pub lon: f64,
}

impl GeoPoint {
    /// A place; its ranges are checked where it is used.
    pub const fn new(lat: f64, lon: f64) -> Self {
        Self { lat, lon }
    }

    /// Metres to another place along the surface of a sphere (haversine), off from the true figure of the earth by half a
    /// per cent at most.
    pub fn distance_m(self, other: GeoPoint) -> f64 {
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let half = |degrees: f64| haversine(degrees.to_radians());
        let of_both = half(other.lat - self.lat) + lat_a.cos() * lat_b.cos() * half(other.lon - self.lon);
        // Rounding may lead just beyond one for two places on opposite sides.
        2.0 * EARTH_RADIUS_M * of_both.min(1.0).sqrt().asin()
    }

    /// Refuses what is no place; `path` names it.
    pub(crate) fn check(self, path: impl Fn() -> String) -> Result<()> {
        for (name, degrees, max) in [("lat", self.lat, 90.0), ("lon", self.lon, 180.0)] {
            if !degrees.is_finite() || degrees.abs() > max {
                let reason = format!("{degrees} is not between -{max} and {max} degrees");
                return Err(Error::invalid(format!("{}.{name}", path()), reason));
            }
        }
        Ok(())
    }
}

/// What the distance along a sphere is reckoned by: it grows with an angle up to half a turn.
#[inline]
pub(super) fn haversine(radians: f64) -> f64 {
    (radians / 2.0).sin().powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_a_sphere() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1.0, "{a} {b}");
        let quarter = EARTH_RADIUS_M * std::f64::consts::FRAC_PI_2;
        near(GeoPoint::new(90.0, 0.0).distance_m(GeoPoint::new(0.0, 77.0)), quarter);
        near(GeoPoint::new(0.0, -90.0).distance_m(GeoPoint::new(0.0, 90.0)), 2.0 * quarter);
        near(GeoPoint::new(0.0, 179.5).distance_m(GeoPoint::new(0.0, -179.5)), quarter / 90.0);
        // Berlin to Paris, by other programs that take the same radius.
        near(GeoPoint::new(52.52, 13.405).distance_m(GeoPoint::new(48.8566, 2.3522)), 877_464.0);
        assert_eq!(GeoPoint::new(1.0, 2.0).distance_m(GeoPoint::new(1.0, 2.0)), 0.0);
    }

    #[test]
    fn what_is_no_place_is_refused_by_name() {
        let error = |lat, lon| GeoPoint::new(lat, lon).check(|| "at".into()).unwrap_err().to_string();
        assert_eq!(error(90.5, 0.0), "at.lat: 90.5 is not between -90 and 90 degrees");
        assert_eq!(error(0.0, f64::NAN), "at.lon: NaN is not between -180 and 180 degrees");
        assert!(GeoPoint::new(-90.0, 180.0).check(|| "at".into()).is_ok());
    }
}
