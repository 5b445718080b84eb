//! Fields of every type, conditions of every kind, and conditions as people write them.

use ragstone_client::{
    Code, CreateCollection, Enrich, FieldType, Filter, GeoPoint, IngestDocument, OrderBy, Point, PointId,
    Query, Range, Scroll, Value,
};

use crate::fixture::{MODEL, Server};

const BERLIN: GeoPoint = GeoPoint { lat: 52.52, lon: 13.405 };
const POTSDAM: GeoPoint = GeoPoint { lat: 52.39, lon: 13.06 };
const PARIS: GeoPoint = GeoPoint { lat: 48.8566, lon: 2.3522 };

async fn server_with_events() -> Server {
    let server = Server::start().await;
    let client = server.client().await;
    let request = CreateCollection::with_dimension("c", 2)
        .field("at", FieldType::Timestamp)
        .field("tags", FieldType::Strings)
        .field("where", FieldType::Geo)
        .field("more", FieldType::Json)
        .field("price", FieldType::Float);
    client.create_collection(request).await.unwrap();
    let tags = |tags: &[&str]| Value::Strings(tags.iter().map(|&tag| tag.to_owned()).collect());
    let points = [
        Point::new(1, [1.0, 0.0])
            .with("title", "Tee trinken")
            .with("at", Value::Timestamp(1_000_000))
            .with("tags", tags(&["drink", "leaf"]))
            .with("where", BERLIN)
            .with("more", Value::Json(r#"{"pages": [1, 2],  "draft": null}"#.to_owned()))
            .with("price", 3.0),
        Point::new(2, [1.0, 0.1])
            .with("title", "Teer")
            .with("at", Value::Timestamp(2_000_000))
            .with("tags", tags(&["road"]))
            .with("where", POTSDAM)
            .with("price", 4.5),
        Point::new(3, [1.0, 0.2]).with("title", "Wein").with("at", Value::Timestamp(-5)).with("where", PARIS),
    ];
    client.upsert_points("c", points.clone()).await.unwrap();
    let read = client.get_points("c", [1, 2, 3]).await.unwrap();
    for (read, written) in read.iter().zip(&points) {
        assert_eq!(read.payload, written.payload, "values come back as they are, JSON to the letter");
    }
    server
}

#[tokio::test]
async fn every_condition_finds_its_points() {
    let server = server_with_events().await;
    let client = server.client().await;
    let ids = async |filter: Filter| -> Vec<u64> {
        let page = client.scroll_points(Scroll::new("c").filter(filter)).await.unwrap();
        page.items
            .into_iter()
            .map(|point| match point.id {
                PointId::Num(number) => number,
                PointId::Str(text) => panic!("unexpected id {text}"),
            })
            .collect()
    };
    assert_eq!(ids(Filter::Prefix("title".into(), "Tee".into())).await, [1, 2]);
    assert_eq!(ids(Filter::Contains("tags".into(), vec!["leaf".into(), "road".into()])).await, [1, 2]);
    assert_eq!(ids(Filter::Contains("tags".into(), vec![])).await, [0; 0]);
    assert_eq!(ids(Filter::Exists("more".into())).await, [1]);
    assert_eq!(ids(Filter::Exists("tags".into()).not()).await, [3]);
    assert_eq!(ids(Filter::GeoRadius("where".into(), BERLIN, 40_000.0)).await, [1, 2]);
    assert_eq!(
        ids(Filter::range("at", Range::new().gte(Value::Timestamp(0)).lt(Value::Timestamp(2_000_000)))).await,
        [1]
    );
    assert_eq!(ids(Filter::eq("at", Value::Timestamp(-5))).await, [3]);
    let page = client.scroll_points(Scroll::new("c").order_by(OrderBy::ascending("at"))).await.unwrap();
    assert_eq!(page.items[0].id, PointId::Num(3));
    server.stop().await;
}

#[tokio::test]
async fn conditions_that_are_wrong_are_named() {
    let server = server_with_events().await;
    let client = server.client().await;
    let nowhere = GeoPoint { lat: 91.0, lon: 0.0 };
    let cases = [
        (Filter::Prefix("price".into(), "x".into()), "filter.price"),
        (Filter::Contains("title".into(), vec!["x".into()]), "filter.title"),
        (Filter::Exists("colour".into()), "filter.colour"),
        (Filter::GeoRadius("where".into(), BERLIN, -1.0), "filter.where"),
        (Filter::GeoRadius("where".into(), nowhere, 1.0), "filter.where"),
        (Filter::eq("more", Value::Json("1".into())), "filter.more"),
        (Filter::eq("title", Value::Json("{".into())), "filter.eq.value"),
    ];
    for (filter, place) in cases {
        let error = client.count_points("c", Some(filter.clone())).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{filter:?}: {error}");
        let field = &error.field_violations()[0].field;
        assert!(field.starts_with(place), "{filter:?}: {field}");
    }
    let wrong = [
        (Value::Json("{".into()), "points[0].payload.f"),
        (Value::Geo(nowhere), "points[0].payload.f"),
        (Value::Strings(vec![String::new(); 100_000]), "points[0].payload.f"),
    ];
    for (value, place) in wrong {
        let error = client.upsert_points("c", [Point::without_vector(9).with("f", value)]).await.unwrap_err();
        assert!(error.field_violations()[0].field.starts_with(place), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn conditions_are_read_as_people_write_them() {
    let server = server_with_events().await;
    let client = server.client().await;
    let count = async |text: &str| client.count_points("c", Some(Filter::text(text))).await.unwrap();
    // A whole number beside a float field is a float.
    assert_eq!(count("price >= 3 and price < 4.5").await, 1);
    assert_eq!(count("title in (\"Teer\", 'Wein') or price = 3").await, 3);
    let nested = Filter::text("price >= 3").and(Filter::Exists("more".into()).not());
    assert_eq!(client.count_points("c", Some(nested)).await.unwrap(), 1);
    let found =
        client.query(Query::vector("c", [1.0, 0.0], 9).filter(Filter::text("price > 3"))).await.unwrap();
    assert_eq!(found.hits.len(), 1);

    let refused = async |filter: Filter| client.count_points("c", Some(filter)).await.unwrap_err();
    let error = refused(Filter::text("price >= 3 and prize < 9")).await;
    assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Some("FILTER_SYNTAX")));
    assert_eq!(error.metadata()["column"], "16");
    assert_eq!(error.field_violations()[0].field, "filter.text");
    assert!(error.message().contains("price"), "{error}");
    let error = refused(Filter::eq("price", 3.0).and(Filter::text("price >"))).await;
    assert_eq!(error.field_violations()[0].field, "filter.and[1].text");

    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    client.ingest_document(IngestDocument::new("docs", "a.md", "one two").metadata("year", 1)).await.unwrap();
    let enriched = client.enrich(Enrich::new("docs", "two").filter(Filter::text("year = 1"))).await.unwrap();
    assert_eq!(enriched.citations.len(), 1);
    let error = client.enrich(Enrich::new("docs", "two").filter(Filter::text("yaer = 1"))).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "filter.text");
    server.stop().await;
}
