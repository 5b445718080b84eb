//! What operators do with a directory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use ragstone::{CancelToken, CollectionStats};
use ragstone_client::OperationState;
use ragstone_exchange::{ExportOptions, ImportOptions};
use ragstone_rag::ReembedOptions;
use ragstone_rag::progress::Progress;
use ragstone_server::scratch;
use ragstone_snapshot::{CollectionProgress, CollectionRestore, Repository};

use super::{Local, or_default};
use crate::cli::backend::operator::{
    CollectionStatsView, OperationView, Operator, ReembedAsk, RestoreAsk, SnapshotView, StatsView,
};

/// A directory has no operations.
fn no_server<T>() -> Result<T> {
    bail!(
        "operations are a server's: give --url; on a directory, `snapshot`, `export`, `import`, `collection reembed` and `collection restore` work to their end"
    )
}

impl Operator for Local {
    fn set_alias(&self, alias: &str, collection: &str) -> Result<()> {
        Ok(self.rag(false)?.db().set_alias(alias, collection)?)
    }

    fn delete_alias(&self, alias: &str) -> Result<()> {
        Ok(self.rag(false)?.db().delete_alias(alias)?)
    }

    fn aliases(&self, of: Option<&str>) -> Result<Vec<(String, String)>> {
        let mut aliases = self.rag(false)?.db().aliases();
        aliases.retain(|(_, collection)| of.is_none_or(|of| collection == of));
        Ok(aliases)
    }

    fn reembed(&self, ask: &ReembedAsk<'_>, progress: &dyn Progress) -> Result<BTreeMap<String, String>> {
        let options = ReembedOptions::to(or_default(ask.model));
        let options = ask.text_field.into_iter().fold(options, ReembedOptions::text_field);
        let report = self.rag(false)?.reembed(ask.name, &options, progress, &CancelToken::new())?;
        let counts = [
            ("texts", report.texts),
            ("tokens", report.tokens),
            ("split_anew", report.split_anew),
            ("passes", u64::from(report.passes)),
        ];
        Ok(counts.into_iter().map(|(name, count)| (name.to_owned(), count.to_string())).collect())
    }

    fn begin_reembed(&self, _: &ReembedAsk<'_>) -> Result<OperationView> {
        no_server()
    }

    fn abandon_reembed(&self, name: &str) -> Result<bool> {
        Ok(self.rag(false)?.abandon_reembedding(name)?)
    }

    fn restore_collection(
        &self,
        ask: &RestoreAsk<'_>,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<String, String>> {
        let repository = Repository::open(ask.store.context("--from: say where the snapshots are")?)?;
        let wanted = CollectionRestore::new(ask.collection).named(ask.name);
        let wanted = ask.snapshot.into_iter().fold(wanted, CollectionRestore::snapshot);
        let wanted = if ask.replace { wanted.replace() } else { wanted };
        let db = self.rag(true)?.db();
        // Who has the database open is the only one who restores to it.
        scratch::clear(db);
        let (mut stage, mut shown) = (None, 0);
        let restored = repository.restore_collection(db, &wanted, &scratch::place(db), |at| {
            let (what, unit, done, total) = match at {
                CollectionProgress::Fetching(at) => ("fetch", "B", at.bytes, at.bytes_total),
                CollectionProgress::Verifying(at) => ("verify", "B", at.bytes, at.bytes_total),
                CollectionProgress::Copying { rows, rows_total } => ("restore", "rows", rows, rows_total),
            };
            if stage != Some(what) {
                progress.begin(what, Some(total), unit);
                (stage, shown) = (Some(what), 0);
            }
            progress.advance(done.saturating_sub(shown));
            shown = shown.max(done);
            ControlFlow::Continue(())
        });
        progress.end();
        let restored = restored?;
        Ok(BTreeMap::from([
            ("replaced".to_owned(), restored.replaced.to_string()),
            ("rows".to_owned(), restored.rows.to_string()),
            ("snapshot".to_owned(), restored.snapshot),
        ]))
    }

    fn begin_restore(&self, _: &RestoreAsk<'_>) -> Result<OperationView> {
        no_server()
    }

    fn stats(&self) -> Result<StatsView> {
        let stats = self.rag(false)?.db().stats()?;
        Ok(StatsView {
            collections: stats.collections.into_iter().map(collection).collect(),
            log_bytes: stats.log_bytes,
            log_position: stats.log_position,
            growing_bytes: stats.growing_bytes,
            lineage: stats.lineage.to_string(),
            running_operations: None,
            snapshot_stores: Vec::new(),
        })
    }

    fn operations(&self, _: Option<OperationState>) -> Result<Vec<OperationView>> {
        no_server()
    }

    fn operation(&self, _: &str) -> Result<OperationView> {
        no_server()
    }

    fn watch(&self, _: &str, _: &dyn Progress) -> Result<OperationView> {
        no_server()
    }

    fn cancel(&self, _: &str) -> Result<OperationView> {
        no_server()
    }

    fn delete_operation(&self, _: &str) -> Result<()> {
        no_server()
    }

    fn begin_snapshot(&self, _: Option<&str>) -> Result<OperationView> {
        no_server()
    }

    fn snapshots(&self, _: Option<&str>) -> Result<Vec<SnapshotView>> {
        no_server()
    }

    fn begin_export(&self, _: &str, _: &str, _: &ExportOptions) -> Result<OperationView> {
        no_server()
    }

    fn begin_import(&self, _: &str, _: &str, _: &ImportOptions) -> Result<OperationView> {
        no_server()
    }

    fn begin_verify(&self, _: Option<&str>, _: Option<&str>) -> Result<OperationView> {
        no_server()
    }
}

fn collection(stats: CollectionStats) -> CollectionStatsView {
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
        reembedding: stats.is_being_replaced,
    }
}
