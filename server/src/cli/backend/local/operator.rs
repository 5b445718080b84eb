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
use ragstone_snapshot::{CollectionProgress, CollectionRestore, Error, Repository};

use super::{Local, or_default};
use crate::cli::backend::operator::{
    CollectionStatsView, OperationView, Operator, ReembedAsk, RestoreAsk, SnapshotView, StatsView,
};
use crate::cli::output;

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
        let cancel = CancelToken::new();
        output::on_interrupt(cancel.clone())?;
        self.restore_until(&cancel, ask, progress)
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

impl Local {
    /// Puts a collection of a snapshot back, until it is cancelled. A process that is killed leaves what it fetched, as large as the collection.
    fn restore_until(
        &self,
        cancel: &CancelToken,
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
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        progress.end();
        let restored = restored.map_err(|error| match error {
            Error::Cancelled => output::interrupted("interrupted: nothing was restored"),
            error => error.into(),
        })?;
        Ok(BTreeMap::from([
            ("replaced".to_owned(), restored.replaced.to_string()),
            ("rows".to_owned(), restored.rows.to_string()),
            ("snapshot".to_owned(), restored.snapshot),
        ]))
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

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;

    use ragstone::{Db, Schema};
    use ragstone_rag::embed::{ModelOptions, Models};
    use ragstone_rag::progress::Silent;
    use ragstone_snapshot::{SCRATCH_PREFIX, quietly};

    use super::*;

    /// Ctrl-C killed the process: what it had fetched stayed in the directory, until the next restore or for ever.
    #[test]
    fn interrupted_a_restore_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (data, copies) = (folder.path().join("data"), folder.path().join("copies"));
        let copies = copies.to_str().unwrap();
        let db = Db::open(&data).unwrap();
        db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
        Repository::open_or_make(copies).unwrap().take(&db, None, quietly).unwrap();
        drop(db);
        let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
        let local = Local { data: data.clone(), models, rag: OnceCell::new() };
        let ask = RestoreAsk {
            collection: "notes",
            store: Some(copies),
            snapshot: None,
            name: "again",
            replace: false,
        };
        let cancel = CancelToken::new();
        cancel.cancel();
        let ended = local.restore_until(&cancel, &ask, &Silent).err().unwrap();
        assert_eq!(ended.downcast_ref::<output::Incomplete>().unwrap().code, 130, "{ended}");
        let mut names = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
        let is_left = |name: std::ffi::OsString| name.to_string_lossy().starts_with(SCRATCH_PREFIX);
        assert!(!names.any(is_left));
        assert!(local.rag(false).unwrap().db().collection("again").is_err());
        let restored = local.restore_until(&CancelToken::new(), &ask, &Silent).unwrap();
        assert_eq!(restored["rows"], "0");
        assert!(local.rag(false).unwrap().db().collection("again").is_ok());
    }
}
