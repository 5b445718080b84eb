//! Points: what a collection stores.

use std::collections::BTreeMap;

use crate::payload::{Payload, Value};

/// Names a point: an unsigned integer or a string. The two never compare equal; integers sort before strings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointId {
    /// An unsigned integer.
    Num(u64),
    /// A string of 1 to [`ID_BYTES_MAX`](crate::limits::ID_BYTES_MAX) bytes.
    Str(String),
}

impl From<u64> for PointId {
    fn from(id: u64) -> Self {
        PointId::Num(id)
    }
}

impl From<&str> for PointId {
    fn from(id: &str) -> Self {
        PointId::Str(id.to_owned())
    }
}

impl From<String> for PointId {
    fn from(id: String) -> Self {
        PointId::Str(id)
    }
}

impl std::fmt::Display for PointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PointId::Num(id) => id.fmt(f),
            PointId::Str(id) => id.fmt(f),
        }
    }
}

/// Few of very many components, as models like SPLADE give them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseVector {
    /// Which components, ascending and distinct.
    pub indices: Vec<u32>,
    /// The value of each, finite.
    pub values: Vec<f32>,
}

/// A named vector of a point, of the kind that the schema says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Vector {
    /// As many components as the schema says.
    Dense(Vec<f32>),
    /// Few of very many components.
    Sparse(SparseVector),
    /// At least one vector, each of as many components as the schema says.
    Multi(Vec<Vec<f32>>),
}

impl Vector {
    /// What its kind is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Vector::Dense(_) => "dense",
            Vector::Sparse(_) => "sparse",
            Vector::Multi(_) => "multi",
        }
    }
}

impl From<Vec<f32>> for Vector {
    fn from(components: Vec<f32>) -> Self {
        Vector::Dense(components)
    }
}

impl<const N: usize> From<[f32; N]> for Vector {
    fn from(components: [f32; N]) -> Self {
        Vector::Dense(components.into())
    }
}

impl From<SparseVector> for Vector {
    fn from(vector: SparseVector) -> Self {
        Vector::Sparse(vector)
    }
}

impl From<Vec<Vec<f32>>> for Vector {
    fn from(vectors: Vec<Vec<f32>>) -> Self {
        Vector::Multi(vectors)
    }
}

/// A row: an id, vectors (a row without any is found by id and filter only) and typed fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The row's name; an upsert replaces the row that has it.
    pub id: PointId,
    /// The default vector: as many components as the collection's dimension, each finite. Under dot and L2 its length is at
    /// most 6e18.
    pub vector: Option<Vec<f32>>,
    /// The named vectors, those that it has.
    pub vectors: BTreeMap<String, Vector>,
    /// Typed fields.
    pub payload: Payload,
    /// When the row is no more, in microseconds since 1970 (UTC); never without it. From then on, by the database's
    /// [clock](crate::DbOptions::clock), no read finds it and no write replaces or updates it: it is not there, though its bytes may be
    /// until three rows in ten of its segment are gone: then that is rewritten without them, whether anybody writes or not.
    pub expires_at: Option<i64>,
    /// Of a row that was read, the number of the write that last changed it, by which a [`Precondition`] knows it again. Writes
    /// do not look at it.
    pub etag: Option<u64>,
}

impl Point {
    /// A point with a vector and no fields.
    pub fn new(id: impl Into<PointId>, vector: impl Into<Vec<f32>>) -> Self {
        Self { vector: Some(vector.into()), ..Self::without_vector(id) }
    }

    /// A point without a vector: kept, found by id and filter, never by similarity.
    pub fn without_vector(id: impl Into<PointId>) -> Self {
        Self {
            id: id.into(),
            vector: None,
            vectors: BTreeMap::new(),
            payload: Payload::new(),
            expires_at: None,
            etag: None,
        }
    }

    /// The same point, until a moment: [`expires_at`](Self::expires_at).
    #[must_use]
    pub fn expires_at(mut self, time_us: i64) -> Self {
        self.expires_at = Some(time_us);
        self
    }

