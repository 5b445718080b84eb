//! A condition on the values of one field: how it is made, what passes, and where what passes lies in an order.

use std::hash::{Hash, Hasher};
use std::ops::Bound;

use super::{FieldType, GeoPoint, Value, ValueRef};

/// A condition on one value. Each variant is for values of some field types; one of another never meets it.
#[derive(Debug, PartialEq)]
pub(crate) enum Test {
    Bool {
        accepts: [bool; 2],
    },
    /// Of ints and timestamps; sorted.
    IntIn(Vec<i64>),
    IntRange(Bound<i64>, Bound<i64>),
    /// Sorted, without negative zeros.
    FloatIn(Vec<f64>),
    FloatRange(Bound<f64>, Bound<f64>),
    /// Sorted.
    TextIn(Vec<Box<[u8]>>),
    TextRange(Bound<Box<[u8]>>, Bound<Box<[u8]>>),
    TextPrefix(Box<[u8]>),
    /// A list that holds one of these; sorted.
    ListAny(Vec<Box<[u8]>>),
    /// Within so many metres of a place.
    Within(GeoPoint, f64),
    /// Any value of any type.
    Exists,
}

/// Equal conditions have equal hashes, but for the signs of zeros, by which a condition may count as two.
impl Hash for Test {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Test::Bool { accepts } => accepts.hash(state),
            Test::IntIn(values) => values.hash(state),
            Test::IntRange(low, high) => (low, high).hash(state),
            Test::FloatIn(values) => values.iter().for_each(|value| value.to_bits().hash(state)),
            Test::FloatRange(low, high) => (low.map(f64::to_bits), high.map(f64::to_bits)).hash(state),
            Test::TextIn(values) | Test::ListAny(values) => values.hash(state),
            Test::TextRange(low, high) => (low, high).hash(state),
            Test::TextPrefix(prefix) => prefix.hash(state),
            Test::Within(center, metres) => [center.lat, center.lon, *metres].map(f64::to_bits).hash(state),
            Test::Exists => {}
        }
    }
}

/// Gives the first of some ordered runs, from a place on, whose value is not before something.
type FirstRun<'a> = dyn Fn(usize, &dyn Fn(ValueRef<'_>) -> bool) -> usize + 'a;

impl Test {
    /// Whether it is on values of a type.
    pub(crate) fn is_of(&self, field_type: FieldType) -> bool {
        match self {
            Test::Bool { .. } => field_type == FieldType::Bool,
            Test::IntIn(_) | Test::IntRange(..) => {
                matches!(field_type, FieldType::Int | FieldType::Timestamp)
            }
            Test::FloatIn(_) | Test::FloatRange(..) => field_type == FieldType::Float,
            Test::TextIn(_) | Test::TextRange(..) | Test::TextPrefix(_) => field_type == FieldType::String,
            Test::ListAny(_) => field_type == FieldType::Strings,
            Test::Within(..) => field_type == FieldType::Geo,
            Test::Exists => true,
        }
    }

    /// The range of what passes both, if both are ranges of values of one kind.
    pub(super) fn and(&self, other: &Test) -> Option<Test> {
        Some(match (self, other) {
            (Test::IntRange(a, b), Test::IntRange(c, d)) => Test::IntRange(later(a, c), earlier(b, d)),
            (Test::FloatRange(a, b), Test::FloatRange(c, d)) => Test::FloatRange(later(a, c), earlier(b, d)),
            (Test::TextRange(a, b), Test::TextRange(c, d)) => Test::TextRange(later(a, c), earlier(b, d)),
            _ => return None,
        })
    }

    /// Roughly the bytes of its values.
    pub(crate) fn size_bytes(&self) -> usize {
        let of_bound = |bound: &Bound<Box<[u8]>>| match bound {
            Bound::Included(text) | Bound::Excluded(text) => text.len(),
            Bound::Unbounded => 0,
        };
        match self {
            Test::Bool { .. } | Test::IntRange(..) | Test::FloatRange(..) | Test::Exists => 16,
            Test::Within(..) => 24,
            Test::IntIn(values) => values.len() * 8,
            Test::FloatIn(values) => values.len() * 8,
            Test::TextIn(values) | Test::ListAny(values) => values.iter().map(|value| 16 + value.len()).sum(),
            Test::TextRange(low, high) => of_bound(low) + of_bound(high),
            Test::TextPrefix(prefix) => prefix.len(),
        }
    }

