//! What takes long, as operations: begun, watched, cancelled, resumed; and what an operator asks for.

use std::sync::Arc;

use ragstone_client::{
    Client, Code, CreateCollection, IngestDocument, Operation, OperationKind, OperationState, Point, Query,
};
use ragstone_server::ServerConfig;

use crate::fixture::{BagOfWords, Gate, MODEL, Server, WAIT, config, eventually};

const OTHER: &str = "tests/other";

/// A model that waits at a gate of its own when it embeds [`WAIT`].
fn other() -> (BagOfWords, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    (BagOfWords::new(OTHER, Arc::clone(&gate)), gate)
}

/// A collection of documents, one of which the other model waits at.
pub(crate) async fn fill(server: &Server) -> Client {
    server.gate.open();
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    for (id, text) in [("a.txt", "green tea"), ("b.txt", WAIT), ("c.txt", "black coffee")] {
        client.ingest_document(IngestDocument::new("notes", id, text)).await.unwrap();
    }
    client
}

/// How an operation ended. Within a stage it never goes back.
pub(crate) async fn ended(client: &Client, id: &str) -> Operation {
    let mut watch = client.watch_operation(id).await.unwrap();
    let mut last = None;
    while let Some(operation) = watch.next().await.unwrap() {
        assert!(last.as_ref().is_none_or(|last: &Operation| {
            !last.has_ended() && (last.stage != operation.stage || last.done <= operation.done)
        }));
        last = Some(operation);
    }
    last.unwrap()
}

