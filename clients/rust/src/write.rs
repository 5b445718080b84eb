//! Writing points: batches, updates, preconditions.

use ragstone_proto::v1;
use ragstone_proto::v1::{point_update, precondition, write_operation};

use crate::point::{Point, PointId, Value};

/// Changes some fields of a point and leaves the rest of it as it is. An id that no point has is passed over, and counted.
///
/// ```
/// use ragstone_client::Update;
///
/// let update = Update::new("tea").set("title", "Green tea").unset("draft");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    wire: v1::PointUpdate,
}

impl Update {
    /// An update that changes no field yet.
    pub fn new(id: impl Into<PointId>) -> Self {
        Self { wire: v1::PointUpdate { id: Some(id.into().into_wire()), ..Default::default() } }
    }

    /// Sets a field, in place of the value that it has.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.wire.set.insert(field.into(), value.into().into_wire());
        self
    }

    /// Takes a field away.
    #[must_use]
    pub fn unset(mut self, field: impl Into<String>) -> Self {
        self.wire.unset.push(field.into());
        self
    }

    /// Sets when the point is gone, in microseconds since 1970 (UTC).
    #[must_use]
    pub fn expires_at(mut self, time_us: i64) -> Self {
        self.wire.expiry = Some(point_update::Expiry::ExpiresAt(time_us));
        self
    }

    /// Has the point stay for good.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.wire.expiry = Some(point_update::Expiry::NeverExpires(true));
        self
    }

    pub(crate) fn into_wire(self) -> v1::PointUpdate {
        self.wire
    }
}

/// A batch of changes, done in order, all of them or none, and only if what it expects holds.
///
/// What is removed is named by ids; [`delete_points_where`](crate::Client::delete_points_where) is a write of its own. To replace a set of rows that others replace,
/// too, have a row for the set: read that, then the ids, and have the batch expect the row's etag and update it.
///
/// ```
/// use ragstone_client::{Point, Update, Write};
///
/// // Compare and set: only if nobody changed the point since it was read.
/// # let etag = 17;
/// let write = Write::new("notes")
///     .update(Update::new("tea").set("stock", 12))
///     .upsert(Point::without_vector("log-1").with("what", "tea sold"))
///     .expect_etag("tea", etag)
///     .expect_absent("log-1");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    wire: v1::WritePointsRequest,
}

impl Write {
    /// No change yet.
    pub fn new(collection: impl Into<String>) -> Self {
        Self { wire: v1::WritePointsRequest { collection: collection.into(), ..Default::default() } }
    }

    /// Inserts a point, or replaces the one with its id.
    #[must_use]
    pub fn upsert(self, point: Point) -> Self {
        self.operation(write_operation::Operation::Upsert(point.into_wire()))
    }

    /// Changes fields of a point.
    #[must_use]
    pub fn update(self, update: Update) -> Self {
        self.operation(write_operation::Operation::Update(update.into_wire()))
    }

    /// Removes a point, if there is one.
    #[must_use]
    pub fn delete(self, id: impl Into<PointId>) -> Self {
        self.operation(write_operation::Operation::Delete(id.into().into_wire()))
    }

    fn operation(mut self, operation: write_operation::Operation) -> Self {
        self.wire.operations.push(v1::WriteOperation { operation: Some(operation) });
        self
    }

    /// Only if there is no such point.
    #[must_use]
    pub fn expect_absent(self, id: impl Into<PointId>) -> Self {
        self.expect(id.into(), precondition::Expect::Exists(false))
    }

    /// Only if there is such a point.
    #[must_use]
    pub fn expect_present(self, id: impl Into<PointId>) -> Self {
        self.expect(id.into(), precondition::Expect::Exists(true))
    }

    /// Only if the point was not written since it was read with this [etag](Point::etag).
    #[must_use]
    pub fn expect_etag(self, id: impl Into<PointId>, etag: u64) -> Self {
        self.expect(id.into(), precondition::Expect::Etag(etag))
    }

    fn expect(mut self, id: PointId, expect: precondition::Expect) -> Self {
        self.wire.preconditions.push(v1::Precondition { id: Some(id.into_wire()), expect: Some(expect) });
        self
    }

    /// Names the request, 1 to 128 bytes: sent again under the same name it is not done again, and gets the first answer. The
    /// client names every write by chance that is not named, so this is for who repeats it by other means than the client's
    /// retries.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.wire.request_id = request_id.into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::WritePointsRequest {
        self.wire
    }
}

/// An acknowledged write: durable on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteReceipt {
    /// The write's number in the server's log; a later write has a greater one.
    pub seq: u64,
    /// Points inserted, replaced, changed or removed.
    pub points: usize,
    /// Updates of ids that no point has.
    pub missing: usize,
    /// Whether the write was done before under this request id: then this is the first answer.
    pub repeated: bool,
}
