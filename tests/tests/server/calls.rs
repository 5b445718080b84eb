//! Every call, as the Rust client makes it.

use ragstone_client::{
    CreateCollection, DropReason, Embed, Enrich, FieldType, Filter, IngestDocument, IngestStatus, ListChunks,
    ListDocuments, MediaType, Metric, OnOverflow, Point, PointId, Pooling, Query, Range, TextRole, Value,
};

use crate::fixture::{DIMENSION, MAX_TOKENS, MODEL, Server};

const MOON: &str = "# Moon\n\nThe moon orbits the earth at a distance of 384400 kilometres.\n\n\
    ## Phases\n\nA lunar cycle takes about 29 and a half days from new moon to new moon.\n";
const TEA: &str = "# Tea\n\nGreen tea is steeped in water of eighty degrees for two minutes.\n";

#[tokio::test]
async fn collections_are_made_shown_listed_and_removed() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client
        .create_collection(
            CreateCollection::with_dimension("images", 3)
                .metric(Metric::L2)
                .field("year", FieldType::Int)
                .field("title", FieldType::String)
                .strict(true),
        )
        .await
        .unwrap();
    assert_eq!((made.name.as_str(), made.dimension, made.metric), ("images", 3, Metric::L2));
    assert_eq!((made.points, made.vectors, made.strict), (0, 0, true));
    assert_eq!(made.model, None);
    assert_eq!(made.fields.get("year"), Some(&FieldType::Int));
    assert_eq!(made.fields.get("title"), Some(&FieldType::String));
    assert_eq!(client.get_collection("images").await.unwrap(), made);

    // An empty model stands for the server's default one.
    let texts = client.create_collection(CreateCollection::with_model("texts", "")).await.unwrap();
    let model = texts.model.clone().unwrap();
    assert_eq!((model.name.as_str(), model.dimension, model.max_tokens), (MODEL, DIMENSION, MAX_TOKENS));
    assert_eq!((model.pooling, model.normalize), (Pooling::Mean, true));
    assert_eq!(texts.dimension, DIMENSION);

    let names = |collections: Vec<ragstone_client::Collection>| -> Vec<String> {
        collections.into_iter().map(|collection| collection.name).collect()
    };
    assert_eq!(names(client.list_collections().await.unwrap()), ["images", "texts"]);
    // One that is there is found as it is; another is made.
    let found = client.ensure_collection(CreateCollection::with_dimension("images", 4)).await.unwrap();
    assert_eq!(found, made);
    let more = CreateCollection::with_dimension("more", 2);
    let [first, second] = [
        client.ensure_collection(more.clone()).await.unwrap(),
        client.ensure_collection(more).await.unwrap(),
    ];
    assert_eq!((first.dimension, &first), (2, &second));
    client.delete_collection("more").await.unwrap();
    client.delete_collection("images").await.unwrap();
    assert_eq!(names(client.list_collections().await.unwrap()), ["texts"]);
    server.stop().await;
}

#[tokio::test]
async fn points_are_written_read_and_removed() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2).metric(Metric::Dot)).await.unwrap();
    let points = [
        Point::new(7, [1.0, 2.0]).with("year", 2026).with("open", true).with("price", 1.5),
        Point::new("seven", [0.5, -1.0]).with("title", "Sieben ü"),
        Point::without_vector(u64::MAX),
    ];
    let first = client.upsert_points("c", points.clone()).await.unwrap();
    assert_eq!(first.points, 3);

    let ids: Vec<PointId> = vec!["seven".into(), 8.into(), 7.into(), u64::MAX.into()];
    let found = client.get_points("c", ids).await.unwrap();
    let read = |point: &Point| Point { etag: Some(first.seq), ..point.clone() };
    assert_eq!(found, [read(&points[1]), read(&points[0]), read(&points[2])]);

    let replaced = client.upsert_points("c", [Point::new(7, [3.0, 4.0])]).await.unwrap();
    assert!(replaced.seq > first.seq);
    let now = Point { etag: Some(replaced.seq), ..Point::new(7, [3.0, 4.0]) };
    assert_eq!(client.get_points("c", [7]).await.unwrap(), [now]);

    let removed = client.delete_points::<PointId>("c", [7.into(), "none".into()]).await.unwrap();
    assert_eq!(removed.points, 1);
    assert!(removed.seq > replaced.seq);
    assert_eq!(client.get_points("c", [7]).await.unwrap(), []);
    let collection = client.get_collection("c").await.unwrap();
    assert_eq!((collection.points, collection.vectors), (2, 1));
    server.stop().await;
}

