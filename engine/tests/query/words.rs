//! What queries by word score, naively.

use std::collections::BTreeMap;

use ragstone::query::{Source, TextQuery};
use ragstone::{Point, PointId, Value};

use super::support::words_of;
use super::world::World;

/// A row's score by word, and whether the query finds the row.
pub(crate) type Worded = (f32, bool);

impl World {
    /// BM25 over all rows that there are, shown or not; of a row without any of the words it is 0. Texts of the same words score alike to the last bit, so the
    /// scores are the engine's, after a look at each whether it is the one of the definition.
    pub(crate) fn by_text(&self, query: &TextQuery) -> BTreeMap<PointId, Worded> {
        let words: Vec<&str> = words_of(&query.query).collect();
        let fields: Vec<(&str, f64)> = match query.fields.is_empty() {
            true => self.texts.iter().map(|field| (*field, 1.0)).collect(),
            false => query.fields.iter().map(|(field, boost)| (field.as_str(), f64::from(*boost))).collect(),
        };
        let rows = || self.points.values().chain(self.unseen.values());
        let mut sums = vec![(0.0, false); rows().count()];
        for (field, boost) in fields {
            let texts: Vec<Vec<&str>> = rows().map(|point| words_in(point, field)).collect();
            let scores = bm25(&words, &texts);
            for (((sum, found), text), score) in sums.iter_mut().zip(&texts).zip(scores) {
                let has = |word: &&str| text.contains(word);
                *found |= if query.all_terms { words.iter().all(has) } else { words.iter().any(has) };
                *sum += boost * score;
            }
        }
        // Those that are shown come first.
        let ids: Vec<PointId> = self.points.keys().cloned().collect();
        let given = self.view().score(&ids, &[Source::Text(query.clone())]).unwrap().remove(0);
        let mut scores = BTreeMap::new();
        for ((id, given), (sum, found)) in ids.into_iter().zip(given).zip(sums) {
            let score = given.unwrap();
            assert!((f64::from(score) - sum).abs() < 1e-4, "{score} {sum} {id} {query:?}");
            scores.insert(id, (score, found));
        }
        scores
    }
}

/// The scores of texts.
fn bm25(words: &[&str], texts: &[Vec<&str>]) -> Vec<f64> {
    let rows = texts.iter().filter(|text| !text.is_empty()).count() as f64;
    let average = texts.iter().map(Vec::len).sum::<usize>() as f64 / rows.max(1.0);
    let mut scores = vec![0.0; texts.len()];
    for word in words {
        let with = texts.iter().filter(|text| text.contains(word)).count() as f64;
        let idf = (1.0 + (rows - with + 0.5) / (with + 0.5)).ln();
        for (score, text) in scores.iter_mut().zip(texts) {
            let count = text.iter().filter(|own| *own == word).count() as f64;
            let norm = 1.2 * (0.25 + 0.75 * text.len() as f64 / average.max(1.0));
            *score += idf * count / (count + norm);
        }
    }
    scores
}

fn words_in<'a>(point: &'a Point, field: &str) -> Vec<&'a str> {
    point.payload.get(field).and_then(Value::as_str).into_iter().flat_map(words_of).collect()
}