async fn model_of(client: &Client, name: &str) -> String {
    client.get_collection(name).await.unwrap().model.unwrap().name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_moves_to_another_model_while_it_serves() {
    let server = Server::start().await;
    let client = fill(&server).await;
    let (model, gate) = other();
    server.models.insert(Arc::new(model));
    client.set_alias("current", "notes").await.unwrap();
    let begun = client.reembed_collection("current", OTHER, None).await.unwrap();
    assert_eq!(
        (begun.kind, begun.target.as_str(), begun.state),
        (OperationKind::Reembed, "notes", OperationState::Running)
    );
    eventually("the model's work", || gate.waiting() == 1).await;
    assert_eq!(client.list_operations(Some(OperationState::Running)).await.unwrap().len(), 1);
    assert!(client.list_operations(Some(OperationState::Failed)).await.unwrap().is_empty());
    let again = client.reembed_collection("notes", OTHER, None).await.unwrap_err();
    assert_eq!((again.code(), again.metadata()["operation"].as_str()), (Code::AlreadyExists, &*begun.id));
    let stats = client.stats().await.unwrap();
    assert_eq!((stats.running_operations, stats.collections.len()), (1, 1));
    assert!(stats.collections[0].reembedding);
    assert_eq!(client.delete_operation(&begun.id).await.unwrap_err().reason(), Some("OPERATION_RUNNING"));
    // It serves all the while, with the model that it has.
    let found = client.query(Query::text("notes", "green tea", 1)).await.unwrap();
    assert_eq!(found.hits.len(), 1);
    assert_eq!(model_of(&client, "notes").await, MODEL);
    client.ingest_document(IngestDocument::new("notes", "d.txt", "late cake")).await.unwrap();

    gate.open();
    let done = ended(&client, &begun.id).await;
    assert_eq!((done.state, done.error), (OperationState::Succeeded, None));
    assert_eq!(done.result["texts"], "4");
    assert!(done.updated >= done.started);
    assert_eq!(model_of(&client, "current").await, OTHER);
    for text in ["green tea", "late cake"] {
        let found = client.query(Query::text("current", text, 1)).await.unwrap();
        assert!(found.hits[0].score.unwrap() > 0.9, "{text}");
    }
    client.delete_operation(&begun.id).await.unwrap();
    assert_eq!(client.get_operation(&begun.id).await.unwrap_err().code(), Code::NotFound);
    let refused = client.reembed_collection("notes", OTHER, None).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.field_violations()[0].field.as_str()),
        (Code::InvalidArgument, "model")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_one_leaves_the_collection_as_it_was() {
    let server = Server::start().await;
    let client = fill(&server).await;
    let (model, gate) = other();
    server.models.insert(Arc::new(model));
    let begun = client.reembed_collection("notes", OTHER, None).await.unwrap();
    eventually("the model's work", || gate.waiting() == 1).await;
    assert_eq!(client.cancel_operation(&begun.id).await.unwrap().state, OperationState::Running);
    gate.open();
    assert_eq!(ended(&client, &begun.id).await.state, OperationState::Cancelled);
    assert_eq!(model_of(&client, "notes").await, MODEL);
    assert!(!client.stats().await.unwrap().collections[0].reembedding, "nothing is left of it");
    let again = client.reembed_collection("notes", OTHER, None).await.unwrap();
    assert_eq!(ended(&client, &again.id).await.state, OperationState::Succeeded);
    assert_eq!(model_of(&client, "notes").await, OTHER);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_when_the_server_starts_again() {
    let mut server = Server::start().await;
    let client = fill(&server).await;
    let (model, gate) = other();
    server.models.insert(Arc::new(model));
    let begun = client.reembed_collection("notes", OTHER, None).await.unwrap();
    eventually("the model's work", || gate.waiting() == 1).await;
    let mut watch = client.watch_operation(&begun.id).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().state, OperationState::Running);
    server.ask_to_stop();
    // Nothing new is accepted once it stops; then the work may see that it is to end.
    eventually("the end of what it accepts", || std::net::TcpStream::connect(server.address).is_err()).await;
    gate.open();
    let told = loop {
        match watch.next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(told.unwrap_err().code(), Code::Unavailable, "who watches is told that the server stops");
    let directory = server.stop().await;

    let (model, gate) = other();
    gate.open();
    let server = Server::start_knowing(vec![model], directory, config()).await;
    let client = server.client().await;
    assert_eq!(ended(&client, &begun.id).await.state, OperationState::Succeeded);
    assert_eq!(model_of(&client, "notes").await, OTHER);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_says_so_like_a_call() {
    let server = Server::start().await;
    let client = fill(&server).await;
    let (model, gate) = other();
    server.models.insert(Arc::new(model));
    gate.open();
    let no_model = CreateCollection::with_dimension("own", 2);
    client.create_collection(no_model).await.unwrap();
    let refused = client.reembed_collection("own", OTHER, None).await.unwrap_err();
    assert_eq!(refused.reason(), Some("COLLECTION_WITHOUT_MODEL"));
    let unknown = client.reembed_collection("nobody", OTHER, None).await.unwrap_err();
    assert_eq!(unknown.reason(), Some("COLLECTION_NOT_FOUND"));
    let dimension = client.get_collection("notes").await.unwrap().dimension;
    client.upsert_points("notes", [Point::new(7, vec![1.0; dimension])]).await.unwrap();
    let refused = client.reembed_collection("notes", OTHER, None).await.unwrap_err();
    assert_eq!(refused.field_violations()[0].field, "text_field");
    assert!(client.list_operations(None).await.unwrap().is_empty(), "nothing was begun");

    // That a point lacks the text is found when it comes to it.
    client.add_fields("notes", [("body", ragstone_client::FieldType::String)]).await.unwrap();
    let begun = client.reembed_collection("notes", OTHER, Some("body")).await.unwrap();
    let failed = ended(&client, &begun.id).await;
    let error = failed.error.unwrap();
    assert_eq!((failed.state, error.code()), (OperationState::Failed, Code::InvalidArgument));
    assert_eq!(
        (error.reason(), error.field_violations()[0].field.as_str()),
        (Some("INVALID_FIELD"), "point `7`")
    );
    assert!(client.stats().await.unwrap().collections[0].reembedding, "it can be gone on with");
    assert_eq!(client.cancel_operation(&begun.id).await.unwrap().state, OperationState::Failed);
    assert!(!client.stats().await.unwrap().collections[0].reembedding, "or given up");
    for id in ["", "0", "../x"] {
        assert_eq!(client.get_operation(id).await.unwrap_err().reason(), Some("OPERATION_NOT_FOUND"));
        assert_eq!(client.cancel_operation(id).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(client.watch_operation(id).await.unwrap_err().code(), Code::NotFound);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_go_to_the_stores_that_are_allowed() {
    let store = tempfile::tempdir().unwrap();
    let place = store.path().join("snapshots").to_str().unwrap().to_owned();
    let config = ServerConfig { snapshot_stores: vec![place.clone()], ..config() };
    let server = Server::start_with(config).await;
    let client = fill(&server).await;
    assert_eq!(client.stats().await.unwrap().snapshot_stores, std::slice::from_ref(&place));
    assert!(client.list_snapshots(None).await.unwrap().is_empty());
    let elsewhere = store.path().join("elsewhere").to_str().unwrap().to_owned();
    for refused in [
        client.take_snapshot(Some(&elsewhere)).await.unwrap_err(),
        client.verify_snapshot(Some(&elsewhere), None).await.unwrap_err(),
        client.list_snapshots(Some(&elsewhere)).await.unwrap_err(),
    ] {
        assert_eq!(
            (refused.code(), refused.reason()),
            (Code::PermissionDenied, Some("SNAPSHOT_STORE_NOT_ALLOWED"))
        );
    }
    assert!(!std::path::Path::new(&elsewhere).exists());
    assert_eq!(client.verify_snapshot(None, None).await.unwrap_err().reason(), Some("SNAPSHOT_NOT_FOUND"));

    let begun = client.take_snapshot(None).await.unwrap();
    let taken = ended(&client, &begun.id).await;
    assert_eq!(
        (taken.state, taken.kind, taken.error),
        (OperationState::Succeeded, OperationKind::TakeSnapshot, None)
    );
    let listed = client.list_snapshots(Some(&place)).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0].name, listed[0].position.to_string()),
        (&taken.result["name"], taken.result["position"].clone())
    );
    assert_eq!(listed[0].lineage, client.stats().await.unwrap().lineage);
    let verified = client.verify_snapshot(None, Some(&listed[0].name)).await.unwrap();
    assert_eq!(ended(&client, &verified.id).await.state, OperationState::Succeeded);
    assert_eq!(
        client.verify_snapshot(None, Some("absent")).await.unwrap_err().reason(),
        Some("SNAPSHOT_NOT_FOUND")
    );

    damage(store.path());
    let verified = client.verify_snapshot(None, None).await.unwrap();
    let failed = ended(&client, &verified.id).await;
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(failed.error.unwrap().reason(), Some("SNAPSHOT_DAMAGED"));
    server.stop().await;
}

/// Changes a byte of the largest file.
fn damage(folder: &std::path::Path) {
    fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }
    let objects = files(folder).into_iter().filter(|path| path.to_str().unwrap().contains("objects"));
    let largest = objects.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_does_wherever_a_collection_is_named() {
    let server = Server::start().await;
    let client = fill(&server).await;
    client.create_collection(CreateCollection::with_dimension("left", 2)).await.unwrap();
    client.create_collection(CreateCollection::with_dimension("right", 2)).await.unwrap();
    let set = client.set_alias("it", "left").await.unwrap();
    assert_eq!((set.alias.as_str(), set.collection.as_str()), ("it", "left"));
    client.upsert_points("it", [Point::new(1, [1.0, 0.0])]).await.unwrap();
    assert_eq!(client.get_collection("it").await.unwrap().name, "left");
    assert_eq!(client.get_collection("left").await.unwrap().points, 1);
    client.set_alias("it", "right").await.unwrap();
    assert!(client.get_points("it", [1]).await.unwrap().is_empty());
    client.set_alias("text", "notes").await.unwrap();
    assert_eq!(client.query(Query::text("text", "green tea", 1)).await.unwrap().hits.len(), 1);
    assert_eq!(client.get_document("text", "a.txt").await.unwrap().id, "a.txt");

    let names =
        |aliases: Vec<ragstone_client::Alias>| aliases.into_iter().map(|of| of.alias).collect::<Vec<_>>();
    assert_eq!(names(client.list_aliases(None).await.unwrap()), ["it", "text"]);
    assert_eq!(names(client.list_aliases(Some("notes")).await.unwrap()), ["text"]);
    assert_eq!(client.list_collections().await.unwrap().len(), 3, "an alias is none");
    for (refused, code, reason) in [
        (client.set_alias("left", "right").await.unwrap_err(), Code::AlreadyExists, "COLLECTION_EXISTS"),
        (client.set_alias("x", "nobody").await.unwrap_err(), Code::NotFound, "COLLECTION_NOT_FOUND"),
        (client.set_alias("a b", "left").await.unwrap_err(), Code::InvalidArgument, "INVALID_FIELD"),
        (client.delete_alias("x").await.unwrap_err(), Code::NotFound, "ALIAS_NOT_FOUND"),
        (
            client.delete_collection("right").await.unwrap_err(),
            Code::FailedPrecondition,
            "COLLECTION_ALIASED",
        ),
        (client.delete_collection("it").await.unwrap_err(), Code::FailedPrecondition, "COLLECTION_ALIASED"),
        (
            client.create_collection(CreateCollection::with_dimension("it", 2)).await.unwrap_err(),
            Code::AlreadyExists,
            "ALIAS_EXISTS",
        ),
    ] {
        assert_eq!((refused.code(), refused.reason()), (code, Some(reason)), "{refused}");
    }
    client.delete_alias("it").await.unwrap();
    client.delete_collection("right").await.unwrap();
    let directory = server.stop().await;
    let server = Server::start_over(directory, config()).await;
    assert_eq!(names(server.client().await.list_aliases(None).await.unwrap()), ["text"]);
    server.stop().await;
}
