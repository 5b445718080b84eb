//! Everything that can be wrong with a query, found before anything of it runs.
//!
//! What comes out ([`Node`]) has numbers for names, vectors in the form that is stored, and examples as vectors. Errors name
//! the place: `source.fuse.sources[1].nearest.query`.

use std::sync::Arc;

use super::best::Best;
use super::nearest::{Near, dense};
use super::node::{Fusing, Kind, Node, Rescoring, Scores};
use super::order::Ordering;
use super::request::Query;
use super::scored::Scored;
use super::source::{
    Example, Fuse, Fusion, Nearest, OrderBy, Recommend, Rescore, Source, Strategy, TextQuery,
};
use super::words::Words;
use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::limits::{
    CANDIDATES_MAX, EF_MAX, EXAMPLES_MAX, FUSE_SOURCES_MAX, QUERY_DEPTH_MAX, QUERY_SOURCES_MAX, check_limit,
};
use crate::payload::{ColumnIndex, FieldId, FieldType, Filter};
use crate::point::Vector;
use crate::schema::VectorKind;
use crate::search::multi::MultiQuery;
use crate::search::{WordsRequest, WordsSearch};
use crate::validate;
use crate::vectors::Slot;

/// Weights of a fusion are within these, or 0: scores are of 32 bits, and beyond them sums have no end or vanish, and rows no order.
const WEIGHT_MIN: f32 = 1e-30;
const WEIGHT_MAX: f32 = 1e30;
/// Beyond it the scores of two places that follow each other are one in 32 bits.
const RANK_K_MAX: f32 = 1e6;

/// Checks a source against a view.
pub(super) fn resolve<'a>(view: &'a ViewState, source: &Source) -> Result<Node<'a>> {
    resolve_at(view, source, "source")
}

/// The same of a source that errors name by this path.
pub(super) fn resolve_at<'a>(view: &'a ViewState, source: &Source, path: &str) -> Result<Node<'a>> {
    let mut resolving = Resolving { view, sources: 0 };
    resolving.node(source, path, 1)
}

/// Checks the name of a field; its number and type.
pub(crate) fn field(view: &ViewState, path: &str, name: &str) -> Result<(FieldId, FieldType)> {
    view.fields.find(name).ok_or_else(|| Error::UnknownField { field: format!("{path}.{name}") })
}

/// Checks a field that rows are told apart by: one of values that are equal or not, or of lists of such.
pub(crate) fn kinds(view: &ViewState, path: &str, name: &str) -> Result<(FieldId, FieldType)> {
    let (field, field_type) = field(view, path, name)?;
    if matches!(field_type, FieldType::Geo | FieldType::Json) {
        let reason = format!("rows are not told apart by values of type {field_type}");
        return Err(Error::invalid(format!("{path}.{name}"), reason));
    }
    Ok((field, field_type))
}

/// Checks a field whose values have an order; its type too.
pub(crate) fn order(view: &ViewState, path: &str, order: &OrderBy) -> Result<(Ordering, FieldType)> {
    let (field, field_type) = field(view, path, &order.field)?;
    if !ColumnIndex::sorts(field_type) {
        let reason = format!("values of type {field_type} have no order");
        return Err(Error::invalid(format!("{path}.{}", order.field), reason));
    }
    Ok((Ordering { field, descending: order.descending }, field_type))
}

/// Whether what a query goes through is there already, so far as it does not look at the watch while it makes that.
pub(super) fn is_made(view: &ViewState, query: &Query) -> bool {
    let mut filters = query.filter.iter().chain(view.shown_filter());
    !filters.any(Filter::has_words) && is_source_made(view, &query.source)
}

fn is_source_made(view: &ViewState, source: &Source) -> bool {
    match source {
        Source::Nearest(Nearest { vector, query: Vector::Sparse(_), .. }) => {
            let number = view.schema.vector("vector", vector).map(|(number, _)| number);
            number.is_ok_and(|number| view.segments.iter().all(|segment| segment.has_entries(number)))
        }
        Source::Text(_) => view
            .fields
            .texts()
            .all(|(field, analyzer)| view.segments.iter().all(|segment| segment.has_words(field, analyzer))),
        Source::Fuse(fuse) => fuse.sources.iter().all(|(source, _)| is_source_made(view, source)),
        Source::Rescore(rescore) => is_source_made(view, &rescore.from) && is_source_made(view, &rescore.by),
        Source::Nearest(_) | Source::Recommend(_) | Source::OrderBy(_) => true,
    }
}

/// Walks over the tree with its path.
struct Resolving<'a> {
    view: &'a ViewState,
    sources: usize,
}

