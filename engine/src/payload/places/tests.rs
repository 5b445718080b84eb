use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::payload::column::tests::column_of;
use crate::payload::{FieldType, Value};
use crate::random::SplitMix64;

/// A column with its index and file.
struct Indexed {
    column: Column,
    file: Vec<u8>,
    index: PlaceIndex,
    rows: usize,
}

impl Indexed {
    fn new(places: impl Iterator<Item = Option<GeoPoint>>) -> Self {
        let values: Vec<Option<Value>> = places.map(|place| place.map(Value::Geo)).collect();
        let (entry, batch_rows, file) = column_of(&values, FieldType::Geo, 3_000);
        let column = Column::open(&entry, &batch_rows, file.len()).unwrap();
        // With tiles, however few rows there are.
        let index = PlaceIndex::of(&column, &file, (values.len(), &Watch::default()), true).unwrap();
        Self { column, file, index, rows: values.len() }
    }

    /// Compares what the index says with testing every row; gives how many passed, and whether cells were marked.
    fn check(&self, center: GeoPoint, metres: f64) -> (usize, bool) {
        let Self { column, file, index, rows } = self;
        let test = Test::Within(center, metres);
        let tested = column.tested(file, &test, *rows);
        assert_eq!(index.select(column, file, &test, *rows), tested, "{metres} around {center:?}");
        let count = tested.count_ones(..);
        assert!((count..=index.rows.len()).contains(&index.count(&test)), "{metres} around {center:?}");
        let listed = index.list(column, file, &test, *rows);
        let expected: Vec<u32> = tested.ones().map(|row| row as u32).collect();
        assert_eq!(listed, Some(expected), "{metres} around {center:?}");
        assert!(count == 0 || index.list(column, file, &test, count - 1).is_none());
        if let Some(screen) = index.screen(&test, 0) {
            assert!(tested.ones().all(|row| screen.admits(row as u32)), "{metres} around {center:?}");
            let are_told = (0..*rows).all(|row| !screen.is_certain(row as u32) || tested.contains(row));
            assert!(are_told, "{metres} around {center:?}");
        }
        (count, index.cells.mark(&Circle::new(center, metres)).is_some())
    }
}

/// A place in a square of so many degrees around another.
fn near(random: &mut SplitMix64, middle: GeoPoint, degrees: f64) -> GeoPoint {
    let mut near = |middle: f64| middle + (f64::from(random.uniform()) - 0.5) * degrees;
    let (lat, lon) = (near(middle.lat), near(middle.lon));
    GeoPoint { lat, lon: if lon.abs() > 180.0 { lon - 360.0 * lon.signum() } else { lon } }
}

/// Few rows and many, near the equator and far, and across the meridian at which degrees jump.
#[test]
fn circles_hold_what_is_within_them() {
    let mut random = SplitMix64(3);
    for (rows, lat, lon, degrees) in [
        (20_000, 0.0, 0.0, 10.0),
        (20_000, 50.0, 175.0, 10.0),
        (20_000, -40.0, -179.0, 4.0),
        (20_000, 0.0, 0.0, 170.0),
        (60_000, 30.0, 180.0, 20.0),
        (3_000, 86.0, 10.0, 7.5),
        (700, 10.0, 10.0, 1.0),
    ] {
        let middle = GeoPoint { lat, lon };
        let mut place = || near(&mut random, middle, degrees);
        let indexed = Indexed::new((0..rows).map(|row| (row % 7 != 3).then(&mut place)));
        for share in [0.0, 1e-4, 0.001, 0.02, 0.1, 0.3, 0.5, 0.9] {
            let metres = degrees * 111_195.0 * f64::sqrt(share / std::f64::consts::PI);
            let (_, is_marked) = indexed.check(middle, metres);
            // So both ways are gone.
            let is_sure = (rows, lat, degrees) == (20_000, 0.0, 10.0);
            assert!(!is_sure || is_marked == (share >= 0.1), "{share}");
            indexed.check(place(), metres);
        }
        // All of the earth, most of it, and little more and less than half.
        for metres in [3e7, 1.9e7, 1.01e7, 1e7, 9.9e6, 7e6] {
            indexed.check(middle, metres);
            indexed.check(GeoPoint::new(-lat, 3.0), metres);
            indexed.check(GeoPoint::new(90.0, 0.0), metres);
        }
    }
}

