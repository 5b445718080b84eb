//! A collection of a snapshot is put back while the server serves.

use std::path::Path;

use ragstone_client::{
    Client, Code, CreateCollection, IngestDocument, OperationKind, OperationState, Point, Query,
    RestoreCollection,
};
use ragstone_server::ServerConfig;

use crate::fixture::{MODEL, Server, config};
use crate::operations::ended;

/// A server with one store for snapshots, in a folder.
async fn with_store(folder: &Path) -> Server {
    let store = folder.join("snapshots").to_str().unwrap().to_owned();
    Server::start_with(ServerConfig { snapshot_stores: vec![store], ..config() }).await
}

async fn snapshot(client: &Client) -> String {
    let begun = client.take_snapshot(None).await.unwrap();
    ended(client, &begun.id).await.result["name"].clone()
}

/// The texts of those of two documents that are there.
async fn documents(client: &Client, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for id in ["a.txt", "b.txt"] {
        match client.get_document(name, id).await {
            Ok(document) => found.push(document.text),
            Err(error) => assert_eq!(error.code(), Code::NotFound),
        }
    }
    found
}

async fn names(client: &Client) -> Vec<String> {
    client.list_collections().await.unwrap().into_iter().map(|of| of.name).collect()
}

/// What a restore must not leave: the snapshot that it fetched, and a collection that nobody sees.
fn is_clean(data: &Path) -> bool {
    let manifest = std::fs::read(data.join("MANIFEST")).unwrap();
    let is_staged = manifest.windows(8).any(|bytes| bytes == b".staged-");
    let entries = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name());
    !is_staged && entries.into_iter().all(|name| !name.to_str().unwrap().starts_with("restoring-"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_there_again_with_its_model_beside_or_in_place_of_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_store(folder.path()).await;
    server.gate.open();
    let client = server.client().await;
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    client.create_collection(CreateCollection::with_dimension("other", 2)).await.unwrap();
    client.ingest_document(IngestDocument::new("notes", "a.txt", "green tea")).await.unwrap();
    let first = snapshot(&client).await;
    client.ingest_document(IngestDocument::new("notes", "b.txt", "black coffee")).await.unwrap();
    client.upsert_points("other", [Point::new(1, [1.0, 0.0])]).await.unwrap();
    snapshot(&client).await;

    let beside = RestoreCollection::new("notes").snapshot(&first).named("before");
    let begun = client.restore_collection(beside.clone()).await.unwrap();
    assert_eq!((begun.kind, begun.target.as_str()), (OperationKind::RestoreCollection, "before"));
    let done = ended(&client, &begun.id).await;
    assert_eq!((done.state, done.error), (OperationState::Succeeded, None));
    // The document and its chunk.
    assert_eq!((done.done, done.total, done.unit.as_str()), (2, Some(2), "rows"));
    assert_eq!((done.result["rows"].as_str(), done.result["replaced"].as_str()), ("2", "false"));
    assert_eq!(done.result["snapshot"], first);
    assert_eq!(documents(&client, "before").await, ["green tea"]);
    let found = client.query(Query::text("before", "green tea", 1)).await.unwrap();
    assert!(found.hits[0].score.unwrap() > 0.9, "its model is asked");
    assert_eq!(client.get_collection("before").await.unwrap().model.unwrap().name, MODEL);

    // A mistake, and back to what the newest snapshot has.
    client.delete_document("notes", "a.txt").await.unwrap();
    client.delete_collection("other").await.unwrap();
    for (name, replaced) in [("notes", "true"), ("other", "false")] {
        let begun = client.restore_collection(RestoreCollection::new(name).replace()).await.unwrap();
        let done = ended(&client, &begun.id).await;
        assert_eq!((done.state, done.error), (OperationState::Succeeded, None));
        assert_eq!(done.result["replaced"], replaced);
    }
    assert_eq!(documents(&client, "notes").await, ["green tea", "black coffee"]);
    assert_eq!(client.get_points("other", [1]).await.unwrap().len(), 1);
    client.ingest_document(IngestDocument::new("notes", "b.txt", "cold coffee")).await.unwrap();

    for (request, code, reason) in [
        (beside, Code::AlreadyExists, "COLLECTION_EXISTS"),
        (RestoreCollection::new("nobody"), Code::NotFound, "COLLECTION_NOT_FOUND"),
        (RestoreCollection::new("notes").snapshot("absent"), Code::NotFound, "SNAPSHOT_NOT_FOUND"),
        (RestoreCollection::new("notes").named("../x"), Code::InvalidArgument, "INVALID_FIELD"),
        (
            RestoreCollection::new("notes").store("/elsewhere"),
            Code::PermissionDenied,
            "SNAPSHOT_STORE_NOT_ALLOWED",
        ),
    ] {
        let refused = client.restore_collection(request).await.unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (code, Some(reason)), "{refused}");
    }
    let directory = server.stop().await;
    assert!(is_clean(&directory.path().join("data")));
    let server = Server::start_over(directory, config()).await;
    assert_eq!(names(&server.client().await).await, ["before", "notes", "other"]);
    server.stop().await;
}

