//! Enrich over the wire: conversations, what is chosen and added, what is refused, and that a filter holds everywhere.

use std::sync::Arc;

use ragstone_client::{
    ChatMessage, ChatRole, Client, CreateCollection, DataMarking, DropReason, Enrich, Enriched, Filter,
    IngestDocument, Query, RetrievalMode, Retrieve,
};
use ragstone_proto::v1;
use ragstone_proto::v1::rag_service_client::RagServiceClient;
use ragstone_rag::embed::Overflow;
use ragstone_rag::rerank::{Reranker, RerankerInfo, ScoreScale, Scores};

use crate::fixture::{MODEL, Server, field, reason};

/// Sections of two sentences, a chunk or two each.
fn text(of: &str) -> String {
    let section = |at: usize| {
        format!(
            "## Part {at}\n\nThe {of} of part {at} are wide and deep and old and cold. \
             Many have seen the {of} number {at} from far away by day and by night.\n\n"
        )
    };
    format!("# On {of}\n\n{}", (0..4).map(section).collect::<String>())
}

/// Documents that everybody may see, and documents that only some may.
async fn filled(server: &Server) -> Client {
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    for (id, of, tag) in [
        ("lakes.md", "lakes", "open"),
        ("seas.md", "seas", "open"),
        ("hidden.md", "lakes classified", "hidden"),
    ] {
        let document = IngestDocument::new("docs", id, text(of)).metadata("tag", tag);
        client.ingest_document(document).await.unwrap();
    }
    client
}

fn open() -> Filter {
    Filter::eq("tag", "open")
}

#[tokio::test]
async fn a_conversation_becomes_messages_with_roles() {
    let server = Server::start().await;
    let client = filled(&server).await;
    let said = [
        ChatMessage::new(ChatRole::System, "Be brief."),
        ChatMessage::new(ChatRole::User, "What is said of the lakes in part 2?"),
        ChatMessage::new(ChatRole::Assistant, "That they are wide [1]."),
        ChatMessage::new(ChatRole::User, "And are they deep?"),
    ];
    let ask = Enrich::chat("docs", said.clone()).filter(open()).k(2);
    let enriched = client.enrich(ask.clone()).await.unwrap();
    assert_eq!(enriched.query, "What is said of the lakes in part 2?\nAnd are they deep?");
    let roles: Vec<ChatRole> = enriched.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [ChatRole::System, ChatRole::User, ChatRole::Assistant, ChatRole::User]);
    assert!(enriched.messages[0].content.starts_with("Be brief."));
    assert_eq!(enriched.messages[1..3], said[1..3]);
    assert!(enriched.messages[3].content.ends_with("Question: And are they deep?"));
    assert_eq!(enriched.citations[0].document, "lakes.md");
    let tokens = &enriched.tokens;
    assert_eq!(tokens.instructions + tokens.context + tokens.history + tokens.question, tokens.total);
    assert!(tokens.history > 0 && tokens.total <= tokens.budget && tokens.budget == 4_000, "{tokens:?}");
    assert_eq!(tokens.counted_with, MODEL);
    // History is left out in whole turns where passages need the room.
    let least = (tokens.total - tokens.history) as u32;
    let tight = client.enrich(ask.token_budget(least)).await.unwrap();
    assert_eq!((tight.tokens.history_messages_dropped, tight.messages.len()), (2, 2), "{:?}", tight.tokens);
    for (marking, marked) in [(DataMarking::Off, false), (DataMarking::Words, true)] {
        let ask = Enrich::new("docs", "lakes").k(1).data_marking(marking);
        let enriched = client.enrich(ask).await.unwrap();
        let asked = &enriched.messages.last().unwrap().content;
        assert_eq!(asked.contains(&enriched.citations[0].text), !marked, "{asked}");
    }
    server.stop().await;
}

