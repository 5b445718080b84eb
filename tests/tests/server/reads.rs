//! Pages of points in any order, counts and facets.

use ragstone_client::{Filter, OrderBy, Point, PointId, Range, RangeSearch, Scroll};
use ragstone_proto::v1;
use ragstone_proto::v1::points_service_client::PointsServiceClient;

use crate::circle::{numbers, server_with_a_circle};
use crate::fixture::{field, reason};

#[tokio::test]
async fn pages_go_through_everything_once_in_any_order() {
    let server = server_with_a_circle().await;
    let client = server.client().await;
    for order in [None, Some(OrderBy::ascending("group")), Some(OrderBy::descending("year"))] {
        let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let mut request = Scroll::new("c").page_size(5).page_token(token).fields(["group", "year"]);
            if let Some(order) = order.clone() {
                request = request.order_by(order);
            }
            let page = client.scroll_points(request).await.unwrap();
            pages += 1;
            // What is written behind or beside the pages changes nothing of what is still to come.
            client
                .upsert_points("c", [Point::without_vector(format!("new{pages}")).with("group", "a")])
                .await
                .unwrap();
            seen.extend(page.items.into_iter().filter_map(|point| match point.id {
                PointId::Num(number) => Some(number),
                PointId::Str(_) => None,
            }));
            match page.next_page_token {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(seen.len(), 12, "{order:?}: {seen:?}");
        if order == Some(OrderBy::descending("year")) {
            assert_eq!(seen, (0..12).rev().collect::<Vec<_>>());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..12).collect::<Vec<_>>());
    }
    let recent = Filter::range("year", Range::new().gte(2010));
    let page = client.scroll_points(Scroll::new("c").filter(recent).with_vectors()).await.unwrap();
    assert_eq!(page.items.len(), 2);
    assert!(page.items.iter().all(|point| point.vector.is_some() && point.payload.len() == 2));
    let bare = client.get_points_without_vectors("c", [3]).await.unwrap();
    let whole = client.get_points("c", [3]).await.unwrap();
    assert!(bare[0].vector.is_none() && whole[0].vector.is_some(), "{bare:?}");
    assert_eq!((bare[0].payload.len(), &bare[0].payload), (2, &whole[0].payload));
    let page = client.scroll_points(Scroll::new("c").without_payload()).await.unwrap();
    assert!(page.items.iter().all(|point| point.vector.is_none() && point.payload.is_empty()));
    server.stop().await;
}

#[tokio::test]
async fn all_points_of_a_range_are_found() {
    let server = server_with_a_circle().await;
    let client = server.client().await;
    let near = || RangeSearch::vector("c", [1.0, 0.0], 0.5 - 1e-6);
    let found = client.search_range(near()).await.unwrap();
    let mut numbers = numbers(&found.hits);
    assert_eq!(numbers[0], 0, "nearest first");
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 10, 11]);
    assert!(!found.truncated && found.hits.iter().all(|hit| hit.payload.len() == 2));
    let cut = client.search_range(near().limit(2).exact(true).without_payload()).await.unwrap();
    assert!(cut.truncated && cut.stats.exact && cut.hits.len() == 2 && cut.hits[0].payload.is_empty());
    let recent = near().filter(Filter::range("year", Range::new().gte(2010)));
    assert_eq!(client.search_range(recent.clone()).await.unwrap().hits.len(), 2);
    assert_eq!(found.explain, None);
    let explain = client.search_range(recent.explain()).await.unwrap().explain.unwrap();
    let [stage] = &*explain.stages else { panic!("{explain:?}") };
    assert_eq!((stage.path.as_str(), stage.rows, stage.exact), ("range", 2, explain.exact));
    let looked = stage.segments.iter().map(|segment| segment.rows).sum::<u64>();
    assert!(looked == 12 && stage.segments.iter().all(|segment| !segment.plans.is_empty()), "{stage:?}");
    let refused = async |range: RangeSearch| {
        client.search_range(range).await.unwrap_err().field_violations()[0].field.clone()
    };
    assert_eq!(refused(RangeSearch::vector("c", [1.0], 0.5)).await, "vector");
    assert_eq!(refused(RangeSearch::vector("c", [1.0, 0.0], f32::NAN)).await, "threshold");
    assert_eq!(refused(near().limit(0)).await, "limit");
    assert_eq!(refused(near().by("none")).await, "by");
    server.stop().await;
}

