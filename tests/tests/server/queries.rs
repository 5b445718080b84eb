//! Queries by every kind of source, in groups and in batches.

use std::time::Duration;

use ragstone_client::{
    Code, CreateCollection, Example, Explain, Fuse, Hit, IngestDocument, Interrupted, Nearest, OrderBy,
    Point, Query, Recommend, Rescore, Source, Strategy, Value,
};
use ragstone_proto::v1;
use ragstone_proto::v1::search_service_client::SearchServiceClient;
use ragstone_proto::v1::{query_request, source};

use crate::circle::{numbers, server_with_a_circle};
use crate::fixture::{MODEL, Server, field, reason};

#[tokio::test]
async fn every_source_ranks() {
    let server = server_with_a_circle().await;
    let client = server.client().await;
    let ask = async |source: Source, k| client.query(Query::by("c", source, k)).await.unwrap();
    let found = ask(Nearest::vector([1.0, 0.1]).exact(true).into(), 3).await;
    assert_eq!(numbers(&found.hits), [0, 1, 11]);
    assert!(found.stats.exact && found.hits[0].score.unwrap() > 0.99);

    let found = ask(Recommend::like([3, 5]).into(), 1).await;
    assert_eq!(numbers(&found.hits), [4], "the examples themselves are left out");
    let apart = Recommend::like([Example::vector([0.0, 1.0])]).unlike([0]).strategy(Strategy::BestScore);
    assert_eq!(numbers(&ask(apart.into(), 1).await.hits), [3]);

    let found = ask(OrderBy::descending("year").into(), 2).await;
    assert_eq!(numbers(&found.hits), [11, 10]);
    assert!(found.hits.iter().all(|hit| hit.score.is_none()));

    let both = Fuse::reciprocal_rank([Nearest::vector([1.0, 0.0]), Nearest::vector([0.0, 1.0])]);
    let found = ask(both.candidates(3).into(), 12).await;
    assert_eq!(found.hits.len(), 12, "as many candidates as are asked for, whatever the fusion says");
    let weighted = [(Nearest::vector([1.0, 0.0]), 1.0), (Nearest::vector([0.0, 1.0]), 30.0)];
    assert_eq!(numbers(&ask(Fuse::weighted(weighted).into(), 1).await.hits), [3]);

    let newest = Rescore::new(Nearest::vector([1.0, 0.0]), OrderBy::descending("year")).candidates(3);
    assert_eq!(numbers(&ask(newest.into(), 3).await.hits), [11, 1, 0]);
    server.stop().await;
}

#[tokio::test]
async fn groups_thresholds_and_what_is_returned() {
    let server = server_with_a_circle().await;
    let client = server.client().await;
    // A little to the side, so that no two points are equally near.
    let near = || Query::vector("c", [1.0, 0.01], 2);
    let found = client.query(near().group("group", 2)).await.unwrap();
    assert_eq!(found.hits, []);
    let groups: Vec<_> =
        found.groups.iter().map(|group| (group.value.as_str().unwrap(), numbers(&group.hits))).collect();
    assert_eq!(groups, [("g0", vec![0, 3]), ("g1", vec![1, 10])]);

    let above = client.query(Query::vector("c", [1.0, 0.0], 12).threshold(0.8)).await.unwrap();
    assert_eq!(numbers(&above.hits), [0, 1, 11]);

    let found = client.query(near().fields(["year"]).with_vectors()).await.unwrap();
    assert_eq!(found.hits[0].payload, [("year".to_owned(), Value::Int(2000))].into());
    assert_eq!(found.hits[0].vector, Some(vec![1.0, 0.0]));
    let found = client.query(near().without_payload().vectors([""])).await.unwrap();
    assert!(found.hits[0].payload.is_empty() && found.hits[0].vector.is_some());
    assert_eq!(client.query(near()).await.unwrap().hits[0].vector, None);
    server.stop().await;
}

