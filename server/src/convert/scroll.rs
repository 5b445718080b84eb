//! Pages of points.

use prost::Message as _;
use ragstone::ScrollRequest;
use ragstone::query::Cursor;
use ragstone_proto::v1;
use tonic::Status;

use super::filter::filter_in;
use super::point::id_in;
use super::source::order_in;
use crate::page::{self, List};
use crate::status;

/// Why a token is refused.
const FOREIGN: &str =
    "it is no token of a scroll of this collection under this filter; without one, it begins anew";

/// What to read, how many points, and what marks the tokens of its pages; the request's own limit is not set.
pub(crate) fn scroll(wire: v1::ScrollPointsRequest) -> Result<(ScrollRequest, usize, List), Status> {
    let size = page::size(wire.page_size)?;
    // The order is the cursor's to compare, which says both.
    let filter = wire.filter.as_ref().map(|filter| filter.encode_to_vec()).unwrap_or_default();
    let list = List::of([&b"ScrollPoints"[..], wire.collection.as_bytes(), filter.as_slice()]);
    let after = match (wire.page_token.as_str(), wire.after_id) {
        ("", None) => None,
        ("", Some(_)) if wire.order_by.is_some() => {
            return Err(status::invalid("after_id", "points in the order of a field begin behind no id"));
        }
        ("", after_id) => Some(id_in(after_id, "after_id")?.into()),
        (_, Some(_)) => {
            return Err(status::invalid("after_id", "a page_token says already where the page begins"));
        }
        (token, None) => {
            let place = list.unmarked(token).and_then(|place| place.parse::<Cursor>().ok());
            Some(place.ok_or_else(|| status::invalid("page_token", FOREIGN))?)
        }
    };
    let fields = if wire.without_payload {
        Some(Vec::new())
    } else {
        Some(wire.fields).filter(|fields| !fields.is_empty())
    };
    let request = ScrollRequest {
        filter: filter_in(wire.filter)?,
        order: wire.order_by.map(order_in),
        after,
        limit: 0,
        with_vectors: wire.with_vectors,
        fields,
    };
    Ok((request, size, list))
}
