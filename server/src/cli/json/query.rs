//! The source of a query: the tree that the wire has, with its names.
//!
//! ```json
//! {"fuse": {"sources": [{"nearest": {"query": [0.1, 0.9]}, "weight": 2}, {"order_by": {"field": "year", "descending": true}}]}}
//! ```
//! In place of a vector, `{"nearest": {"text": "how far is the moon"}}` has a text, which is embedded by the model of the collection.

use anyhow::{Context, Result, bail};
use ragstone::query::{Example, Fusion, Nearest, OrderBy, Recommend, Strategy, TextQuery};
use serde_json::{Map, Value as Json};

use super::point::{id, vector};
use super::{floats, nothing_left, object};
use crate::cli::backend::{FuseAsk, NearestText, RescoreAsk, SourceAsk};

const SOURCES: &str = "nearest, text, recommend, order_by, fuse, rescore";

/// A source; `what` names it in errors.
pub(crate) fn source(json: Json, what: &str) -> Result<SourceAsk> {
    let mut named = object(json, what)?;
    let Some(name) = named.keys().next().cloned().filter(|_| named.len() == 1) else {
        bail!("{what}: a source is an object with one of {SOURCES}");
    };
    let inner = named.remove(&name).unwrap_or_default();
    let what = format!("{what}.{name}");
    let mut parts = Parts { object: object(inner, &what)?, what: what.clone() };
    let source = match name.as_str() {
        "nearest" => nearest(&mut parts)?,
        "text" => SourceAsk::Words(words(&mut parts)?),
        "recommend" => SourceAsk::Recommend(recommend(&mut parts)?),
        "order_by" => SourceAsk::OrderBy(order(&mut parts)?),
        "fuse" => SourceAsk::Fuse(fuse(&mut parts)?),
        "rescore" => SourceAsk::Rescore(rescore(&mut parts)?),
        _ => bail!("{what}: there is no such source; there are {SOURCES}"),
    };
    nothing_left(parts.object.keys(), &what, "the parts that the wire API has for it")?;
    Ok(source)
}

/// A query of many: a source, and what is asked of it in another way than of the others.
#[derive(Debug)]
pub(crate) struct QueryLine {
    pub(crate) source: SourceAsk,
    pub(crate) k: Option<usize>,
    /// As people write it.
    pub(crate) filter: Option<String>,
    pub(crate) threshold: Option<f32>,
    pub(crate) fields: Option<Vec<String>>,
}

/// A query of many: `{"source": {…}, "k": 3}`, or the source alone.
pub(crate) fn query(json: Json) -> Result<QueryLine> {
    let mut parts = Parts { object: object(json, "query")?, what: "query".to_owned() };
    let Some(inner) = parts.take("source") else {
        let source = source(Json::Object(parts.object), "source")?;
        return Ok(QueryLine { source, k: None, filter: None, threshold: None, fields: None });
    };
    let line = QueryLine {
        source: source(inner, "source")?,
        k: parts.of("k")?,
        filter: parts.of("filter")?,
        threshold: parts.of("threshold")?,
        fields: parts.of("fields")?,
    };
    nothing_left(parts.object.keys(), "query", "source, k, filter, threshold, fields")?;
    Ok(line)
}

/// The parts of a source, each of which is taken once.
struct Parts {
    object: Map<String, Json>,
    what: String,
}

impl Parts {
    fn take(&mut self, name: &str) -> Option<Json> {
        self.object.remove(name).filter(|json| !json.is_null())
    }

    fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.what)
    }

    fn required(&mut self, name: &str) -> Result<Json> {
        let path = self.path(name);
        self.take(name).with_context(|| format!("{path}: it is required"))
    }

    fn of<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let path = self.path(name);
        let read =
            |json: Json| serde_json::from_value(json.clone()).with_context(|| format!("{path}: {json}"));
        self.take(name).map(read).transpose()
    }

    fn list(&mut self, name: &str) -> Result<Vec<Json>> {
        Ok(self.of(name)?.unwrap_or_default())
    }
}

fn nearest(parts: &mut Parts) -> Result<SourceAsk> {
    let (query, text) = (parts.take("query"), parts.of("text")?);
    let name = parts.of("vector")?.unwrap_or_default();
    let (ef, exact) = (parts.of("ef")?, parts.of("exact")?.unwrap_or_default());
    match (query, text) {
        (Some(query), None) => {
            let query = vector(query, &parts.path("query"))?;
            Ok(SourceAsk::Nearest(Nearest { vector: name, ef, exact, ..Nearest::new(query) }))
        }
        (None, Some(text)) => Ok(SourceAsk::NearestText(NearestText { text, vector: name, ef, exact })),
        (Some(_), Some(_)) => bail!("{}: it has one of query and text", parts.what),
        (None, None) => bail!("{}: it is required, or a text", parts.path("query")),
    }
}

