//! Collections to files of the server, and back.

use std::path::Path;

use ragstone_client::{
    Client, Code, CreateCollection, ExportCollection, FileCompression, FileFormat, Filter, ImportCollection,
    Metric, Operation, OperationKind, OperationState, Point, Query, Range,
};
use ragstone_server::ServerConfig;

use crate::fixture::{Server, config};
use crate::operations::{ended, fill};

/// A server with this folder.
async fn over(folder: &Path) -> (Server, Client) {
    let config = ServerConfig { exchange_dir: Some(folder.to_owned()), ..config() };
    let server = Server::start_with(config).await;
    let client = server.client().await;
    (server, client)
}

async fn export(client: &Client, request: ExportCollection) -> Operation {
    ended(client, &client.export_collection(request).await.unwrap().id).await
}

async fn import(client: &Client, request: ImportCollection) -> Operation {
    ended(client, &client.import_collection(request).await.unwrap().id).await
}

/// The field that an operation failed for, and what is said of it.
fn refused(ended: Operation) -> (String, String) {
    let error = ended.error.unwrap();
    assert_eq!((ended.state, error.code()), (OperationState::Failed, Code::InvalidArgument), "{error}");
    let violation = error.field_violations()[0].clone();
    (violation.field, violation.description)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_go_to_files_of_the_server_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = over(folder.path()).await;
    let client = fill(&server).await;
    let begun = client.export_collection(ExportCollection::new("notes", "notes.parquet")).await.unwrap();
    let exported = ended(&client, &begun.id).await;
    assert_eq!((exported.state, exported.kind), (OperationState::Succeeded, OperationKind::Export));
    assert_eq!((exported.done, exported.unit.as_str(), exported.result["rows"].as_str()), (6, "rows", "6"));
    let again = client.export_collection(ExportCollection::new("notes", "notes.parquet")).await.unwrap();
    let refused = ended(&client, &again.id).await.error.unwrap();
    assert_eq!((refused.code(), refused.reason()), (Code::AlreadyExists, Some("FILE_EXISTS")));

    let import =
        |file: &str, collection: &str| client.import_collection(ImportCollection::new(file, collection));
    let begun = import("notes.parquet", "copied").await.unwrap();
    let imported = ended(&client, &begun.id).await;
    assert_eq!((imported.state, imported.result["created"].as_str()), (OperationState::Succeeded, "true"));
    assert_eq!(client.get_document("copied", "a.txt").await.unwrap().text, "green tea");
    assert_eq!(client.query(Query::text("copied", "black coffee", 1)).await.unwrap().hits.len(), 1);
    // Beside other versions of the documents, their rows would be half of something.
    let begun = import("notes.parquet", "notes").await.unwrap();
    let refused = ended(&client, &begun.id).await.error.unwrap();
    assert_eq!(
        (refused.code(), refused.field_violations()[0].field.as_str()),
        (Code::InvalidArgument, "file")
    );
    // The operation was told of by the alias: to who manages names like that, and beside another one on the same rows.
    client.set_alias("elsewhere", "copied").await.unwrap();
    let begun = import("notes.parquet", "elsewhere").await.unwrap();
    assert_eq!(begun.target, "copied");
    ended(&client, &begun.id).await;
    let begun = import("absent.parquet", "x").await.unwrap();
    assert_eq!(ended(&client, &begun.id).await.error.unwrap().reason(), Some("FILE_NOT_FOUND"));
    for wrong in ["../notes.parquet", "/etc/passwd", "", "a/b.arrow"] {
        let refused = import(wrong, "x").await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.field_violations()[0].field.as_str()),
            (Code::InvalidArgument, "file")
        );
    }
    assert_eq!(
        client.export_collection(ExportCollection::new("nobody", "x.arrow")).await.unwrap_err().code(),
        Code::NotFound
    );
    server.stop().await;

    let server = Server::start().await;
    let refused =
        server.client().await.import_collection(ImportCollection::new("a.arrow", "x")).await.unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::PermissionDenied, Some("EXCHANGE_NOT_ALLOWED")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_written_as_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = over(folder.path()).await;
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let point = |id: u64| Point::new(id, [1.0, id as f32]).with("lang", "en").with("year", id as i64);
    client.upsert_points("c", (1..=4).map(point)).await.unwrap();
    let to = |file: &str| ExportCollection::new("c", file);
    assert_eq!(refused(export(&client, to("c.data")).await).0, "format");
    let snappy = to("c.arrow").compression(FileCompression::Snappy);
    assert_eq!(refused(export(&client, snappy).await).0, "compression");
    let named = to("c.data")
        .format(FileFormat::Arrow)
        .compression(FileCompression::Lz4)
        .id_column("key")
        .vector_column("embedding");
    assert_eq!(export(&client, named.clone()).await.result["rows"], "4");
    let again = export(&client, named.clone()).await;
    assert_eq!(again.error.unwrap().reason(), Some("FILE_EXISTS"));
    assert_eq!(export(&client, named.overwrite()).await.state, OperationState::Succeeded);

    let from = |collection: &str| ImportCollection::new("c.data", collection).format(FileFormat::Arrow);
    let (field, columns) = refused(import(&client, from("new").columns(["colour"])).await);
    assert!(columns.contains("`key`, `embedding`"), "{columns}");
    assert_eq!(field, "columns");
    for (request, wrong) in [
        (from("new").except(["colour"]), "except_columns"),
        (from("new").id_column("colour"), "id_column"),
        (from("new").vector_column("colour"), "vector_column"),
        (from("new").expires_at_column("colour"), "expires_at_column"),
        (from("new").metric(Metric::Dot), "metric"),
        (from("new").batch_rows(0), "batch_rows"),
        (ImportCollection::new("c.data", "new"), "format"),
    ] {
        assert_eq!(refused(import(&client, request).await).0, wrong);
    }
    assert_eq!(client.get_collection("new").await.unwrap_err().code(), Code::NotFound);
    let kept = import(&client, from("new").except(["lang"]).batch_rows(1)).await;
    assert_eq!((kept.state, kept.result["rows"].as_str()), (OperationState::Succeeded, "4"));
    let points = client.get_points("new", [3]).await.unwrap();
    assert_eq!(points[0].payload.keys().collect::<Vec<_>>(), ["year"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_others_are_read_as_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = over(folder.path()).await;
    let file = "pyarrow-zstd.parquet";
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/exchange/tests/data");
    std::fs::copy(data.join(file), folder.path().join(file)).unwrap();
    let from = |collection: &str| ImportCollection::new(file, collection);
    import(&client, from("whole").metric(Metric::Dot)).await;
    let whole = client.get_collection("whole").await.unwrap();
    assert_eq!((whole.points, whole.metric, whole.fields.len()), (6, Metric::Dot, 14));
    import(&client, from("few").columns(["vector", "text"])).await;
    let few = client.get_collection("few").await.unwrap();
    assert_eq!((few.points, few.metric), (6, Metric::Cosine));
    assert_eq!(few.fields.keys().collect::<Vec<_>>(), ["text"]);
    // What expired in 2024 is not there any more.
    import(&client, from("expired").metric(Metric::Dot).expires_at_column("micros")).await;
    let expired = client.get_collection("expired").await.unwrap();
    assert!(expired.points < 6 && !expired.fields.contains_key("micros"), "{expired:?}");
    server.stop().await;
}

/// Whose points an export is of: of all tenants, unless a filter says whose, and one that does not say is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_under_a_filter_names_its_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = over(folder.path()).await;
    client.create_collection(CreateCollection::with_dimension("c", 2).tenant("customer")).await.unwrap();
    let point = |id: u64| {
        Point::new(id, [1.0, id as f32]).with("customer", format!("t{}", id % 3)).with("n", id as i64)
    };
    client.upsert_points("c", (0..30).map(point)).await.unwrap();
    let to = || ExportCollection::new("c", "c.parquet").overwrite();
    let small = || Filter::range("n", Range::new().lt(6));
    let rows = async |request: ExportCollection| export(&client, request).await.result["rows"].clone();
    assert_eq!(rows(to()).await, "30");
    assert_eq!(rows(to().filter(Filter::eq("customer", "t1"))).await, "10");
    assert_eq!(rows(to().filter(Filter::And(vec![Filter::AllTenants, small()]))).await, "6");
    let (field, reason) = refused(export(&client, to().filter(small())).await);
    assert!(field == "filter" && reason.contains("keeps tenants apart by `customer`"), "{field}: {reason}");
    server.stop().await;
}
