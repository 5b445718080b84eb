//! What the threads of the writer do: operation `number` of a thread is a pure function of the seed.
//!
//! A row tells in every part which operation wrote it, so whatever is found tells what it is. Few ids are written over and
//! over: most rows of a segment are soon dead, and merges have work all the time.

use ragstone::{
    Analyzer, Batch, DbOptions, EncodingKind, Metric, Point, PointId, Result, Schema, Update, Value,
};

/// Components of a vector.
pub(super) const DIMENSION: usize = 8;
/// Collections that all threads write to.
pub(super) const SHARED: u64 = 2;
/// Collections that each thread makes and removes.
const OWN: u64 = 2;
/// Rows of a thread in a collection.
const IDS: u64 = 120;

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

/// The operations that made a row what it is; later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    /// The one that wrote all of it.
    pub(super) version: u64,
    /// The last one since that updated a field.
    pub(super) note: u64,
    /// The last one since that updated a field that is searched by word.
    pub(super) remark: u64,
}

impl State {
    /// The state of a row that an operation wrote.
    pub(super) fn written(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// What is left after an update.
    pub(super) fn updated(self, number: u64) -> Self {
        if is_about_words(number) { Self { remark: number, ..self } } else { Self { note: number, ..self } }
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
        Some(Self { version: number("version")?, note: number("note")?, remark: number("remark")? })
    }
}

/// Whether an operation's updates are of a field that is searched by word.
fn is_about_words(number: u64) -> bool {
    number.is_multiple_of(4)
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
    pub(super) fn point(self, State { version, note, remark }: State) -> Point {
        let mut point = Point::new(self.id(), self.vector(version))
            .with("version", version as i64)
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
        if !self.has_vector() {
            point.vector = None;
        }
        point
    }

    fn update(self, number: u64) -> Update {
        match is_about_words(number) {
            true => Update::new(self.id()).set("remark", format!("remark {number}")),
            false => Update::new(self.id()).set("note", number as i64),
        }
    }
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Upsert,
    /// If it is there.
    Update,
    Delete,
}

/// What a thread does in one go.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Write {
        collection: String,
        changes: Vec<(u64, Change)>,
    },
    Create(String),
    Remove(String),
    Flush,
    Compact,
    /// Takes a snapshot, named by [`snapshot_name`].
    Snapshot,
    /// Archives the log.
    Archive,
    /// Deletes the older snapshots of the thread.
    Thin,
    /// Removes what no snapshot needs.
    Collect,
}

/// What a seed stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub(super) seed: u64,
}

impl Workload {
    /// Operation `number` of a thread, if the collections that exist are these.
    pub(super) fn operation(self, thread: u64, number: u64, exists: impl Fn(&str) -> bool) -> Operation {
        let mut random = Random(self.seed ^ (number << 8 | thread).wrapping_mul(0xD1B5_4A32_D192_ED03));
        let own = own_name(thread, random.below(OWN));
        match random.below(200) {
            0..6 => Operation::Flush,
            6..8 => Operation::Compact,
            8..16 if exists(&own) => Operation::Remove(own),
            16..19 => Operation::Snapshot,
            19..21 => Operation::Archive,
            21 => Operation::Thin,
            22 => Operation::Collect,
            kind => {
                let is_own = kind % 3 == 0;
                if is_own && !exists(&own) {
                    return Operation::Create(own);
                }
                let shared = shared_name(random.below(SHARED));
                let collection = if is_own { own } else { shared };
                Operation::Write { collection, changes: changes(&mut random) }
            }
        }
    }
}

/// One row, some, or many at once; now and then the same one twice, and now and then most of them deleted.
fn changes(random: &mut Random) -> Vec<(u64, Change)> {
    let count = [1, 1, 4, 12, 40][random.below(5) as usize];
    let deletes_in_ten = if random.below(8) == 0 { 8 } else { 2 };
    let mut change = || match random.below(10) {
        kind if kind < deletes_in_ten => Change::Delete,
        8 | 9 => Change::Update,
        _ => Change::Upsert,
    };
    let kinds: Vec<Change> = (0..count).map(|_| change()).collect();
    kinds.into_iter().map(|kind| (random.below(IDS), kind)).collect()
}

/// The batch of an operation.
pub(super) fn batch(thread: u64, number: u64, changes: &[(u64, Change)]) -> Batch {
    changes.iter().fold(Batch::new(), |batch, &(index, change)| {
        let row = Row { thread, index };
        match change {
            Change::Upsert => batch.upsert(row.point(State::written(number))),
            Change::Update => batch.update(row.update(number)),
            Change::Delete => batch.delete(row.id()),
        }
    })
}

/// A collection that all threads write to.
pub(super) fn shared_name(index: u64) -> String {
    format!("shared-{index}")
}

/// The snapshot that an operation takes.
pub(super) fn snapshot_name(thread: u64, number: u64) -> String {
    format!("s-{thread}-{number:010}")
}

fn own_name(thread: u64, index: u64) -> String {
    format!("own-{thread}-{index}")
}

/// A schema; the encoding goes with the name.
pub(super) fn schema(name: &str) -> Result<Schema> {
    let encoding = match name.as_bytes().last() {
        Some(b'0') => EncodingKind::Int4,
        _ => EncodingKind::Int8,
    };
    let schema = Schema::builder(DIMENSION).metric(Metric::L2).encoding(encoding);
    schema.text("remark", Analyzer::Standard).build()
}

/// Segments and log files so small that sealing, merging and cutting never rest; and all of the log is kept until it is
/// archived.
pub(super) fn options() -> DbOptions {
    let mut options = DbOptions::default();
    options.seal_rows = 150;
    options.log_file_bytes = 16 << 10;
    options.keep_log_bytes = Some(1 << 30);
    options
}
