//! Range searches.

use std::time::Duration;

use ragstone::RangeRequest;
use ragstone::limits::RANGE_ROWS_MAX;
use ragstone_proto::v1;
use ragstone_proto::v1::search_range_request::Query;
use tonic::Status;

use super::filter::filter_in;
use crate::status;

/// Whether a model is needed to answer it.
pub(crate) fn range_has_text(wire: &v1::SearchRangeRequest) -> bool {
    matches!(wire.query, Some(Query::Text(_)))
}

/// Takes the text out that is to be embedded, if there is one.
pub(crate) fn take_range_text(wire: &mut v1::SearchRangeRequest) -> Result<Option<String>, Status> {
    match &mut wire.query {
        Some(Query::Text(_)) if !wire.by.is_empty() => Err(status::invalid(
            "text",
            "the collection's model makes the default vector; give a vector of this one",
        )),
        Some(Query::Text(text)) => Ok(Some(std::mem::take(text))),
        _ => Ok(None),
    }
}

/// Puts the text's vector in its place.
pub(crate) fn put_range_vector(wire: &mut v1::SearchRangeRequest, values: Vec<f32>) {
    wire.query = Some(Query::Vector(v1::Vector { values }));
}

/// A range search, without fields. What ends it with its call is the handle that it is asked of.
pub(crate) fn range(wire: v1::SearchRangeRequest) -> Result<RangeRequest, Status> {
    let Some(Query::Vector(vector)) = wire.query else {
        return Err(status::invalid("query", "no query is set; set vector or text"));
    };
    let mut request = RangeRequest::new(vector.values, wire.threshold).of(wire.by);
    request.filter = filter_in(wire.filter)?;
    request.limit = wire.limit.map_or(RANGE_ROWS_MAX, |limit| limit as usize);
    request.exact = wire.exact;
    request.with_payload = false;
    request.explain = wire.explain;
    request.budget = wire.budget_ms.map(|ms| Duration::from_millis(u64::from(ms)));
    Ok(request)
}