#[tokio::test]
async fn points_are_counted_by_condition_and_by_value() {
    let server = server_with_a_circle().await;
    let client = server.client().await;
    let recent = || Some(Filter::range("year", Range::new().gte(2004)));
    assert_eq!(client.count_points("c", None).await.unwrap(), 12);
    assert_eq!(client.count_points("c", recent()).await.unwrap(), 8);
    let facet = client.facet_points("c", "group", recent(), 2).await.unwrap();
    let counts: Vec<_> =
        facet.counts.iter().map(|(value, count)| (value.as_str().unwrap(), *count)).collect();
    assert_eq!(counts, [("g1", 3), ("g2", 3)]);
    assert_eq!((facet.values, facet.points), (3, 8));
    server.stop().await;
}

#[tokio::test]
async fn readings_that_are_wrong_are_named() {
    let server = server_with_a_circle().await;
    let mut points = PointsServiceClient::new(server.channel().await);
    let scroll = v1::ScrollPointsRequest { collection: "c".into(), page_size: 1, ..Default::default() };
    let first = points.scroll_points(scroll.clone()).await.unwrap().into_inner();
    let id = |number| Some(v1::PointId { id: Some(v1::point_id::Id::Number(number)) });
    let behind = v1::ScrollPointsRequest { after_id: first.points[0].id.clone(), ..scroll.clone() };
    let second = points.scroll_points(behind).await.unwrap().into_inner();
    let by_token = v1::ScrollPointsRequest { page_token: first.next_page_token.clone(), ..scroll.clone() };
    assert_eq!(second, points.scroll_points(by_token).await.unwrap().into_inner());
    let end = v1::ScrollPointsRequest { after_id: id(u64::MAX), ..scroll.clone() };
    assert_eq!(points.scroll_points(end).await.unwrap().into_inner().points, []);
    let order = |field: &str| Some(v1::OrderBy { field: field.into(), descending: false });
    let cases = [
        (v1::ScrollPointsRequest { page_size: 1_001, ..scroll.clone() }, "LIMIT_EXCEEDED", "page_size"),
        (
            v1::ScrollPointsRequest { page_token: "zz".into(), ..scroll.clone() },
            "INVALID_FIELD",
            "page_token",
        ),
        (
            v1::ScrollPointsRequest {
                page_token: first.next_page_token,
                order_by: order("year"),
                ..scroll.clone()
            },
            "INVALID_FIELD",
            "page_token",
        ),
        (
            v1::ScrollPointsRequest { after_id: id(3), order_by: order("year"), ..scroll.clone() },
            "INVALID_FIELD",
            "after_id",
        ),
        (
            v1::ScrollPointsRequest { after_id: id(3), page_token: "zz".into(), ..scroll.clone() },
            "INVALID_FIELD",
            "after_id",
        ),
        (
            v1::ScrollPointsRequest { after_id: Some(v1::PointId { id: None }), ..scroll.clone() },
            "INVALID_FIELD",
            "after_id",
        ),
        // A token was named, which is not in the request.
        (
            v1::ScrollPointsRequest {
                after_id: Some(v1::PointId { id: Some(v1::point_id::Id::Text(String::new())) }),
                ..scroll.clone()
            },
            "INVALID_FIELD",
            "after_id",
        ),
        (
            v1::ScrollPointsRequest { order_by: order("colour"), ..scroll.clone() },
            "UNKNOWN_PAYLOAD_FIELD",
            "order_by.colour",
        ),
        (
            v1::ScrollPointsRequest { fields: vec!["colour".into()], ..scroll.clone() },
            "UNKNOWN_PAYLOAD_FIELD",
            "fields[0].colour",
        ),
        (
            v1::ScrollPointsRequest { filter: Some(v1::Filter { condition: None }), ..scroll },
            "INVALID_FIELD",
            "filter",
        ),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = points.scroll_points(request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field(&status).as_str()), (expected_reason, expected_field));
    }
    let facet = |field: &str, limit| v1::FacetPointsRequest {
        collection: "c".into(),
        field: field.into(),
        limit,
        ..Default::default()
    };
    let cases = [
        (facet("colour", None), "UNKNOWN_PAYLOAD_FIELD", "field.colour"),
        (facet("year", Some(0)), "INVALID_FIELD", "limit"),
        (facet("year", Some(10_001)), "LIMIT_EXCEEDED", "limit"),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = points.facet_points(request).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), field(&status).as_str()), (expected_reason, expected_field));
    }
    let count = v1::CountPointsRequest {
        collection: "c".into(),
        filter: Some(v1::Filter { condition: None }),
        ..Default::default()
    };
    assert_eq!(field(&points.count_points(count).await.unwrap_err()), "filter");
    let missing = v1::CountPointsRequest { collection: "none".into(), ..Default::default() };
    let status = points.count_points(missing).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::NotFound, "COLLECTION_NOT_FOUND"));
    server.stop().await;
}
