//! What models do with texts: vectors, scores, counts of tokens. Many texts are computed some at a time, so that who no longer wants them
//! waits for a fraction of a second.

use ragstone::Collection;

use super::{Rag, text_model};
use crate::embed::{DEFAULT_MODEL, Embedder, Embeddings, Overflow, Role, Wanted};
use crate::error::{Error, Result};
use crate::limits::{EMBED_TEXTS_MAX, RERANK_PASSAGES_MAX, TEXT_BYTES_MAX};
use crate::prompt::{check_max, check_text};
use crate::rerank::Scores;

/// Passages that are scored at a time where many are asked for: enough to fill a model's batches, few enough that who no longer
/// wants them waits for a fraction of a second. Of texts to embed, the model says how many.
const RERANK_SLICE: usize = 64;
/// Bytes of these, unless a single text is longer: of long texts, fewer take as long.
const SLICE_BYTES: usize = 64 << 10;

impl Rag {
    /// Embeds texts as queries with the model of a collection, all in one call of it, for queries of the engine's: each comes with
    /// the name that errors have for it. The handle is what is queried then: who asks for the collection once more may get another, of another model.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::Invalid`], [`Error::Limit`] and [`Error::TokenLimit`], naming the text;
    /// [`Error::ModelMismatch`] and what else loading the model gives; the engine's errors.
    pub fn embed_queries(&self, collection: &Collection, texts: &[(&str, &str)]) -> Result<Vec<Vec<f32>>> {
        check_max("texts", texts.len(), "EMBED_TEXTS_MAX", EMBED_TEXTS_MAX)?;
        texts.iter().try_for_each(|(field, text)| check_text(field, text))?;
        let embedder = self.load(collection.name(), &text_model(collection)?)?;
        let (fields, texts): (Vec<&str>, Vec<&str>) = texts.iter().copied().unzip();
        let check_wanted = || -> Result<()> { Ok(collection.check_wanted()?) };
        let wanted = self.wanted(&check_wanted);
        let embeddings = embedder.embed_wanted(&texts, Role::Query, Overflow::Error, wanted);
        let name = |index| fields.get(index).map(|field: &&str| (*field).to_owned());
        Ok(embeddings.map_err(|error| renamed(error, "texts", name))?.vectors)
    }

    /// Embeds texts with a model, the default one when `None`.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond [`EMBED_TEXTS_MAX`] texts or [`TEXT_BYTES_MAX`] bytes of one; [`Error::TokenLimit`];
    /// what loading the model gives.
    pub fn embed(
        &self,
        model: Option<&str>,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
    ) -> Result<Embeddings> {
        check_texts(texts)?;
        self.db.check_wanted()?;
        let model = self.load_model(model.unwrap_or(DEFAULT_MODEL))?;
        let mut all = Embeddings::default();
        let check_wanted = || -> Result<()> { Ok(self.db.check_wanted()?) };
        let wanted = self.wanted(&check_wanted);
        for (from, texts) in slices(texts, model.texts_at_a_time()) {
            // The model names a text by its place in the slice that it got.
            let whole = |index: usize| Some(format!("texts[{}]", from + index));
            let some = model.embed_wanted(texts, role, overflow, wanted);
            let mut some = some.map_err(|error| renamed(error, "texts", whole))?;
            all.vectors.append(&mut some.vectors);
            all.token_counts.append(&mut some.token_counts);
            all.truncated.append(&mut some.truncated);
        }
        Ok(all)
    }

    /// Tells how well passages answer a query, with the re-ranker of a name.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond [`RERANK_PASSAGES_MAX`] passages or [`TEXT_BYTES_MAX`] bytes of a text; [`Error::Invalid`] for an
    /// empty query; [`Error::TokenLimit`] naming `query` or `passages[i]`; what loading the model gives.
    pub fn rerank(&self, model: &str, query: &str, passages: &[&str], overflow: Overflow) -> Result<Scores> {
        check_max("passages", passages.len(), "RERANK_PASSAGES_MAX", RERANK_PASSAGES_MAX)?;
        check_text("query", query)?;
        self.db.check_wanted()?;
        let reranker = self.load_reranker(model)?;
        // Without passages the query is checked all the same.
        let mut all = reranker.score_within(query, &[], overflow)?;
        for (from, passages) in slices(passages, RERANK_SLICE) {
            self.db.check_wanted()?;
            let whole = |index: usize| Some(format!("passages[{}]", from + index));
            let some = reranker.score_within(query, passages, overflow);
            let mut some = some.map_err(|error| renamed(error, "passages", whole))?;
            all.scores.append(&mut some.scores);
            all.token_counts.append(&mut some.token_counts);
            all.truncated.append(&mut some.truncated);
        }
        Ok(all)
    }