#[tokio::test]
async fn chunks_are_chosen_and_their_neighbours_added() {
    let server = Server::start().await;
    let client = filled(&server).await;
    let ask = Retrieve::new("docs", "lakes wide deep").filter(open()).k(3);
    let plain = client.retrieve(ask.clone()).await.unwrap();
    assert!(
        plain.dropped.is_empty() && plain.chunks.iter().all(|found| found.scores.hybrid == Some(found.score))
    );
    let one = client.retrieve(ask.clone().per_document(1)).await.unwrap();
    assert_eq!(one.chunks.len(), 2, "of two documents");
    assert!(one.dropped.iter().any(|dropped| dropped.reason == DropReason::PerDocument));
    let spread = client.retrieve(ask.clone().mmr(0.5).distinct()).await.unwrap();
    assert!(spread.chunks.iter().all(|found| found.scores.mmr.is_some()));
    let high = client.retrieve(ask.min_score(plain.chunks[0].score)).await.unwrap();
    assert!(
        !high.chunks.is_empty() && high.dropped.iter().all(|dropped| dropped.reason == DropReason::Score)
    );

    let ask = Enrich::new("docs", "lakes of part 2").filter(open()).k(1);
    let alone = client.enrich(ask.clone()).await.unwrap();
    assert_eq!(alone.citations.iter().map(|it| it.chunks.len()).sum::<usize>(), 1);
    let found = alone.citations[0].chunks[0].ordinal;
    let wide = client.enrich(ask.clone().neighbours(1, 1)).await.unwrap();
    let beside: Vec<_> =
        wide.citations.iter().flat_map(|it| &it.chunks).filter(|it| it.beside.is_some()).collect();
    assert!(!beside.is_empty() && beside.iter().all(|chunk| chunk.beside == Some(found)));
    let section = client.enrich(ask.clone().section()).await.unwrap();
    let around = client.enrich(ask.parents(2).token_budget(50_000)).await.unwrap();
    let chunks = |enriched: &Enriched| enriched.citations.iter().map(|it| it.chunks.len()).sum::<usize>();
    assert!(chunks(&around) > 1 && chunks(&around) >= chunks(&section), "{around:?}");
    let text = client.get_document("docs", "lakes.md").await.unwrap().text;
    for citation in wide.citations.iter().chain(&section.citations).chain(&around.citations) {
        let slice: String = text.chars().skip(citation.start).take(citation.end - citation.start).collect();
        assert_eq!(citation.text, slice);
    }
    server.stop().await;
}

