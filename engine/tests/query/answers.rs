//! Answers to random queries.

use std::collections::{BTreeMap, BTreeSet};

use ragstone::query::{Group, Names, Query, QueryHit, Select, Source};
use ragstone::{Metric, Point, PointId, Value, Vector};

use super::leaves::has_scores;
use super::oracle::{Row, is_smaller_better};
use super::support::{by_value, passes};
use super::world::{Numbers, World};

impl World {
    pub(crate) fn check_query(&mut self) {
        let mut query = self.query();
        let metric = self.numbers.metric();
        if has_scores(&query.source) && self.random.is_one_in(3) {
            query.threshold = Some(self.random.below(9) as f32 / 4.0 - 1.0);
        }
        query.select = self.random.pick(&[
            Select::default(),
            Select { fields: Names::of(["year", "title"]), vectors: Names::All },
            Select { fields: Names::None, vectors: Names::of([""]) },
            Select { fields: Names::All, vectors: Names::of(["half", "words"]) },
        ]);
        let response = self.view().query(&query).unwrap();
        let mut expected = self.oracle(query.filter.as_ref()).top(&query.source, query.k);
        // Of what is made of any numbers rounding may decide which side of the threshold a row is on.
        let is_plain = matches!(query.source, Source::Nearest(_));
        let is_told = query
            .threshold
            .is_none_or(|threshold| is_plain && expected.iter().all(|row| (row.1 - threshold).abs() > 1e-3));
        let reaches = reaches(metric, &query);
        expected.retain(reaches);
        if self.numbers == Numbers::Whole || is_told {
            self.compare(&query, &response.hits, &expected);
        }
        for hit in &response.hits {
            self.check_selected(&query.select, &hit.point);
        }
        assert_eq!(response.explain.is_some(), query.explain);
        if let Some(explain) = response.explain {
            assert_eq!(explain.exact, response.stats.exact);
            let root = explain.stages.last().unwrap();
            assert!(root.path.starts_with("source.") && root.rows >= response.hits.len() as u64);
            let distances: u64 = explain
                .stages
                .iter()
                .flat_map(|stage| &stage.segments)
                .map(|segment| segment.distances)
                .sum();
            assert!(distances <= response.stats.distances);
        }
    }

    fn compare(&self, query: &Query, hits: &[QueryHit], expected: &[Row]) {
        let told = || format!("{query:#?}\nfound {:?}\nexpected {expected:?}", ids(hits));
        if self.numbers == Numbers::Whole {
            let last = expected.last().map_or(0.0, |row| row.1);
            assert_eq!(hits.len(), expected.len(), "{}", told());
            for (hit, (id, score)) in hits.iter().zip(expected) {
                assert_eq!(hit.score.unwrap_or_default(), *score, "{}", told());
                // Which of those with the last score are there is not said, but for an order, which has none.
                if !has_scores(&query.source) || *score != last {
                    assert_eq!(hit.point.id, *id, "{}", told());
                }
            }
        } else {
            assert_eq!(hits.len(), expected.len(), "{}", told());
            for (hit, (_, score)) in hits.iter().zip(expected) {
                let found = hit.score.unwrap_or_default();
                assert!((found - score).abs() < 1e-3, "{found} {score} {}", told());
            }
        }
    }

    fn check_selected(&self, select: &Select, found: &Point) {
        let stored = &self.points[&found.id];
        let payload: BTreeMap<String, Value> = match &select.fields {
            Names::All => stored.payload.clone(),
            Names::None => BTreeMap::new(),
            Names::Only(names) => {
                stored.payload.clone().into_iter().filter(|(name, _)| names.contains(name)).collect()
            }
        };
        assert_eq!(found.payload, payload);
        let is_wanted = |name: &str| match &select.vectors {
            Names::All => true,
            Names::None => false,
            Names::Only(names) => names.iter().any(|wanted| wanted == name),
        };
        assert_eq!(found.vector, stored.vector.clone().filter(|_| is_wanted("")));
        let vectors: BTreeMap<String, Vector> =
            stored.vectors.clone().into_iter().filter(|(name, _)| is_wanted(name)).collect();
        assert_eq!(found.vectors, vectors);
    }

