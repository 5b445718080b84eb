//! Callers that are told apart: keys, what they allow, and what they do not show. What every call does is in `walk.rs`.

use std::time::Duration;

use ragstone::Db;
use ragstone_client::{
    Client, Code, CreateCollection, CreateKey, Enrich, Error, FieldType, Filter, IngestDocument, Point,
    Query, Retrieve, Scroll,
};
use ragstone_server::access::{AccessConfig, Keys, NewKey};
use ragstone_server::limits::CALLER_PLACES_MIN;
use ragstone_server::{Listeners, ServeError, ServerConfig, bind, serve};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::{MODEL, Server, config};
use crate::http::{get_at, get_with};

/// A directory with a key for each of some lists of grants.
pub(crate) fn with_keys(grants: &[&[&str]]) -> (TempDir, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::new(Db::open(directory.path().join("data")).unwrap());
    let make = |grants: &&[&str]| {
        let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
        keys.create(NewKey { name: "test".to_owned(), grants, ..NewKey::default() }).unwrap().1
    };
    let made = grants.iter().map(make).collect();
    drop(keys);
    (directory, made)
}

pub(crate) fn asking() -> ServerConfig {
    ServerConfig { access: AccessConfig { required: true, ..AccessConfig::default() }, ..config() }
}

pub(crate) async fn client(server: &Server, key: &str) -> Client {
    Client::builder(server.url()).api_key(key).retries(0).build().await.unwrap()
}

/// A server that asks who calls, and a client for each key: of the operator first.
async fn asked(grants: &[&[&str]]) -> (Server, Vec<Client>) {
    let admin: &[&str] = &["admin"];
    let (directory, keys) = with_keys(&[&[admin], grants].concat());
    let server = Server::start_over(directory, asking()).await;
    let mut clients = Vec::new();
    for key in &keys {
        clients.push(client(&server, key).await);
    }
    (server, clients)
}

fn is_denied(error: &Error) -> bool {
    error.code() == Code::PermissionDenied && error.reason() == Some("PERMISSION_DENIED")
}