/// More hits than are read in one go come with the same fields.
#[tokio::test]
async fn many_hits_are_read_in_slices() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let points =
        (0..250_u64).map(|id| Point::new(id, [1.0, id as f32]).with("n", id as i64).with("all", true));
    client.upsert_points("c", points).await.unwrap();
    for with_vectors in [false, true] {
        let mut query = Query::by("c", OrderBy::ascending("n"), 250);
        if with_vectors {
            query = query.with_vectors();
        }
        let found = client.query(query).await.unwrap();
        assert_eq!(numbers(&found.hits), (0..250).collect::<Vec<_>>());
        assert!(found.hits.iter().all(|hit| hit.payload.len() == 2 && hit.vector.is_some() == with_vectors));
    }
    let grouped = client.query(Query::vector("c", [1.0, 0.0], 1).group("all", 250)).await.unwrap();
    assert_eq!(grouped.groups[0].hits.len(), 250);
    assert!(grouped.groups[0].hits.iter().all(|hit| hit.payload.len() == 2));
    server.stop().await;
}

#[tokio::test]
async fn answers_are_explained_and_end_in_time() {
    let server = server_with_a_circle().await;
    let client = server.client().await;
    let source = Fuse::reciprocal_rank::<Source>([
        Nearest::vector([1.0, 0.0]).into(),
        OrderBy::descending("year").into(),
    ]);
    let found = client.query(Query::by("c", source, 2).explain()).await.unwrap();
    let explain = found.explain.unwrap();
    let paths: Vec<&str> = explain.stages.iter().map(|stage| stage.path.as_str()).collect();
    for path in ["source.fuse.sources[0].nearest", "source.fuse.sources[1].order_by", "source.fuse"] {
        assert!(paths.contains(&path), "{path} is not among {paths:?}");
    }
    let nearest = explain.stages.iter().find(|stage| stage.path.ends_with("nearest")).unwrap();
    assert!(nearest.segments.iter().any(|segment| !segment.plans.is_empty() && segment.rows == 12));
    assert!(client.query(Query::vector("c", [1.0, 0.0], 2)).await.unwrap().explain.is_none());

    let spent = client.query(Query::vector("c", [1.0, 0.0], 2).budget(Duration::ZERO)).await.unwrap();
    assert_eq!((spent.stats.interrupted, spent.stats.exact), (Some(Interrupted::OutOfTime), false));
    server.stop().await;
}

#[tokio::test]
async fn texts_stand_where_vectors_may() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    for (id, text) in
        [("moon.md", "The moon orbits the earth."), ("tea.md", "Green tea is steeped in water.")]
    {
        client.ingest_document(IngestDocument::new("docs", id, text)).await.unwrap();
    }
    let document = |hits: &[Hit]| hits[0].payload["_document"].as_str().unwrap().to_owned();
    let both = Fuse::weighted([(Nearest::text("green tea"), 2.0), (Nearest::text("the moon"), 1.0)]);
    let found = client.query(Query::by("docs", both, 1)).await.unwrap();
    assert_eq!(document(&found.hits), "tea.md");
    assert!(found.timings.iter().any(|timing| timing.stage == "embed"));
    let queries = [Query::text("", "moon", 1), Query::by("", Nearest::text("tea"), 1)];
    let found = client.query_batch("docs", queries).await.unwrap();
    assert_eq!((document(&found[0].hits).as_str(), document(&found[1].hits).as_str()), ("moon.md", "tea.md"));

    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let error = client.query(Query::by("c", Nearest::text("moon"), 1)).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::FailedPrecondition, Some("COLLECTION_WITHOUT_MODEL")));
    let long = "word ".repeat(100);
    let error = client.query(Query::by("docs", Nearest::text(long), 1)).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "source.nearest.text");
    server.stop().await;
}

