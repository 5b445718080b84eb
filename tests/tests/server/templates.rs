//! TemplatesService, and prompts of the templates that it keeps.

use ragstone_client::{
    ChatMessage, ChatRole, Client, CreateCollection, DataMarking, Enrich, IngestDocument, PreviewTemplate,
};
use ragstone_proto::v1;
use ragstone_proto::v1::templates_service_client::TemplatesServiceClient;

use crate::fixture::{MODEL, Server, config, field, reason};

async fn versions(client: &Client, name: &str) -> Vec<String> {
    let templates = client.list_templates(name).await.unwrap();
    assert!(templates.iter().all(|template| template.source.is_empty() && template.registered_at > 0));
    templates.iter().map(|template| format!("{}@{}", template.name, template.version)).collect()
}

#[tokio::test]
async fn templates_are_kept_by_name_and_version() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    client.ingest_document(IngestDocument::new("docs", "tea.md", "# Tea\n\nTea is green.")).await.unwrap();
    assert_eq!(client.register_template("answer", "one {{ question }}").await.unwrap().version, 1);
    let second = "{% system %}\nTold.\n{% user %}\ntwo {{ question }}";
    assert_eq!(client.register_template("answer", second).await.unwrap().version, 2);
    assert_eq!(client.register_template("answer", second).await.unwrap().version, 2, "nothing is new");
    client.register_template("other", "x").await.unwrap();
    assert_eq!(client.get_template("answer").await.unwrap().source, second);
    assert_eq!(client.get_template("answer@1").await.unwrap().source, "one {{ question }}");
    assert_eq!(versions(&client, "").await, ["answer@1", "answer@2", "other@1"]);
    assert_eq!(versions(&client, "answer").await, ["answer@1", "answer@2"]);

    let old = client.enrich(Enrich::new("docs", "tea?").template("answer@1")).await.unwrap();
    assert_eq!((old.template.as_str(), old.prompt().as_str()), ("answer@1", "one tea?"));
    let newest = client.enrich(Enrich::new("docs", "tea?").template("answer")).await.unwrap();
    assert_eq!((newest.template.as_str(), newest.prompt().as_str()), ("answer@2", "Told.\n\ntwo tea?"));
    assert_eq!(client.enrich(Enrich::new("docs", "tea?")).await.unwrap().template, "built-in");

    assert_eq!(client.delete_template("answer@2").await.unwrap(), 1);
    assert_eq!(client.delete_template("answer@2").await.unwrap(), 0);
    let directory = server.stop().await;
    let server = Server::start_over(directory, config()).await;
    let client = server.client().await;
    assert_eq!(versions(&client, "").await, ["answer@1", "other@1"], "they outlive the server");
    assert_eq!(client.register_template("answer", second).await.unwrap().version, 3, "no number comes twice");
    assert_eq!(client.delete_template("answer").await.unwrap(), 2);
    server.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = Server::start().await;
    let client = server.client().await;
    for at in 0..12 {
        client.register_template("t", &format!("source {at}")).await.unwrap();
    }
    let mut service = TemplatesServiceClient::new(server.channel().await);
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListTemplatesRequest { name: "t".into(), page_size: 5, page_token };
        let page = service.list_templates(request).await.unwrap().into_inner();
        assert!(page.templates.len() <= 5);
        seen.extend(page.templates.into_iter().map(|template| template.version));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, (1..=12).collect::<Vec<u32>>());
    let first = v1::ListTemplatesRequest { name: "t".into(), page_size: 5, ..Default::default() };
    let token = service.list_templates(first).await.unwrap().into_inner().next_page_token;
    let other = v1::ListTemplatesRequest { name: "u".into(), page_token: token, ..Default::default() };
    assert_eq!(field(&service.list_templates(other).await.unwrap_err()), "page_token");
    server.stop().await;
}

