//! Many searches on one view.
//!
//! A search is a chain of dependent reads, so threads gain most from searches of their own: splitting one over its
//! segments leaves a thread with nothing to do as soon as one segment is larger than the others, which is what merging
//! makes. Every request is checked before the first is searched.

use rayon::prelude::*;

use super::execute::{Query, answer};
use super::{SearchRequest, SearchResponse};
use crate::collection::ViewState;
use crate::error::Result;
use crate::interrupt::{Token, Watch};
use crate::limits::{SEARCH_BATCH_MAX, SEARCH_BATCH_ROWS_MAX, check_limit};
use crate::threads::{Pools, Work};

/// Searches a view many times: by the threads of the rayon pool that the caller is in, or else those of the database, if it
/// is open.
pub(crate) fn search_batch(
    view: &ViewState,
    requests: &[SearchRequest],
    (pools, token): (Option<&Pools>, Token<'_>),
) -> Result<Vec<SearchResponse>> {
    view.check()?;
    check_limit("requests", "SEARCH_BATCH_MAX", SEARCH_BATCH_MAX, requests.len())?;
    let rows = requests.iter().fold(0_usize, |rows, request| rows.saturating_add(request.k));
    let watched: Vec<Watch> = requests
        .iter()
        .map(|request| Watch::new(request.budget, request.cancel.as_ref()).and(token))
        .collect();
    let queries = requests
        .iter()
        .enumerate()
        .map(|(index, request)| {
            Query::new(view, request).map_err(|error| error.within(&format!("requests[{index}]")))
        })
        .collect::<Result<Vec<_>>>()?;
    check_limit("requests", "SEARCH_BATCH_ROWS_MAX", SEARCH_BATCH_ROWS_MAX, rows)?;
    let asked = requests.iter().zip(queries).zip(watched);
    let pairs: Vec<(&SearchRequest, Query, Watch)> =
        asked.map(|((request, query), watch)| (request, query, watch)).collect();
    let one = |(request, query, watch): (&SearchRequest, Query, Watch)| answer(view, request, &query, &watch);
    // One search is work enough for a task, and the slow ones are not to queue behind each other.
    let many = |pairs: Vec<_>| pairs.into_par_iter().with_max_len(1).map(one).collect();
    match pools {
        _ if rayon::current_thread_index().is_some() => Ok(many(pairs)),
        Some(pools) if pairs.len() > 1 => pools.run(Work::Search, || many(pairs)),
        _ => Ok(pairs.into_iter().map(one).collect()),
    }
}
