//! A collection of a snapshot put back into the database that serves, as an operation.

use ragstone_proto::v1::RestoreCollectionRequest;
use ragstone_rag::progress::Progress as _;
use ragstone_snapshot::{CollectionProgress, CollectionRestore, Repository};
use tonic::Status;

use super::Services;
use super::admin::asked;
use crate::operations::{Kind, Operation, Outcome};
use crate::{scratch, status};

impl Services {
    pub(super) async fn restore(&self, request: RestoreCollectionRequest) -> Result<Operation, Status> {
        let RestoreCollectionRequest { store, snapshot, collection, name, replace } = request;
        let store = self.snapshot_store(store)?;
        let mut wanted = CollectionRestore::new(collection);
        wanted.snapshot = Some(snapshot).filter(|snapshot| !snapshot.is_empty());
        wanted.replace = replace;
        if !name.is_empty() {
            wanted.name = name;
        }
        let (db, place) = (self.rag().db().clone(), store.clone());
        // Refused now rather than later, where it can be known; and the newest snapshot is that of now.
        let wanted = self.work().beside(move || -> Result<CollectionRestore, Status> {
            let repository = Repository::open_or_make(&place).map_err(status::snapshot)?;
            let found = repository.check_collection_restore(&db, &wanted).map_err(status::snapshot)?;
            Ok(wanted.snapshot(found.name))
        });
        let wanted = wanted.await??;
        let asked = asked(
            Kind::RestoreCollection,
            &wanted.name,
            &[
                ("store", &store),
                ("snapshot", wanted.snapshot.as_deref().unwrap_or_default()),
                ("collection", &wanted.collection),
            ],
        );
        let db = self.rag().db().clone();
        self.begin(asked, move |report, cancel| {
            report.begin("fetch", None, "B");
            let repository = Repository::open(&store).map_err(status::snapshot)?;
            let mut stage = "fetch";
            let told = |progress: CollectionProgress| {
                let (now, unit, done, total) = match progress {
                    CollectionProgress::Fetching(at) => ("fetch", "B", at.bytes, at.bytes_total),
                    CollectionProgress::Verifying(at) => ("verify", "B", at.bytes, at.bytes_total),
                    CollectionProgress::Copying { rows, rows_total } => ("restore", "rows", rows, rows_total),
                };
                if std::mem::replace(&mut stage, now) != now {
                    report.begin(now, Some(total), unit);
                }
                report.at(done, Some(total), cancel)
            };
            let restored = repository.restore_collection(&db, &wanted, &scratch::place(&db), told);
            let restored = restored.map_err(status::snapshot)?;
            Ok(Outcome::from([
                ("rows".to_owned(), restored.rows.to_string()),
                ("snapshot".to_owned(), restored.snapshot),
                ("replaced".to_owned(), restored.replaced.to_string()),
            ]))
        })
        .await
    }
}