fn words(parts: &mut Parts) -> Result<TextQuery> {
    let query: Option<String> = parts.of("query")?;
    let query = query.with_context(|| format!("{}: it is required", parts.path("query")))?;
    let path = parts.path("fields");
    let boosted = |(index, json): (usize, Json)| -> Result<(String, f32)> {
        let what = format!("{path}[{index}]");
        let mut of = Parts { object: object(json, &what)?, what: what.clone() };
        let field = of.of("field")?.with_context(|| format!("{what}.field: it is required"))?;
        let boost = of.of("boost")?.unwrap_or(1.0);
        nothing_left(of.object.keys(), &what, "field and boost")?;
        Ok((field, boost))
    };
    let fields = parts.list("fields")?.into_iter().enumerate().map(boosted).collect::<Result<_>>()?;
    Ok(TextQuery { fields, query, all_terms: parts.of("all_terms")?.unwrap_or_default() })
}

fn recommend(parts: &mut Parts) -> Result<Recommend> {
    let mut examples = |name: &str| -> Result<Vec<Example>> {
        let path = parts.path(name);
        let example = |(index, json): (usize, Json)| match json {
            list @ Json::Array(_) => Ok(floats(list, &format!("{path}[{index}]"))?.into()),
            json => Ok(Example::Id(id(&json, &format!("{path}[{index}]"))?)),
        };
        parts.list(name)?.into_iter().enumerate().map(example).collect()
    };
    let (positive, negative) = (examples("positive")?, examples("negative")?);
    let strategy = match parts.of::<String>("strategy")?.as_deref() {
        None | Some("average_vector") => Strategy::AverageVector,
        Some("best_score") => Strategy::BestScore,
        Some(other) => {
            bail!("{}: `{other}` is neither average_vector nor best_score", parts.path("strategy"))
        }
    };
    Ok(Recommend {
        vector: parts.of("vector")?.unwrap_or_default(),
        positive,
        negative,
        strategy,
        ef: parts.of("ef")?,
        exact: parts.of("exact")?.unwrap_or_default(),
    })
}

fn order(parts: &mut Parts) -> Result<OrderBy> {
    let field = parts.of("field")?.with_context(|| format!("{}: it is required", parts.path("field")))?;
    Ok(OrderBy { field, descending: parts.of("descending")?.unwrap_or_default() })
}

fn fuse(parts: &mut Parts) -> Result<FuseAsk> {
    let path = parts.path("sources");
    let weighted = |(index, json): (usize, Json)| {
        let path = format!("{path}[{index}]");
        let mut object = object(json, &path)?;
        let weight = object.remove("weight").map_or(Some(1.0), |weight| weight.as_f64());
        let weight = weight.with_context(|| format!("{path}.weight: it is a number"))? as f32;
        Ok((source(Json::Object(object), &path)?, weight))
    };
    let sources = parts.list("sources")?.into_iter().enumerate().map(weighted).collect::<Result<Vec<_>>>()?;
    let method = match (parts.take("weighted"), parts.take("reciprocal_rank")) {
        (None, None) => None,
        (Some(by), None) => {
            let what = parts.path("weighted");
            nothing_left(object(by, &what)?.keys(), &what, "no parts of it: write {}")?;
            Some(Fusion::Weighted)
        }
        (None, Some(by)) => {
            let what = parts.path("reciprocal_rank");
            let mut by = Parts { object: object(by, &what)?, what: what.clone() };
            let k = by.of("k")?.unwrap_or(FuseAsk::RANK_K);
            nothing_left(by.object.keys(), &what, "k")?;
            Some(Fusion::ReciprocalRank { k })
        }
        (Some(_), Some(_)) => bail!("{}: it has one method", parts.what),
    };
    let mut fuse = FuseAsk::reciprocal_rank([]);
    fuse.sources = sources;
    fuse.method = method.unwrap_or(fuse.method);
    fuse.candidates = parts.of("candidates")?.unwrap_or(fuse.candidates);
    Ok(fuse)
}

fn rescore(parts: &mut Parts) -> Result<RescoreAsk> {
    let (from, by) = (parts.required("from")?, parts.required("by")?);
    let (from, by) = (source(from, &parts.path("from"))?, source(by, &parts.path("by"))?);
    let mut rescore = RescoreAsk::new(from, by);
    rescore.candidates = parts.of("candidates")?.unwrap_or(rescore.candidates);
    Ok(rescore)
}