    /// The runs of equal values that pass, among runs in the order of their values, as pairs of first and end. `first`
    /// gives the place of the first run, from a place on, whose value is not before something.
    pub(crate) fn places(&self, first: &FirstRun<'_>) -> Vec<(usize, usize)> {
        let before = |from, bound: ValueRef<'_>| first(from, &|value| value.order(bound).is_lt());
        let through = |from, bound: ValueRef<'_>| first(from, &|value| value.order(bound).is_le());
        let one = |value: ValueRef<'_>| {
            let start = before(0, value);
            (start, through(start, value))
        };
        let range = |low: Bound<ValueRef<'_>>, high: Bound<ValueRef<'_>>| {
            let start = match low {
                Bound::Included(low) => before(0, low),
                Bound::Excluded(low) => through(0, low),
                Bound::Unbounded => 0,
            };
            let end = match high {
                Bound::Included(high) => through(start, high),
                Bound::Excluded(high) => before(start, high),
                Bound::Unbounded => first(start, &|_| true),
            };
            vec![(start, end)]
        };
        let mut places = match self {
            Test::Bool { accepts } => [false, true]
                .into_iter()
                .filter(|value| accepts[usize::from(*value)])
                .map(|value| one(ValueRef::Bool(value)))
                .collect(),
            Test::IntIn(values) => values.iter().map(|value| one(ValueRef::Int(*value))).collect(),
            Test::FloatIn(values) => values.iter().map(|value| one(ValueRef::Float(*value))).collect(),
            Test::TextIn(values) => values.iter().map(|value| one(ValueRef::Text(value))).collect(),
            Test::IntRange(low, high) => range(low.map(ValueRef::Int), high.map(ValueRef::Int)),
            Test::FloatRange(low, high) => range(low.map(ValueRef::Float), high.map(ValueRef::Float)),
            Test::TextRange(low, high) => {
                range(borrow(low).map(ValueRef::Text), borrow(high).map(ValueRef::Text))
            }
            Test::TextPrefix(prefix) => {
                let start = before(0, ValueRef::Text(prefix));
                let end = first(start, &|value| match value {
                    ValueRef::Text(text) => text < &**prefix || text.starts_with(prefix),
                    _ => false,
                });
                vec![(start, end)]
            }
            Test::Exists => vec![(0, first(0, &|_| true))],
            Test::ListAny(_) | Test::Within(..) => Vec::new(),
        };
        // A value may be given twice.
        places.dedup();
        places
    }

    /// Whether a value passes.
    #[inline]
    pub(crate) fn passes(&self, value: ValueRef<'_>) -> bool {
        match (self, value) {
            (Test::Bool { accepts }, ValueRef::Bool(value)) => accepts[usize::from(value)],
            (Test::IntIn(values), ValueRef::Int(value) | ValueRef::Timestamp(value)) => {
                contains(values, |v| v.cmp(&value))
            }
            (Test::IntRange(low, high), ValueRef::Int(value) | ValueRef::Timestamp(value)) => {
                within(&value, low, high)
            }
            // Adding zero turns a negative zero into the positive one, its equal.
            (Test::FloatIn(values), ValueRef::Float(value)) => {
                contains(values, |v| v.total_cmp(&(value + 0.0)))
            }
            (Test::FloatRange(low, high), ValueRef::Float(value)) => within(&value, low, high),
            (Test::TextIn(values), ValueRef::Text(value)) => contains(values, |v| (**v).cmp(value)),
            (Test::TextRange(low, high), ValueRef::Text(value)) => within(value, &borrow(low), &borrow(high)),
            (Test::TextPrefix(prefix), ValueRef::Text(value)) => value.starts_with(prefix),
            (Test::ListAny(values), ValueRef::Strings(list)) => {
                list.iter().any(|text| contains(values, |v| (**v).cmp(text)))
            }
            (Test::Within(center, metres), ValueRef::Geo(point)) => center.distance_m(point) <= *metres,
            (Test::Exists, _) => true,
            _ => false,
        }
    }
}

#[inline]
fn contains<T>(sorted: &[T], order: impl FnMut(&T) -> std::cmp::Ordering) -> bool {
    let mut order = order;
    match sorted {
        [one] => order(one).is_eq(),
        _ => sorted.binary_search_by(order).is_ok(),
    }
}

fn borrow(bound: &Bound<Box<[u8]>>) -> Bound<&[u8]> {
    bound.as_ref().map(|bytes| &**bytes)
}

/// The lower bound that leaves less.
fn later<T: PartialOrd + Clone>(a: &Bound<T>, b: &Bound<T>) -> Bound<T> {
    let is_later = match (a, b) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Excluded(a), Bound::Included(b)) => a >= b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a > b,
    };
    if is_later { a.clone() } else { b.clone() }
}

/// The upper bound that leaves less.
fn earlier<T: PartialOrd + Clone>(a: &Bound<T>, b: &Bound<T>) -> Bound<T> {
    let is_earlier = match (a, b) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Excluded(a), Bound::Included(b)) => a <= b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a < b,
    };
    if is_earlier { a.clone() } else { b.clone() }
}

trait Borrowed<T: ?Sized> {
    fn bound(&self) -> Bound<&T>;
}

impl<T> Borrowed<T> for Bound<T> {
    fn bound(&self) -> Bound<&T> {
        self.as_ref()
    }
}

impl Borrowed<[u8]> for Bound<&[u8]> {
    fn bound(&self) -> Bound<&[u8]> {
        *self
    }
}

