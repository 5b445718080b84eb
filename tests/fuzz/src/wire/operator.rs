//! Sound requests about collections as they are, their other names, keys, operations and files: what an operator asks. Where one would leave the server
//! without what the next run needs, it is about something that is not there.

use prost::Message;
use ragstone_proto::v1;

use super::requests::{COLLECTION, every_condition, query};

/// The requests, by path, as bytes.
pub(super) fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = of_names();
    all.extend(of_keys());
    all.extend(of_operations());
    all.extend(of_files());
    all
}

fn of_names() -> Vec<(&'static str, Vec<u8>)> {
    let (name, alias) = (|| COLLECTION.to_owned(), || "alias".to_owned());
    let explain = v1::ExplainRequest { query: Some(query()) };
    let get = v1::GetCollectionRequest { name: name(), ..Default::default() };
    let delete = v1::DeleteCollectionRequest {
        name: "other".to_owned(),
        etag: "\"1-2\"".to_owned(),
        request_id: "once".to_owned(),
    };
    let set = v1::SetAliasRequest { alias: alias(), collection: name() };
    let forget = v1::DeleteAliasRequest { alias: alias() };
    let list = v1::ListAliasesRequest { collection: name(), page_size: 2, ..Default::default() };
    vec![
        ("SearchService/Explain", explain.encode_to_vec()),
        ("CollectionsService/GetCollection", get.encode_to_vec()),
        ("CollectionsService/DeleteCollection", delete.encode_to_vec()),
        ("CollectionsService/SetAlias", set.encode_to_vec()),
        ("CollectionsService/DeleteAlias", forget.encode_to_vec()),
        ("CollectionsService/ListAliases", list.encode_to_vec()),
    ]
}

fn of_keys() -> Vec<(&'static str, Vec<u8>)> {
    let limits = v1::KeyLimits { per_second: Some(5.0), burst: Some(2), per_day: Some(100) };
    // A grant that there is not, so that no keys are left behind.
    let grants = vec!["read on notes where year > 2000".to_owned(), "anything".to_owned()];
    let create =
        v1::CreateKeyRequest { name: "k".to_owned(), grants, limits: Some(limits), ..Default::default() };
    let id = || "nobody".to_owned();
    let rotate = v1::RotateKeyRequest { id: id(), ..Default::default() };
    let revoke = v1::RevokeKeyRequest { id: id() };
    let list = v1::ListKeysRequest { page_size: 1, ..Default::default() };
    vec![
        ("AdminService/CreateKey", create.encode_to_vec()),
        ("AdminService/RotateKey", rotate.encode_to_vec()),
        ("AdminService/RevokeKey", revoke.encode_to_vec()),
        ("AdminService/ListKeys", list.encode_to_vec()),
    ]
}

fn of_operations() -> Vec<(&'static str, Vec<u8>)> {
    let id = || "0123456789abcdef".to_owned();
    let get = v1::GetOperationRequest { id: id() };
    let watch = v1::WatchOperationRequest { id: id() };
    let cancel = v1::CancelOperationRequest { id: id() };
    let delete = v1::DeleteOperationRequest { id: id() };
    let list = v1::ListOperationsRequest {
        state: v1::OperationState::Running.into(),
        page_size: 1,
        ..Default::default()
    };
    vec![
        ("OperationsService/GetOperation", get.encode_to_vec()),
        ("OperationsService/WatchOperation", watch.encode_to_vec()),
        ("OperationsService/CancelOperation", cancel.encode_to_vec()),
        ("OperationsService/DeleteOperation", delete.encode_to_vec()),
        ("OperationsService/ListOperations", list.encode_to_vec()),
    ]
}

/// The server allows no stores and no files, so these are looked at and refused.
fn of_files() -> Vec<(&'static str, Vec<u8>)> {
    let (store, name) = (|| "s3://bucket/prefix".to_owned(), || COLLECTION.to_owned());
    let list = v1::ListSnapshotsRequest { store: store(), page_size: 1, ..Default::default() };
    let verify = v1::VerifySnapshotRequest { store: store(), name: "copy".to_owned() };
    let restore = v1::RestoreCollectionRequest {
        store: store(),
        snapshot: "copy".to_owned(),
        collection: name(),
        name: "other".to_owned(),
        replace: true,
    };
    let export = v1::ExportCollectionRequest {
        collection: name(),
        file: "notes.parquet".to_owned(),
        filter: Some(every_condition()),
        compression: v1::FileCompression::Zstd.into(),
        ..Default::default()
    };
    let import = v1::ImportCollectionRequest {
        file: "notes.arrow".to_owned(),
        collection: "other".to_owned(),
        columns: vec!["id".to_owned(), "year".to_owned()],
        batch_rows: Some(10),
        ..Default::default()
    };
    vec![
        ("AdminService/ListSnapshots", list.encode_to_vec()),
        ("AdminService/VerifySnapshot", verify.encode_to_vec()),
        ("AdminService/RestoreCollection", restore.encode_to_vec()),
        ("AdminService/ExportCollection", export.encode_to_vec()),
        ("AdminService/ImportCollection", import.encode_to_vec()),
        ("AdminService/GetStats", Vec::new()),
    ]
}
