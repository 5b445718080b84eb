//! `SearchRange`.

use std::time::Instant;

use ragstone::query::{Names, QueryHit, Select};
use ragstone::{Collection, Hit, PointId, View};
use ragstone_proto::v1::{self, SearchRangeRequest, SearchRangeResponse};
use ragstone_rag::Rag;

use super::READ_SLICE;
use super::answer::{Budget, Refused};
use super::paths::renamed;
use super::query::{milliseconds, selected, stages_of};
use crate::convert;
use crate::telemetry::{Figures, Stages};

/// A search whose text, if it had one, is a vector.
pub(super) struct Asked {
    rows: Collection,
    request: SearchRangeRequest,
    /// How long that took.
    embed_ms: Option<f64>,
    stages: Stages,
}

impl Asked {
    /// Embeds the text with the model of the rows that are searched.
    pub(super) fn of(
        rag: &Rag,
        rows: Collection,
        mut request: SearchRangeRequest,
        stages: Stages,
    ) -> Result<Asked, Refused> {
        let started = Instant::now();
        let mut embed_ms = None;
        if let Some(text) = convert::take_range_text(&mut request)? {
            let embedded = rag.embed_queries(&rows, &[("text", text.as_str())])?;
            convert::put_range_vector(&mut request, embedded.into_iter().next().unwrap_or_default());
            embed_ms = Some(milliseconds(started, Instant::now()));
        }
        Ok(Asked { rows, request, embed_ms, stages })
    }

    pub(super) fn search(self, budget: &mut Budget) -> Result<SearchRangeResponse, Refused> {
        let Asked { rows, request, embed_ms, stages } = self;
        // Hits are read after they were found, as they were then.
        let view = rows.view().as_of_now();
        let started = Instant::now();
        let is_full = !request.without_payload;
        let request = convert::range(request)?;
        let found = view.search_range(&request).map_err(|error| {
            renamed(error, |field| if field == "vector_name" { "by".to_owned() } else { field.to_owned() })
        })?;
        let timings = stages_of(embed_ms, milliseconds(started, Instant::now()));
        stages.were(&timings, Figures { results: Some(found.hits.len()), ..Figures::default() });
        Ok(SearchRangeResponse {
            hits: read(&view, found.hits, is_full, budget)?,
            truncated: found.truncated,
            stats: Some(convert::query_stats(found.stats)),
            timings: convert::timings_out(timings),
            explain: found.explain.map(convert::explain),
        })
    }
}

/// The hits, with their fields if they are wanted, by slices, so that an answer that becomes too large is noticed before all of it was read.
fn read(view: &View, found: Vec<Hit>, is_full: bool, budget: &mut Budget) -> Result<Vec<v1::Hit>, Refused> {
    let select = Select { fields: if is_full { Names::All } else { Names::None }, vectors: Names::None };
    let mut hits = Vec::with_capacity(found.len());
    for slice in found.chunks(READ_SLICE) {
        let ids: Vec<PointId> = slice.iter().map(|hit| hit.id.clone()).collect();
        let points = selected(view, &ids, &select)?;
        let there = slice.iter().zip(points).filter_map(|(hit, point)| Some((hit, point?)));
        for (hit, point) in there {
            hits.push(budget.spend(convert::hit(QueryHit { score: Some(hit.score), point }))?);
        }
    }
    Ok(hits)
}