    /// The same point with one more field.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.payload.insert(field.into(), value.into());
        self
    }

    /// The same point with one more named vector.
    #[must_use]
    pub fn with_vector(mut self, name: impl Into<String>, vector: impl Into<Vector>) -> Self {
        self.vectors.insert(name.into(), vector.into());
        self
    }

    /// Bytes that it takes in memory, about: for who puts batches together.
    pub fn size_bytes(&self) -> usize {
        let id = match &self.id {
            PointId::Num(_) => 0,
            PointId::Str(text) => text.len(),
        };
        let vector = self.vector.as_ref().map_or(0, |vector| 4 * vector.len());
        let vectors = self.vectors.iter().map(|(name, vector)| 64 + name.len() + vector.size_bytes());
        let payload = self.payload.iter().map(|(name, value)| 64 + name.len() + value.size_bytes());
        size_of::<Self>() + id + vector + vectors.sum::<usize>() + payload.sum::<usize>()
    }
}

impl Vector {
    fn size_bytes(&self) -> usize {
        match self {
            Vector::Dense(components) => 4 * components.len(),
            Vector::Sparse(SparseVector { indices, .. }) => 8 * indices.len(),
            Vector::Multi(vectors) => vectors.iter().map(|vector| 24 + 4 * vector.len()).sum(),
        }
    }
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Insert the point, or replace the one with its id.
    Upsert(Point),
    /// Change some fields of a point, if it is there.
    Update(Update),
    /// Remove the point with this id, if there is one.
    Delete(PointId),
}

/// Changes some fields of a row and leaves all else as it is: its other fields, its vectors, their links. Of a row that is not there
/// nothing comes, which the receipt counts as [`missing`](crate::WriteReceipt::missing).
///
/// It costs what it changes. Of a field that is searched by word ([`SchemaBuilder::text`](crate::SchemaBuilder::text)) the new words are
/// indexed before it is acknowledged, which takes as long as the texts of the row are.
///
/// An update that takes a row's payload over [`PAYLOAD_BYTES_MAX`](crate::limits::PAYLOAD_BYTES_MAX) is refused, and its batch with it.
///
/// ```
/// use ragstone::{Db, Point, Schema, Update};
///
/// let db = Db::in_memory()?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert(vec![Point::new(1, [1.0, 0.0]).with("title", "Tea").with("draft", true)])?;
/// let receipt = notes.update(vec![Update::new(1).set("title", "Green tea").unset("draft"), Update::new(2)])?;
/// assert_eq!((receipt.updated, receipt.missing), (1, 1));
/// let tea = notes.get(&[1.into()])?.remove(0).unwrap();
/// assert_eq!(tea.payload.len(), 1);
/// assert_eq!(tea.payload["title"].as_str(), Some("Green tea"));
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The row.
    pub id: PointId,
    /// Fields that have these values from now on.
    pub set: Payload,
    /// Fields that the row has no more; those that it does not have are passed over.
    pub unset: Vec<String>,
    /// When the row expires from now on: `Some(None)` is never, and `None` leaves it as it is.
    pub expires_at: Option<Option<i64>>,
}

impl Update {
    /// An update that changes no field yet; as it is, it gives the row a new etag.
    pub fn new(id: impl Into<PointId>) -> Self {
        Self { id: id.into(), set: Payload::new(), unset: Vec::new(), expires_at: None }
    }

    /// Sets a field.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set.insert(field.into(), value.into());
        self
    }

    /// Sets when the row expires, in microseconds since 1970 (UTC).
    #[must_use]
    pub fn expires_at(mut self, time_us: i64) -> Self {
        self.expires_at = Some(Some(time_us));
        self
    }

    /// Has the row never expire.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.expires_at = Some(None);
        self
    }

    /// Takes a field away.
    #[must_use]
    pub fn unset(mut self, field: impl Into<String>) -> Self {
        self.unset.push(field.into());
        self
    }
}

/// What must hold for a batch to be written: compare and set.
///
/// It is looked at after all writes that were queued before, and the batch takes its place right behind them: nobody comes
/// between. What is logged has no conditions any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Precondition {
    /// The row that is looked at; the batch need not change it.
    pub id: PointId,
    /// What is expected of it.
    pub expect: Expect,
}