/// What the filter keeps out is in no part of any answer: not in a prompt, by way of neighbours neither, not in citations or what is said to be
/// left out, not in counts, facets or plans.
#[tokio::test]
async fn nothing_outside_the_filter_appears_anywhere() {
    let server = Server::start().await;
    let client = filled(&server).await;
    let hidden =
        |shown: String| assert!(!shown.contains("classified") && !shown.contains("hidden.md"), "{shown}");
    for mode in [RetrievalMode::Dense, RetrievalMode::Text, RetrievalMode::Hybrid] {
        for k in [1, 5, 100] {
            let ask = Enrich::new("docs", "lakes number 3 seen from far away").filter(open()).mode(mode).k(k);
            for ask in
                [ask.clone(), ask.clone().neighbours(3, 3).section().parents(2), ask.mmr(0.3).per_document(2)]
            {
                hidden(format!("{:?}", client.enrich(ask).await.unwrap()));
            }
            let ask = Retrieve::new("docs", "lakes").filter(open()).mode(mode).k(k).distinct();
            hidden(format!("{:?}", client.retrieve(ask).await.unwrap()));
        }
    }
    let counted = client.count_points("docs", Some(open())).await.unwrap();
    assert!(counted < client.count_points("docs", None).await.unwrap());
    for name in ["_document", "_heading", "tag"] {
        let facet = client.facet_points("docs", name, Some(open()), 100).await.unwrap();
        hidden(format!("{facet:?}"));
        assert!(facet.points <= counted);
    }
    let query = Query::text("docs", "lakes", 100).filter(open()).explain();
    let found = client.query(query).await.unwrap();
    assert!(found.hits.len() as u64 <= counted);
    let matching: u64 = found
        .explain
        .iter()
        .flat_map(|explain| &explain.stages)
        .flat_map(|stage| &stage.segments)
        .map(|segment| segment.matching)
        .max()
        .unwrap();
    assert!(matching <= counted, "{matching} rows match, {counted} pass");
    hidden(format!("{:?} {:?}", found.hits, found.explain));
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_names_the_field() {
    let server = Server::start().await;
    let _client = filled(&server).await;
    let mut rag = RagServiceClient::new(server.channel().await);
    let ask = |change: &dyn Fn(&mut v1::EnrichRequest)| {
        let mut request =
            v1::EnrichRequest { collection: "docs".into(), question: "lakes".into(), ..Default::default() };
        change(&mut request);
        request
    };
    let message =
        |role: v1::ChatRole, content: &str| v1::ChatMessage { role: role.into(), content: content.into() };
    let chat = |messages: Vec<v1::ChatMessage>| {
        ask(&move |request| {
            request.question.clear();
            request.messages = messages.clone();
        })
    };
    let expand = |before, after| Some(v1::Expansion { before, after, ..v1::Expansion::default() });
    let user = v1::ChatRole::User;
    for (request, expected) in [
        (ask(&|request| request.messages = vec![message(user, "x")]), "question"),
        (chat(vec![message(user, "x"), message(v1::ChatRole::Assistant, "y")]), "messages[1].role"),
        (chat(vec![message(v1::ChatRole::Unspecified, "x"), message(user, "y")]), "messages[0].role"),
        (chat(vec![message(user, "x"), message(user, " ")]), "messages[1].content"),
        (chat(vec![message(user, "x"); 1_001]), "messages"),
        (ask(&|request| request.data_marking = 77), "data_marking"),
        (ask(&|request| request.min_score = Some(f32::NAN)), "min_score"),
        (ask(&|request| request.mmr = Some(1.5)), "mmr"),
        (ask(&|request| (request.mmr, request.k) = (Some(0.5), Some(501))), "k"),
        (ask(&|request| request.per_document = Some(0)), "per_document"),
        (ask(&|request| request.expand = expand(33, 0)), "expand.before"),
        (ask(&|request| request.expand = expand(0, 33)), "expand.after"),
        (ask(&|request| (request.expand, request.k) = (expand(1, 1), Some(10_000))), "expand"),
        (
            ask(&|request| request.expand = Some(v1::Expansion { parents: 17, ..v1::Expansion::default() })),
            "expand.parents",
        ),
        (ask(&|request| request.token_budget = Some(20)), "token_budget"),
    ] {
        let status = rag.enrich(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
        assert_eq!(field(&status), expected, "{status:?}");
    }
    let many = rag.enrich(chat(vec![message(user, "x"); 1_001])).await.unwrap_err();
    assert_eq!(reason(&many), "LIMIT_EXCEEDED");
    server.stop().await;
}

/// Prefers long passages.
struct Longest(RerankerInfo);

impl Reranker for Longest {
    fn info(&self) -> &RerankerInfo {
        &self.0
    }

    fn score_within(&self, _: &str, passages: &[&str], _: Overflow) -> ragstone_rag::Result<Scores> {
        Ok(Scores {
            scores: passages.iter().map(|text| text.len() as f32).collect(),
            token_counts: vec![1; passages.len()],
            truncated: vec![false; passages.len()],
        })
    }
}

#[tokio::test]
async fn chunks_are_re_ranked_and_tokens_counted_by_models_that_are_named() {
    let server = Server::start().await;
    let client = filled(&server).await;
    let (name, scale) = ("tests/longest".to_owned(), ScoreScale::Logit);
    server.models.insert_reranker(Arc::new(Longest(RerankerInfo {
        name,
        sha256: None,
        max_tokens: 512,
        scale,
    })));
    let ask = Retrieve::new("docs", "lakes").k(3);
    let found = client.retrieve(ask.clone().rerank("tests/longest", 20)).await.unwrap();
    assert!(found.chunks.is_sorted_by(|a, b| a.score >= b.score) && found.rerank_truncated == 0);
    for chunk in &found.chunks {
        let read = chunk.chunk.heading.len() + 1 + chunk.chunk.text.len();
        assert_eq!((chunk.scores.rerank, chunk.score), (Some(read as f32), read as f32));
        assert!(chunk.scores.hybrid.is_some());
    }
    let enriched =
        client.enrich(Enrich::new("docs", "lakes").rerank("tests/longest", 20).tokens_of("gpt-4o"));
    let enriched = enriched.await.unwrap();
    assert_eq!(enriched.tokens.counted_with, "gpt-4o");
    assert!(enriched.citations.iter().all(|it| it.chunks.iter().all(|chunk| chunk.scores.rerank.is_some())));
    for (ask, code, named) in [
        (ask.clone().rerank("nobody/nothing", 20), ragstone_client::Code::PermissionDenied, None),
        (ask.clone().rerank("", 20), ragstone_client::Code::InvalidArgument, Some("rerank.model")),
        (
            ask.clone().rerank("tests/longest", 0),
            ragstone_client::Code::InvalidArgument,
            Some("rerank.candidates"),
        ),
        (ask.k(1_001).rerank("tests/longest", 20), ragstone_client::Code::InvalidArgument, Some("k")),
    ] {
        let error = client.retrieve(ask).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        let field = error.field_violations().first().map(|violation| violation.field.as_str());
        assert_eq!(field, named, "{error:?}");
    }
    let denied = client.enrich(Enrich::new("docs", "lakes").tokens_of("nobody/nothing")).await.unwrap_err();
    assert_eq!(denied.code(), ragstone_client::Code::PermissionDenied);
    server.stop().await;
}