#[cfg(test)]
mod tests {
    use ragstone::query::{Fuse, Rescore, Source};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tree_is_that_of_the_engine() {
        let json = json!({"rescore": {
            "from": {"fuse": {
                "sources": [
                    {"nearest": {"query": [1, 0.5], "ef": 50}, "weight": 2},
                    {"text": {"query": "the moon", "fields": [{"field": "title", "boost": 2}, {"field": "body"}]}},
                    {"recommend": {"positive": [3, "x", [0, 1]], "strategy": "best_score"}},
                ],
                "weighted": {},
            }},
            "by": {"order_by": {"field": "year", "descending": true}},
            "candidates": 7,
        }});
        let like = Recommend::like([Example::from(3), "x".into(), vec![0.0, 1.0].into()]);
        let near = Nearest::new([1.0, 0.5]).ef(50);
        let words = TextQuery::new("the moon").field("title", 2.0).field("body", 1.0);
        let like = like.strategy(Strategy::BestScore);
        let fuse = Fuse::weighted::<Source>([(near.into(), 2.0), (words.into(), 1.0), (like.into(), 1.0)]);
        let wanted = Rescore::new(fuse, OrderBy::descending("year")).candidates(7);
        let read = source(json, "source").unwrap();
        assert_eq!(read.embedded(&mut std::iter::empty()), wanted.into());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |json| format!("{:#}", source(json, "source").unwrap_err());
        assert!(refused(json!({})).starts_with("source: a source is an object with one of nearest"));
        assert!(refused(json!({"divine": {}})).starts_with("source.divine: there is no such source"));
        let misspelt = json!({"text": {"query": "x", "fields": [{"field": "a", "weight": 2}]}});
        assert!(refused(misspelt).starts_with("source.text.fields[0]: there is no `weight`"));
        assert!(refused(json!({"nearest": {}})).starts_with("source.nearest.query: it is required"));
        assert!(refused(json!({"nearest": {"query": [1], "k": 3}})).contains("there is no `k`"));
        let fuse = json!({"fuse": {"sources": [{"order_by": {"field": "a"}}, {"nearest": {"query": "x"}}]}});
        assert!(refused(fuse).starts_with("source.fuse.sources[1].nearest.query: "));
    }

    #[test]
    fn a_text_stands_where_a_vector_does() {
        let near = json!({"nearest": {"text": "the moon", "ef": 9}});
        let text =
            NearestText { text: "the moon".to_owned(), vector: String::new(), ef: Some(9), exact: false };
        let fuse = source(json!({"fuse": {"sources": [near]}}), "source").unwrap();
        assert_eq!(fuse, SourceAsk::Fuse(FuseAsk::reciprocal_rank([SourceAsk::NearestText(text)])));
        let refused = |json| format!("{:#}", source(json, "source").unwrap_err());
        let both = json!({"nearest": {"text": "x", "query": [1]}});
        assert_eq!(refused(both), "source.nearest: it has one of query and text");
        assert!(refused(json!({"nearest": {"text": [1]}})).starts_with("source.nearest.text: "));
    }

    #[test]
    fn a_query_of_many_is_a_source_with_or_without_more() {
        let order = json!({"order_by": {"field": "a"}});
        let bare = query(order.clone()).unwrap();
        assert_eq!((&bare.k, &bare.filter), (&None, &None));
        let more = json!({"source": order, "k": 3, "filter": "a > 1", "threshold": 0.5, "fields": ["a"]});
        let more = query(more).unwrap();
        assert_eq!(more.source, bare.source);
        assert_eq!((more.k, more.filter.as_deref(), more.threshold), (Some(3), Some("a > 1"), Some(0.5)));
        assert_eq!(more.fields, Some(vec!["a".to_owned()]));
        let refused = |json| format!("{:#}", query(json).unwrap_err());
        assert!(refused(json!([1])).starts_with("query: [1] is no object"));
        assert!(refused(json!({"k": 3})).starts_with("source.k: "));
        let order = || json!({"order_by": {"field": "a"}});
        assert!(refused(json!({"source": order(), "kk": 3})).starts_with("query: there is no `kk`"));
        assert!(refused(json!({"source": order(), "k": "3"})).starts_with("query.k: "));
        assert!(refused(json!({"source": {}})).starts_with("source: a source is an object"));
    }

    /// A name that was mistyped, or a method of another type, was once passed over, and the default taken.
    #[test]
    fn methods_of_a_fusion_are_read_to_the_last_part() {
        let fuse = |name: &str, method: Json| {
            let sources = json!([{"order_by": {"field": "a"}}]);
            source(json!({"fuse": {"sources": sources, name: method}}), "source")
        };
        let method = |name: &str, of: Json| match fuse(name, of).unwrap() {
            SourceAsk::Fuse(fuse) => fuse.method,
            other => panic!("{other:?}"),
        };
        assert_eq!(method("reciprocal_rank", json!({"k": 1})), Fusion::ReciprocalRank { k: 1.0 });
        for default in [json!({}), json!({"k": null}), json!(null)] {
            assert_eq!(method("reciprocal_rank", default), Fusion::ReciprocalRank { k: 60.0 });
        }
        assert_eq!(method("weighted", json!({})), Fusion::Weighted);
        let refused = |name: &str, of: Json| format!("{:#}", fuse(name, of).unwrap_err());
        let ranks = "reciprocal_rank";
        assert!(
            refused(ranks, json!({"kk": 1})).starts_with("source.fuse.reciprocal_rank: there is no `kk`")
        );
        assert!(refused(ranks, json!({"k": "1"})).starts_with("source.fuse.reciprocal_rank.k: "));
        assert!(refused(ranks, json!(5)).starts_with("source.fuse.reciprocal_rank: 5 is no object"));
        assert!(refused("weighted", json!(false)).starts_with("source.fuse.weighted: false is no object"));
        assert!(refused("weighted", json!({"k": 1})).starts_with("source.fuse.weighted: there is no `k`"));
    }
}