/// What a [`Precondition`] expects of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is none.
    Absent,
    /// There is one, whatever it holds.
    Present,
    /// There is one, and no write has changed it since it was read with this [etag](Point::etag).
    Etag(u64),
}

impl Expect {
    /// Whether a row, by its etag, or its absence is what was expected.
    pub(crate) fn is_met_by(self, actual: Option<u64>) -> bool {
        match self {
            Expect::Absent => actual.is_none(),
            Expect::Present => actual.is_some(),
            // That of a row whose own was lost in damage: nobody can have read it before.
            Expect::Etag(0) => false,
            Expect::Etag(etag) => actual == Some(etag),
        }
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expect::Absent => f.write_str("to be absent"),
            Expect::Present => f.write_str("to be there"),
            Expect::Etag(etag) => write!(f, "to have the etag {etag}"),
        }
    }
}

/// Changes that are applied together, in order, or not at all.
///
/// What is removed is named by ids: [`Collection::delete_where`](crate::Collection::delete_where) is a write of its own. In a batch it would have to meet each row as all
/// writes before it leave it, those that are only queued included, or something could stay beside what replaces it; and which rows pass is known only when they are
/// applied, so that every writer of the collection would wait. Who replaces a set of rows that others replace, too, has a row for the set, and expects and changes it:
///
/// ```
/// use ragstone::{Batch, Db, Expect, Filter, Point, Schema, ScrollRequest, Update};
///
/// let db = Db::in_memory()?;
/// let lines = db.create_collection("lines", Schema::new(2)?)?;
/// let line = |id: u64, order: i64| Point::new(id, [1.0, 0.0]).with("order", order);
/// lines.upsert(vec![Point::without_vector("order-7"), line(1, 7), line(2, 7), line(3, 8)])?;
///
/// // First the row of the set, then what is in the set.
/// let etag = lines.get(&["order-7".into()])?[0].as_ref().and_then(|row| row.etag).unwrap();
/// let filter = Some(Filter::eq("order", 7_i64));
/// let old = lines.scroll(&ScrollRequest { filter, limit: 100, ..ScrollRequest::default() })?.points;
/// let batch = Batch::new().expect("order-7", Expect::Etag(etag)).update(Update::new("order-7"));
/// let batch = old.iter().fold(batch, |batch, row| batch.delete(row.id.clone())).upsert(line(4, 7));
/// assert_eq!(lines.write(batch.clone())?.deleted, 2);
/// assert!(lines.write(batch).is_err(), "another was faster");
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The changes, in order.
    pub ops: Vec<Op>,
    /// All must hold, or nothing is written.
    pub preconditions: Vec<Precondition>,
    /// Tells this write from every other that the collection gets, so that it can be sent again by who heard no answer: within
    /// the next [`REQUESTS_REMEMBERED`](crate::limits::REQUESTS_REMEMBERED) writes, one with the same id changes nothing and gets the
    /// receipt of the first, whatever else it holds. At most [`REQUEST_ID_BYTES_MAX`](crate::limits::REQUEST_ID_BYTES_MAX)
    /// bytes. Failed writes and those without changes are not remembered.
    pub request_id: Option<String>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch of these changes.
    pub fn of(ops: Vec<Op>) -> Self {
        Self { ops, ..Self::default() }
    }

    /// Adds an insert or replacement.
    #[must_use]
    pub fn upsert(mut self, point: Point) -> Self {
        self.ops.push(Op::Upsert(point));
        self
    }

    /// Adds a change of some fields.
    #[must_use]
    pub fn update(mut self, update: Update) -> Self {
        self.ops.push(Op::Update(update));
        self
    }

    /// Adds a removal.
    #[must_use]
    pub fn delete(mut self, id: impl Into<PointId>) -> Self {
        self.ops.push(Op::Delete(id.into()));
        self
    }

    /// Names the request.
    #[must_use]
    pub fn request(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Adds a precondition.
    #[must_use]
    pub fn expect(mut self, id: impl Into<PointId>, expect: Expect) -> Self {
        self.preconditions.push(Precondition { id: id.into(), expect });
        self
    }
}
