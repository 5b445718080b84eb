//! The part of the backend that operators use: aliases, what takes long, what a database holds.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use ragstone_client::{Operation, OperationState};
use ragstone_exchange::{ExportOptions, ImportOptions};
use ragstone_rag::progress::Progress;
use serde::Serialize;

/// A collection that is to move to another model.
#[derive(Debug)]
pub(crate) struct ReembedAsk<'a> {
    pub(crate) name: &'a str,
    pub(crate) model: &'a str,
    pub(crate) text_field: Option<&'a str>,
}

/// A collection of a snapshot that is to be put back.
#[derive(Debug)]
pub(crate) struct RestoreAsk<'a> {
    pub(crate) collection: &'a str,
    /// Where the snapshots are.
    pub(crate) store: Option<&'a str>,
    pub(crate) snapshot: Option<&'a str>,
    /// What it is called in the database.
    pub(crate) name: &'a str,
    pub(crate) replace: bool,
}

/// Work that takes long.
#[derive(Debug, Serialize)]
pub(crate) struct OperationView {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) target: String,
    pub(crate) state: &'static str,
    pub(crate) stage: String,
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
    pub(crate) unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) started: String,
    pub(crate) updated: String,
    pub(crate) result: BTreeMap<String, String>,
}

impl From<Operation> for OperationView {
    fn from(operation: Operation) -> Self {
        Self {
            kind: operation.kind.as_str(),
            state: operation.state.as_str(),
            id: operation.id,
            target: operation.target,
            stage: operation.stage,
            done: operation.done,
            total: operation.total,
            unit: operation.unit,
            error: operation.error.map(|error| error.to_string()),
            started: time(operation.started),
            updated: time(operation.updated),
            result: operation.result,
        }
    }
}

/// RFC 3339, in UTC.
pub(crate) fn time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A copy of a database.
#[derive(Debug, Serialize)]
pub(crate) struct SnapshotView {
    pub(crate) name: String,
    pub(crate) lineage: String,
    pub(crate) position: u64,
    pub(crate) time: String,
    pub(crate) created: String,
    pub(crate) bytes: u64,
}

/// What a collection holds, and what that takes.
#[derive(Debug, Serialize)]
pub(crate) struct CollectionStatsView {
    pub(crate) name: String,
    pub(crate) points: u64,
    pub(crate) vectors: u64,
    pub(crate) sealed_segments: usize,
    pub(crate) sealed_bytes: u64,
    pub(crate) dead_points: u64,
    pub(crate) growing_points: u64,
    pub(crate) growing_bytes: u64,
    pub(crate) unlinked_points: u64,
    pub(crate) seq: u64,
    pub(crate) reembedding: bool,
}

/// What a database holds.
#[derive(Debug, Serialize)]
pub(crate) struct StatsView {
    pub(crate) collections: Vec<CollectionStatsView>,
    pub(crate) log_bytes: u64,
    pub(crate) log_position: u64,
    pub(crate) growing_bytes: u64,
    pub(crate) lineage: String,
    /// Of a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) running_operations: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) snapshot_stores: Vec<String>,
}

/// What operators do. Only a server has operations: of a directory, what takes long is done by the command itself.
pub(crate) trait Operator {
    /// Has an alias name a collection.
    fn set_alias(&self, alias: &str, collection: &str) -> Result<()>;
    /// Removes an alias.
    fn delete_alias(&self, alias: &str) -> Result<()>;
    /// The aliases of a collection, or all, each with its collection.
    fn aliases(&self, of: Option<&str>) -> Result<Vec<(String, String)>>;
    /// Moves a collection to another model, to the end; what came of it, by name.
    fn reembed(&self, ask: &ReembedAsk<'_>, progress: &dyn Progress) -> Result<BTreeMap<String, String>>;
    /// Begins to move a collection to another model, and leaves it to the server.
    fn begin_reembed(&self, ask: &ReembedAsk<'_>) -> Result<OperationView>;
    /// Gives up the move of a collection; whether there was one.
    fn abandon_reembed(&self, name: &str) -> Result<bool>;
    /// Puts a collection of a snapshot back, to the end; what came of it, by name.
    fn restore_collection(
        &self,
        ask: &RestoreAsk<'_>,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<String, String>>;
    /// Begins to put a collection of a snapshot back, and leaves it to the server.
    fn begin_restore(&self, ask: &RestoreAsk<'_>) -> Result<OperationView>;
    /// What the database holds.
    fn stats(&self) -> Result<StatsView>;
    /// The operations in a state, or all, the newest first.
    fn operations(&self, state: Option<OperationState>) -> Result<Vec<OperationView>>;
    /// An operation.
    fn operation(&self, id: &str) -> Result<OperationView>;
    /// Shows how far an operation is, until it has ended; how it ended.
    fn watch(&self, id: &str, progress: &dyn Progress) -> Result<OperationView>;
    /// Asks an operation to end.
    fn cancel(&self, id: &str) -> Result<OperationView>;
    /// Forgets an operation that has ended.
    fn delete_operation(&self, id: &str) -> Result<()>;
    /// Begins to copy the database to a store.
    fn begin_snapshot(&self, store: Option<&str>) -> Result<OperationView>;
    /// The snapshots in a store.
    fn snapshots(&self, store: Option<&str>) -> Result<Vec<SnapshotView>>;
    /// Begins to write a collection to a file of the server.
    fn begin_export(&self, collection: &str, file: &str, options: &ExportOptions) -> Result<OperationView>;
    /// Begins to read a file of the server into a collection.
    fn begin_import(&self, file: &str, collection: &str, options: &ImportOptions) -> Result<OperationView>;
    /// Begins to compare a snapshot with its checksums.
    fn begin_verify(&self, store: Option<&str>, name: Option<&str>) -> Result<OperationView>;
}