    /// Counts the tokens of texts as a model does, the default one when `None`; whether the counts are the model's own.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond [`EMBED_TEXTS_MAX`] texts or [`TEXT_BYTES_MAX`] bytes of one; as
    /// [`Models::token_counter`](crate::embed::Models::token_counter).
    pub fn count_tokens(&self, model: Option<&str>, texts: &[&str]) -> Result<(Vec<usize>, bool)> {
        check_texts(texts)?;
        self.db.check_wanted()?;
        let counter = self.load_token_counter(model.unwrap_or(DEFAULT_MODEL))?;
        let mut counts = Vec::with_capacity(texts.len());
        for text in texts {
            self.db.check_wanted()?;
            counts.push(counter.count(text));
        }
        Ok((counts, counter.is_exact()))
    }
}

/// Texts, some at a time: where each slice begins among all, and what it holds.
fn slices<'a, 'b>(texts: &'a [&'b str], texts_max: usize) -> impl Iterator<Item = (usize, &'a [&'b str])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = texts.get(from..).filter(|rest| !rest.is_empty())?;
        let mut bytes = 0;
        let fits = |text: &&&str| {
            bytes += text.len();
            bytes <= SLICE_BYTES
        };
        let len = rest.iter().take(texts_max).take_while(fits).count().max(1);
        let slice = (from, &rest[..len]);
        from += len;
        Some(slice)
    })
}

fn check_texts(texts: &[&str]) -> Result<()> {
    check_max("texts", texts.len(), "EMBED_TEXTS_MAX", EMBED_TEXTS_MAX)?;
    let check = |(at, text): (usize, &&str)| {
        check_max(&format!("texts[{at}]"), text.len(), "TEXT_BYTES_MAX", TEXT_BYTES_MAX)
    };
    texts.iter().enumerate().try_for_each(check)
}

/// A text as a query's vector.
pub(super) struct EmbeddedQuery {
    pub(super) values: Vec<f32>,
    /// Whether it was cut.
    pub(super) truncated: bool,
}

pub(super) fn embed_query(
    embedder: &dyn Embedder,
    (field, text): (&str, &str),
    overflow: Overflow,
    wanted: Wanted<'_>,
) -> Result<EmbeddedQuery> {
    let embeddings = embedder
        .embed_wanted(&[text], Role::Query, overflow, wanted)
        .map_err(|error| renamed(error, "texts", |_| Some(field.to_owned())))?;
    Ok(EmbeddedQuery {
        values: embeddings.vectors.into_iter().next().unwrap_or_default(),
        truncated: embeddings.truncated.contains(&true),
    })
}

/// A model's error of a list's element `list[i]` as one of what that element is called here.
fn renamed(error: Error, list: &str, name: impl Fn(usize) -> Option<String>) -> Error {
    let named = |field: String| {
        let index = field.strip_prefix(list).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
        index.and_then(|index| name(index.parse().ok()?)).unwrap_or(field)
    };
    match error {
        Error::TokenLimit { field, model, tokens, max } => {
            Error::TokenLimit { field: named(field), model, tokens, max }
        }
        Error::Limit { field, limit, max, actual } => {
            Error::Limit { field: named(field), limit, max, actual }
        }
        Error::Invalid { field, reason } => Error::Invalid { field: named(field), reason },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_bounded_by_texts_and_by_bytes() {
        let (half, whole) = ("x".repeat(SLICE_BYTES / 2), "x".repeat(SLICE_BYTES + 1));
        let cases: [(Vec<&str>, &[usize]); 5] = [
            (vec![], &[]),
            (vec!["a"; 64], &[64]),
            (vec!["a"; 129], &[64, 64, 1]),
            (vec![half.as_str(); 5], &[2, 2, 1]),
            (vec!["a", whole.as_str(), whole.as_str(), "a", "b"], &[1, 1, 1, 2]),
        ];
        for (texts, lengths) in cases {
            let mut expected_from = 0;
            let made: Vec<usize> = slices(&texts, 64)
                .map(|(from, slice)| {
                    assert_eq!(from, expected_from);
                    expected_from += slice.len();
                    slice.len()
                })
                .collect();
            assert_eq!(made, lengths);
            assert_eq!(expected_from, texts.len());
        }
    }
}