/// Half of the earth and more, or a pole: few rows are tested, and cells are marked.
#[test]
fn circles_of_any_size_are_told_by_longitudes() {
    let mut random = SplitMix64(19);
    // As many everywhere.
    let mut place = || {
        let [height, around] = [(); 2].map(|()| 2.0 * f64::from(random.uniform()) - 1.0);
        GeoPoint::new(height.asin().to_degrees(), 180.0 * around)
    };
    let indexed = Indexed::new((0..30_000).map(|row| (row % 7 != 3).then(&mut place)));
    let half = std::f64::consts::FRAC_PI_2 * crate::payload::geo::EARTH_RADIUS_M;
    for metres in [6e6, 8e6, half - 1.0, half, half + 1.0, 1.1e7, 1.5e7, 1.9e7, 2e7, 2.0015e7] {
        for _ in 0..6 {
            let mut center = place();
            center.lat = center.lat.clamp(-89.0, 89.0);
            let (count, is_marked) = indexed.check(center, metres);
            assert!(is_marked, "{metres} around {center:?}");
            let mut tested = 0;
            indexed.index.each_band(&Circle::new(center, metres), |found| {
                tested += found.rim().map(|places| places.len()).sum::<usize>();
                true
            });
            let others = indexed.index.count(&Test::Within(center, metres)) - count;
            assert!(tested < 4_000 && others < 2_000, "{tested} {others}: {metres} around {center:?}");
        }
        for (lat, lon) in [(0.0, 0.0), (0.0, 180.0), (0.0, -180.0), (89.0, 180.0), (-89.0, 3.0), (89.1, 3.0)]
        {
            indexed.check(GeoPoint::new(lat, lon), metres);
        }
    }
}

/// Of a circle in the middle of rows that lie everywhere, about as many as are half of the tiles along the rim.
#[test]
fn screens_let_few_others_through() {
    let mut random = SplitMix64(13);
    for (rows, lat, lon) in [(20_000, 0.0, 0.0), (60_000, 50.0, 179.0), (60_000, -86.0, 3.0)] {
        let middle = GeoPoint { lat, lon };
        let mut place = || near(&mut random, middle, 5.0);
        let indexed = Indexed::new((0..rows).map(|row| (row % 9 != 5).then(&mut place)));
        for metres in [1e5, 2e5] {
            let (count, _) = indexed.check(middle, metres);
            let screen = indexed.index.screen(&Test::Within(middle, metres), 0).unwrap();
            let through = (0..rows).filter(|row| screen.admits(*row)).count();
            // By a quarter of the strips.
            let is_told = |least: usize| indexed.index.screen(&Test::Within(middle, metres), least).is_some();
            assert!(is_told(count * 2 / 3) && !is_told(count * 3 / 2), "{count} {metres} {lat}");
            assert!(through >= count && through * 3 < count * 4, "{through} for {count} {metres} {lat}");
            assert!(
                screen.count() * 4 > count * 3 && screen.count() < through * 2,
                "{} {lat}",
                screen.count()
            );
            let certain = (0..rows).filter(|row| screen.is_certain(*row)).count();
            assert!(certain * 3 > count * 2, "{certain} of {count} {metres} {lat}");
            assert!((5..rows).step_by(9).all(|row| !screen.admits(row)), "what has no place is refused");
            // Near a pole a strip's edges are shorter than what is between them, on the safe side.
            let (failing, estimated) =
                ((through - count) as f64, screen.failing_share() * screen.count() as f64);
            let most = 2.0 * failing + through as f64 / 10.0;
            assert!(failing * 2.0 < estimated * 3.0 && estimated < most, "{failing} {estimated} {lat}");
        }
        // Nowhere near, around the pole, and of more than half of the earth.
        let screen = |center: GeoPoint, metres: f64| indexed.index.screen(&Test::Within(center, metres), 0);
        assert_eq!(screen(GeoPoint::new(lat / 2.0 + 30.0, lon - 90.0), 1e3).unwrap().count(), 0);
        assert!(screen(GeoPoint::new(88.0, lon), 3e5).is_none());
        assert!(screen(middle, 1.2e7).is_none());
    }
    let few = Indexed::new((0..5_000).map(|_| Some(near(&mut random, GeoPoint::new(0.0, 0.0), 5.0))));
    let Indexed { column, file, rows, .. } = &few;
    let index = PlaceIndex::new(column, file, (*rows, &Watch::default())).unwrap();
    assert!(index.screen(&Test::Within(GeoPoint::new(0.0, 0.0), 1e5), 0).is_none());
}