#[tokio::test]
async fn batches_are_answered_in_their_order() {
    let server = server_with_a_circle().await;
    let client = server.client().await;
    let at = |number: u64| {
        let angle = (number as f32 * 30.0).to_radians();
        Query::vector("", [angle.cos(), angle.sin()], 1)
    };
    let answers = client.query_batch("c", (0..12).map(at)).await.unwrap();
    let first: Vec<u64> = answers.iter().map(|answer| numbers(&answer.hits)[0]).collect();
    assert_eq!(first, (0..12).collect::<Vec<_>>());
    // So many rows that they are done in parts, and a mistake in a later one is still named.
    let large = || Query::vector("", [1.0, 0.0], 9_000);
    let answers = client.query_batch("c", [large(), large(), at(3)]).await.unwrap();
    assert_eq!(answers.iter().map(|answer| answer.hits.len()).collect::<Vec<_>>(), [12, 12, 1]);
    let wrong = Query::vector("", [1.0], 1);
    let error = client.query_batch("c", [large(), large(), wrong]).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "queries[2].vector");
    // The limit is of all parts together.
    let error = client.query_batch("c", vec![large(); 112]).await.unwrap_err();
    assert_eq!(
        (error.code(), error.field_violations()[0].field.as_str()),
        (Code::InvalidArgument, "queries")
    );
    // What is read of so many later is what is read of few at once, and names that are wrong are told before.
    let few = || Query::vector("", [1.0, 0.0], 12);
    let one = |query: Query| query.fields(["year"]).vectors([""]);
    let answers = client.query_batch("c", [one(few()), one(large())]).await.unwrap();
    assert!(answers[0].hits == answers[1].hits && answers[0].hits[0].payload.len() == 1);
    let alone = client.query(one(Query::vector("c", [1.0, 0.0], 9_000))).await.unwrap();
    assert_eq!(alone.hits, answers[0].hits);
    let error = client.query_batch("c", [few(), large().fields(["year", "colour"])]).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "queries[1].fields[1].colour");
    server.stop().await;
}

