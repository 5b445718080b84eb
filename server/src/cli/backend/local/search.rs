//! Searches of a directory.

use std::time::Instant;

use anyhow::Result;
use ragstone::query::{Query, QueryHit, QueryResponse};
use ragstone::{Collection, Hit, Point};
use ragstone_rag::Rag;

use super::super::{GroupView, HitView, QueryAsk, RangeAsk, SearchView, Timings};
use super::views::explain;

pub(super) fn query(rag: &Rag, collection: &str, ask: &QueryAsk) -> Result<SearchView> {
    let rows = rag.db().collection(collection)?;
    let mut texts = Vec::new();
    ask.source.texts("source", &mut texts)?;
    let (vectors, mut timings) = embedded(rag, &rows, &texts)?;
    let query = ask.embedded(&mut vectors.into_iter());
    let started = Instant::now();
    let found = rows.query(&query)?;
    timings.0.push(("search".to_owned(), milliseconds(started)));
    Ok(answered(found, timings))
}

pub(super) fn query_batch(rag: &Rag, collection: &str, asks: &[QueryAsk]) -> Result<Vec<SearchView>> {
    let rows = rag.db().collection(collection)?;
    let mut texts = Vec::new();
    for (index, ask) in asks.iter().enumerate() {
        ask.source.texts(&format!("queries[{index}].source"), &mut texts)?;
    }
    let (vectors, _) = embedded(rag, &rows, &texts)?;
    let mut vectors = vectors.into_iter();
    let queries: Vec<Query> = asks.iter().map(|ask| ask.embedded(&mut vectors)).collect();
    let found = rows.query_batch(&queries)?;
    Ok(found.into_iter().map(|found| answered(found, Timings::default())).collect())
}

pub(super) fn range(rag: &Rag, collection: &str, ask: &RangeAsk) -> Result<SearchView> {
    let rows = rag.db().collection(collection)?;
    let texts: Vec<_> = ask.text()?.map(|text| ("text".to_owned(), text)).into_iter().collect();
    let (vectors, mut timings) = embedded(rag, &rows, &texts)?;
    let mut request = ask.request.clone();
    if let Some(vector) = vectors.into_iter().next() {
        request.vector = vector;
    }
    let started = Instant::now();
    let found = rows.search_range(&request)?;
    timings.0.push(("search".to_owned(), milliseconds(started)));
    let hit = |hit: Hit| {
        let mut point = Point::without_vector(hit.id);
        point.payload = hit.payload;
        HitView::from(QueryHit { score: Some(hit.score), point })
    };
    Ok(SearchView {
        hits: found.hits.into_iter().map(hit).collect(),
        groups: Vec::new(),
        exact: found.stats.exact,
        interrupted: found.stats.interrupted.is_some(),
        truncated: found.truncated,
        explain: found.explain.map(explain),
        timings_ms: timings,
    })
}

/// The vectors of texts, each named by its path, as the model of these very rows makes them; and how long that took, if there are any.
fn embedded(rag: &Rag, rows: &Collection, texts: &[(String, &str)]) -> Result<(Vec<Vec<f32>>, Timings)> {
    if texts.is_empty() {
        return Ok(Default::default());
    }
    let started = Instant::now();
    let named: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let vectors = rag.embed_queries(rows, &named)?;
    Ok((vectors, [("embed", milliseconds(started))].into_iter().collect()))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn answered(found: QueryResponse, timings_ms: Timings) -> SearchView {
    SearchView {
        hits: found.hits.into_iter().map(HitView::from).collect(),
        groups: found.groups.into_iter().map(GroupView::from).collect(),
        exact: found.stats.exact,
        interrupted: found.stats.interrupted.is_some(),
        truncated: false,
        explain: found.explain.map(explain),
        timings_ms,
    }
}
