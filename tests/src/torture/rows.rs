//! The rows of the writer's threads.
//!
//! A row tells in every part which operation wrote it, so whatever is found tells what it is.

use ragstone::{Filter, Point, PointId, Range, Update, Value};

/// Components of a vector.
pub(super) const DIMENSION: usize = 8;

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// What an update of an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// A field that is searched by word.
    Words,
    /// When the row expires.
    Expiry,
    /// Another field.
    Note,
}

impl About {
    fn of(number: u64) -> Self {
        match number % 4 {
            0 => About::Words,
            1 => About::Expiry,
            _ => About::Note,
        }
    }
}

/// The operations that made a row what it is; later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    /// The one that wrote all of it.
    pub(super) version: u64,
    /// The last one since that updated a field.
    pub(super) note: u64,
    /// The last one since that updated a field that is searched by word.
    pub(super) remark: u64,
    /// The last one since that said when it expires.
    pub(super) lease: u64,
}

impl State {
    /// The state of a row that an operation wrote.
    pub(super) fn written(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// What is left after an update.
    pub(super) fn updated(self, number: u64) -> Self {
        match About::of(number) {
            About::Words => Self { remark: number, ..self },
            About::Expiry => Self { lease: number, ..self },
            About::Note => Self { note: number, ..self },
        }
    }

    /// What a row says of itself.
    pub(super) fn of(point: &Point) -> Option<Self> {
        let number = |field: &str| match point.payload.get(field) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            Some(Value::String(text)) => text.strip_prefix("remark ")?.parse().ok(),
            None => Some(0),
            _ => None,
        };
        point.payload.contains_key("version").then_some(())?;
        Some(Self {
            version: number("version")?,
            note: number("note")?,
            remark: number("remark")?,
            lease: number("lease")?,
        })
    }

    /// When a row of this index expires.
    pub(super) fn expires_at(self, index: u64) -> Option<i64> {
        expiry(self.lease.max(self.version), index)
    }

    /// Whether it is there at a moment, if nobody deleted it.
    pub(super) fn is_there(self, index: u64, clock: i64) -> bool {
        self.expires_at(index).is_none_or(|expires_at| expires_at > clock)
    }
}

/// When a row expires by what an operation says: some do soon, by a clock that counts operations, and some at once.
fn expiry(number: u64, index: u64) -> Option<i64> {
    let mut random = Random(number << 10 | index);
    (random.below(4) == 0).then(|| (number + random.below(150)) as i64 - 20)
}

/// A row of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) thread: u64,
    pub(super) index: u64,
}

impl Row {
    /// Numbers and texts.
    pub(super) fn id(self) -> PointId {
        let number = self.thread * 1_000 + self.index;
        if self.index.is_multiple_of(3) {
            PointId::Str(format!("row-{number}"))
        } else {
            PointId::Num(number)
        }
    }

    /// Whose row an id is.
    pub(super) fn of(id: &PointId) -> Option<Self> {
        let number = match id {
            PointId::Num(number) => *number,
            PointId::Str(text) => text.strip_prefix("row-")?.parse().ok()?,
        };
        Some(Self { thread: number / 1_000, index: number % 1_000 }).filter(|row| row.id() == *id)
    }

    /// Every ninth has none.
    pub(super) fn has_vector(self) -> bool {
        self.index % 9 != 8
    }

    /// The vector that an operation gives the row: no other row ever has it.
    pub(super) fn vector(self, version: u64) -> Vec<f32> {
        let mut random = Random(version << 20 | self.thread << 10 | self.index);
        (0..DIMENSION).map(|_| (random.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
    }

    /// The row in a state.
    pub(super) fn point(self, state: State) -> Point {
        let State { version, note, remark, lease } = state;
        let mut point = Point::new(self.id(), self.vector(version))
            .with("version", version as i64)
            .with("thread", self.thread as i64)
            .with("text", format!("{}/{}/{version}", self.thread, self.index));
        if version.is_multiple_of(4) {
            point = point.with("fourth", true);
        }
        if note > 0 {
            point = point.with("note", note as i64);
        }
        if remark > 0 {
            point = point.with("remark", format!("remark {remark}"));
        }
        if lease > 0 {
            point = point.with("lease", lease as i64);
        }
        point.expires_at = state.expires_at(self.index);
        if !self.has_vector() {
            point.vector = None;
        }
        point
    }

    /// What an operation updates of the row.
    pub(super) fn update(self, number: u64) -> Update {
        let update = Update::new(self.id());
        match About::of(number) {
            About::Words => update.set("remark", format!("remark {number}")),
            About::Expiry => {
                Update { expires_at: Some(expiry(number, self.index)), ..update.set("lease", number as i64) }
            }
            About::Note => update.set("note", number as i64),
        }
    }
}

/// The rows of a thread that operations before one wrote.
pub(super) fn older(thread: u64, before: u64) -> Filter {
    let range = Range { lt: Some((before as i64).into()), ..Range::default() };
    Filter::And(vec![Filter::eq("thread", thread as i64), Filter::Range("version".into(), range)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_which_operations_made_it() {
        let row = Row { thread: 2, index: 7 };
        let mut states = vec![State::written(40)];
        states.extend((41..49).scan(states[0], |state, number| {
            *state = state.updated(number);
            Some(*state)
        }));
        for state in states {
            let point = row.point(state);
            assert_eq!((State::of(&point), Row::of(&point.id)), (Some(state), Some(row)));
            assert_eq!(point.expires_at.is_none_or(|at| at > 60), state.is_there(7, 60));
        }
        let leases = (0..400).map(|number| expiry(number, 3));
        let (some, gone) = (leases.clone().flatten().count(), leases.flatten().filter(|at| *at < 0).count());
        assert!((60..140).contains(&some) && gone < some, "{some} {gone}");
    }
}
