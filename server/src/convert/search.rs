//! Searches and what they find.

use std::collections::BTreeMap;

use ragstone::{Hit, SearchRequest, SearchStats};
use ragstone_proto::v1;
use ragstone_rag::TextQuery;
use tonic::Status;

use super::filter::filter_in;
use super::point::id_out;
use super::value::payload_out;
use super::{Timings, count, timings_out};
use crate::status;

/// What to look for.
pub(crate) enum Query {
    /// A vector.
    Vector(SearchRequest),
    /// A text.
    Text { query: TextQuery, with_payload: bool },
}

pub(crate) fn query(wire: v1::QueryRequest) -> Result<(String, Query), Status> {
    let filter = filter_in(wire.filter)?;
    let (k, ef, exact) = (wire.k as usize, wire.ef.map(|ef| ef as usize), wire.exact);
    let with_payload = !wire.without_payload;
    let query = match wire.query {
        Some(v1::query_request::Query::Vector(vector)) => {
            let request = SearchRequest::new(vector.values, k);
            Query::Vector(SearchRequest { filter, ef, exact, with_payload, ..request })
        }
        Some(v1::query_request::Query::Text(text)) => {
            Query::Text { query: TextQuery { text, k, filter, ef, exact }, with_payload }
        }
        None => return Err(status::invalid("query", "neither vector nor text is set")),
    };
    Ok((wire.collection, query))
}

pub(crate) fn hit(hit: Hit, with_payload: bool) -> v1::Hit {
    v1::Hit {
        id: Some(id_out(hit.id)),
        score: hit.score,
        payload: if with_payload { payload_out(hit.payload) } else { BTreeMap::new() },
    }
}

pub(crate) fn query_response(hits: Vec<v1::Hit>, stats: SearchStats, timings: Timings) -> v1::QueryResponse {
    v1::QueryResponse {
        hits,
        stats: Some(v1::QueryStats {
            segments: count(stats.segments),
            distances: stats.distances,
            exact: stats.exact,
        }),
        timings: timings_out(timings),
    }
}