/// Vectors are returned only to those who ask for them.
#[tokio::test]
async fn vectors_are_left_out_unless_asked_for() {
    use ragstone_proto::v1;
    use ragstone_proto::v1::points_service_client::PointsServiceClient;
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    client.upsert_points("c", [Point::new(1, [1.0, 0.0]).with("a", 1)]).await.unwrap();
    let mut raw = PointsServiceClient::new(server.channel().await);
    let ids = vec![v1::PointId { id: Some(v1::point_id::Id::Number(1)) }];
    for with_vectors in [false, true] {
        let request = v1::GetPointsRequest {
            collection: "c".into(),
            ids: ids.clone(),
            with_vectors,
            ..Default::default()
        };
        let points = raw.get_points(request).await.unwrap().into_inner().points;
        assert_eq!(points[0].vector.is_some(), with_vectors);
        assert_eq!(points[0].payload.len(), 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn vectors_are_searched_under_every_kind_of_filter() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("c", 2).metric(Metric::L2)).await.unwrap();
    let points = (0..10u64).map(|number| {
        Point::new(number, [number as f32, 0.0])
            .with("number", number as i64)
            .with("even", number % 2 == 0)
            .with("half", number as f64 / 2.0)
            .with("name", format!("p{number}"))
    });
    client.upsert_points("c", points).await.unwrap();
    let ids = async |filter: Filter| -> Vec<u64> {
        let found = client.query(Query::vector("c", [0.0, 0.0], 10).filter(filter)).await.unwrap();
        let ids = found.hits.into_iter().map(|hit| match hit.id {
            PointId::Num(number) => number,
            PointId::Str(text) => panic!("unexpected id {text}"),
        });
        ids.collect()
    };
    assert_eq!(ids(Filter::eq("number", 3)).await, [3]);
    assert_eq!(ids(Filter::eq("even", true)).await, [0, 2, 4, 6, 8]);
    assert_eq!(ids(Filter::any_of("name", ["p9", "p1", "none"])).await, [1, 9]);
    assert_eq!(ids(Filter::range("number", Range::new().gt(2).lte(5))).await, [3, 4, 5]);
    assert_eq!(ids(Filter::range("half", Range::new().gte(1.0).lt(2.0))).await, [2, 3]);
    assert_eq!(ids(Filter::range("name", Range::new().gte("p8"))).await, [8, 9]);
    assert_eq!(ids(Filter::eq("even", true).and(Filter::range("number", Range::new().lt(4)))).await, [0, 2]);
    assert_eq!(ids(Filter::eq("number", 1).or(Filter::eq("number", 8))).await, [1, 8]);
    assert_eq!(ids(Filter::eq("even", true).not()).await, [1, 3, 5, 7, 9]);

    let found = client.query(Query::vector("c", [3.2, 0.0], 2).ef(50)).await.unwrap();
    assert_eq!(found.hits[0].id, PointId::Num(3));
    assert!((found.hits[0].score.unwrap() - 0.2).abs() < 1e-5, "{:?}", found.hits[0].score);
    assert_eq!(found.hits[0].payload.get("name"), Some(&Value::String("p3".into())));
    assert!(found.timings.iter().any(|timing| timing.stage == "search"));

    let exact = client.query(Query::vector("c", [3.2, 0.0], 2).exact(true).without_payload()).await.unwrap();
    assert!(exact.stats.exact && exact.stats.distances >= 10, "{:?}", exact.stats);
    assert_eq!(
        exact.hits.iter().map(|hit| &hit.id).collect::<Vec<_>>(),
        [&PointId::Num(3), &PointId::Num(4)]
    );
    assert!(exact.hits.iter().all(|hit| hit.payload.is_empty()));
    server.stop().await;
}

#[tokio::test]
async fn documents_are_ingested_read_searched_cited_and_removed() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let moon = || IngestDocument::new("docs", "moon.md", MOON).source("sky").metadata("lang", "en");
    let report = client.ingest_document(moon()).await.unwrap();
    assert_eq!(report.status, IngestStatus::Added);
    assert!(report.chunks >= 1 && report.tokens > 10, "{report:?}");
    assert!(
        ["split", "embed", "store"]
            .iter()
            .all(|stage| report.timings.iter().any(|timing| timing.stage == *stage))
    );
    assert_eq!(client.ingest_document(moon()).await.unwrap().status, IngestStatus::Unchanged);
    let changed = client.ingest_document(moon().metadata("lang", "de")).await.unwrap();
    assert_eq!(changed.status, IngestStatus::Replaced);
    let tea = IngestDocument::new("docs", "tea", TEA).media_type(MediaType::Markdown);
    client.ingest_document(tea).await.unwrap();

    let document = client.get_document("docs", "moon.md").await.unwrap();
    assert_eq!((document.source.as_str(), document.media_type), ("sky", MediaType::Markdown));
    assert_eq!(document.metadata.get("lang"), Some(&Value::String("de".into())));
    assert_eq!(document.content_sha256.len(), 64);
    assert!(document.text.contains("384400"));
    let slice = |start: usize, end: usize| -> String {
        document.text.chars().skip(start).take(end - start).collect()
    };

    // Chunks, one a page, are slices of the text in their order.
    let mut chunks = Vec::new();
    let mut request = ListChunks::new("docs", "moon.md").page_size(1);
    loop {
        let page = client.list_chunks(request).await.unwrap();
        assert_eq!(page.items.len(), 1);
        chunks.extend(page.items);
        match page.next_page_token {
            Some(token) => request = ListChunks::new("docs", "moon.md").page_size(1).page_token(token),
            None => break,
        }
    }
    assert_eq!(chunks.len(), document.chunks);
    for (ordinal, chunk) in chunks.iter().enumerate() {
        assert_eq!((chunk.ordinal, chunk.document.as_str()), (ordinal, "moon.md"));
        assert_eq!(slice(chunk.start, chunk.end), chunk.text);
    }

    let all = client.list_documents(ListDocuments::new("docs")).await.unwrap();
    let ids: Vec<&str> = all.items.iter().map(|document| document.id.as_str()).collect();
    assert_eq!((ids, all.next_page_token), (vec!["moon.md", "tea"], None));
    assert!(all.items.iter().all(|document| document.text.is_empty()));
    let sky = client.list_documents(ListDocuments::new("docs").source("sky")).await.unwrap();
    assert_eq!(sky.items.len(), 1);
    let first = client.list_documents(ListDocuments::new("docs").page_size(1)).await.unwrap();
    let token = first.next_page_token.unwrap();
    let second =
        client.list_documents(ListDocuments::new("docs").page_size(1).page_token(token)).await.unwrap();
    assert_eq!((second.items[0].id.as_str(), second.next_page_token), ("tea", None));

    let found = client.query(Query::text("docs", "how far is the moon from the earth", 1)).await.unwrap();
    assert_eq!(found.hits.len(), 1);
    assert!(
        ["embed", "search"].iter().all(|stage| found.timings.iter().any(|timing| timing.stage == *stage))
    );

    let enriched = client
        .enrich(Enrich::new("docs", "what is the distance of the moon").k(3).filter(Filter::eq("lang", "de")))
        .await
        .unwrap();
    let citation = &enriched.citations[0];
    assert_eq!((citation.index, citation.document.as_str()), (1, "moon.md"));
    assert_eq!(slice(citation.start, citation.end), citation.text);
    assert!(citation.text.contains("384400") && enriched.prompt().contains("384400"));
    assert!(enriched.prompt().contains("what is the distance of the moon"));
    assert!(enriched.tokens.total > 0);
    assert_eq!(enriched.timings.last().unwrap().stage, "total");

    // What does not fit is reported, not lost.
    let bare = (enriched.tokens.instructions + enriched.tokens.question + 10) as u32;
    let tight = Enrich::new("docs", "moon tea water days").k(5).token_budget(bare);
    let tight = client.enrich(tight).await.unwrap();
    assert!(tight.dropped.iter().any(|dropped| dropped.reason == DropReason::Budget), "{tight:?}");
    let own = Enrich::new("docs", "moon").template_source("Q: {{ question }}");
    assert_eq!(client.enrich(own).await.unwrap().prompt().trim(), "Q: moon");

    assert!(client.delete_document("docs", "moon.md").await.unwrap());
    assert!(!client.delete_document("docs", "moon.md").await.unwrap());
    assert_eq!(client.list_documents(ListDocuments::new("docs")).await.unwrap().items.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn texts_are_embedded_and_models_listed() {
    let server = Server::start().await;
    let client = server.client().await;
    let texts = ["", "one two three", "one two three"];
    let embeddings = client.embed(Embed::new(texts).role(TextRole::Passage)).await.unwrap();
    assert_eq!(embeddings.model.name, MODEL);
    assert_eq!(embeddings.token_counts, [2, 5, 5]);
    assert_eq!(embeddings.truncated, [false; 3]);
    assert!(embeddings.vectors.iter().all(|vector| vector.len() == DIMENSION));
    assert_eq!(embeddings.vectors[1], embeddings.vectors[2]);
    assert_ne!(embeddings.vectors[0], embeddings.vectors[1]);

    let long = "word ".repeat(MAX_TOKENS);
    let cut = client.embed(Embed::new([&long]).model(MODEL).on_overflow(OnOverflow::Truncate)).await.unwrap();
    assert_eq!((cut.truncated, cut.token_counts), (vec![true], vec![MAX_TOKENS]));
    assert_eq!(client.embed(Embed::new(Vec::<String>::new())).await.unwrap().vectors.len(), 0);

    let models = client.list_models().await.unwrap();
    let [model] = models.as_slice() else { panic!("{models:?}") };
    assert!(model.name == MODEL && model.loaded && model.default, "{model:?}");
    assert_eq!(model.info.as_ref().unwrap(), &embeddings.model);
    server.stop().await;
}

/// Whatever was acknowledged is there for the next server over the same directory.
#[tokio::test]
async fn a_second_server_finds_what_the_first_was_told() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    client.ingest_document(IngestDocument::new("docs", "tea.md", TEA)).await.unwrap();
    client.upsert_points("docs", [Point::without_vector("own").with("a", 1)]).await.unwrap();
    let before = client.get_collection("docs").await.unwrap();
    drop(client);
    let directory = server.stop().await;

    let server = Server::start_over(directory, crate::fixture::config()).await;
    let client = server.client().await;
    let after = client.get_collection("docs").await.unwrap();
    assert_eq!((after.points, after.vectors, after.seq), (before.points, before.vectors, before.seq));
    assert_eq!(after.fields, before.fields);
    assert_eq!(client.get_document("docs", "tea.md").await.unwrap().text.trim(), TEA.trim());
    assert_eq!(client.get_points("docs", ["own"]).await.unwrap().len(), 1);
    server.stop().await;
}
