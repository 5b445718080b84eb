//! Filters of a known selectivity, as fields of the rows and conditions on them.
//!
//! Each row has four integer fields: `a` and `b`, random and independent, and `fine` and `coarse`, the cluster that it
//! lies in. A condition on `a` alone matches at random; one on `a` and `b` is an AND of two conditions that each match
//! more. The clusters nearest to a query make a filter that is correlated with it, the farthest ones an anti-correlated
//! one, which is the hardest: the walk begins among rows that do not match, and the matches are elsewhere.
//!
//! Random filters are the same for all queries; those on clusters are each query's own, and match a little more than
//! was asked for, since they take whole clusters.

use ragstone::{Filter, Payload, Range, Value};

use crate::clusters::Clusters;
use crate::npy::Matrix;
use crate::random::hash;

/// The selectivities that are measured.
pub const SELECTIVITIES: [f64; 6] = [0.001, 0.01, 0.05, 0.2, 0.5, 0.9];
/// Values of the fields `a` and `b`.
pub const RANDOM_VALUES: u64 = 1_000_000;
/// Names of the fields, in the order of [`Fields::columns`].
pub const NAMES: [&str; 4] = ["a", "b", "fine", "coarse"];
/// Clusters of the field `fine`, where there are rows enough for so many.
const FINE: usize = 1_024;
/// Clusters of the field `coarse`.
const COARSE: usize = 64;
/// Rows of a fine cluster, at least, on average.
const FINE_ROWS: usize = 16;
/// Selectivity up to which filters take fine clusters.
const FINE_UP_TO: f64 = 0.02;

/// What a filter has to do with the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Random,
    /// Nothing, and it is two conditions.
    And,
    /// Rows near the query match.
    Correlated,
    /// Rows far from the query match.
    AntiCorrelated,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Random, Kind::And, Kind::Correlated, Kind::AntiCorrelated];

    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Random => "random",
            Kind::And => "and",
            Kind::Correlated => "correlated",
            Kind::AntiCorrelated => "anti-correlated",
        }
    }
}

/// The fields of all rows.
#[derive(Clone, Debug)]
pub struct Fields {
    fine: Clusters,
    coarse: Clusters,
    seed: u64,
}

impl Fields {
    /// Gives each row its fields.
    pub fn new(base: &Matrix<f32>, seed: u64) -> Self {
        let fine = Clusters::new(base, FINE.min(base.len() / FINE_ROWS), hash(seed, 2));
        let coarse = Clusters::new(base, COARSE.min(base.len() / FINE_ROWS), hash(seed, 3));
        Self { fine, coarse, seed }
    }

    /// The values of a row, in the order of [`NAMES`].
    pub fn values(&self, row: usize) -> [u32; 4] {
        let random = |field| (hash(hash(self.seed, field), row as u64) % RANDOM_VALUES) as u32;
        [random(0), random(1), self.fine.of_row[row], self.coarse.of_row[row]]
    }

    /// The values as a payload.
    pub fn payload(&self, row: usize) -> Payload {
        let values = self.values(row).map(|value| Value::Int(i64::from(value)));
        NAMES.into_iter().map(String::from).zip(values).collect()
    }

    /// The values of all rows, a line a row.
    pub fn columns(&self) -> Matrix<u32> {
        let elements = (0..self.fine.of_row.len()).flat_map(|row| self.values(row)).collect();
        Matrix { columns: NAMES.len(), elements }
    }

    /// The filters of a kind that match this share of the rows.
    pub fn selection(&self, kind: Kind, selectivity: f64, queries: &Matrix<f32>) -> Selection {
        let rows = self.fine.of_row.len();
        let below = |share: f64| (share * RANDOM_VALUES as f64).round() as u32;
        let rule = match kind {
            Kind::Random => Rule::Below { a: below(selectivity), b: RANDOM_VALUES as u32 },
            Kind::And => Rule::Below { a: below(selectivity.sqrt()), b: below(selectivity.sqrt()) },
            Kind::Correlated | Kind::AntiCorrelated => {
                let is_fine = selectivity <= FINE_UP_TO;
                let clusters = if is_fine { &self.fine } else { &self.coarse };
                let wanted = (selectivity * rows as f64).ceil() as usize;
                let chosen = clusters.chosen(queries, wanted, kind == Kind::AntiCorrelated);
                Rule::Clusters { is_fine, chosen, count: clusters.sizes.len() }
            }
        };
        Selection { kind, selectivity, rule }
    }
}

/// The filters of one kind and selectivity, one a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// What they have to do with the query.
    pub kind: Kind,
    /// The share of the rows that should match.
    pub selectivity: f64,
    /// Which rows match.
    pub rule: Rule,
}

/// Which rows match.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The same for all queries: both fields lie below these.
    Below {
        /// End of `a`.
        a: u32,
        /// End of `b`; everything passes at [`RANDOM_VALUES`].
        b: u32,
    },
    /// Those in some clusters.
    Clusters {
        /// The field: `fine` or `coarse`.
        is_fine: bool,
        /// The clusters of each query.
        chosen: Vec<Vec<u32>>,
        /// Clusters of the field.
        count: usize,
    },
}

impl Selection {
    /// Its name in results and files.
    pub fn name(&self) -> String {
        format!("{}-{}", self.kind.name(), self.selectivity * 100.0)
    }