#[tokio::test]
async fn a_template_is_tried_without_a_collection() {
    let server = Server::start().await;
    let client = server.client().await;
    let said = [
        ChatMessage::new(ChatRole::User, "One?"),
        ChatMessage::new(ChatRole::Assistant, "1"),
        ChatMessage::new(ChatRole::User, "Two?"),
    ];
    let source =
        "{% for c in citations %}[{{ c.index }}] {{ c.document }}: {{ c.text }} {% endfor %}{{ question }}";
    let preview = PreviewTemplate::chat(said.clone())
        .template_source(source)
        .passage("a.md", "A", "first")
        .passage("b.md", "B", "second")
        .data_marking(DataMarking::Off);
    let shown = client.preview_template(preview).await.unwrap();
    assert_eq!(shown[..2], said[..2]);
    assert_eq!(shown[2].content, "[1] a.md: first [2] b.md: second Two?");
    let built_in = PreviewTemplate::new("Why?").passage("a.md", "A", "first");
    let shown = client.preview_template(built_in).await.unwrap();
    assert_eq!((shown.len(), shown[0].role), (2, ChatRole::System));
    client.register_template("t", "T {{ question }}").await.unwrap();
    let shown = client.preview_template(PreviewTemplate::new("Why?").template("t@1")).await.unwrap();
    assert_eq!(shown[0].content, "T Why?");
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_names_the_field() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut service = TemplatesServiceClient::new(server.channel().await);
    let register =
        |name: &str, source: &str| v1::RegisterTemplateRequest { name: name.into(), source: source.into() };
    for (request, expected, word) in [
        (register("a b", "x"), "name", "letters"),
        (register(&"x".repeat(129), "x"), "name", "TEMPLATE_NAME_BYTES_MAX"),
        (register("t", "{% user %}\nx\n{{ question"), "source", "line 3"),
        (register("t", "{% set x = 1 %}"), "source", "line 1"),
        (register("t", &format!("{{{{ {}1 }}}}", "-".repeat(30_000))), "source", "TEMPLATE_OPERATORS_MAX"),
        (register("t", &"x".repeat(33 << 10)), "source", "TEMPLATE_BYTES_MAX"),
    ] {
        let status = service.register_template(request).await.unwrap_err();
        assert_eq!((status.code(), field(&status).as_str()), (tonic::Code::InvalidArgument, expected));
        assert!(status.message().contains(word), "{status:?}");
    }
    let named = |template: &str| v1::GetTemplateRequest { template: template.into() };
    for template in ["a b", "t@x", "t@0", ""] {
        let status = service.get_template(named(template)).await.unwrap_err();
        assert_eq!(field(&status), "template");
    }
    let absent = service.get_template(named("absent@1")).await.unwrap_err();
    assert_eq!((absent.code(), reason(&absent).as_str()), (tonic::Code::NotFound, "TEMPLATE_NOT_FOUND"));
    let preview = v1::PreviewTemplateRequest { question: "x".into(), ..Default::default() };
    let passage = v1::SamplePassage::default();
    let both = (Some("t".to_owned()), Some("x".to_owned()));
    let signs = format!("{{{{ {}1 }}}}", "-".repeat(30_000));
    let indexes = format!("{{{{ question{} }}}}", "[0]".repeat(10_000));
    for (request, expected) in [
        (
            v1::PreviewTemplateRequest { template: both.0, template_source: both.1, ..preview.clone() },
            "template_source",
        ),
        (
            v1::PreviewTemplateRequest { passages: vec![passage.clone()], ..preview.clone() },
            "passages[0].text",
        ),
        (v1::PreviewTemplateRequest { passages: vec![passage; 101], ..preview.clone() }, "passages"),
        (v1::PreviewTemplateRequest { template_source: Some("{{ x".into()), ..preview.clone() }, "template"),
        // Both overflowed the stack of the server's thread, and so ended the process.
        (v1::PreviewTemplateRequest { template_source: Some(signs), ..preview.clone() }, "template"),
        (v1::PreviewTemplateRequest { template_source: Some(indexes), ..preview.clone() }, "template"),
        (v1::PreviewTemplateRequest { question: String::new(), ..preview }, "question"),
    ] {
        let status = service.preview_template(request).await.unwrap_err();
        assert_eq!(field(&status), expected, "{status:?}");
    }
    client.create_collection(CreateCollection::with_model("docs", MODEL)).await.unwrap();
    let error = client.enrich(Enrich::new("docs", "x").template("absent")).await.unwrap_err();
    assert_eq!(error.reason(), Some("TEMPLATE_NOT_FOUND"));
    server.stop().await;
}
