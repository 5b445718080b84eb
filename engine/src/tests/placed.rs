//! Rows that are near one another stand together in sealed segments, however they came.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::dir::memory::MemoryDir;
use crate::random::SplitMix64;
use crate::segment::SegmentView;
use crate::{Collection, Db, DbOptions, Point, PointId, Schema};

const REGIONS: u64 = 8;

/// Around the centre of its region. Every tenth has no vector.
fn point(id: u64) -> Point {
    let (mut centre, mut own) = (SplitMix64(id % REGIONS), SplitMix64(1_000 + id));
    let vector: Vec<f32> = (0..16).map(|_| centre.normal() + 0.3 * own.normal()).collect();
    let mut point = Point::new(id, vector).with("tenant", format!("t{}", id / REGIONS % 3));
    if id % 10 == 9 {
        point.vector = None;
    }
    point
}

fn ids(segment: &SegmentView) -> Vec<u64> {
    let number = |slot| match segment.id(slot) {
        PointId::Num(id) => id,
        id => panic!("{id:?}"),
    };
    (0..segment.rows).map(number).collect()
}

/// How many of the eight regions sixteen rows that follow one another are of, on average (seven in any order), among those that have a vector, which are first.
fn regions(ids: &[u64]) -> f64 {
    let with = ids.iter().take_while(|id| *id % 10 != 9).count();
    assert!(ids[with..].iter().all(|id| id % 10 == 9), "those without a vector come behind the others");
    let runs = ids[..with].chunks_exact(16);
    let count = runs.len() as f64;
    let of_run = |run: &[u64]| run.iter().map(|id| id % REGIONS).collect::<BTreeSet<_>>().len();
    runs.map(of_run).sum::<usize>() as f64 / count
}

fn write(collection: &Collection, rows: std::ops::Range<u64>) {
    collection.upsert(rows.map(point).collect()).unwrap();
}

#[test]
fn seals_and_merges_place_near_rows_together() {
    let options = DbOptions { background: false, ..DbOptions::default() };
    let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
    for (name, tenants) in [("one", 1), ("tenants", 3)] {
        let schema = Schema::builder(16).metric(crate::Metric::L2);
        let schema = if tenants > 1 { schema.tenant("tenant") } else { schema };
        let collection = db.create_collection(name, schema.build().unwrap()).unwrap();
        let mut written = 0;
        for rows in [4_800, 600, 500] {
            write(&collection, written..written + rows);
            db.flush().unwrap();
            written += rows;
            let view = collection.view();
            let ids = ids(view.state.segments.last().unwrap());
            assert_eq!(ids.len() as u64, rows);
            assert!(regions(&ids) < 5.0, "{} regions in {rows} rows of {tenants} tenants", regions(&ids));
        }
        let largest = ids(&collection.view().state.segments[0]);
        collection.delete(&(0..written).step_by(7).map(PointId::Num).collect::<Vec<_>>()).unwrap();
        db.compact().unwrap();
        let view = collection.view();
        let [segment] = &**view.state.segments else { panic!("{} segments", view.state.segments.len()) };
        let merged = ids(segment);
        let mut all = merged.clone();
        all.sort_unstable();
        assert_eq!(all, (0..written).filter(|id| id % 7 != 0).collect::<Vec<_>>());
        assert!(regions(&merged) < 5.0, "{} regions of {tenants} tenants", regions(&merged));
        let of_largest =
            |ids: &[u64]| ids.iter().copied().filter(|id| *id < 4_800 && id % 7 != 0).collect::<Vec<_>>();
        assert_eq!(of_largest(&merged), of_largest(&largest), "the largest keeps its order");
    }
}
