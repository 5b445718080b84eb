//! Searches of a server. Texts go as they are: the server embeds them with the model of the rows that it then searches.

use anyhow::Result;
use ragstone::query::{Example, Fusion, Names, Strategy};
use ragstone_client as client;

use super::super::{FuseAsk, GroupView, HitView, NearestText, QueryAsk, RangeAsk, SearchView, SourceAsk};
use super::views::{explain, timings};
use super::{types, wire_size};
use crate::cli::json;

pub(super) fn query(collection: &str, ask: &QueryAsk) -> client::Query {
    let mut wire = client::Query::by(collection, source(&ask.source), wire_size(ask.k));
    if let Some(conditions) = &ask.filter {
        wire = wire.filter(types::filter(conditions));
    }
    if let Some(group) = &ask.group {
        wire = wire.group(group.field.as_str(), wire_size(group.per_group));
    }
    wire = match &ask.select.fields {
        Names::All => wire,
        Names::None => wire.without_payload(),
        Names::Only(names) => wire.fields(names.iter().cloned()),
    };
    wire = match &ask.select.vectors {
        Names::All => wire.with_vectors(),
        Names::None => wire,
        Names::Only(names) => wire.vectors(names.iter().cloned()),
    };
    if let Some(threshold) = ask.threshold {
        wire = wire.threshold(threshold);
    }
    if let Some(budget) = ask.budget {
        wire = wire.budget(budget);
    }
    if ask.explain { wire.explain() } else { wire }
}

pub(super) fn range(collection: &str, ask: &RangeAsk) -> client::RangeSearch {
    let request = &ask.request;
    let wire = match &ask.text {
        Some(text) => client::RangeSearch::text(collection, text.as_str(), request.threshold),
        None => client::RangeSearch::vector(collection, request.vector.clone(), request.threshold),
    };
    let mut wire = wire.by(request.vector_name.as_str()).limit(wire_size(request.limit)).exact(request.exact);
    if let Some(conditions) = &request.filter {
        wire = wire.filter(types::filter(conditions));
    }
    if let Some(budget) = request.budget {
        wire = wire.budget(budget);
    }
    if !request.with_payload {
        wire = wire.without_payload();
    }
    if request.explain { wire.explain() } else { wire }
}

fn source(ask: &SourceAsk) -> client::Source {
    match ask {
        SourceAsk::Nearest(nearest) => {
            let wire = client::Nearest::vector(types::vector_out(nearest.query.clone()));
            let wire = wire.by(nearest.vector.as_str()).exact(nearest.exact);
            nearest.ef.map_or(wire.clone(), |ef| wire.ef(wire_size(ef))).into()
        }
        SourceAsk::NearestText(NearestText { text, vector, ef, exact }) => {
            let wire = client::Nearest::text(text.as_str()).by(vector.as_str()).exact(*exact);
            ef.map_or(wire.clone(), |ef| wire.ef(wire_size(ef))).into()
        }
        SourceAsk::Words(words) => {
            let wire = client::TextQuery::new(words.query.as_str()).all_terms(words.all_terms);
            words.fields.iter().fold(wire, |wire, (field, boost)| wire.field(field.as_str(), *boost)).into()
        }
        SourceAsk::Recommend(recommend) => {
            let wire = client::Recommend::like(recommend.positive.iter().map(example))
                .unlike(recommend.negative.iter().map(example))
                .by(recommend.vector.as_str())
                .exact(recommend.exact)
                .strategy(match recommend.strategy {
                    Strategy::AverageVector => client::Strategy::AverageVector,
                    Strategy::BestScore => client::Strategy::BestScore,
                });
            recommend.ef.map_or(wire.clone(), |ef| wire.ef(wire_size(ef))).into()
        }
        SourceAsk::OrderBy(by) => types::order(by).into(),
        SourceAsk::Fuse(FuseAsk { sources, method, candidates }) => {
            let sources = sources.iter().map(|(from, weight)| (source(from), *weight));
            let wire = match method {
                Fusion::ReciprocalRank { k } => client::Fuse::weighted_ranks(sources, *k),
                Fusion::Weighted => client::Fuse::weighted(sources),
            };
            wire.candidates(wire_size(*candidates)).into()
        }
        SourceAsk::Rescore(rescore) => client::Rescore::new(source(&rescore.from), source(&rescore.by))
            .candidates(wire_size(rescore.candidates))
            .into(),
    }
}

fn example(example: &Example) -> client::Example {
    match example {
        Example::Id(id) => client::Example::Id(types::id_out(id.clone())),
        Example::Vector(vector) => client::Example::vector(vector.clone()),
    }
}

pub(super) fn found(result: client::QueryResult) -> Result<SearchView> {
    let group = |group: client::HitGroup| {
        let hits = group.hits.into_iter().map(|hit| types::hit(hit).map(HitView::from));
        let value = json::shown_value(&types::value_in(group.value)?);
        Ok(GroupView { value, hits: hits.collect::<Result<_>>()? })
    };
    let hits = result.hits.into_iter().map(|hit| types::hit(hit).map(HitView::from));
    Ok(SearchView {
        hits: hits.collect::<Result<_>>()?,
        groups: result.groups.into_iter().map(group).collect::<Result<_>>()?,
        exact: result.stats.exact,
        interrupted: result.stats.interrupted.is_some(),
        truncated: false,
        explain: result.explain.map(explain),
        timings_ms: timings(result.timings),
    })
}

pub(super) fn found_in_range(result: client::RangeResult) -> Result<SearchView> {
    let hits = result.hits.into_iter().map(|hit| types::hit(hit).map(HitView::from));
    Ok(SearchView {
        hits: hits.collect::<Result<_>>()?,
        groups: Vec::new(),
        exact: result.stats.exact,
        interrupted: result.stats.interrupted.is_some(),
        truncated: result.truncated,
        explain: result.explain.map(explain),
        timings_ms: timings(result.timings),
    })
}
