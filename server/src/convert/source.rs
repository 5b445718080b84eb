//! Sources: the tree of what points are ranked by.
//!
//! A text stands where a vector may. Texts are taken out of the tree first ([`source_texts`]), embedded together, and their
//! vectors put in their places; so what is converted knows vectors alone.

use ragstone::Vector;
use ragstone::query::{
    Example, Fuse, Fusion, Nearest, OrderBy, Recommend, Rescore, Source, Strategy, TextQuery,
};
use ragstone_proto::v1;
use ragstone_proto::v1::{example, fuse, nearest, source};
use tonic::Status;

use super::point::id_in;
use super::unknown_enum;
use super::vector::{multi_in, sparse_in};
use crate::limits::{
    EXAMPLES_MAX, FIELDS_MAX, FUSE_SOURCES_MAX, QUERY_DEPTH_MAX, TEXT_BYTES_MAX, check_count,
};
use crate::status;

/// Candidates of each source of a fusion, and of a rescoring, where none are given.
const CANDIDATES_DEFAULT: usize = 100;
/// The reciprocal ranks' `k` where none is given, that of the paper.
const RANK_K_DEFAULT: f32 = 60.0;

/// A text of a query that is to be embedded.
pub(crate) struct Text<'a> {
    /// Where it stands in the request.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Puts its vector in its place.
    pub(crate) put: Box<dyn FnOnce(Vec<f32>) + 'a>,
}

/// Whether there is a text in the tree.
pub(super) fn has_text(wire: &v1::Source) -> bool {
    let within = |source: &Option<Box<v1::Source>>| source.as_deref().is_some_and(has_text);
    match &wire.source {
        Some(source::Source::Nearest(nearest)) => matches!(nearest.query, Some(nearest::Query::Text(_))),
        Some(source::Source::Fuse(fuse)) => fuse.sources.iter().any(has_text),
        Some(source::Source::Rescore(rescore)) => within(&rescore.from) || within(&rescore.by),
        _ => false,
    }
}

