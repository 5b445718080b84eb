//! A condition on the values of one field: how it is made, what passes, and where what passes lies in an order.

use std::hash::{Hash, Hasher};
use std::ops::Bound;

use super::{FieldType, Value, ValueRef};

/// A condition on one value. Each variant is for one field type; a value of another never meets it.
#[derive(Debug, PartialEq)]
pub(crate) enum Test {
    Bool {
        accepts: [bool; 2],
    },
    /// Sorted.
    IntIn(Vec<i64>),
    IntRange(Bound<i64>, Bound<i64>),
    /// Sorted, without negative zeros.
    FloatIn(Vec<f64>),
    FloatRange(Bound<f64>, Bound<f64>),
    /// Sorted.
    TextIn(Vec<Box<[u8]>>),
    TextRange(Bound<Box<[u8]>>, Bound<Box<[u8]>>),
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
            Test::TextIn(values) => values.hash(state),
            Test::TextRange(low, high) => (low, high).hash(state),
        }
    }
}

/// Gives the first of some ordered runs whose value is not before something.
type FirstRun<'a> = dyn Fn(&dyn Fn(ValueRef<'_>) -> bool) -> usize + 'a;

impl Test {
    /// Whether it is on values of a type.
    pub(crate) fn is_of(&self, field_type: FieldType) -> bool {
        field_type
            == match self {
                Test::Bool { .. } => FieldType::Bool,
                Test::IntIn(_) | Test::IntRange(..) => FieldType::Int,
                Test::FloatIn(_) | Test::FloatRange(..) => FieldType::Float,
                Test::TextIn(_) | Test::TextRange(..) => FieldType::String,
            }
    }

    /// Roughly the bytes of its values.
    pub(crate) fn size_bytes(&self) -> usize {
        let of_bound = |bound: &Bound<Box<[u8]>>| match bound {
            Bound::Included(text) | Bound::Excluded(text) => text.len(),
            Bound::Unbounded => 0,
        };
        match self {
            Test::Bool { .. } | Test::IntRange(..) | Test::FloatRange(..) => 16,
            Test::IntIn(values) => values.len() * 8,
            Test::FloatIn(values) => values.len() * 8,
            Test::TextIn(values) => values.iter().map(|value| 16 + value.len()).sum(),
            Test::TextRange(low, high) => of_bound(low) + of_bound(high),
        }
    }

    /// The runs of equal values that pass, among runs in the order of their values, as pairs of first and end. `first`
    /// gives the place of the first run whose value is not before something.
    pub(crate) fn places(&self, first: &FirstRun<'_>) -> Vec<(usize, usize)> {
        let before = |bound: ValueRef<'_>| first(&|value| value.order(bound).is_lt());
        let through = |bound: ValueRef<'_>| first(&|value| value.order(bound).is_le());
        let one = |value: ValueRef<'_>| (before(value), through(value));
        let range = |low: Bound<ValueRef<'_>>, high: Bound<ValueRef<'_>>| {
            let start = match low {
                Bound::Included(low) => before(low),
                Bound::Excluded(low) => through(low),
                Bound::Unbounded => 0,
            };
            let end = match high {
                Bound::Included(high) => through(high),
                Bound::Excluded(high) => before(high),
                Bound::Unbounded => first(&|_| true),
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
            (Test::IntIn(values), ValueRef::Int(value)) => contains(values, |v| v.cmp(&value)),
            (Test::IntRange(low, high), ValueRef::Int(value)) => within(&value, low, high),
            // Adding zero turns a negative zero into the positive one, its equal.
            (Test::FloatIn(values), ValueRef::Float(value)) => {
                contains(values, |v| v.total_cmp(&(value + 0.0)))
            }
            (Test::FloatRange(low, high), ValueRef::Float(value)) => within(&value, low, high),
            (Test::TextIn(values), ValueRef::Text(value)) => contains(values, |v| (**v).cmp(value)),
            (Test::TextRange(low, high), ValueRef::Text(value)) => within(value, &borrow(low), &borrow(high)),
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

pub(super) fn in_test(values: &[Value], field_type: FieldType) -> Test {
    match field_type {
        FieldType::Bool => {
            let mut accepts = [false; 2];
            for value in values {
                if let Value::Bool(value) = value {
                    accepts[usize::from(*value)] = true;
                }
            }
            Test::Bool { accepts }
        }
        FieldType::Int => {
            let mut values: Vec<i64> = values.iter().filter_map(Value::as_int).collect();
            values.sort_unstable();
            Test::IntIn(values)
        }
        FieldType::Float => {
            let mut values: Vec<f64> = values.iter().filter_map(as_float).map(|value| value + 0.0).collect();
            values.sort_unstable_by(f64::total_cmp);
            Test::FloatIn(values)
        }
        FieldType::String => {
            let mut values: Vec<Box<[u8]>> =
                values.iter().filter_map(Value::as_str).map(|text| text.as_bytes().into()).collect();
            values.sort_unstable();
            Test::TextIn(values)
        }
    }
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
    let int = |bound: Bound<&Value>| bound.map(|value| value.as_int().unwrap_or_default());
    let float = |bound: Bound<&Value>| bound.map(|value| as_float(value).unwrap_or_default());
    let text = |bound: Bound<&Value>| bound.map(|value| value.as_str().unwrap_or_default().as_bytes().into());
    match field_type {
        FieldType::Bool => None,
        FieldType::Int => Some(Test::IntRange(int(low), int(high))),
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
        let test = in_test(&[Value::Float(-0.0), Value::Float(2.5)], FieldType::Float);
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
}
