//! Operations that have ended, or whose collection has: listed, watched, cancelled.

use std::sync::Arc;

use ragstone_client::{
    Client, Code, CreateCollection, FieldType, IngestDocument, OperationState, Point, RestoreCollection,
};
use ragstone_proto::v1;
use ragstone_proto::v1::operations_service_client::OperationsServiceClient;
use ragstone_server::ServerConfig;

use crate::fixture::{BagOfWords, Gate, MODEL, Server, WAIT, config, eventually, field};
use crate::operations::ended;

const OTHER: &str = "tests/other";

/// A server with a store for snapshots, and a model that waits at its gate when it embeds [`WAIT`].
async fn start(folder: &tempfile::TempDir) -> (Server, Arc<Gate>) {
    let store = folder.path().join("snapshots").to_str().unwrap().to_owned();
    let server = Server::start_with(ServerConfig { snapshot_stores: vec![store], ..config() }).await;
    let gate = Arc::new(Gate::default());
    server.models.insert(Arc::new(BagOfWords::new(OTHER, Arc::clone(&gate))));
    server.gate.open();
    (server, gate)
}

async fn fill(client: &Client, text: &str) {
    client.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    client.ingest_document(IngestDocument::new("notes", "a.txt", text)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_listed_page_by_page_the_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _gate) = start(&folder).await;
    let client = server.client().await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        begun.push(client.take_snapshot(None).await.unwrap().id);
        ended(&client, &begun[begun.len() - 1]).await;
    }
    begun.reverse();
    let mut service = OperationsServiceClient::new(server.channel().await);
    let mut page = async |state: v1::OperationState, page_token: &str| {
        let (state, page_token) = (state.into(), page_token.to_owned());
        let request = v1::ListOperationsRequest { state, page_size: 2, page_token };
        service.list_operations(request).await.map(|response| {
            let v1::ListOperationsResponse { operations, next_page_token } = response.into_inner();
            (operations.into_iter().map(|operation| operation.id).collect::<Vec<_>>(), next_page_token)
        })
    };
    let all = v1::OperationState::Unspecified;
    let (first, token) = page(all, "").await.unwrap();
    // One that is begun between two pages is on neither of those that follow.
    let late = client.take_snapshot(None).await.unwrap().id;
    ended(&client, &late).await;
    let (second, next) = page(all, &token).await.unwrap();
    let (third, end) = page(all, &next).await.unwrap();
    assert_eq!((first.len(), second.len(), third.len(), end.as_str()), (2, 2, 1, ""));
    assert_eq!([first, second, third].concat(), begun);
    let refused = page(v1::OperationState::Succeeded, &token).await.unwrap_err();
    assert_eq!((refused.code(), field(&refused).as_str()), (tonic::Code::InvalidArgument, "page_token"));
    assert_eq!(page(v1::OperationState::Failed, "").await.unwrap(), (vec![], String::new()));
    let listed = client.list_operations(Some(OperationState::Succeeded)).await.unwrap();
    assert_eq!(listed.len(), 6);
    assert_eq!(listed[0].id, late);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_ended_is_watched_and_cancelled_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _gate) = start(&folder).await;
    let client = server.client().await;
    let begun = client.take_snapshot(None).await.unwrap();
    let done = ended(&client, &begun.id).await;
    assert_eq!(done.state, OperationState::Succeeded);
    let check = async |client: &Client| {
        let mut watch = client.watch_operation(&done.id).await.unwrap();
        assert_eq!(watch.next().await.unwrap().as_ref(), Some(&done));
        assert_eq!(watch.next().await.unwrap(), None, "there is no more to tell");
        assert_eq!(client.cancel_operation(&done.id).await.unwrap(), done);
        assert_eq!(client.get_operation(&done.id).await.unwrap(), done);
    };
    check(&client).await;
    let directory = server.stop().await;
    let server = Server::start_over(directory, config()).await;
    check(&server.client().await).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_its_collection() {
    let folder = tempfile::tempdir().unwrap();
    let (server, gate) = start(&folder).await;
    let client = server.client().await;
    fill(&client, WAIT).await;
    let begun = client.reembed_collection("notes", OTHER, None).await.unwrap();
    eventually("the model's work", || gate.waiting() == 1).await;
    client.delete_collection("notes").await.unwrap();
    fill(&client, "another").await;
    gate.open();
    let failed = ended(&client, &begun.id).await;
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(failed.error.unwrap().reason(), Some("COLLECTION_REPLACED"));
    // It has no say in the one that has the name now.
    assert_eq!(client.cancel_operation(&begun.id).await.unwrap().state, OperationState::Failed);
    assert_eq!(client.get_collection("notes").await.unwrap().model.unwrap().name, MODEL);
    assert!(!client.stats().await.unwrap().collections[0].reembedding);
    let again = client.reembed_collection("notes", OTHER, None).await.unwrap();
    assert_eq!(ended(&client, &again.id).await.state, OperationState::Succeeded);
    client.delete_collection("notes").await.unwrap();
    for id in [&begun.id, &again.id] {
        assert!(client.get_operation(id).await.unwrap().has_ended());
        client.cancel_operation(id).await.unwrap();
        client.delete_operation(id).await.unwrap();
    }
    server.stop().await;
}

/// What a restore takes the place of takes what was being made of it along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_in_place_ends_a_reembedding() {
    let folder = tempfile::tempdir().unwrap();
    let (server, gate) = start(&folder).await;
    let client = server.client().await;
    fill(&client, WAIT).await;
    let taken = client.take_snapshot(None).await.unwrap();
    ended(&client, &taken.id).await;
    let begun = client.reembed_collection("notes", OTHER, None).await.unwrap();
    eventually("the model's work", || gate.waiting() == 1).await;
    let restore = client.restore_collection(RestoreCollection::new("notes").replace()).await.unwrap();
    assert_eq!(ended(&client, &restore.id).await.state, OperationState::Succeeded);
    gate.open();
    let failed = ended(&client, &begun.id).await;
    assert_eq!(failed.error.unwrap().reason(), Some("COLLECTION_REPLACED"));
    assert_eq!(client.get_document("notes", "a.txt").await.unwrap().text, WAIT);
    assert!(!client.stats().await.unwrap().collections[0].reembedding);
    server.stop().await;
}

/// What two that failed one after the other have copied is the later one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_that_failed_gives_its_work_up() {
    let folder = tempfile::tempdir().unwrap();
    let (server, gate) = start(&folder).await;
    gate.open();
    let client = server.client().await;
    fill(&client, "green tea").await;
    let dimension = client.get_collection("notes").await.unwrap().dimension;
    client.upsert_points("notes", [Point::new(7, vec![1.0; dimension])]).await.unwrap();
    client.add_fields("notes", [("body", FieldType::String)]).await.unwrap();
    let mut failed = Vec::new();
    for _ in 0..2 {
        let begun = client.reembed_collection("notes", OTHER, Some("body")).await.unwrap();
        assert_eq!(ended(&client, &begun.id).await.state, OperationState::Failed);
        failed.push(begun.id);
    }
    let is_kept = async || client.stats().await.unwrap().collections[0].reembedding;
    assert!(is_kept().await);
    client.cancel_operation(&failed[0]).await.unwrap();
    assert!(is_kept().await, "it is the second one's");
    client.cancel_operation(&failed[1]).await.unwrap();
    assert!(!is_kept().await);
    assert_eq!(client.get_operation("0").await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}
