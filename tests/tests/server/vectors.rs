//! Collections of several vectors.

use ragstone_client::{
    Code, CreateCollection, Encoding, FieldType, Metric, Nearest, Point, PointId, Query, SparseVector,
    Vector, VectorKind, VectorOptions,
};
use ragstone_proto::v1;
use ragstone_proto::v1::collections_service_client::CollectionsServiceClient;
use ragstone_proto::v1::vector_options;

use crate::fixture::{Server, field, reason};

fn request(name: &str) -> CreateCollection {
    CreateCollection::with_dimension(name, 2)
        .encoding(Encoding::Int8)
        .graph(16, 64)
        .vector("title", VectorOptions::dense(3).metric(Metric::L2).encoding(Encoding::F32))
        .vector("words", VectorOptions::sparse())
        .vector("tokens", VectorOptions::multi(2))
}

#[tokio::test]
async fn every_kind_of_vector_is_declared_written_and_read() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client.create_collection(request("c")).await.unwrap();
    assert_eq!(made.vector_options.len(), 4);
    assert!(matches!(
        made.vector_options[""],
        VectorKind::Dense { dimension: 2, encoding: Encoding::Int8, .. }
    ));
    assert!(matches!(
        made.vector_options["title"],
        VectorKind::Dense { dimension: 3, metric: Metric::L2, .. }
    ));
    assert_eq!(made.vector_options["words"], VectorKind::Sparse);
    assert!(matches!(made.vector_options["tokens"], VectorKind::Multi { dimension: 2, .. }));

    let point = Point::new(1, [1.0, 0.0])
        .with_vector("title", [1.0, 2.0, 3.0])
        .with_vector("words", SparseVector { indices: vec![3, 17], values: vec![0.5, 1.0] })
        .with_vector("tokens", vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
    client
        .upsert_points("c", [point.clone(), Point::without_vector(2).with_vector("title", [9.0, 9.0, 9.0])])
        .await
        .unwrap();
    let read = client.get_points("c", [1, 2]).await.unwrap();
    assert_eq!(read[0].vectors, point.vectors);
    assert_eq!((read[1].vector.clone(), read[1].vectors.len()), (None, 1));

    let by_title = Nearest::vector([9.0, 9.0, 8.0]).by("title");
    let found = client.query(Query::by("c", by_title, 1).vectors(["title"])).await.unwrap();
    assert_eq!((&found.hits[0].id, found.hits[0].score), (&PointId::Num(2), Some(1.0)));
    assert_eq!(found.hits[0].vectors["title"], Vector::from([9.0, 9.0, 9.0]));
    server.stop().await;
}

#[tokio::test]
async fn a_collection_needs_no_default_vector() {
    let server = Server::start().await;
    let client = server.client().await;
    let plain = client.create_collection(CreateCollection::without_vector("rows")).await.unwrap();
    assert_eq!((plain.dimension, plain.vector_options.len()), (0, 0));
    client.upsert_points("rows", [Point::without_vector(1).with("year", 2026)]).await.unwrap();
    assert_eq!(client.count_points("rows", None).await.unwrap(), 1);
    let error = client.upsert_points("rows", [Point::new(1, [1.0])]).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "points[0].vector");
    let error = client.query(Query::vector("rows", [1.0], 1)).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    server.stop().await;
}