    /// A query's filter, as a user would write it: of clusters, the shorter list.
    pub fn filter(&self, query: usize) -> Filter {
        match &self.rule {
            Rule::Below { a, b } => {
                let first = below("a", *a);
                if u64::from(*b) == RANDOM_VALUES { first } else { Filter::And(vec![first, below("b", *b)]) }
            }
            Rule::Clusters { is_fine, chosen, count } => {
                let name = if *is_fine { "fine" } else { "coarse" };
                let listed = |clusters: &mut dyn Iterator<Item = u32>| {
                    Filter::In(name.into(), clusters.map(|cluster| i64::from(cluster).into()).collect())
                };
                let chosen = &chosen[query];
                if chosen.len() * 2 <= *count {
                    return listed(&mut chosen.iter().copied());
                }
                let mut others = (0..*count as u32).filter(|cluster| !chosen.contains(cluster));
                Filter::Not(Box::new(listed(&mut others)))
            }
        }
    }

    /// Whether a row with these values matches a query's filter.
    pub fn matches(&self, values: &[u32; 4], query: usize) -> bool {
        match &self.rule {
            Rule::Below { a, b } => values[0] < *a && values[1] < *b,
            Rule::Clusters { is_fine, chosen, .. } => {
                chosen[query].contains(&values[if *is_fine { 2 } else { 3 }])
            }
        }
    }

    /// How many rows match each of the queries.
    pub fn match_counts(&self, fields: &Fields, queries: usize) -> Vec<usize> {
        match &self.rule {
            Rule::Below { .. } => {
                let rows = 0..fields.fine.of_row.len();
                vec![rows.filter(|row| self.matches(&fields.values(*row), 0)).count(); queries]
            }
            Rule::Clusters { is_fine, chosen, .. } => {
                let sizes = if *is_fine { &fields.fine.sizes } else { &fields.coarse.sizes };
                let rows = |chosen: &Vec<u32>| chosen.iter().map(|cluster| sizes[*cluster as usize]).sum();
                chosen.iter().take(queries).map(rows).collect()
            }
        }
    }
}

fn below(field: &str, end: u32) -> Filter {
    Filter::Range(field.into(), Range { lt: Some(i64::from(end).into()), ..Range::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn set(rows: usize, seed: u64) -> Matrix<f32> {
        let mut random = Random::new(seed);
        let mut set = Matrix { columns: 8, elements: (0..rows * 8).map(|_| random.normal()).collect() };
        for row in set.elements.chunks_exact_mut(8) {
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter_mut().for_each(|value| *value /= length);
        }
        set
    }

    #[test]
    fn filters_match_the_share_that_they_say() {
        let (base, queries) = (set(4_000, 1), set(5, 2));
        let fields = Fields::new(&base, 7);
        for kind in Kind::ALL {
            for selectivity in [0.01, 0.05, 0.2, 0.5, 0.9] {
                let selection = fields.selection(kind, selectivity, &queries);
                for count in selection.match_counts(&fields, 5) {
                    let share = count as f64 / 4_000.0;
                    let name = selection.name();
                    // Random counts vary by a few standard deviations; clusters come whole.
                    assert!(share > selectivity * 0.6 && share < selectivity * 1.3 + 0.04, "{name}: {share}");
                }
            }
        }
    }

    /// The oracle of the conditions: counting the rows that the engine's own filter would see, by hand.
    #[test]
    fn the_filter_says_what_the_rule_says() {
        let (base, queries) = (set(600, 1), set(3, 2));
        let fields = Fields::new(&base, 7);
        for kind in Kind::ALL {
            for selectivity in [0.01, 0.5, 0.9] {
                let selection = fields.selection(kind, selectivity, &queries);
                for query in 0..3 {
                    let filter = selection.filter(query);
                    let matching: Vec<usize> =
                        (0..600).filter(|row| selection.matches(&fields.values(*row), query)).collect();
                    let passing: Vec<usize> =
                        (0..600).filter(|row| passes(&filter, &fields.payload(*row))).collect();
                    assert_eq!(matching, passing, "{}", selection.name());
                    assert_eq!(matching.len(), selection.match_counts(&fields, 3)[query]);
                }
            }
        }
    }

    fn passes(filter: &Filter, payload: &Payload) -> bool {
        match filter {
            Filter::And(all) => all.iter().all(|filter| passes(filter, payload)),
            Filter::Not(filter) => !passes(filter, payload),
            Filter::In(field, values) => values.contains(&payload[field]),
            Filter::Range(field, range) => {
                payload[field].as_int() < range.lt.as_ref().and_then(Value::as_int)
            }
            other => panic!("no selection makes {other:?}"),
        }
    }

    #[test]
    fn near_clusters_are_nearer_than_far_ones_and_a_seed_gives_the_same() {
        let (base, queries) = (set(4_000, 1), set(1, 2));
        let fields = Fields::new(&base, 7);
        let mean = |kind| {
            let selection = fields.selection(kind, 0.05, &queries);
            let rows = (0..4_000).filter(|row| selection.matches(&fields.values(*row), 0));
            let scores: Vec<f64> = rows
                .map(|row| base.row(row).iter().zip(queries.row(0)).map(|(a, b)| f64::from(a * b)).sum())
                .collect();
            crate::quantiles::mean(&scores).unwrap()
        };
        let [random, near, far] = [Kind::Random, Kind::Correlated, Kind::AntiCorrelated].map(mean);
        assert!(near > random + 0.3 && far < random - 0.3, "{near} {random} {far}");
        assert_eq!(fields.columns(), Fields::new(&base, 7).columns());
        assert_ne!(fields.columns(), Fields::new(&base, 8).columns());
    }
}
