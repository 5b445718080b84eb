//! What commands ask of a search: the engine's queries, but that a text may stand where a vector does.
//!
//! Who answers embeds the texts, with the model of the rows that are then searched. Embedded before, by a call of its own, a text would be one of
//! the model that the collection had then, and compared with vectors of another after a re-embedding.

use std::time::Duration;

use ragstone::query::{
    Fuse, Fusion, Group, Nearest, OrderBy, Query, Recommend, Rescore, Select, Source, TextQuery,
};
use ragstone::{Error, Filter, RangeRequest};

/// Candidates of each source of a fusion, and of a rescoring, where nothing else is said, as everywhere.
const CANDIDATES: usize = 100;
/// What is said where a text is to be compared with another vector than the model's, as a server says it.
const OTHER_VECTOR: &str = "the collection's model makes the default vector; give a vector of this one";

/// What points are ranked by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SourceAsk {
    Nearest(Nearest),
    NearestText(NearestText),
    Words(TextQuery),
    Recommend(Recommend),
    OrderBy(OrderBy),
    Fuse(FuseAsk),
    Rescore(RescoreAsk),
}

/// As [`Nearest`], to a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NearestText {
    pub(crate) text: String,
    /// Name of the vector; empty for the default one.
    pub(crate) vector: String,
    pub(crate) ef: Option<usize>,
    pub(crate) exact: bool,
}

/// As [`Fuse`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FuseAsk {
    pub(crate) sources: Vec<(SourceAsk, f32)>,
    pub(crate) method: Fusion,
    pub(crate) candidates: usize,
}

impl FuseAsk {
    /// How little first places count above others where nothing else is said, as everywhere.
    pub(crate) const RANK_K: f32 = 60.0;

    /// By places, each source counting as much as the others.
    pub(crate) fn reciprocal_rank(sources: impl IntoIterator<Item = SourceAsk>) -> Self {
        let sources = sources.into_iter().map(|source| (source, 1.0)).collect();
        Self { sources, method: Fusion::ReciprocalRank { k: Self::RANK_K }, candidates: CANDIDATES }
    }
}

/// As [`Rescore`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RescoreAsk {
    pub(crate) from: Box<SourceAsk>,
    pub(crate) by: Box<SourceAsk>,
    pub(crate) candidates: usize,
}

impl RescoreAsk {
    /// Ranks the best rows of `from` by `by`.
    pub(crate) fn new(from: SourceAsk, by: SourceAsk) -> Self {
        Self { from: Box::new(from), by: Box::new(by), candidates: CANDIDATES }
    }
}

impl SourceAsk {
    /// The texts of the tree, each with its path, in the order in which [`embedded`](Self::embedded) takes their vectors.
    pub(crate) fn texts<'a>(
        &'a self,
        path: &str,
        texts: &mut Vec<(String, &'a str)>,
    ) -> ragstone::Result<()> {
        match self {
            SourceAsk::NearestText(near) => {
                let field = format!("{path}.nearest.text");
                if !near.vector.is_empty() {
                    return Err(Error::Invalid { field, reason: OTHER_VECTOR.to_owned() });
                }
                texts.push((field, &near.text));
                Ok(())
            }
            SourceAsk::Fuse(fuse) => {
                let mut sources = fuse.sources.iter().enumerate();
                sources.try_for_each(|(index, (source, _))| {
                    source.texts(&format!("{path}.fuse.sources[{index}]"), texts)
                })
            }
            SourceAsk::Rescore(rescore) => {
                rescore.from.texts(&format!("{path}.rescore.from"), texts)?;
                rescore.by.texts(&format!("{path}.rescore.by"), texts)
            }
            SourceAsk::Nearest(_) | SourceAsk::Words(_) | SourceAsk::Recommend(_) | SourceAsk::OrderBy(_) => {
                Ok(())
            }
        }
    }

