//! Retrieve, and what Enrich says of its modes, over the wire.

use ragstone_client::{
    CreateCollection, Enrich, Filter, IngestDocument, ListChunks, RetrievalMode, Retrieve,
};
use ragstone_proto::v1;
use ragstone_proto::v1::rag_service_client::RagServiceClient;

use crate::fixture::{MODEL, Server, field};

const MODES: [RetrievalMode; 3] = [RetrievalMode::Dense, RetrievalMode::Text, RetrievalMode::Hybrid];

#[tokio::test]
async fn chunks_are_found_in_each_mode() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    for (id, title, text) in [
        ("moon.md", "Almanac", "The moon is 384400 km from the earth."),
        ("tea.md", "", "Green tea is brewed with water of seventy degrees."),
    ] {
        let document = IngestDocument::new("docs", id, text).title(title).metadata("of", id);
        client.ingest_document(document).await.unwrap();
    }
    assert_eq!(client.get_document("docs", "moon.md").await.unwrap().title, "Almanac");
    let chunks = client.list_chunks(ListChunks::new("docs", "moon.md")).await.unwrap().items;
    assert_eq!(chunks[0].heading, "Almanac");
    for mode in MODES {
        let ask = Retrieve::new("docs", "how far is the moon").k(1).mode(mode);
        let found = client.retrieve(ask.clone()).await.unwrap();
        assert_eq!(found.chunks[0].chunk, chunks[0], "{mode:?}");
        assert_eq!(found.chunks[0].scores.nearness.is_some(), mode != RetrievalMode::Text);
        assert_eq!(found.chunks[0].scores.words.is_some(), mode != RetrievalMode::Dense);
        assert_eq!(found.timings.last().unwrap().stage, "total");
        let none = client.retrieve(ask.filter(Filter::eq("of", "nothing"))).await.unwrap();
        assert!(none.chunks.is_empty());
        let enriched = client.enrich(Enrich::new("docs", "the moon").k(1).mode(mode)).await.unwrap();
        assert_eq!(enriched.citations[0].document, "moon.md");
    }
    let titled = Retrieve::new("docs", "almanac").mode(RetrievalMode::Text);
    assert_eq!(client.retrieve(titled).await.unwrap().chunks.len(), 1, "a title is found by word");
    let both = client.retrieve(Retrieve::new("docs", "moon")).await.unwrap();
    assert_eq!(both.chunks.len(), 2, "hybrid is what is not said");
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_names_the_field() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let mut rag = RagServiceClient::new(server.channel().await);
    let ask = |change: fn(&mut v1::RetrieveRequest)| {
        let mut request =
            v1::RetrieveRequest { collection: "docs".into(), question: "moon".into(), ..Default::default() };
        change(&mut request);
        request
    };
    for (request, expected) in [
        (ask(|request| request.question.clear()), "question"),
        (ask(|request| request.k = Some(0)), "k"),
        (ask(|request| request.k = Some(1_000_000)), "k"),
        (ask(|request| request.mode = 77), "mode"),
        (ask(|request| request.mmr = Some(-0.1)), "mmr"),
        (ask(|request| request.min_score = Some(f32::INFINITY)), "min_score"),
        (ask(|request| request.per_document = Some(20_000)), "per_document"),
    ] {
        let status = rag.retrieve(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
        assert_eq!(field(&status), expected);
    }
    let status = rag.retrieve(ask(|request| request.collection = "absent".into())).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    server.stop().await;
}
