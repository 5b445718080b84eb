//! Search by word, alone and together with other sources.

use ragstone_client::{
    Code, CreateCollection, Fuse, Hit, Nearest, Point, PointId, Query, QueryResult, Rescore, Source,
    TextQuery,
};

use crate::fixture::Server;

const TEXTS: [(u64, &str, &str); 4] = [
    (1, "Moon", "The moon orbits the earth in a month."),
    (2, "Tides", "Tides follow the moon; the moon pulls the water."),
    (3, "Tea", "Green tea is steeped in hot water."),
    (4, "Rocks", "Basalt is a rock."),
];

/// Texts with a title and a vector each, near `[1, 0]` in the order of their numbers.
async fn server_with_texts() -> Server {
    let server = Server::start().await;
    let client = server.client().await;
    let texts = CreateCollection::with_dimension("t", 2).text("title", "english").text("body", "english");
    client.create_collection(texts).await.unwrap();
    let points = TEXTS.map(|(number, title, body)| {
        Point::new(number, [1.0, 0.1 * number as f32]).with("title", title).with("body", body)
    });
    client.upsert_points("t", points).await.unwrap();
    server
}

fn ids(hits: &[Hit]) -> Vec<PointId> {
    hits.iter().map(|hit| hit.id.clone()).collect()
}

fn numbers(list: &[u64]) -> Vec<PointId> {
    list.iter().map(|&number| number.into()).collect()
}

#[tokio::test]
async fn words_find_what_has_them_as_soon_as_it_is_written() {
    let server = server_with_texts().await;
    let client = server.client().await;
    let ask = async |source: TextQuery| -> QueryResult {
        client.query(Query::by("t", source, 10).explain()).await.unwrap()
    };
    let found = ask(TextQuery::new("moons")).await;
    assert_eq!(ids(&found.hits).len(), 2, "stems are compared");
    assert!(found.stats.exact && found.hits[0].score > found.hits[1].score);
    let explain = found.explain.unwrap();
    assert_eq!(explain.stages[0].path, "source.text");
    assert!(explain.stages[0].postings > 0, "{explain:?}");
    assert_eq!(explain.stages[0].segments[0].plans, ["postings"]);
    assert_eq!(explain.stages[0].segments[0].found, 2);

    assert_eq!(ids(&ask(TextQuery::new("water moon").all_terms(true)).await.hits), numbers(&[2]));
    let titles = TextQuery::new("moon tea").field("title", 1.0);
    let mut found = ids(&ask(titles).await.hits);
    found.sort();
    assert_eq!(found, numbers(&[1, 3]), "bodies are not looked into");
    let hot = TextQuery::new("tea rock").field("title", 0.01).field("body", 5.0);
    assert_eq!(
        ids(&ask(hot).await.hits),
        numbers(&[4, 3]),
        "rock is in both of its fields, and in a shorter one"
    );

    let late = Point::new(9, [0.0, 1.0]).with("title", "Late").with("body", "A comet.");
    client.upsert_points("t", [late]).await.unwrap();
    assert_eq!(ids(&ask(TextQuery::new("comets")).await.hits), numbers(&[9]));
    client.delete_points("t", [9]).await.unwrap();
    assert!(ask(TextQuery::new("comets")).await.hits.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn words_and_vectors_are_asked_together() {
    let server = server_with_texts().await;
    let client = server.client().await;
    let both: [Source; 2] = [Nearest::vector([1.0, 0.0]).into(), TextQuery::new("tea").into()];
    let found = client.query(Query::by("t", Fuse::reciprocal_rank(both.clone()), 4)).await.unwrap();
    assert_eq!(found.hits[0].id, 3.into(), "third by its vector, first by its words");
    assert_eq!(found.hits.len(), 4, "what has none of the words is there by its vector");
    let weighted = Fuse::weighted(both.into_iter().zip([10.0, 1.0]));
    let found = client.query(Query::by("t", weighted, 1)).await.unwrap();
    assert_eq!(found.hits[0].id, 1.into());
    let by_words = Rescore::new(Nearest::vector([1.0, 0.0]), TextQuery::new("rock")).candidates(4);
    let found = client.query(Query::by("t", by_words, 2)).await.unwrap();
    assert_eq!(found.hits[0].id, 4.into());
    server.stop().await;
}

#[tokio::test]
async fn a_field_that_points_have_comes_to_be_searched_by_word() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_dimension("late", 2)).await.unwrap();
    let point = |(number, title, body): (u64, &str, &str)| {
        Point::new(number, [1.0, 0.1]).with("title", title).with("body", body).with("n", number as i64)
    };
    client.upsert_points("late", TEXTS.map(point)).await.unwrap();
    let query = || Query::by("late", TextQuery::new("moons"), 10);
    assert!(client.query(query()).await.is_err());
    let added = client.add_texts("late", [("title", ""), ("body", "english")]).await.unwrap();
    assert_eq!(added.texts, [("body".into(), "english".into()), ("title".into(), "english".into())].into());
    let declared = server_with_texts().await;
    let asked = Query::by("t", TextQuery::new("moons"), 10);
    let expected = declared.client().await.query(asked).await.unwrap().hits;
    let scores = |hits: &[Hit]| hits.iter().map(|hit| (hit.id.clone(), hit.score)).collect::<Vec<_>>();
    assert_eq!(scores(&client.query(query()).await.unwrap().hits), scores(&expected));
    declared.stop().await;

    // The same again changes nothing; another analyser, or a field of another type, is refused by its name.
    let again = client.add_texts("late", [("title", "english")]).await.unwrap();
    assert_eq!((again.texts, again.seq), (added.texts, added.seq));
    let refused =
        async |name: &str, analyzer: &str| client.add_texts("late", [(name, analyzer)]).await.unwrap_err();
    for (name, analyzer, field) in [
        ("title", "german", "texts.title"),
        ("n", "english", "texts.n"),
        ("new", "klingon", "texts.new.analyzer"),
        ("", "english", "texts."),
    ] {
        assert_eq!(refused(name, analyzer).await.field_violations()[0].field, field);
    }
    assert!(refused("title", "german").await.to_string().contains("english, not german"));
    assert_eq!(refused("_text", "english").await.reason(), Some("RESERVED_NAME"));
    let error = client.add_texts("none", [("a", "english")]).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn words_that_cannot_be_searched_are_named() {
    let server = server_with_texts().await;
    let client = server.client().await;
    let refused = async |collection: &str, source: TextQuery| {
        let error = client.query(Query::by(collection, source, 1)).await.unwrap_err();
        error.field_violations()[0].field.clone()
    };
    let unknown = TextQuery::new("moon").field("colour", 1.0);
    assert!(refused("t", unknown).await.starts_with("source.text.fields.colour"));
    let boost = TextQuery::new("moon").field("title", 0.0);
    assert!(refused("t", boost).await.starts_with("source.text.fields.title"));
    let many = (0..257).fold(TextQuery::new("moon"), |query, _| query.field("title", 1.0));
    assert_eq!(refused("t", many).await, "source.text.fields");
    client.create_collection(CreateCollection::with_dimension("none", 2)).await.unwrap();
    assert_eq!(refused("none", TextQuery::new("moon")).await, "source.text.fields");
    server.stop().await;
}