/// Takes the texts out of a tree.
pub(super) fn source_texts<'a>(
    wire: &'a mut v1::Source,
    path: &str,
    texts: &mut Vec<Text<'a>>,
) -> Result<(), Status> {
    match &mut wire.source {
        Some(source::Source::Nearest(nearest)) => {
            let v1::Nearest { vector, query, .. } = nearest;
            let Some(nearest::Query::Text(text)) = query else { return Ok(()) };
            let path = format!("{path}.nearest.text");
            if !vector.is_empty() {
                let reason = "the collection's model makes the default vector; give a vector of this one";
                return Err(status::invalid(&path, reason));
            }
            let text = std::mem::take(text);
            let put = |values| *query = Some(nearest::Query::Dense(v1::Vector { values }));
            texts.push(Text { path, text, put: Box::new(put) });
        }
        Some(source::Source::Fuse(fuse)) => {
            for (index, source) in fuse.sources.iter_mut().enumerate() {
                source_texts(source, &format!("{path}.fuse.sources[{index}]"), texts)?;
            }
        }
        Some(source::Source::Rescore(rescore)) => {
            for (source, name) in [(&mut rescore.from, "from"), (&mut rescore.by, "by")] {
                if let Some(source) = source {
                    source_texts(source, &format!("{path}.rescore.{name}"), texts)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// A source; `path` names it in the request.
pub(super) fn source_at(wire: v1::Source, path: &str, depth: usize) -> Result<Source, Status> {
    if wire.weight.is_some() {
        return Err(status::invalid(&format!("{path}.weight"), "only the sources of a fusion have weights"));
    }
    unweighted(wire, path, depth)
}

fn unweighted(wire: v1::Source, path: &str, depth: usize) -> Result<Source, Status> {
    if depth > QUERY_DEPTH_MAX {
        return Err(status::beyond_limit(path, "QUERY_DEPTH_MAX", QUERY_DEPTH_MAX as u64, depth as u64));
    }
    let unset = || {
        let reason = "no source is set; set one of nearest, text, recommend, order_by, fuse and rescore";
        status::invalid(path, reason)
    };
    Ok(match wire.source.ok_or_else(unset)? {
        source::Source::Nearest(nearest) => nearest_in(nearest, &format!("{path}.nearest"))?.into(),
        source::Source::Text(words) => words_in(words, &format!("{path}.text"))?.into(),
        source::Source::Recommend(recommend) => recommend_in(recommend, &format!("{path}.recommend"))?.into(),
        source::Source::OrderBy(order) => order_in(order).into(),
        source::Source::Fuse(fuse) => fuse_in(fuse, &format!("{path}.fuse"), depth)?.into(),
        source::Source::Rescore(rescore) => rescore_in(*rescore, &format!("{path}.rescore"), depth)?.into(),
    })
}

fn nearest_in(wire: v1::Nearest, path: &str) -> Result<Nearest, Status> {
    let query = match wire.query {
        Some(nearest::Query::Dense(vector)) => Vector::Dense(vector.values),
        Some(nearest::Query::Sparse(vector)) => Vector::Sparse(sparse_in(vector, &format!("{path}.query"))?),
        Some(nearest::Query::Multi(vectors)) => Vector::Multi(multi_in(vectors, &format!("{path}.query"))?),
        Some(nearest::Query::Text(_)) | None => {
            return Err(status::invalid(
                &format!("{path}.query"),
                "no query is set; set one of dense, text, sparse and multi",
            ));
        }
    };
    Ok(Nearest {
        vector: wire.vector,
        ef: wire.ef.map(|ef| ef as usize),
        exact: wire.exact,
        ..Nearest::new(query)
    })
}

fn words_in(wire: v1::TextQuery, path: &str) -> Result<TextQuery, Status> {
    check_count(&format!("{path}.fields"), wire.fields.len(), ("FIELDS_MAX", FIELDS_MAX))?;
    check_count(&format!("{path}.query"), wire.query.len(), ("TEXT_BYTES_MAX", TEXT_BYTES_MAX))?;
    let fields = wire.fields.into_iter().map(|of| (of.field, of.boost.unwrap_or(1.0))).collect();
    Ok(TextQuery { fields, query: wire.query, all_terms: wire.all_terms })
}

fn recommend_in(wire: v1::Recommend, path: &str) -> Result<Recommend, Status> {
    check_count(path, wire.positive.len() + wire.negative.len(), ("EXAMPLES_MAX", EXAMPLES_MAX))?;
    let examples = |examples: Vec<v1::Example>, name: &str| {
        let one = |(index, example): (usize, v1::Example)| {
            let path = format!("{path}.{name}[{index}]");
            match example.example {
                Some(example::Example::Id(id)) => Ok(Example::Id(id_in(Some(id), &path)?)),
                Some(example::Example::Vector(vector)) => Ok(vector.values.into()),
                None => Err(status::invalid(&path, "no example is set; set id or vector")),
            }
        };
        examples.into_iter().enumerate().map(one).collect::<Result<Vec<_>, _>>()
    };
    let strategy = match v1::RecommendStrategy::try_from(wire.strategy) {
        Ok(v1::RecommendStrategy::Unspecified) => Strategy::default(),
        Ok(v1::RecommendStrategy::AverageVector) => Strategy::AverageVector,
        Ok(v1::RecommendStrategy::BestScore) => Strategy::BestScore,
        Err(_) => return Err(unknown_enum(&format!("{path}.strategy"), wire.strategy)),
    };
    Ok(Recommend {
        vector: wire.vector,
        positive: examples(wire.positive, "positive")?,
        negative: examples(wire.negative, "negative")?,
        strategy,
        ef: wire.ef.map(|ef| ef as usize),
        exact: wire.exact,
    })
}

/// An order by a field.
pub(super) fn order_in(wire: v1::OrderBy) -> OrderBy {
    OrderBy { field: wire.field, descending: wire.descending }
}

fn candidates(wire: Option<u32>) -> usize {
    wire.map_or(CANDIDATES_DEFAULT, |candidates| candidates as usize)
}

fn fuse_in(wire: v1::Fuse, path: &str, depth: usize) -> Result<Fuse, Status> {
    check_count(&format!("{path}.sources"), wire.sources.len(), ("FUSE_SOURCES_MAX", FUSE_SOURCES_MAX))?;
    let method = match wire.method {
        Some(fuse::Method::ReciprocalRank(by)) => {
            Fusion::ReciprocalRank { k: by.k.unwrap_or(RANK_K_DEFAULT) }
        }
        Some(fuse::Method::Weighted(_)) => Fusion::Weighted,
        None => Fusion::ReciprocalRank { k: RANK_K_DEFAULT },
    };
    let weighted = |(index, source): (usize, v1::Source)| {
        let weight = source.weight.unwrap_or(1.0);
        Ok((unweighted(source, &format!("{path}.sources[{index}]"), depth + 1)?, weight))
    };
    let sources = wire.sources.into_iter().enumerate().map(weighted).collect::<Result<_, Status>>()?;
    Ok(Fuse { sources, method, candidates: candidates(wire.candidates) })
}

fn rescore_in(wire: v1::Rescore, path: &str, depth: usize) -> Result<Rescore, Status> {
    let source = |source: Option<Box<v1::Source>>, name: &str| {
        let path = format!("{path}.{name}");
        let source = source.ok_or_else(|| status::invalid(&path, "no source is set"))?;
        source_at(*source, &path, depth + 1)
    };
    let (from, by) = (source(wire.from, "from")?, source(wire.by, "by")?);
    Ok(Rescore::new(from, by).candidates(candidates(wire.candidates)))
}