#[tokio::test]
async fn who_has_no_key_or_a_wrong_one_is_told_so_and_no_more() {
    let (server, clients) = asked(&[]).await;
    assert!(clients[0].list_collections().await.unwrap().is_empty());
    let anybody = server.client().await;
    let missing = anybody.list_collections().await.unwrap_err();
    assert_eq!((missing.code(), missing.reason()), (Code::Unauthenticated, Some("UNAUTHENTICATED")));
    let mut told = Vec::new();
    for wrong in ["x", "rsk_0123456789abcdef_AAAA", "a.b.c"] {
        let error = client(&server, wrong).await.list_collections().await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated, "{wrong}");
        told.push(error.message().to_owned());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    // How the server is, is for everybody.
    let mut health = HealthClient::new(server.channel().await);
    assert!(health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_key_is_for_its_collections_and_actions() {
    let (server, clients) =
        asked(&[&["read on public-*"], &["write on public-1"], &["manage on mine*"]]).await;
    let [admin, reader, writer, manager] = clients.as_slice() else { panic!("four clients") };
    for name in ["public-1", "public-2", "secret"] {
        admin.create_collection(CreateCollection::with_dimension(name, 2)).await.unwrap();
        admin.upsert_points(name, [Point::new(1, [1.0, 0.0])]).await.unwrap();
        admin.set_alias(&format!("{name}-alias"), name).await.unwrap();
    }
    let names = |all: Vec<ragstone_client::Collection>| all.into_iter().map(|c| c.name).collect::<Vec<_>>();
    assert_eq!(names(reader.list_collections().await.unwrap()), ["public-1", "public-2"]);
    assert_eq!(names(writer.list_collections().await.unwrap()), ["public-1"]);
    assert_eq!(reader.list_aliases(None).await.unwrap().len(), 2);
    // An alias gives nobody what its collection does not.
    for name in ["secret", "secret-alias", "absent"] {
        let error = reader.count_points(name, None).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::NotFound, Some("COLLECTION_NOT_FOUND")), "{name}");
    }
    assert_eq!(reader.count_points("public-2-alias", None).await.unwrap(), 1);
    let point = || [Point::new(2, [1.0, 0.0])];
    assert!(is_denied(&reader.upsert_points("public-1", point()).await.unwrap_err()));
    writer.upsert_points("public-1", point()).await.unwrap();
    let hidden = writer.upsert_points("secret", point()).await.unwrap_err();
    assert_eq!(hidden.reason(), Some("COLLECTION_NOT_FOUND"));
    assert!(is_denied(&writer.delete_collection("public-1").await.unwrap_err()));
    manager.create_collection(CreateCollection::with_dimension("mine-1", 2)).await.unwrap();
    manager.upsert_points("mine-1", point()).await.unwrap();
    let taken = manager.create_collection(CreateCollection::with_dimension("secret", 2)).await.unwrap_err();
    let free = manager.create_collection(CreateCollection::with_dimension("other", 2)).await.unwrap_err();
    assert!(is_denied(&taken) && is_denied(&free), "whether there is one is not told");
    assert!(is_denied(&manager.set_alias("mine", "secret").await.unwrap_err()));
    // Of an alias that may be theirs by its name they are not told what it names.
    admin.set_alias("mine-alias", "secret").await.unwrap();
    let spec = CreateCollection::with_dimension("mine-alias", 2);
    for refused in [
        manager.create_collection(spec).await.map(drop),
        manager.set_alias("mine-alias", "mine-1").await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(is_denied(&refused) && !format!("{refused:?}").contains("secret"), "{refused:?}");
    }
    assert!(is_denied(&manager.register_template("t", "{{ question }}").await.unwrap_err()));
    assert!(is_denied(&manager.stats().await.unwrap_err()));
    manager.delete_collection("mine-1").await.unwrap();
    server.stop().await;
}

