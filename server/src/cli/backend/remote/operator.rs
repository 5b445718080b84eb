//! What operators do with a server.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ragstone_client::{self as client, Operation, OperationKind, OperationState};
use ragstone_exchange::{ExportOptions, ImportOptions};
use ragstone_rag::progress::Progress;

use super::{Remote, exchange};
use crate::cli::backend::operator::{
    CollectionStatsView, OperationView, Operator, ReembedAsk, RestoreAsk, SnapshotView, StatsView, time,
};

impl Remote {
    fn begin(&self, ask: &ReembedAsk<'_>) -> Result<Operation> {
        self.call(self.client.reembed_collection(ask.name, ask.model, ask.text_field))
    }

    fn begin_to_restore(&self, ask: &RestoreAsk<'_>) -> Result<Operation> {
        let request = client::RestoreCollection::new(ask.collection).named(ask.name);
        let request = ask.store.into_iter().fold(request, client::RestoreCollection::store);
        let request = ask.snapshot.into_iter().fold(request, client::RestoreCollection::snapshot);
        let request = if ask.replace { request.replace() } else { request };
        self.call(self.client.restore_collection(request))
    }

    /// Shows how far an operation is, until it has ended; what came of it.
    fn finish(&self, id: &str, progress: &dyn Progress) -> Result<BTreeMap<String, String>> {
        let ended = self.follow(id, progress)?;
        match (ended.state, ended.error) {
            (OperationState::Succeeded, _) => Ok(ended.result),
            (_, Some(error)) => Err(error.into()),
            (state, None) => bail!("operation `{}`: {}", ended.id, state.as_str()),
        }
    }

    /// Shows how far an operation is, until it has ended.
    fn follow(&self, id: &str, progress: &dyn Progress) -> Result<Operation> {
        let mut watch = self.call(self.client.watch_operation(id))?;
        let (mut stage, mut shown) = (None, 0);
        loop {
            let Some(operation) = self.call(watch.next())? else {
                bail!("operation `{id}`: the server told no end of it");
            };
            let now = (operation.stage.clone(), operation.total.is_some());
            if !operation.stage.is_empty() && stage.as_ref() != Some(&now) {
                progress.begin(&operation.stage, operation.total, unit(&operation.unit));
                (stage, shown) = (Some(now), 0);
            }
            progress.advance(operation.done.saturating_sub(shown));
            shown = shown.max(operation.done);
            if operation.has_ended() {
                progress.end();
                return Ok(operation);
            }
        }
    }
}

impl Operator for Remote {
    fn set_alias(&self, alias: &str, collection: &str) -> Result<()> {
        self.call(self.client.set_alias(alias, collection)).map(drop)
    }

    fn delete_alias(&self, alias: &str) -> Result<()> {
        self.call(self.client.delete_alias(alias))
    }

    fn aliases(&self, of: Option<&str>) -> Result<Vec<(String, String)>> {
        let aliases = self.call(self.client.list_aliases(of))?;
        Ok(aliases.into_iter().map(|alias| (alias.alias, alias.collection)).collect())
    }

    fn reembed(&self, ask: &ReembedAsk<'_>, progress: &dyn Progress) -> Result<BTreeMap<String, String>> {
        let operation = self.begin(ask)?;
        self.finish(&operation.id, progress)
    }

    fn begin_reembed(&self, ask: &ReembedAsk<'_>) -> Result<OperationView> {
        self.begin(ask).map(OperationView::from)
    }