#[inline]
fn within<T: PartialOrd + ?Sized>(value: &T, low: &impl Borrowed<T>, high: &impl Borrowed<T>) -> bool {
    (match low.bound() {
        Bound::Included(low) => value >= low,
        Bound::Excluded(low) => value > low,
        Bound::Unbounded => true,
    }) && match high.bound() {
        Bound::Included(high) => value <= high,
        Bound::Excluded(high) => value < high,
        Bound::Unbounded => true,
    }
}

/// `None` for a type whose values are not asked for one by one.
pub(super) fn in_test(values: &[Value], field_type: FieldType) -> Option<Test> {
    Some(match field_type {
        FieldType::Bool => {
            let mut accepts = [false; 2];
            for value in values {
                if let Value::Bool(value) = value {
                    accepts[usize::from(*value)] = true;
                }
            }
            Test::Bool { accepts }
        }
        FieldType::Int | FieldType::Timestamp => {
            let mut values: Vec<i64> = values.iter().filter_map(as_number).collect();
            values.sort_unstable();
            Test::IntIn(values)
        }
        FieldType::Float => {
            let mut values: Vec<f64> = values.iter().filter_map(as_float).map(|value| value + 0.0).collect();
            values.sort_unstable_by(f64::total_cmp);
            Test::FloatIn(values)
        }
        FieldType::String => Test::TextIn(sorted_texts(values.iter().filter_map(Value::as_str))),
        FieldType::Strings | FieldType::Geo | FieldType::Json => return None,
    })
}

pub(super) fn contains_test(values: &[String]) -> Test {
    Test::ListAny(sorted_texts(values.iter().map(String::as_str)))
}

fn sorted_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Box<[u8]>> {
    let mut texts: Vec<Box<[u8]>> = texts.map(|text| text.as_bytes().into()).collect();
    texts.sort_unstable();
    texts
}

fn as_number(value: &Value) -> Option<i64> {
    value.as_int().or(value.as_timestamp())
}

pub(super) fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// `None` for a type without an order.
pub(super) fn range_test(low: Bound<&Value>, high: Bound<&Value>, field_type: FieldType) -> Option<Test> {
    // The bounds' types were checked, so each conversion finds its value.
    let int = |bound: Bound<&Value>| bound.map(|value| as_number(value).unwrap_or_default());
    let float = |bound: Bound<&Value>| bound.map(|value| as_float(value).unwrap_or_default());
    let text = |bound: Bound<&Value>| bound.map(|value| value.as_str().unwrap_or_default().as_bytes().into());
    match field_type {
        FieldType::Bool | FieldType::Strings | FieldType::Geo | FieldType::Json => None,
        FieldType::Int | FieldType::Timestamp => Some(Test::IntRange(int(low), int(high))),
        FieldType::Float => Some(Test::FloatRange(float(low), float(high))),
        FieldType::String => Some(Test::TextRange(text(low), text(high))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_pass_what_they_say() {
        let value = |n: f64| ValueRef::Float(n);
        let test = in_test(&[Value::Float(-0.0), Value::Float(2.5)], FieldType::Float).unwrap();
        assert!(test.passes(value(0.0)) && test.passes(value(-0.0)) && test.passes(value(2.5)));
        assert!(!test.passes(value(1.0)) && !test.passes(ValueRef::Int(0)));
        let (low, high) = (Value::from("b"), Value::from("d"));
        let test = range_test(Bound::Excluded(&low), Bound::Included(&high), FieldType::String).unwrap();
        let passing: Vec<&str> = ["a", "b", "ba", "c", "d", "da"]
            .into_iter()
            .filter(|t| test.passes(ValueRef::Text(t.as_bytes())))
            .collect();
        assert_eq!(passing, ["ba", "c", "d"]);
        let max = Value::Int(i64::MAX);
        let test = range_test(Bound::Excluded(&max), Bound::Unbounded, FieldType::Int).unwrap();
        assert!(!test.passes(ValueRef::Int(i64::MAX)));
    }

    /// Of all pairs of bounds around a few values, both kinds of them: what passes both passes the range of both.
    #[test]
    fn two_ranges_are_one() {
        let bounds = || {
            let of = |value: i64| [Bound::Included(value), Bound::Excluded(value)];
            (0..4).flat_map(of).chain([Bound::Unbounded])
        };
        let ranges = || bounds().flat_map(|low| bounds().map(move |high| (low, high)));
        for ((a, b), (c, d)) in ranges().flat_map(|one| ranges().map(move |other| (one, other))) {
            let (one, other) = (Test::IntRange(a, b), Test::IntRange(c, d));
            let both = one.and(&other).unwrap();
            for value in (-1..5).map(ValueRef::Int) {
                assert_eq!(both.passes(value), one.passes(value) && other.passes(value), "{one:?} {other:?}");
            }
        }
        let float = Test::FloatRange(Bound::Unbounded, Bound::Included(1.0));
        assert_eq!(float.and(&Test::Exists), None);
        assert_eq!(float.and(&Test::IntRange(Bound::Unbounded, Bound::Unbounded)), None);
    }
}