/// Whoever could make collections of some names could make as many as the server takes, and nobody else any more.
#[tokio::test]
async fn who_manages_some_names_makes_as_many_as_the_grant_says() {
    let (server, clients) = asked(&[&["manage on mine* max 2"], &["manage on mine*"]]).await;
    let [admin, bounded, free] = clients.as_slice() else { panic!("three clients") };
    let spec = |name: &str| CreateCollection::with_dimension(name, 2);
    admin.create_collection(spec("other")).await.unwrap();
    bounded.create_collection(spec("mine-1")).await.unwrap();
    bounded.set_alias("mine", "mine-1").await.unwrap();
    for refused in [
        bounded.create_collection(spec("mine-2")).await.map(drop),
        bounded.set_alias("mine-2", "mine-1").await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (Code::ResourceExhausted, Some("LIMIT_EXCEEDED")));
        assert!(refused.message().contains("GRANT_NAMES_MAX = 2"), "{refused:?}");
    }
    // The number is of that grant alone, and what it counts is of everybody.
    free.create_collection(spec("mine-2")).await.unwrap();
    bounded.delete_alias("mine").await.unwrap();
    assert!(bounded.create_collection(spec("mine-3")).await.is_err());
    bounded.delete_collection("mine-2").await.unwrap();
    bounded.create_collection(spec("mine-3")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_tenant_finds_and_changes_its_own_rows_alone() {
    let of_a: &[&str] = &["write on * where tenant = 'a'"];
    let (server, clients) = asked(&[of_a]).await;
    let [admin, a] = clients.as_slice() else { panic!("two clients") };
    admin.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    for tenant in ["a", "b"] {
        for number in 0..4 {
            let text = format!("# Tea\n\nThe tea of {tenant} has number {number}.");
            let document = IngestDocument::new("notes", format!("{tenant}{number}.md"), text);
            admin.ingest_document(document.metadata("tenant", tenant)).await.unwrap();
        }
    }
    let of_b = Filter::eq("tenant", "b");
    let theirs = admin.count_points("notes", Some(of_b.clone())).await.unwrap();
    let all = admin.count_points("notes", None).await.unwrap();
    assert_eq!(a.count_points("notes", None).await.unwrap(), all - theirs);
    assert_eq!(a.count_points("notes", Some(of_b.clone())).await.unwrap(), 0);
    assert_eq!(a.get_collection("notes").await.unwrap().points, all - theirs);
    let facet = a.facet_points("notes", "tenant", None, 10).await.unwrap();
    assert_eq!((facet.values, facet.points), (1, all - theirs));
    let page = a.scroll_points(Scroll::new("notes").page_size(100)).await.unwrap();
    assert_eq!(page.items.len() as u64, all - theirs);
    let found = a.query(Query::text("notes", "The tea of b", 50)).await.unwrap();
    assert!(!found.hits.is_empty());
    assert!(found.hits.iter().all(|hit| hit.payload["tenant"].as_str() == Some("a")));
    // Of many their fields are read once they were found, and are as of few.
    let many = a.query(Query::text("notes", "The tea of b", 150)).await.unwrap();
    assert_eq!(many.hits, found.hits);
    let retrieved = a.retrieve(Retrieve::new("notes", "The tea of b")).await.unwrap();
    assert!(
        !retrieved.chunks.is_empty()
            && retrieved.chunks.iter().all(|chunk| !chunk.chunk.text.contains("of b"))
    );
    let enriched = a.enrich(Enrich::new("notes", "What of the tea?")).await.unwrap();
    assert!(enriched.prompt().contains("The tea of a") && !enriched.prompt().contains("The tea of b"));

    let absent = a.get_document("notes", "b0.md").await.unwrap_err();
    assert_eq!(absent.reason(), Some("DOCUMENT_NOT_FOUND"));
    assert!(!a.delete_document("notes", "b0.md").await.unwrap());
    let document = |id: &str| IngestDocument::new("notes", id, "# Tea\n\nAnother tea.");
    for wrong in [
        document("b0.md").metadata("tenant", "a"),
        document("x.md").metadata("tenant", "b"),
        document("x.md"),
    ] {
        assert!(is_denied(&a.ingest_document(wrong).await.unwrap_err()));
    }
    a.ingest_document(document("a9.md").metadata("tenant", "a")).await.unwrap();
    let wrong = Point::without_vector(7).with("tenant", "b");
    assert!(is_denied(&a.upsert_points("notes", [wrong]).await.unwrap_err()));
    // Fields are of all tenants, and the first who writes one says of which type it is.
    let point = || Point::without_vector(8).with("tenant", "a").with("level", "high");
    let brought = a.upsert_points("notes", [point()]).await.unwrap_err();
    let told = (brought.reason(), brought.field_violations()[0].field.as_str());
    assert_eq!(told, (Some("UNKNOWN_PAYLOAD_FIELD"), "points[0].payload.level"));
    admin.add_fields("notes", [("level", FieldType::String)]).await.unwrap();
    a.upsert_points("notes", [point()]).await.unwrap();
    a.delete_points_where("notes", of_b.clone()).await.unwrap();
    assert_eq!(admin.count_points("notes", Some(of_b)).await.unwrap(), theirs);
    assert!(is_denied(&a.delete_collection("notes").await.unwrap_err()));
    server.stop().await;
}

#[tokio::test]
async fn keys_are_made_turned_and_taken_back_while_the_server_runs() {
    let (server, clients) = asked(&[]).await;
    let admin = &clients[0];
    admin.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let wanted = CreateKey::new("shop").grant("read on c where t = $claims.t").claim("t", "x");
    let (key, secret) = admin.create_key(wanted.per_second(1_000.0).per_day(9_000)).await.unwrap();
    assert_eq!((key.name.as_str(), key.limits.per_day), ("shop", Some(9_000)));
    assert_eq!(admin.list_keys().await.unwrap().len(), 2);
    let shop = client(&server, &secret).await;
    assert_eq!(shop.count_points("c", None).await.unwrap(), 0);
    assert!(is_denied(&shop.list_keys().await.unwrap_err()));
    let (_, kept) = admin.rotate_key(&key.id, Duration::from_secs(60)).await.unwrap();
    for secret in [&secret, &kept] {
        assert!(client(&server, secret).await.count_points("c", None).await.is_ok());
    }
    let (_, last) = admin.rotate_key(&key.id, Duration::ZERO).await.unwrap();
    assert_eq!(shop.count_points("c", None).await.unwrap_err().code(), Code::Unauthenticated);
    let shop = client(&server, &last).await;
    assert!(shop.count_points("c", None).await.is_ok());
    admin.revoke_key(&key.id).await.unwrap();
    assert_eq!(shop.count_points("c", None).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(admin.revoke_key(&key.id).await.unwrap_err().reason(), Some("KEY_NOT_FOUND"));
    let wrong = admin.create_key(CreateKey::new("x").grant("fly")).await.unwrap_err();
    assert_eq!(
        (wrong.code(), wrong.field_violations()[0].field.as_str()),
        (Code::InvalidArgument, "grants[0]")
    );
    server.stop().await;
}

async fn limited(server: &Server, admin: &Client, key: CreateKey) -> Client {
    client(server, &admin.create_key(key).await.unwrap().1).await
}

#[tokio::test]
async fn a_key_makes_as_many_calls_as_it_is_granted() {
    let (server, clients) = asked(&[]).await;
    let admin = &clients[0];
    let key = || CreateKey::new("x").grant("read on *");
    let slow = limited(&server, admin, key().per_second(0.01).burst(2)).await;
    assert!(slow.list_collections().await.is_ok() && slow.list_collections().await.is_ok());
    let error = slow.list_collections().await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::ResourceExhausted, Some("RATE_LIMITED")));
    let after = error.retry_after().unwrap();
    assert!((Duration::from_secs(1)..=Duration::from_secs(100)).contains(&after), "{after:?}");
    let daily = limited(&server, admin, key().per_day(1)).await;
    assert!(daily.list_collections().await.is_ok());
    let error = daily.list_collections().await.unwrap_err();
    assert_eq!(error.reason(), Some("QUOTA_EXCEEDED"));
    assert!(error.retry_after().unwrap() <= Duration::from_secs(86_400));
    assert!(admin.list_collections().await.is_ok(), "others are not concerned");
    server.stop().await;
}