#[tokio::test]
async fn vectors_that_are_wrong_are_named() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(request("c")).await.unwrap();
    let sparse = |indices: &[u32], values: &[f32]| {
        Vector::Sparse(SparseVector { indices: indices.to_vec(), values: values.to_vec() })
    };
    let cases = [
        ("title", Vector::from([1.0]), "points[0].vectors.title"),
        ("none", Vector::from([1.0]), "points[0].vectors.none"),
        ("", Vector::from([1.0]), "points[0].vectors."),
        ("title", sparse(&[1], &[1.0]), "points[0].vectors.title"),
        ("words", sparse(&[2, 1], &[1.0, 1.0]), "points[0].vectors.words"),
        ("words", sparse(&[1], &[1.0, 1.0]), "points[0].vectors.words"),
        ("words", sparse(&(0..16_385).collect::<Vec<_>>(), &[1.0; 16_385]), "points[0].vectors.words"),
        ("tokens", Vector::from(vec![vec![1.0]]), "points[0].vectors.tokens"),
        ("tokens", Vector::Multi(vec![]), "points[0].vectors.tokens"),
        ("tokens", Vector::Multi(vec![vec![1.0, 0.0]; 1_025]), "points[0].vectors.tokens"),
    ];
    for (name, vector, place) in cases {
        let error = client
            .upsert_points("c", [Point::without_vector(1).with_vector(name, vector)])
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.field_violations()[0].field.starts_with(place), "{name}: {error}");
    }
    let error = client.query(Query::by("c", Nearest::vector([1.0, 0.0]).by("none"), 1)).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "source.nearest.vector");

    let mut collections = CollectionsServiceClient::new(server.channel().await);
    let good = v1::CreateCollectionRequest {
        name: "d".into(),
        vectors: Some(v1::create_collection_request::Vectors::Dimension(2)),
        ..Default::default()
    };
    let named = |name: &str, kind| v1::CreateCollectionRequest {
        vector_options: [(name.to_owned(), v1::VectorOptions { kind })].into(),
        ..good.clone()
    };
    let dense = |dense: v1::DenseVectorOptions| Some(vector_options::Kind::Dense(dense));
    let multi = |multi: v1::MultiVectorOptions| Some(vector_options::Kind::Multi(multi));
    let of = |dimension| v1::DenseVectorOptions { dimension, ..Default::default() };
    let graph = Some(v1::GraphOptions { degree: 1_000, ef_construction: 0 });
    let l2 = v1::MultiVectorOptions { dimension: 2, metric: v1::Metric::L2.into(), ..Default::default() };
    let cases = [
        (named("a", None), "INVALID_FIELD", "vector_options.a"),
        (named("", dense(of(2))), "INVALID_FIELD", "vector_options."),
        (named("a", dense(of(0))), "INVALID_FIELD", "vector_options.a.dimension"),
        (named("a", dense(of(8_193))), "LIMIT_EXCEEDED", "vector_options.a.dimension"),
        (
            named("a", dense(v1::DenseVectorOptions { metric: 9, ..of(2) })),
            "INVALID_FIELD",
            "vector_options.a.dense.metric",
        ),
        (
            named("a", dense(v1::DenseVectorOptions { encoding: 9, ..of(2) })),
            "INVALID_FIELD",
            "vector_options.a.dense.encoding",
        ),
        (
            named("a", dense(v1::DenseVectorOptions { element: 9, ..of(2) })),
            "INVALID_FIELD",
            "vector_options.a.dense.element",
        ),
        (
            named("a", dense(v1::DenseVectorOptions { graph, ..of(2) })),
            "LIMIT_EXCEEDED",
            "vector_options.a.graph.degree",
        ),
        (
            named("a", dense(v1::DenseVectorOptions { walk_dimension: Some(3), ..of(2) })),
            "LIMIT_EXCEEDED",
            "vector_options.a.walk_dimension",
        ),
        (named("a", multi(l2)), "INVALID_FIELD", "vector_options.a.metric"),
        (v1::CreateCollectionRequest { encoding: 9, ..good.clone() }, "INVALID_FIELD", "encoding"),
        (
            v1::CreateCollectionRequest { walk_dimension: Some(0), ..good.clone() },
            "INVALID_FIELD",
            "walk_dimension",
        ),
    ];
    for (request, expected_reason, expected_field) in cases {
        let status = collections.create_collection(request).await.unwrap_err();
        assert_eq!(
            (reason(&status).as_str(), field(&status).as_str()),
            (expected_reason, expected_field),
            "{status:?}"
        );
    }
    let many = (0..17).map(|n| (format!("v{n}"), v1::VectorOptions { kind: dense(of(2)) })).collect();
    let status = collections
        .create_collection(v1::CreateCollectionRequest { vector_options: many, ..good })
        .await
        .unwrap_err();
    assert_eq!((reason(&status).as_str(), field(&status).as_str()), ("LIMIT_EXCEEDED", "vector_options"));
    server.stop().await;
}

#[tokio::test]
async fn fields_are_added_later_and_texts_declared() {
    let server = Server::start().await;
    let client = server.client().await;
    let request =
        CreateCollection::with_dimension("c", 2).text("title", "").text("body", "german").strict(true);
    let made = client.create_collection(request).await.unwrap();
    assert_eq!(made.texts, [("body".into(), "german".into()), ("title".into(), "english".into())].into());
    assert_eq!(made.fields["title"], FieldType::String);
    let point = || Point::new(1, [1.0, 0.0]).with("year", 2026);
    assert!(client.upsert_points("c", [point()]).await.is_err());
    let added =
        client.add_fields("c", [("year", FieldType::Int), ("title", FieldType::String)]).await.unwrap();
    assert_eq!(added.fields["year"], FieldType::Int);
    client.upsert_points("c", [point()]).await.unwrap();

    let refused = async |name: &str, kind| client.add_fields("c", [(name, kind)]).await.unwrap_err();
    assert_eq!(refused("year", FieldType::String).await.field_violations()[0].field, "fields.year");
    assert_eq!(refused("_kind", FieldType::String).await.reason(), Some("RESERVED_NAME"));
    assert_eq!(refused("", FieldType::Int).await.field_violations()[0].field, "fields.");
    let error = client.add_fields("none", [("a", FieldType::Int)]).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let wrong = CreateCollection::with_dimension("d", 2).text("title", "klingon");
    let error = client.create_collection(wrong).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "texts.title.analyzer");
    let wrong = CreateCollection::with_dimension("d", 2).text("title", "").field("title", FieldType::Int);
    let error = client.create_collection(wrong).await.unwrap_err();
    assert_eq!(error.field_violations()[0].field, "texts.title");

    let dense = || VectorOptions::dense(2);
    let request = || CreateCollection::with_dimension("d", 2);
    for (wrong, field) in [
        (request().vector("a", dense()).vector("a", VectorOptions::sparse()), "vector_options.a"),
        (request().field("f", FieldType::Int).field("f", FieldType::Float), "fields.f"),
        (request().text("t", "code").text("t", "english"), "texts.t"),
    ] {
        let error = client.create_collection(wrong).await.unwrap_err();
        assert_eq!(
            (error.code(), error.field_violations()[0].field.as_str()),
            (Code::InvalidArgument, field)
        );
    }
    let twice = [("f", FieldType::Int), ("f", FieldType::Float)];
    let error = client.add_fields("c", twice).await.unwrap_err();
    assert_eq!(error.message(), "fields.f: it is declared twice");
    server.stop().await;
}