/// The rim of a circle goes along the meridian at which degrees jump: what may be within is across it, and what is marked or certain is or not.
#[test]
fn circles_may_end_where_degrees_jump() {
    let mut random = SplitMix64(17);
    let middle = GeoPoint::new(10.0, 180.0);
    let indexed = Indexed::new((0..20_000).map(|_| Some(near(&mut random, middle, 8.0))));
    let metres = 3e5;
    let degrees = metres / 111_195.0 / middle.lat.to_radians().cos();
    let is_across = |pair: &[Range<usize>; 2]| pair.iter().all(|places| !places.is_empty());
    let mut ways = BTreeSet::new();
    for fiftieths in [-16, -12, -8, -5, -3, -2, -1, 0, 1, 2] {
        let lon = 180.0 - degrees * (1.0 + f64::from(fiftieths) / 50.0);
        for lon in [lon, -lon] {
            let center = GeoPoint::new(middle.lat, lon);
            indexed.check(center, metres);
            let (index, circle) = (&indexed.index, Circle::new(center, metres));
            let marked = index.cells.mark(&circle).unwrap();
            index.each_band(&circle, |found| {
                let marked = index.cells.places(&marked, found.band);
                ways.insert([&found.possible, &marked, &found.certain].map(is_across));
                true
            });
        }
    }
    for across in 0..=3 {
        assert!(ways.contains(&[0, 1, 2].map(|at| at < across)), "{across} {ways:?}");
    }
}

/// Bands of one latitude, steps of one longitude, and both.
#[test]
fn places_may_lie_on_top_of_each_other() {
    for (latitudes, longitudes) in [(1, 1), (1, 500), (500, 1), (3, 5)] {
        let place = |row: usize| {
            GeoPoint::new(
                (row % latitudes) as f64 / 100.0,
                180.0 - (row / latitudes % longitudes) as f64 / 100.0,
            )
        };
        let indexed = Indexed::new((0..5_000).map(|row| Some(place(row))));
        let all = indexed.check(GeoPoint::new(0.0, 180.0), 1e6);
        assert_eq!(all, (5_000, true));
        for (center, metres) in [(0, 0.0), (0, 2_000.0), (2, 1_112.0), (77, 1.5e5)] {
            let (count, _) = indexed.check(place(center), metres);
            assert!(count > 0, "{center} is in the middle");
        }
    }
}

/// None, one, and what just fills a step or does not: at one place, in a row along a parallel or a meridian, and at a pole.
#[test]
fn few_rows_are_found_in_circles_of_any_size() {
    let half_turn = std::f64::consts::PI * crate::payload::geo::EARTH_RADIUS_M;
    let places: [fn(f64) -> GeoPoint; 5] = [
        |_| GeoPoint::new(0.0, 180.0),
        |share| GeoPoint::new(89.0, 360.0 * share - 180.0),
        |share| GeoPoint::new(180.0 * share - 90.0, -180.0),
        |share| GeoPoint::new(90.0, 360.0 * share - 180.0),
        |share| GeoPoint::new(-0.0, 1e-4 * share - 5e-5),
    ];
    let centers = [(0.0, 180.0), (0.0, -180.0), (0.0, 0.0), (89.0, 0.0), (90.0, 77.0), (-90.0, 0.0)];
    for rows in [0, 1, 2, 31, 32, 33, 63, 64, 65] {
        for place in places {
            let share = |row: usize| row as f64 / rows as f64;
            // One row has no place in any case.
            let indexed = Indexed::new((0..=rows).map(|row| (row < rows).then(|| place(share(row)))));
            for (lat, lon) in centers {
                let center = GeoPoint::new(lat, lon);
                for metres in
                    [0.0, 1e-9, 1.0, 1e6, 0.5 * half_turn, 1.5e7, half_turn, 1.01 * half_turn, f64::MAX]
                {
                    let (count, _) = indexed.check(center, metres);
                    assert!(count == rows || metres < half_turn);
                }
            }
        }
    }
}

/// Damage may leave any number: circles hold the places beside it.
#[test]
fn what_is_no_place_harms_nothing() {
    let numbers = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e9, 90.5, -181.0];
    let mut random = SplitMix64(5);
    let middle = GeoPoint::new(20.0, 179.0);
    let place = |row: usize| {
        let place = near(&mut random, middle, 4.0);
        let number = numbers[row / 3 % numbers.len()];
        Some(match row % 6 {
            0 => GeoPoint { lat: number, ..place },
            3 => GeoPoint { lon: number, ..place },
            _ => place,
        })
    };
    let Indexed { column, file, index, rows } = Indexed::new((0..9_000).map(place));
    for metres in [0.0, 1e4, 1e5, 3e5, 1e7, 3e7] {
        let test = Test::Within(middle, metres);
        let found = index.select(&column, &file, &test, rows);
        let tested = column.tested(&file, &test, rows);
        let is_place = |row: usize| match column.get(&file, row) {
            Some(ValueRef::Geo(place)) => place.check(String::new).is_ok(),
            _ => false,
        };
        assert!(found.ones().eq(tested.ones().filter(|row| is_place(*row))), "{metres}");
        let listed = index.list(&column, &file, &test, rows).unwrap();
        assert!(found.ones().eq(listed.into_iter().map(|row| row as usize)), "{metres}");
    }
}