/// A collection whose restore takes a while.
async fn fill(client: &Client) {
    client.create_collection(CreateCollection::with_dimension("large", 32)).await.unwrap();
    for part in 0..10_u64 {
        let vector = |id: u64| (0..32).map(|at| ((id * 37 + at) % 101) as f32 + 1.0).collect::<Vec<f32>>();
        let points = (part * 2_000..(part + 1) * 2_000).map(|id| Point::new(id, vector(id)));
        client.upsert_points("large", points).await.unwrap();
    }
    snapshot(client).await;
}

/// One may have come to its end before it was asked to end: then it is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_one_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_store(folder.path()).await;
    let client = server.client().await;
    fill(&client).await;
    let mut is_cancelled = false;
    for _ in 0..20 {
        let begun = client.restore_collection(RestoreCollection::new("large").named("again")).await.unwrap();
        client.cancel_operation(&begun.id).await.unwrap();
        let done = ended(&client, &begun.id).await;
        match done.state {
            OperationState::Cancelled => {
                assert_eq!(names(&client).await, ["large"]);
                is_cancelled = true;
                break;
            }
            state => {
                assert_eq!((state, done.error), (OperationState::Succeeded, None));
                client.delete_collection("again").await.unwrap();
            }
        }
    }
    assert!(is_cancelled);
    let directory = server.stop().await;
    assert!(is_clean(&directory.path().join("data")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_a_stop_cut_off_says_so_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = with_store(folder.path()).await;
    let client = server.client().await;
    fill(&client).await;
    let begun = client.restore_collection(RestoreCollection::new("large").replace()).await.unwrap();
    let second = client.restore_collection(RestoreCollection::new("large").replace()).await;
    server.ask_to_stop();
    let directory = server.stop().await;
    assert!(is_clean(&directory.path().join("data")));
    // What a process leaves that is killed while it fetches.
    let left = directory.path().join("data").join("restoring-large");
    std::fs::create_dir_all(left.join("snapshot-1")).unwrap();
    let server = Server::start_over(directory, config()).await;
    let client = server.client().await;
    let found = client.get_operation(&begun.id).await.unwrap();
    assert!(!left.exists(), "the database is open");
    match found.state {
        OperationState::Succeeded => {}
        state => {
            assert_eq!(state, OperationState::Failed);
            let error = found.error.unwrap();
            assert_eq!((error.code(), error.reason()), (Code::Aborted, Some("OPERATION_INTERRUPTED")));
            // While it ran, it was the only one.
            if let Err(refused) = second {
                assert_eq!(refused.reason(), Some("OPERATION_EXISTS"));
            }
        }
    }
    assert_eq!(names(&client).await, ["large"]);
    assert_eq!(client.get_collection("large").await.unwrap().points, 20_000);
    server.stop().await;
}