impl<'a> Resolving<'a> {
    fn node(&mut self, source: &Source, path: &str, depth: usize) -> Result<Node<'a>> {
        check_limit(path, "QUERY_DEPTH_MAX", QUERY_DEPTH_MAX, depth)?;
        self.sources += 1;
        check_limit("source", "QUERY_SOURCES_MAX", QUERY_SOURCES_MAX, self.sources)?;
        let named = match source {
            Source::Nearest(_) => "nearest",
            Source::Text(_) => "text",
            Source::Recommend(_) => "recommend",
            Source::OrderBy(_) => "order_by",
            Source::Fuse(_) => "fuse",
            Source::Rescore(_) => "rescore",
        };
        let path = [path, ".", named].concat();
        let kind = match source {
            Source::Nearest(nearest) => self.nearest(nearest).map_err(|error| error.within(&path))?,
            Source::Text(text) => self.text(text, &path)?,
            Source::Recommend(recommend) => self.recommend(recommend, &path)?,
            Source::OrderBy(by) => Kind::Order(order(self.view, &path, by)?.0),
            Source::Fuse(fuse) => self.fuse(fuse, &path, depth)?,
            Source::Rescore(rescore) => self.rescore(rescore, &path, depth)?,
        };
        Ok(Node { path, kind })
    }

    /// Errors name a place within it: its path is put before that once there is one, as most sources have none.
    fn nearest(&self, nearest: &Nearest) -> Result<Kind<'a>> {
        let Nearest { vector: name, query, ef, exact } = nearest;
        check_ef(*ef)?;
        let view = self.view;
        let (number, kind) = view.schema.vector("vector", name)?;
        match (kind, query.clone()) {
            (VectorKind::Dense(options), Vector::Dense(vector)) => {
                let place = view.schema.dense_place("vector", name)?;
                let vector = validate::dense("query", vector, options)?;
                Ok(Kind::Near(Near { place, vector, ef: *ef, exact: *exact, excluded: Vec::new() }))
            }
            (VectorKind::Multi(_), Vector::Multi(vectors)) => {
                let query = MultiQuery::new(view, ("vector", name), ("query", vectors))?;
                Ok(Kind::Scored(Scored::Multi(query)))
            }
            (VectorKind::Sparse(_), Vector::Sparse(vector)) => {
                Ok(Kind::Scored(Scored::Sparse(number, validate::sparse("query", vector)?)))
            }
            (kind, other) => Err(Error::invalid(
                "query",
                format!("the vector is {}, this is {}", kind.name(), other.kind()),
            )),
        }
    }

    fn text(&self, text: &TextQuery, path: &str) -> Result<Kind<'a>> {
        let TextQuery { fields, query, all_terms } = text;
        let request = WordsRequest { fields, text: query, all_terms: *all_terms };
        let search = WordsSearch::new(self.view, &request).map_err(|error| error.within(path))?;
        Ok(Kind::Words(Words(search)))
    }

    fn recommend(&self, recommend: &Recommend, path: &str) -> Result<Kind<'a>> {
        let Recommend { vector, positive, negative, strategy, ef, exact } = recommend;
        let place = self.view.schema.dense_place(&format!("{path}.vector"), vector)?;
        check_ef(*ef).map_err(|error| error.within(path))?;
        check_limit(path, "EXAMPLES_MAX", EXAMPLES_MAX, positive.len() + negative.len())?;
        let needed = match strategy {
            Strategy::AverageVector => positive.is_empty().then_some("an average needs a positive example"),
            Strategy::BestScore => {
                (positive.is_empty() && negative.is_empty()).then_some("there is no example")
            }
        };
        if let Some(reason) = needed {
            return Err(Error::invalid(format!("{path}.positive"), reason));
        }
        let mut excluded = Vec::new();
        let positive = self.examples((positive, place), &format!("{path}.positive"), &mut excluded)?;
        let negative = self.examples((negative, place), &format!("{path}.negative"), &mut excluded)?;
        excluded.sort_unstable();
        excluded.dedup();
        let (ef, exact) = (*ef, *exact);
        match strategy {
            Strategy::BestScore => Ok(Kind::Best(Best { place, positive, negative, ef, exact, excluded })),
            Strategy::AverageVector => {
                let options = dense(self.view, place);
                let vector = validate::dense(path, target(&positive, &negative), options)?;
                Ok(Kind::Near(Near { place, vector, ef, exact, excluded }))
            }
        }
    }

    /// The vectors of examples, in the form that is stored; adds the rows that they are.
    fn examples(
        &self,
        (examples, place): (&[Example], usize),
        path: &str,
        excluded: &mut Vec<(usize, Slot)>,
    ) -> Result<Vec<Vec<f32>>> {
        let view = self.view;
        let vector = |(index, example): (usize, &Example)| {
            let path = format!("{path}[{index}]");
            match example {
                Example::Vector(vector) => validate::dense(&path, vector.clone(), dense(self.view, place)),
                Example::Id(id) => {
                    validate::id(&path, id)?;
                    let Some((segment, slot)) = view.visible(id)? else {
                        return Err(Error::invalid(path, format!("there is no row `{id}`")));
                    };
                    let Some(vector) = view.segments[segment].dense(place).vector(slot) else {
                        return Err(Error::invalid(path, format!("the row `{id}` has no such vector")));
                    };
                    excluded.push((segment, Slot(slot)));
                    Ok(vector.into_owned())
                }
            }
        };
        examples.iter().enumerate().map(vector).collect()
    }

    fn fuse(&mut self, fuse: &Fuse, path: &str, depth: usize) -> Result<Kind<'a>> {
        let at = format!("{path}.sources");
        if fuse.sources.is_empty() {
            return Err(Error::invalid(at, "a fusion has at least one source"));
        }
        check_limit(&at, "FUSE_SOURCES_MAX", FUSE_SOURCES_MAX, fuse.sources.len())?;
        check_candidates(path, fuse.candidates)?;
        if let Fusion::ReciprocalRank { k } = fuse.method
            && !(0.0..=RANK_K_MAX).contains(&k)
        {
            let reason = format!("it is a number from 0 to {RANK_K_MAX}, not {k}");
            return Err(Error::invalid(format!("{path}.method.k"), reason));
        }
        let mut nodes = Vec::with_capacity(fuse.sources.len());
        for (index, (source, weight)) in fuse.sources.iter().enumerate() {
            let at = format!("{at}[{index}]");
            if *weight != 0.0 && !(WEIGHT_MIN..=WEIGHT_MAX).contains(weight) {
                let reason = format!("a weight is 0, or from {WEIGHT_MIN:e} to {WEIGHT_MAX:e}, not {weight}");
                return Err(Error::invalid(format!("{at}.weight"), reason));
            }
            let node = self.node(source, &at, depth + 1)?;
            if fuse.method == Fusion::Weighted && node.scores(self.view) == Scores::Absent {
                let reason = "it gives an order and no scores, which a weighted fusion adds up";
                return Err(Error::invalid(node.path, reason));
            }
            nodes.push((node, *weight));
        }
        if nodes.iter().all(|(_, weight)| *weight == 0.0) {
            return Err(Error::invalid(at, "one weight at least is above 0"));
        }
        Ok(Kind::Fuse(Fusing { nodes, method: fuse.method, candidates: fuse.candidates }))
    }

    fn rescore(&mut self, rescore: &Rescore, path: &str, depth: usize) -> Result<Kind<'a>> {
        check_candidates(path, rescore.candidates)?;
        let from = Box::new(self.node(&rescore.from, &format!("{path}.from"), depth + 1)?);
        let by = format!("{path}.by");
        if matches!(*rescore.by, Source::Rescore(_)) {
            return Err(Error::invalid(by, "what ranks candidates has none of its own"));
        }
        let by = Arc::new(self.node(&rescore.by, &by, depth + 1)?);
        Ok(Kind::Rescore(Rescoring { from, candidates: rescore.candidates, by }))
    }
}