#[test]
fn lists_end_when_they_are_too_long() {
    let mut random = SplitMix64(9);
    let middle = GeoPoint::new(0.0, 0.0);
    let indexed = Indexed::new((0..20_000).map(|_| Some(near(&mut random, middle, 10.0))));
    let list = |metres: f64, max: usize| {
        indexed.index.list(&indexed.column, &indexed.file, &Test::Within(middle, metres), max)
    };
    let rows = list(2e4, 20_000).unwrap().len();
    assert!((10..100).contains(&rows), "{rows}");
    assert!(list(2e4, rows).is_some(), "as many as there may be");
    assert!(list(2e4, rows - 1).is_none());
    assert!(list(3e5, rows).is_none());
    // Around a pole all rows of a band are tested, and none is within.
    let polar =
        Indexed::new((0..20_000).map(|row| Some(GeoPoint::new(89.5, f64::from(row) / 100.0 - 100.0))));
    let test = Test::Within(GeoPoint::new(89.4, 0.0), 1.0);
    assert_eq!(polar.index.list(&polar.column, &polar.file, &test, 20_000), Some(Vec::new()));
    let test = Test::Within(GeoPoint::new(89.5, -179.0), 1_000.0);
    assert_eq!(polar.index.list(&polar.column, &polar.file, &test, 100), None, "too many to test");
    assert_eq!(polar.index.list(&polar.column, &polar.file, &test, 20_000), Some(Vec::new()));
}

/// Two ranges of which the second comes after the first, of four ends in any order.
fn pair(ends: &[usize]) -> [Range<usize>; 2] {
    let mut ends = ends.to_vec();
    ends.sort_unstable();
    [ends[0]..ends[1], ends[2]..ends[3]]
}

fn holds(pair: &[Range<usize>; 2], at: usize) -> bool {
    pair.iter().any(|range| range.contains(&at))
}

proptest! {
    /// What is set before the rim is tested has all that is certain, and nothing that is not possible; and it has what is marked, unless the parts are of
    /// other sides of the meridian at which degrees jump.
    #[test]
    fn marked_places_are_set_within_what_is_possible(
        possible in prop::collection::vec(0_usize..40, 4),
        certain in prop::collection::vec(0_usize..40, 4),
        marked in prop::collection::vec(0_usize..40, 4),
        only in prop::option::of(0_usize..2),
    ) {
        let (possible, certain, marked) = (pair(&possible), pair(&certain), pair(&marked));
        let sides = [0, 1].map(|side: usize| {
            let Range { start, end } = possible[side];
            let first = certain[side].start.clamp(start, end);
            first..certain[side].end.clamp(first, end)
        });
        // What goes across the meridian has two parts, what does not has one.
        let certain = only.map_or(sides.clone(), |side| [sides[side].clone(), 0..0]);
        let is_of_sides = only != Some(1) || sides[1].is_empty();
        let found = Found { band: 0, possible, certain };
        let set = found.with(&marked);
        for at in 0..40 {
            prop_assert!(holds(&set, at) || !holds(&found.certain, at), "{} {:?}", at, set);
            prop_assert!(holds(&found.possible, at) || !holds(&set, at), "{} {:?}", at, set);
            prop_assert!(!set.iter().all(|part| part.contains(&at)), "{} is twice in {:?}", at, set);
            let is_marked = (0..2).any(|side| marked[side].contains(&at) && found.possible[side].contains(&at));
            prop_assert!(holds(&set, at) || !is_marked || !is_of_sides, "{} {:?}", at, set);
        }
    }

    /// Against their definition, place by place.
    #[test]
    fn bits_are_of_places(ends in prop::collection::vec(0..4 * STEP, 4)) {
        let places = pair(&ends);
        for at in 0..4 * STEP {
            let bits = bits_of(at / STEP, &places);
            prop_assert_eq!(bits >> (at % STEP) & 1 == 1, holds(&places, at), "{} {:?}", at, places);
        }
    }

    /// Against its definition, number by number.
    #[test]
    fn pairs_of_ranges_differ_where_one_has_what_the_other_has_not(ends in prop::collection::vec(0_usize..20, 8)) {
        let (a, b) = (pair(&ends[..4]), pair(&ends[4..]));
        let found: Vec<usize> = differing(&a, &b).flatten().collect();
        let expected = (0..20).filter(|at| holds(&a, *at) != holds(&b, *at));
        prop_assert!(found.into_iter().eq(expected), "{:?} {:?}", a, b);
    }
}
