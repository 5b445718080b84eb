//! Vectors of every kind and texts, each against brute force.

use std::collections::BTreeMap;

use ragstone::query::{Nearest, Query, Source, TextQuery};
use ragstone::{Point, PointId, SparseVector, Value, Vector};

use super::support::{Random, WORDS, passes, words_of};
use super::world::World;

/// A vector of a name.
pub(crate) fn vector(random: &mut Random, name: &str) -> Vector {
    match name {
        "half" => random.components(4).into(),
        "late" => Vector::Multi((0..1 + random.below(3)).map(|_| random.components(3)).collect()),
        _ => {
            let indices: Vec<u32> = (0..30).filter(|_| random.is_one_in(5)).collect();
            let values = random.components(indices.len());
            Vector::Sparse(SparseVector { indices, values })
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The score of a row, if it has one.
fn score(query: &Vector, row: &Vector) -> Option<f64> {
    match (query, row) {
        (Vector::Dense(query), Vector::Dense(row)) => Some(dot(query, row)),
        (Vector::Multi(query), Vector::Multi(rows)) => {
            let greatest =
                |query: &Vec<f32>| rows.iter().map(|row| dot(query, row)).fold(f64::NEG_INFINITY, f64::max);
            Some(query.iter().map(greatest).sum())
        }
        (Vector::Sparse(query), Vector::Sparse(row)) => {
            let entries: BTreeMap<u32, f32> =
                row.indices.iter().copied().zip(row.values.iter().copied()).collect();
            let shared = query.indices.iter().zip(&query.values);
            let products: Vec<f64> = shared
                .filter_map(|(index, value)| Some(f64::from(*value) * f64::from(*entries.get(index)?)))
                .collect();
            (!products.is_empty()).then(|| products.iter().sum())
        }
        _ => panic!("a vector has one kind"),
    }
}

impl World {
    /// Asks by each kind of vector, and by word.
    pub(crate) fn check_kinds(&mut self) {
        for name in ["half", "late", "words"] {
            let wanted = vector(&mut self.random, name);
            if wanted == Vector::Sparse(SparseVector::default()) {
                continue;
            }
            let nearest = Nearest::new(wanted.clone()).by(name);
            let nearest = if self.random.is_one_in(2) { nearest.exact() } else { nearest };
            let scores = self.points.values();
            let scores = scores
                .filter_map(|point| Some((point.id.clone(), score(&wanted, point.vectors.get(name)?)?)))
                .collect();
            self.check_scores(nearest.into(), &scores);
        }
        let words: Vec<&str> = (0..1 + self.random.below(3)).map(|_| self.random.pick(&WORDS)).collect();
        let scores = self.by_words(&words);
        self.check_scores(TextQuery::new(words.join(" ")).into(), &scores);
        let mut having = scores;
        having.retain(|id, _| {
            let own = words_in(&self.points[id]);
            words.iter().all(|word| own.contains(word))
        });
        self.check_scores(TextQuery::new(words.join(" ")).all_terms().into(), &having);
    }

    /// The best rows have the scores that they should.
    fn check_scores(&mut self, source: Source, scores: &BTreeMap<PointId, f64>) {
        let mut query = Query::new(source, 1 + self.random.below(30) as usize);
        query.filter = self.any_filter();
        let is_wanted =
            |id: &PointId| query.filter.as_ref().is_none_or(|filter| passes(filter, &self.points[id]));
        let mut expected: Vec<f64> =
            scores.iter().filter(|(id, _)| is_wanted(id)).map(|(_, score)| *score).collect();
        expected.sort_by(|a, b| b.total_cmp(a));
        expected.truncate(query.k);
        let hits = self.view().query(&query).unwrap().hits;
        assert_eq!(hits.len(), expected.len(), "{query:#?}");
        for (hit, expected) in hits.iter().zip(expected) {
            assert!(is_wanted(&hit.point.id), "{query:#?}");
            for score in [expected, scores[&hit.point.id]] {
                let found = f64::from(hit.score.unwrap_or_default());
                assert!((found - score).abs() < 1e-4, "{found} {score} {query:#?}");
            }
        }
    }

    /// BM25 over all rows that there are; of rows with a word.
    fn by_words(&self, words: &[&str]) -> BTreeMap<PointId, f64> {
        let texts: Vec<(&PointId, Vec<&str>)> =
            self.points.values().map(|point| (&point.id, words_in(point))).collect();
        let rows = texts.iter().filter(|(_, text)| !text.is_empty()).count() as f64;
        let average = texts.iter().map(|(_, text)| text.len()).sum::<usize>() as f64 / rows.max(1.0);
        let mut scores = BTreeMap::new();
        for word in words {
            let with = texts.iter().filter(|(_, text)| text.contains(word)).count() as f64;
            let idf = (1.0 + (rows - with + 0.5) / (with + 0.5)).ln();
            for (id, text) in &texts {
                let count = text.iter().filter(|own| *own == word).count() as f64;
                if count > 0.0 {
                    let norm = 1.2 * (0.25 + 0.75 * text.len() as f64 / average.max(1.0));
                    *scores.entry((*id).clone()).or_default() += idf * count / (count + norm);
                }
            }
        }
        scores
    }
}

fn words_in(point: &Point) -> Vec<&str> {
    point.payload.get("title").and_then(Value::as_str).into_iter().flat_map(words_of).collect()
}
