//! Deaths that are not spread evenly: all of the rows nearest to a query.

use super::*;

/// Rows of a document, nearer to each other than to any other.
const CHUNKS: u64 = 40;
const DOCUMENTS: u64 = 25;

/// A walk goes on behind a deleted document, however much nearer that was than all that lives.
#[test]
fn what_lies_behind_a_deleted_document_is_found() {
    for is_sealed in [false, true] {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let db = Db::open_in(Arc::new(MemoryDir::new()), options).unwrap();
        let schema = schema(Metric::L2, EncodingKind::Int4).build().unwrap();
        let rows = db.create_collection("rows", schema).unwrap();
        let mut random = Random(11);
        let rest: Vec<Point> = (0..8_000_u64).map(|id| Point::new(id, random.vector())).collect();
        let topics: Vec<Vec<f32>> = (0..DOCUMENTS).map(|_| random.vector()).collect();
        let first = |document: u64| 10_000 + document * CHUNKS;
        let mut chunk = |topic: &[f32], id: u64| {
            Point::new(id, topic.iter().map(|x| x + 0.02 * random.normal()).collect::<Vec<f32>>())
        };
        let documents = (0_u64..).zip(&topics).flat_map(|(document, topic)| {
            (first(document)..first(document) + CHUNKS).map(|id| chunk(topic, id)).collect::<Vec<_>>()
        });
        rows.upsert(rest.into_iter().chain(documents).collect()).unwrap();
        if is_sealed {
            db.flush().unwrap();
        }
        let mut found = 0;
        for (document, topic) in (0_u64..).zip(&topics) {
            let ids: Vec<_> = (first(document)..first(document) + CHUNKS).map(crate::PointId::Num).collect();
            rows.delete(&ids).unwrap();
            let request = SearchRequest::new(topic.clone(), 10);
            let truth = rows.search(&request.clone().exact()).unwrap();
            let truth: Vec<u64> = truth.hits.iter().map(|hit| number(&hit.id)).collect();
            let answer = rows.search(&request).unwrap();
            found += answer.hits.iter().filter(|hit| truth.contains(&number(&hit.id))).count();
        }
        let wanted = DOCUMENTS as usize * 10;
        assert!(found * 100 >= wanted * 95, "{found} of {wanted}; sealed: {is_sealed}");
    }
}