/// Whoever began as many requests as there are places, and had them wait, had all of them, and nobody else was answered.
#[tokio::test]
async fn a_caller_has_a_share_of_the_places() {
    let (directory, keys) = with_keys(&[&["admin"], &["read on *"]]);
    let few_places = ServerConfig {
        concurrent_requests_max: CALLER_PLACES_MIN + 2,
        read_wait: Duration::from_secs(600),
        ..asking()
    };
    let server = Server::start_over(directory, few_places).await;
    let (admin, reader) = (client(&server, &keys[0]).await, client(&server, &keys[1]).await);
    admin.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let token = admin.write_token().unwrap();
    let (database, position) = token.split_at(33);
    // Of a write that nobody makes.
    let later = format!("{database}{:016x}", u64::from_str_radix(position, 16).unwrap() + 1_000);
    let wait = |_| {
        let reader = reader.at_least(later.clone());
        // One that was refused as another one asked just then comes again.
        tokio::spawn(async move { while reader.count_points("c", None).await.is_err() {} })
    };
    let waiting: Vec<_> = (0..CALLER_PLACES_MIN).map(wait).collect();
    let error = loop {
        match reader.count_points("c", None).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), error.reason()), (Code::ResourceExhausted, Some("TOO_MANY_REQUESTS")));
    assert_eq!(error.metadata()["limit"], "CALLER_SHARE_MAX");
    assert!(error.retry_after().is_some());
    assert_eq!(admin.count_points("c", None).await.unwrap(), 0, "another one");
    let (address, bearer) = (server.http_address, format!("authorization: Bearer {}\r\n", keys[0]));
    let scrape = tokio::task::spawn_blocking(move || get_with(address, "/metrics", &bearer).body);
    let counted = r#"ragstone_requests_refused_total{kind="read",reason="caller_share"} "#;
    let scrape = scrape.await.unwrap();
    let refused = scrape.lines().find_map(|line| line.strip_prefix(counted)).expect("it has a series");
    assert_ne!(refused, "0", "it was counted as if there had been a place");
    waiting.iter().for_each(|waiting| waiting.abort());
    while reader.count_points("c", None).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.stop().await;
}