    fn abandon_reembed(&self, name: &str) -> Result<bool> {
        let name = self.call(self.client.get_collection(name))?.name;
        let operations = self.call(self.client.list_operations(None))?;
        let last = operations
            .into_iter()
            .find(|operation| operation.kind == OperationKind::Reembed && operation.target == name);
        match last {
            Some(last) if matches!(last.state, OperationState::Running | OperationState::Failed) => {
                self.call(self.client.cancel_operation(&last.id))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn restore_collection(
        &self,
        ask: &RestoreAsk<'_>,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<String, String>> {
        let operation = self.begin_to_restore(ask)?;
        self.finish(&operation.id, progress)
    }

    fn begin_restore(&self, ask: &RestoreAsk<'_>) -> Result<OperationView> {
        self.begin_to_restore(ask).map(OperationView::from)
    }

    fn stats(&self) -> Result<StatsView> {
        let stats = self.call(self.client.stats())?;
        Ok(StatsView {
            collections: stats.collections.into_iter().map(collection).collect(),
            log_bytes: stats.log_bytes,
            log_position: stats.log_position,
            growing_bytes: stats.growing_bytes,
            lineage: stats.lineage,
            running_operations: Some(stats.running_operations),
            snapshot_stores: stats.snapshot_stores,
        })
    }

    fn operations(&self, state: Option<OperationState>) -> Result<Vec<OperationView>> {
        let operations = self.call(self.client.list_operations(state))?;
        Ok(operations.into_iter().map(OperationView::from).collect())
    }

    fn operation(&self, id: &str) -> Result<OperationView> {
        self.call(self.client.get_operation(id)).map(OperationView::from)
    }

    fn watch(&self, id: &str, progress: &dyn Progress) -> Result<OperationView> {
        self.follow(id, progress).map(OperationView::from)
    }

    fn cancel(&self, id: &str) -> Result<OperationView> {
        self.call(self.client.cancel_operation(id)).map(OperationView::from)
    }

    fn delete_operation(&self, id: &str) -> Result<()> {
        self.call(self.client.delete_operation(id))
    }

    fn begin_snapshot(&self, store: Option<&str>) -> Result<OperationView> {
        self.call(self.client.take_snapshot(store)).map(OperationView::from)
    }

    fn snapshots(&self, store: Option<&str>) -> Result<Vec<SnapshotView>> {
        let snapshots = self.call(self.client.list_snapshots(store))?;
        Ok(snapshots.into_iter().map(snapshot).collect())
    }

    fn begin_export(&self, collection: &str, file: &str, options: &ExportOptions) -> Result<OperationView> {
        let request = exchange::of_server(client::ExportCollection::new(collection, file), options);
        self.call(self.client.export_collection(request)).map(OperationView::from)
    }

    fn begin_import(&self, file: &str, collection: &str, options: &ImportOptions) -> Result<OperationView> {
        let request = exchange::into_server(client::ImportCollection::new(file, collection), options);
        self.call(self.client.import_collection(request)).map(OperationView::from)
    }

    fn begin_verify(&self, store: Option<&str>, name: Option<&str>) -> Result<OperationView> {
        self.call(self.client.verify_snapshot(store, name)).map(OperationView::from)
    }
}

/// The units that servers count in; progress is shown in one that lives as long as the process.
fn unit(unit: &str) -> &'static str {
    match unit {
        "B" => "B",
        "texts" => "texts",
        "rows" => "rows",
        _ => "",
    }
}

fn collection(stats: client::CollectionStats) -> CollectionStatsView {
    CollectionStatsView {
        name: stats.name,
        points: stats.points,
        vectors: stats.vectors,
        sealed_segments: stats.sealed_segments,
        sealed_bytes: stats.sealed_bytes,
        dead_points: stats.dead_points,
        growing_points: stats.growing_points,
        growing_bytes: stats.growing_bytes,
        unlinked_points: stats.unlinked_points,
        seq: stats.seq,
        reembedding: stats.reembedding,
    }
}

fn snapshot(snapshot: client::Snapshot) -> SnapshotView {
    SnapshotView {
        name: snapshot.name,
        lineage: snapshot.lineage,
        position: snapshot.position,
        time: time(snapshot.position_time),
        created: time(snapshot.created),
        bytes: snapshot.bytes,
    }
}
