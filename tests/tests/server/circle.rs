//! A collection whose order by nearness, by field and by group is plain to see.

use ragstone_client::{CreateCollection, Hit, Point, PointId};

use crate::fixture::Server;

/// Twelve points on a circle, a year and a group each.
pub(crate) async fn server_with_a_circle() -> Server {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let points = (0..12_u64).map(|number| {
        let angle = (number as f32 * 30.0).to_radians();
        Point::new(number, [angle.cos(), angle.sin()])
            .with("year", 2000 + number as i64)
            .with("group", format!("g{}", number % 3))
    });
    client.upsert_points("c", points).await.unwrap();
    server
}

pub(crate) fn numbers(hits: &[Hit]) -> Vec<u64> {
    hits.iter()
        .map(|hit| match &hit.id {
            PointId::Num(number) => *number,
            PointId::Str(text) => panic!("unexpected id {text}"),
        })
        .collect()
}
