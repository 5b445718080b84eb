//! Search by sparse vectors against a naive oracle, while rows come and die, segments are sealed and merged, and the database is
//! opened again.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::dir::memory::MemoryDir;
use crate::interrupt::Watch;
use crate::search::EntriesSearch;
use crate::{Collection, Db, DbOptions, Point, PointId, Schema, SparseVector};

type Entries = BTreeMap<u32, i8>;

fn sparse(entries: &Entries) -> SparseVector {
    let values = entries.values().map(|value| f32::from(*value) * 0.5).collect();
    SparseVector { indices: entries.keys().copied().collect(), values }
}

fn open(dir: &MemoryDir) -> (Db, Collection) {
    let options = DbOptions { seal_rows: 25, background: false, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(dir.clone()), options).unwrap();
    let schema = || Schema::without_vector().sparse("words").build();
    let collection = db.collection("c").or_else(|_| db.create_collection("c", schema()?)).unwrap();
    (db, collection)
}

fn check(collection: &Collection, model: &BTreeMap<u64, Entries>, query: &Entries, k: usize) {
    let view = collection.view();
    let (number, _) = view.state.schema.vector("words", "words").unwrap();
    let search = EntriesSearch::new(&view.state, number, &sparse(query));
    let found = search.best(k, None, &Watch::default());
    let product = |entries: &Entries| {
        let products: Vec<i32> = entries
            .iter()
            .filter_map(|(index, value)| Some(i32::from(*value) * i32::from(*query.get(index)?)))
            .collect();
        (!products.is_empty()).then(|| products.iter().sum::<i32>())
    };
    let own: BTreeMap<u64, i32> =
        model.iter().filter_map(|(id, entries)| Some((*id, product(entries)?))).collect();
    let mut best: Vec<i32> = own.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    best.truncate(k);
    let scores: Vec<i32> = found.rows.iter().map(|row| (row.score * 4.0) as i32).collect();
    assert_eq!(scores, best);
    for row in &found.rows {
        let PointId::Num(id) = view.state.segments[row.segment].id(row.slot) else {
            panic!("ids are numbers")
        };
        assert_eq!((row.score * 4.0) as i32, own[&id]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn entries_find_what_the_products_say(
        batches in prop::collection::vec(
            prop::collection::vec((0u64..70, prop::collection::btree_map(0u32..12, -5i8..6, 0..6)), 1..14),
            1..14,
        ),
        query in prop::collection::btree_map(0u32..13, -3i8..4, 0..5),
        k in 1usize..40,
    ) {
        let dir = MemoryDir::new();
        let (mut db, mut collection) = open(&dir);
        let mut model = BTreeMap::new();
        for (number, batch) in batches.into_iter().enumerate() {
            // The last of a batch counts, so each id comes once.
            let rows: BTreeMap<u64, Entries> = batch.into_iter().collect();
            let point = |(id, entries): (&u64, &Entries)| Point::without_vector(*id).with_vector("words", sparse(entries));
            collection.upsert(rows.iter().map(point).collect()).unwrap();
            model.extend(rows);
            if number % 3 == 2 {
                let id = model.keys().next().copied().unwrap_or_default();
                collection.delete(&[PointId::Num(id)]).unwrap();
                model.remove(&id);
            }
            if number % 4 == 3 {
                db.flush().unwrap();
                drop((db, collection));
                (db, collection) = open(&dir);
            }
            check(&collection, &model, &query, k);
        }
        drop(db);
    }
}