#[tokio::test]
async fn sources_that_are_wrong_are_named() {
    let server = server_with_a_circle().await;
    let mut search = SearchServiceClient::new(server.channel().await);
    let nearest = |values: &[f32]| v1::Source {
        source: Some(source::Source::Nearest(v1::Nearest {
            query: Some(v1::nearest::Query::Dense(v1::Vector { values: values.to_vec() })),
            ..Default::default()
        })),
        weight: None,
    };
    let fuse = |sources: Vec<v1::Source>, candidates| v1::Source {
        source: Some(source::Source::Fuse(v1::Fuse { sources, candidates, ..Default::default() })),
        weight: None,
    };
    let order = |field: &str| v1::Source {
        source: Some(source::Source::OrderBy(v1::OrderBy { field: field.into(), descending: false })),
        weight: None,
    };
    let request = |source: v1::Source| v1::QueryRequest {
        collection: "c".into(),
        query: Some(query_request::Query::Source(source)),
        k: 1,
        ..Default::default()
    };
    let recommend = |positive: Vec<v1::Example>, strategy| v1::Source {
        source: Some(source::Source::Recommend(v1::Recommend { positive, strategy, ..Default::default() })),
        weight: None,
    };
    let id = |number| {
        let id = v1::PointId { id: Some(v1::point_id::Id::Number(number)) };
        v1::Example { example: Some(v1::example::Example::Id(id)) }
    };
    let deep = (0..8).fold(nearest(&[1.0, 0.0]), |inner, _| fuse(vec![inner], None));
    let weighted = v1::Source { weight: Some(1.0), ..nearest(&[1.0, 0.0]) };
    let minus = v1::Source { weight: Some(-1.0), ..nearest(&[1.0, 0.0]) };
    let rank = |k| {
        let method = v1::fuse::Method::ReciprocalRank(v1::fuse::ReciprocalRank { k: Some(k) });
        let fuse = v1::Fuse { sources: vec![nearest(&[1.0, 0.0])], method: Some(method), candidates: None };
        v1::Source { source: Some(source::Source::Fuse(fuse)), weight: None }
    };
    let rescore = v1::Rescore { from: Some(Box::new(nearest(&[1.0, 0.0]))), ..Default::default() };
    let rescore = v1::Source { source: Some(source::Source::Rescore(Box::new(rescore))), weight: None };
    let group = |field: &str, per_group| v1::QueryRequest {
        group: Some(v1::Group { field: field.into(), per_group }),
        ..request(nearest(&[1.0, 0.0]))
    };
    let fields = |fields: &[&str]| v1::QueryRequest {
        fields: fields.iter().map(|&field| field.to_owned()).collect(),
        ..request(nearest(&[1.0, 0.0]))
    };
    let cases = [
        (request(v1::Source { source: None, weight: None }), "INVALID_FIELD", "source"),
        (request(nearest(&[1.0])), "INVALID_FIELD", "source.nearest.query"),
        (request(weighted), "INVALID_FIELD", "source.weight"),
        (request(fuse(vec![minus], None)), "INVALID_FIELD", "source.fuse.sources[0].weight"),
        (request(fuse(vec![], None)), "INVALID_FIELD", "source.fuse.sources"),
        (request(fuse(vec![nearest(&[]); 17], None)), "LIMIT_EXCEEDED", "source.fuse.sources"),
        (request(fuse(vec![nearest(&[1.0, 0.0])], Some(10_001))), "LIMIT_EXCEEDED", "source.fuse.candidates"),
        (request(rank(f32::NAN)), "INVALID_FIELD", "source.fuse.reciprocal_rank.k"),
        (
            request(fuse(vec![order("colour")], None)),
            "UNKNOWN_PAYLOAD_FIELD",
            "source.fuse.sources[0].order_by.colour",
        ),
        (request(rescore), "INVALID_FIELD", "source.rescore.by"),
        (request(recommend(vec![], 0)), "INVALID_FIELD", "source.recommend.positive"),
        (request(recommend(vec![id(99)], 0)), "INVALID_FIELD", "source.recommend.positive[0]"),
        (request(recommend(vec![id(1)], 9)), "INVALID_FIELD", "source.recommend.strategy"),
        (request(recommend(vec![id(1); 257], 0)), "LIMIT_EXCEEDED", "source.recommend"),
        (group("group", 0), "INVALID_FIELD", "group.per_group"),
        (group("group", 1_001), "LIMIT_EXCEEDED", "group.per_group"),
        (group("colour", 1), "UNKNOWN_PAYLOAD_FIELD", "group.colour"),
        (fields(&["year", "colour"]), "UNKNOWN_PAYLOAD_FIELD", "fields[1].colour"),
        (
            v1::QueryRequest { vectors: vec!["x".into()], ..request(nearest(&[1.0, 0.0])) },
            "INVALID_FIELD",
            "vectors[0]",
        ),
        (
            v1::QueryRequest { threshold: Some(f32::NAN), ..request(nearest(&[1.0, 0.0])) },
            "INVALID_FIELD",
            "threshold",
        ),
        (v1::QueryRequest { threshold: Some(0.5), ..request(order("year")) }, "INVALID_FIELD", "threshold"),
        (v1::QueryRequest { ef: Some(5), ..request(nearest(&[1.0, 0.0])) }, "INVALID_FIELD", "ef"),
        (v1::QueryRequest { exact: true, ..request(nearest(&[1.0, 0.0])) }, "INVALID_FIELD", "exact"),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = search.query(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
        assert_eq!((reason(&status).as_str(), field(&status).as_str()), (expected_reason, expected_field));
    }
    let status = search.query(request(deep)).await.unwrap_err();
    assert_eq!(reason(&status), "LIMIT_EXCEEDED");
    assert!(field(&status).starts_with("source.fuse.sources[0].fuse"), "{status:?}");
    let other = v1::QueryRequest { collection: "d".into(), ..request(nearest(&[1.0, 0.0])) };
    let batch = v1::BatchQueryRequest { collection: "c".into(), queries: vec![other], ..Default::default() };
    assert_eq!(field(&search.batch_query(batch).await.unwrap_err()), "queries[0].collection");
    server.stop().await;
}

/// A query that is explained is the query: as exact, over as many segments, with as many hits, groups too.
#[tokio::test]
async fn a_query_is_explained_without_its_points() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    client.upsert_points("c", (1..=9u64).map(|id| Point::new(id, [1.0, id as f32]))).await.unwrap();
    let query = || Query::vector("c", [1.0, 1.0], 4);
    let whole = client.query(query().explain()).await.unwrap();
    let explained = client.explain(query()).await.unwrap();
    let paths = |explain: &Explain| explain.stages.iter().map(|stage| stage.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&explained), paths(whole.explain.as_ref().unwrap()));
    assert!(explained.exact);
    let mut raw = SearchServiceClient::new(server.channel().await);
    let request = v1::QueryRequest {
        collection: "c".into(),
        query: Some(v1::query_request::Query::Vector(v1::Vector { values: vec![1.0, 1.0] })),
        k: 4,
        ..Default::default()
    };
    let answer = raw.explain(v1::ExplainRequest { query: Some(request) }).await.unwrap().into_inner();
    assert_eq!((answer.hits, answer.timings.len()), (4, 1));
    let status = raw.explain(v1::ExplainRequest::default()).await.unwrap_err();
    assert_eq!(field(&status), "query");
    server.stop().await;
}