    /// The engine's source, with these vectors in the places of texts.
    pub(crate) fn embedded(&self, vectors: &mut impl Iterator<Item = Vec<f32>>) -> Source {
        match self {
            SourceAsk::Nearest(nearest) => nearest.clone().into(),
            SourceAsk::NearestText(NearestText { vector, ef, exact, .. }) => {
                let query = vectors.next().unwrap_or_default();
                Nearest { vector: vector.clone(), ef: *ef, exact: *exact, ..Nearest::new(query) }.into()
            }
            SourceAsk::Words(words) => words.clone().into(),
            SourceAsk::Recommend(recommend) => recommend.clone().into(),
            SourceAsk::OrderBy(order) => order.clone().into(),
            SourceAsk::Fuse(FuseAsk { sources, method, candidates }) => {
                let sources = sources.iter().map(|(source, weight)| (source.embedded(vectors), *weight));
                Fuse { sources: sources.collect(), method: *method, candidates: *candidates }.into()
            }
            SourceAsk::Rescore(RescoreAsk { from, by, candidates }) => {
                let (from, by) = (from.embedded(vectors), by.embedded(vectors));
                Rescore::new(from, by).candidates(*candidates).into()
            }
        }
    }
}

/// As [`Query`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueryAsk {
    pub(crate) source: SourceAsk,
    pub(crate) k: usize,
    pub(crate) filter: Option<Filter>,
    pub(crate) group: Option<Group>,
    pub(crate) select: Select,
    pub(crate) threshold: Option<f32>,
    pub(crate) budget: Option<Duration>,
    pub(crate) explain: bool,
}

impl QueryAsk {
    /// The engine's query, with these vectors in the places of texts.
    pub(crate) fn embedded(&self, vectors: &mut impl Iterator<Item = Vec<f32>>) -> Query {
        Query {
            filter: self.filter.clone(),
            group: self.group.clone(),
            select: self.select.clone(),
            threshold: self.threshold,
            budget: self.budget,
            explain: self.explain,
            ..Query::new(self.source.embedded(vectors), self.k)
        }
    }
}

/// As [`RangeRequest`].
#[derive(Clone, Debug)]
pub(crate) struct RangeAsk {
    /// In place of the request's vector.
    pub(crate) text: Option<String>,
    pub(crate) request: RangeRequest,
}

impl RangeAsk {
    /// The text that is to be embedded, if there is one.
    pub(crate) fn text(&self) -> ragstone::Result<Option<&str>> {
        match &self.text {
            Some(_) if !self.request.vector_name.is_empty() => {
                Err(Error::Invalid { field: "text".to_owned(), reason: OTHER_VECTOR.to_owned() })
            }
            text => Ok(text.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(text: &str, vector: &str) -> SourceAsk {
        let (text, vector) = (text.to_owned(), vector.to_owned());
        SourceAsk::NearestText(NearestText { text, vector, ef: Some(9), exact: true })
    }

    fn tree(second: SourceAsk) -> SourceAsk {
        let words = SourceAsk::Words(TextQuery::new("words"));
        let fuse = SourceAsk::Fuse(FuseAsk::reciprocal_rank([near("a", ""), words, second]));
        SourceAsk::Rescore(RescoreAsk::new(fuse, near("c", "")))
    }

    #[test]
    fn vectors_come_into_the_places_of_their_texts() {
        let (ask, mut texts) = (tree(near("b", "")), Vec::new());
        ask.texts("source", &mut texts).unwrap();
        let paths = ["from.fuse.sources[0]", "from.fuse.sources[2]", "by"];
        let wanted = paths.map(|path| format!("source.rescore.{path}.nearest.text"));
        assert_eq!(texts.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), wanted);
        assert_eq!(texts.iter().map(|(_, text)| *text).collect::<Vec<_>>(), ["a", "b", "c"]);

        let at = |component: f32| -> Source { Nearest::new([component]).ef(9).exact().into() };
        let words = TextQuery::new("words").into();
        let wanted = Rescore::new(Fuse::reciprocal_rank([at(1.0), words, at(2.0)]), at(3.0));
        let mut vectors = [vec![1.0], vec![2.0], vec![3.0]].into_iter();
        assert_eq!(ask.embedded(&mut vectors), wanted.into());
    }

    #[test]
    fn a_text_is_compared_with_the_vector_of_the_model_alone() {
        let error = tree(near("b", "title")).texts("source", &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(error, format!("source.rescore.from.fuse.sources[2].nearest.text: {OTHER_VECTOR}"));
        let range = |name: &str| RangeAsk {
            text: Some("b".to_owned()),
            request: RangeRequest::new(Vec::<f32>::new(), 0.5).of(name),
        };
        assert_eq!(range("").text().unwrap(), Some("b"));
        assert_eq!(range("title").text().unwrap_err().to_string(), format!("text: {OTHER_VECTOR}"));
    }
}
