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
use crate::interrupt::Watch;
use crate::limits::{SEARCH_BATCH_MAX, SEARCH_BATCH_ROWS_MAX, check_limit};

/// Searches a view many times, by the threads of the current rayon pool.
pub(crate) fn search_batch(view: &ViewState, requests: &[SearchRequest]) -> Result<Vec<SearchResponse>> {
    view.check()?;
    check_limit("requests", "SEARCH_BATCH_MAX", SEARCH_BATCH_MAX, requests.len())?;
    let rows = requests.iter().fold(0_usize, |rows, request| rows.saturating_add(request.k));
    let watched: Vec<Watch> =
        requests.iter().map(|request| Watch::new(request.budget, request.cancel.as_ref())).collect();
    let queries = requests
        .iter()
        .enumerate()
        .map(|(index, request)| {
            Query::new(view, request).map_err(|error| error.within(&format!("requests[{index}]")))
        })
        .collect::<Result<Vec<_>>>()?;
    check_limit("requests", "SEARCH_BATCH_ROWS_MAX", SEARCH_BATCH_ROWS_MAX, rows)?;
    let pairs: Vec<(Query, Watch)> = queries.into_iter().zip(watched).collect();
    // One search is work enough for a task, and the slow ones are not to queue behind each other.
    let tasks = pairs.into_par_iter().with_max_len(1);
    Ok(tasks.map(|(query, watch)| answer(view, &query, &watch)).collect())
}
