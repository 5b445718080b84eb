//! Vectors of every kind and texts, each against brute force.

use std::collections::BTreeMap;

use ragstone::query::{Nearest, Query, Source};
use ragstone::{PointId, SparseVector, Vector};

use super::support::{Random, passes};
use super::world::{Numbers, World};

/// A vector of a name.
pub(crate) fn vector(numbers: Numbers, random: &mut Random, name: &str) -> Vector {
    match name {
        "half" => numbers.dense(random, name).into(),
        "late" => Vector::Multi((0..1 + random.below(3)).map(|_| numbers.components(random, 3)).collect()),
        _ => {
            let indices: Vec<u32> = (0..30).filter(|_| random.is_one_in(5)).collect();
            let mut values = numbers.components(random, indices.len());
            // An entry of nothing is none.
            values.iter_mut().filter(|value| **value == 0.0).for_each(|value| *value = 1.0);
            Vector::Sparse(SparseVector { indices, values })
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The score of a row, if it has one.
pub(crate) fn score(query: &Vector, row: &Vector) -> Option<f64> {
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
            let wanted = self.wanted(name);
            let nearest = Nearest::new(wanted.clone()).by(name);
            let nearest = if self.random.is_one_in(2) { nearest.exact() } else { nearest };
            let scores = self.points.values();
            let scores = scores
                .filter_map(|point| Some((point.id.clone(), score(&wanted, point.vectors.get(name)?)?)))
                .collect();
            self.check_scores(nearest.into(), &scores);
        }
        for _ in 0..2 {
            let query = self.text_query();
            let found = self.by_text(&query).into_iter().filter(|(_, (_, is_found))| *is_found);
            let scores = found.map(|(id, (score, _))| (id, f64::from(score))).collect();
            self.check_scores(query.into(), &scores);
        }
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
}