/// A stream went on writing for as long as a stream may last after its key had been taken back.
#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let (server, clients) = asked(&[]).await;
    let admin = &clients[0];
    admin.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let (key, secret) = admin.create_key(CreateKey::new("x").grant("write on c")).await.unwrap();
    let writer = client(&server, &secret).await;
    let (send, batches) = mpsc::channel(1);
    let (told, mut acknowledged) = mpsc::unbounded_channel();
    let writing = tokio::spawn(async move {
        let batches = ReceiverStream::new(batches);
        writer
            .ingest_points("c", batches, |_| {
                let _ = told.send(());
            })
            .await
    });
    send.send(vec![Point::new(1, [1.0, 0.0])]).await.unwrap();
    acknowledged.recv().await.unwrap();
    admin.revoke_key(&key.id).await.unwrap();
    send.send(vec![Point::new(2, [1.0, 0.0])]).await.unwrap();
    assert_eq!(writing.await.unwrap().unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(admin.count_points("c", None).await.unwrap(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_http_port_asks_too() {
    let (directory, keys) = with_keys(&[&["admin"], &["observe"], &["read on *"]]);
    let server = Server::start_over(directory, asking()).await;
    let address = server.http_address;
    let status = |path: &str, key: Option<&str>| match key {
        Some(key) => get_with(address, path, &format!("authorization: Bearer {key}\r\n")).status,
        None => get_at(address, path).status,
    };
    let [_, observer, reader] = keys.as_slice() else { panic!("three keys") };
    for (path, of_nobody, of_observer, of_reader) in [
        ("/healthz", 200, 200, 200),
        ("/readyz", 200, 200, 200),
        ("/metrics", 401, 200, 403),
        ("/v1/models", 401, 403, 200),
        ("/v1/models/none", 401, 403, 404),
        ("/nothing", 404, 404, 404),
    ] {
        assert_eq!(status(path, None), of_nobody, "{path}");
        assert_eq!(status(path, Some("wrong")), of_nobody, "{path}");
        assert_eq!(status(path, Some(observer)), of_observer, "{path}");
        assert_eq!(status(path, Some(reader)), of_reader, "{path}");
    }
    let refused = get_at(address, "/v1/models");
    assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
    assert_eq!(refused.json()["error"]["code"], "unauthenticated");
    server.stop().await;
}

#[tokio::test]
async fn nobody_listens_beyond_this_machine_unasked() {
    let listeners = || async { Listeners { grpc: bind("0.0.0.0:0").await.unwrap(), http: None } };
    let rag = || {
        let options = ragstone_rag::embed::ModelOptions { offline: true, ..Default::default() };
        ragstone_rag::Rag::new(Db::in_memory().unwrap(), ragstone_rag::embed::Models::new(options))
    };
    let without_model = ServerConfig { load_default_model: false, ..config() };
    let refused = serve(without_model.clone(), rag(), listeners().await, async {}).await;
    assert!(matches!(refused, Err(ServeError::Insecure { .. })), "{refused:?}");
    for access in [
        AccessConfig { required: true, ..AccessConfig::default() },
        AccessConfig { insecure_listen: true, ..AccessConfig::default() },
    ] {
        let config = ServerConfig { access, ..without_model.clone() };
        serve(config, rag(), listeners().await, async {}).await.unwrap();
    }
}
