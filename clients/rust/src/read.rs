//! Reading points without searching them.

use ragstone_proto::v1;

use crate::filter::Filter;
use crate::point::PointId;
use crate::source::OrderBy;

/// Asks for a page of points, in the order of their ids or of a field.
///
/// ```
/// use ragstone_client::{Filter, OrderBy, Scroll};
///
/// let page = Scroll::new("notes").filter(Filter::eq("lang", "en")).order_by(OrderBy::descending("year")).page_size(50);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scroll {
    wire: v1::ScrollPointsRequest,
}

impl Scroll {
    /// The first page of all points, in the order of their ids.
    pub fn new(collection: impl Into<String>) -> Self {
        Self { wire: v1::ScrollPointsRequest { collection: collection.into(), ..Default::default() } }
    }

    /// Only points that pass.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.wire.filter = Some(filter.into_wire());
        self
    }

    /// In this order.
    #[must_use]
    pub fn order_by(mut self, order: OrderBy) -> Self {
        self.wire.order_by = Some(order.into_wire());
        self
    }

    /// At most so many points, 1 to 1,000; 100 by default.
    #[must_use]
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.wire.page_size = page_size;
        self
    }

    /// The page that a [`Page::next_page_token`](crate::Page::next_page_token) asks for, of the same collection under the same filter,
    /// in the same order: of any other it is refused.
    #[must_use]
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.wire.page_token = page_token.into();
        self
    }

    /// The first page begins behind this id, whether or not there is such a point: integers sort before texts. Later pages begin by
    /// their token alone.
    #[must_use]
    pub fn after(mut self, id: impl Into<PointId>) -> Self {
        self.wire.after_id = Some(id.into().into_wire());
        self
    }

    /// Returns vectors, too.
    #[must_use]
    pub fn with_vectors(mut self) -> Self {
        self.wire.with_vectors = true;
        self
    }

    /// Returns these fields only.
    #[must_use]
    pub fn fields<N: Into<String>>(mut self, fields: impl IntoIterator<Item = N>) -> Self {
        self.wire.fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Returns no fields.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.wire.without_payload = true;
        self
    }

    pub(crate) fn into_wire(self) -> v1::ScrollPointsRequest {
        self.wire
    }
}