/// Where an average of examples leads.
fn target(positive: &[Vec<f32>], negative: &[Vec<f32>]) -> Vec<f32> {
    let average = |examples: &[Vec<f32>]| {
        let mut sum = vec![0.0; examples.first().map_or(0, Vec::len)];
        for example in examples {
            sum.iter_mut().zip(example).for_each(|(sum, x)| *sum += f64::from(*x) / examples.len() as f64);
        }
        sum
    };
    let (positive, negative) = (average(positive), average(negative));
    if negative.is_empty() {
        return positive.into_iter().map(|x| x as f32).collect();
    }
    positive.iter().zip(&negative).map(|(positive, negative)| (2.0 * positive - negative) as f32).collect()
}

fn check_ef(ef: Option<usize>) -> Result<()> {
    match ef {
        Some(0) => Err(Error::invalid("ef", "a walk has a width of at least one")),
        ef => check_limit("ef", "EF_MAX", EF_MAX, ef.unwrap_or_default()),
    }
}

fn check_candidates(path: &str, candidates: usize) -> Result<()> {
    check_limit(&format!("{path}.candidates"), "CANDIDATES_MAX", CANDIDATES_MAX, candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_moves_away_from_negatives() {
        assert_eq!(target(&[vec![1.0, 0.0], vec![3.0, 0.0]], &[]), [2.0, 0.0]);
        assert_eq!(target(&[vec![1.0, 0.0]], &[vec![0.0, 1.0], vec![0.0, 3.0]]), [2.0, -2.0]);
    }
}
