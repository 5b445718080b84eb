//! Pages of points.

use ragstone::{Collection, ScrollRequest};
use ragstone_proto::v1;
use tonic::Status;

use super::filter::filter_in;
use super::source::order_in;
use crate::{page, status};

/// What to read, and how many points; the request's own limit is not set.
pub(crate) fn scroll(
    wire: v1::ScrollPointsRequest,
    rows: &Collection,
) -> Result<(ScrollRequest, usize), Status> {
    let size = page::size(wire.page_size)?;
    let after = match wire.page_token.as_str() {
        "" => None,
        token => Some(token.parse().map_err(|_| status::invalid("page_token", "not a token of a scroll"))?),
    };
    let fields = if wire.without_payload {
        Some(Vec::new())
    } else {
        Some(wire.fields).filter(|fields| !fields.is_empty())
    };
    let request = ScrollRequest {
        filter: filter_in(wire.filter, rows)?,
        order: wire.order_by.map(order_in),
        after,
        limit: 0,
        with_vectors: wire.with_vectors,
        fields,
    };
    Ok((request, size))
}