    pub(crate) fn check_groups(&mut self) {
        let field = self.told_apart();
        let k = 1 + self.random.below(6) as usize;
        let group = Group { field: field.into(), per_group: 1 + self.random.below(5) as usize };
        let depth = if self.numbers == Numbers::Whole { 2 } else { 0 };
        let mut query = Query::new(self.source(depth), k);
        query.filter = self.any_filter();
        query.group = Some(group.clone());
        let mut rows = self.oracle(query.filter.as_ref()).top(&query.source, 10_000);
        if self.numbers == Numbers::Whole && has_scores(&query.source) && k.is_multiple_of(2) {
            // Exactly the score of some rows.
            query.threshold = rows.get(rows.len() / 3).map(|row| row.1);
        }
        rows.retain(reaches(self.numbers.metric(), &query));
        let response = self.view().query(&query).unwrap();
        assert!(response.hits.is_empty());
        let mut expected: Vec<(Value, Vec<Row>)> = Vec::new();
        for row in rows {
            for value in values(&self.points[&row.0], field) {
                match expected.iter_mut().find(|group| by_value(&group.0, &value).is_eq()) {
                    Some(known) => known.1.push(row.clone()),
                    None => expected.push((value, vec![row.clone()])),
                }
            }
        }
        let told = || format!("{query:#?}\n{expected:?}\n{:?}", response.groups);
        assert_eq!(response.groups.len(), k.min(expected.len()), "{}", told());
        for (found, (_, best)) in response.groups.iter().zip(&expected) {
            // Of groups with equally good rows any may come first: each is looked at by itself.
            let first = found.hits[0].score.unwrap_or_default();
            assert!((first - best[0].1).abs() < 1e-3, "{}", told());
            let rows = &expected.iter().find(|known| by_value(&known.0, &found.value).is_eq()).unwrap().1;
            assert_eq!(found.hits.len(), rows.len().min(group.per_group), "{}", told());
            for (hit, row) in found.hits.iter().zip(rows) {
                let score = hit.score.unwrap_or_default();
                assert!((score - row.1).abs() < 1e-3, "{}", told());
                self.check_selected(&query.select, &hit.point);
                let own = values(&self.points[&hit.point.id], field);
                assert!(own.iter().any(|value| by_value(value, &found.value).is_eq()));
                assert!(has_scores(&query.source) || hit.point.id == row.0, "{}", told());
            }
        }
    }

    pub(crate) fn check_facet(&mut self) {
        let (field, filter) = (self.told_apart(), self.any_filter());
        let limit = 1 + self.random.below(30) as usize;
        let facet = self.view().facet(field, filter.as_ref(), limit).unwrap();
        let mut expected: Vec<(Value, u64)> = Vec::new();
        let mut rows: Vec<&Point> = self.points.values().collect();
        rows.retain(|point| {
            point.payload.contains_key(field) && filter.as_ref().is_none_or(|filter| passes(filter, point))
        });
        for value in rows.iter().flat_map(|point| values(point, field)) {
            match expected.iter_mut().find(|known| by_value(&known.0, &value).is_eq()) {
                Some(known) => known.1 += 1,
                None => expected.push((value, 1)),
            }
        }
        assert_eq!(facet.values, expected.len() as u64);
        assert_eq!(facet.rows, rows.len() as u64, "{field} {filter:?}");
        expected.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| by_value(&a.0, &b.0)));
        expected.truncate(limit);
        let found: Vec<(Value, u64)> = facet.counts.into_iter().map(|of| (of.value, of.count)).collect();
        assert_eq!(found, expected, "{field} {filter:?}");
    }

    fn check_batch(&mut self) {
        let queries: Vec<Query> = (0..6)
            .map(|_| {
                let mut query = self.query();
                query.explain = false;
                query
            })
            .collect();
        let view = self.view();
        let responses = view.query_batch(&queries).unwrap();
        for (query, response) in queries.iter().zip(responses) {
            // How many rows were compared depends on how many the background has linked until then.
            let alone = view.query(query).unwrap();
            assert_eq!((response.hits, response.groups), (alone.hits, alone.groups));
        }
    }
}

/// Whether a row's score is as good as a query's threshold.
fn reaches(metric: Metric, query: &Query) -> impl Fn(&Row) -> bool {
    let (threshold, is_smaller) = (query.threshold, is_smaller_better(metric, &query.source));
    move |row| threshold.is_none_or(|least| if is_smaller { row.1 <= least } else { row.1 >= least })
}

/// What a row counts as: of a list each of its texts, once.
fn values(point: &Point, field: &str) -> Vec<Value> {
    match point.payload.get(field) {
        Some(Value::Strings(texts)) => {
            let texts: BTreeSet<&String> = texts.iter().collect();
            texts.into_iter().map(|text| text.as_str().into()).collect()
        }
        value => value.cloned().into_iter().collect(),
    }
}

fn ids(hits: &[QueryHit]) -> Vec<PointId> {
    hits.iter().map(|hit| hit.point.id.clone()).collect()
}

fn run(mut world: World) {
    for _ in 0..60 {
        world.step();
        for _ in 0..6 {
            world.check_query();
            world.check_groups();
            world.check_facet();
        }
        world.check_kinds();
        world.check_batch();
        world.check_searches();
        world.check_range();
        if world.random.is_one_in(3) {
            world.check_held();
        }
    }
}

#[test]
fn whole_numbers() {
    (1..=4).for_each(|seed| run(World::new(Numbers::Whole, seed)));
}

#[test]
fn whole_numbers_of_tenants() {
    (21..=22).for_each(|seed| run(World::of_tenants(Numbers::Whole, seed)));
}

#[test]
fn whole_numbers_of_customers() {
    run(World::of_customers(Numbers::Whole, 23));
}

#[test]
fn whole_numbers_of_declared_fields() {
    run(World::strict(Numbers::Whole, 24));
}

#[test]
fn cosine() {
    run(World::new(Numbers::Any(Metric::Cosine), 5));
}

#[test]
fn dot() {
    run(World::new(Numbers::Any(Metric::Dot), 6));
}

#[test]
fn l2() {
    run(World::new(Numbers::Any(Metric::L2), 7));
}

#[test]
fn l2_of_tenants() {
    run(World::of_tenants(Numbers::Any(Metric::L2), 8));
}
