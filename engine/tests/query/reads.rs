//! Searches, ranges and batches of them, and reads of a view that was held while rows were written.

use ragstone::query::{Nearest, Query, Source};
use ragstone::{Batch, Filter, Hit, Metric, Point, PointId, Range, RangeRequest, SearchRequest, Value};

use super::oracle::{Row, is_smaller_better};
use super::world::{Numbers, World};

impl World {
    /// All rows that pass a filter by a dense vector, best first, and whether smaller scores are.
    fn by_dense(&self, name: &str, vector: &[f32], filter: Option<&Filter>) -> (Vec<Row>, bool) {
        let source: Source = Nearest::new(vector.to_vec()).by(name).into();
        let rows = self.oracle(filter).top(&source, usize::MAX);
        (rows, is_smaller_better(self.numbers.metric(), &source))
    }

    /// Searches by a dense vector, one by one and together.
    pub(crate) fn check_searches(&mut self) {
        let mut requests = Vec::new();
        for _ in 0..4 {
            let name = self.random.pick(&["", "half"]);
            let vector = self.numbers.dense(&mut self.random, name);
            let mut request = SearchRequest::new(vector, 1 + self.random.below(30) as usize).of(name);
            request.filter = self.any_filter();
            request.exact = self.random.is_one_in(2);
            requests.push(request);
        }
        let view = self.view();
        let together = view.search_batch(&requests).unwrap();
        assert_eq!(together.len(), requests.len());
        for (request, response) in requests.iter().zip(together) {
            let alone = view.search(request).unwrap();
            let scores = |hits: &[Hit]| -> Vec<f32> { hits.iter().map(|hit| hit.score).collect() };
            // The background may have linked rows between both: then others of equal scores may be found.
            assert_eq!(scores(&response.hits), scores(&alone.hits), "{request:?}");
            if request.exact {
                assert_eq!(response.hits, alone.hits, "{request:?}");
            }
            let (expected, _) = self.by_dense(&request.vector_name, &request.vector, request.filter.as_ref());
            assert_eq!(response.hits.len(), expected.len().min(request.k), "{request:?}");
            for (hit, (_, score)) in response.hits.iter().zip(&expected) {
                assert!((hit.score - score).abs() < 1e-3, "{} {score} {request:?}", hit.score);
                assert_eq!(hit.payload, self.points[&hit.id].payload);
            }
        }
    }

    /// All rows as near as a threshold, by the default vector and a named one.
    pub(crate) fn check_range(&mut self) {
        let name = self.random.pick(&["", "half"]);
        let vector = self.numbers.dense(&mut self.random, name);
        let filter = self.any_filter();
        let (rows, is_smaller) = self.by_dense(name, &vector, filter.as_ref());
        if rows.is_empty() {
            return;
        }
        let last = self.random.below(rows.len() as u64) as usize;
        let threshold = match (self.numbers, rows.get(last + 1)) {
            // Exactly the score of some rows.
            (Numbers::Whole, _) => rows[last].1,
            // Between two rows that rounding cannot swap.
            (Numbers::Any(_), Some((_, next))) if (rows[last].1 - next).abs() > 1e-3 => {
                (rows[last].1 + next) / 2.0
            }
            _ => return,
        };
        let is_within = |row: &&Row| if is_smaller { row.1 <= threshold } else { row.1 >= threshold };
        let mut expected: Vec<&PointId> = rows.iter().filter(is_within).map(|row| &row.0).collect();
        expected.sort();
        let mut request = RangeRequest::new(vector, threshold).of(name);
        request.filter = filter;
        let view = self.view();
        let walked = view.search_range(&request).unwrap();
        assert!(!walked.truncated);
        assert!(walked.hits.iter().all(|hit| expected.binary_search(&&hit.id).is_ok()), "{request:?}");
        let exact = view.search_range(&request.clone().exact()).unwrap();
        let mut found: Vec<&PointId> = exact.hits.iter().map(|hit| &hit.id).collect();
        found.sort();
        assert_eq!(found, expected, "{request:?}");
        let limit = 1 + self.random.below(40) as usize;
        let nearest = view.search_range(&request.exact().limit(limit)).unwrap();
        assert_eq!(nearest.hits.len(), expected.len().min(limit));
        assert_eq!(nearest.truncated, expected.len() > limit);
        for (hit, (_, score)) in nearest.hits.iter().zip(&rows) {
            assert!((hit.score - score).abs() < 1e-3, "{} {score}", hit.score);
        }
    }

    /// A view that was held answers as of its time, whatever was written since.
    pub(crate) fn check_held(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        self.swap(&mut held);
        self.expire();
        self.check_query();
        self.check_groups();
        self.check_facet();
        self.check_kinds();
        self.check_range();
        let ids: Vec<PointId> = (0..20).map(|_| self.random.id()).collect();
        for (id, found) in ids.iter().zip(self.view().get(&ids).unwrap()) {
            assert_eq!(found.map(|point| Point { etag: None, ..point }), self.points.get(id).cloned());
        }
        self.swap(&mut held);
        self.held = Some(held);
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let mut world = World::new(Numbers::Any(Metric::L2), 31);
    world.write_some(50);
    let collection = world.store.collection();
    let before = collection.view().count(None).unwrap();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let wrong = world.point().with("weight", number);
        let batch = Batch::new().upsert(world.point()).upsert(wrong);
        let error = collection.write(batch).unwrap_err().to_string();
        assert!(error.contains("weight") && error.contains("is not a finite number"), "{error}");
        let bound = Range { gte: Some(Value::Float(number)), ..Range::default() };
        for filter in [
            Filter::eq("weight", number),
            Filter::In("weight".into(), vec![Value::Float(1.0), Value::Float(number)]),
            Filter::Range("weight".into(), bound),
        ] {
            let error = collection.view().count(Some(&filter)).unwrap_err().to_string();
            assert!(error.contains("is not a finite number"), "{error}");
        }
        let of_number = Query::new(Nearest::new([0.0, 0.0, 0.0, 0.0, 0.0, number as f32]), 1);
        assert!(collection.query(&of_number).is_err());
        let mut from_number = Query::new(Nearest::new([0.0; 6]), 1);
        from_number.threshold = Some(number as f32);
        assert!(collection.query(&from_number).is_err());
    }
    assert_eq!(collection.view().count(None).unwrap(), before);
}
