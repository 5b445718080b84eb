//! Collections to and from files of the server, as operations.

use ragstone_exchange::{ExportOptions, ImportOptions};
use ragstone_proto::v1::{ExportCollectionRequest, ImportCollectionRequest};
use ragstone_rag::progress::Progress as _;
use tonic::Status;

use super::Services;
use super::admin::asked;
use crate::operations::{Kind, Operation, Outcome};
use crate::{convert, exchange, status};

impl Services {
    pub(super) async fn export(&self, request: ExportCollectionRequest) -> Result<Operation, Status> {
        let file = exchange::file_in(self.exchange_dir(), &request.file)?;
        let filter = convert::filter_in(request.filter)?;
        let options = ExportOptions { filter, overwrite: request.overwrite, ..ExportOptions::default() };
        let name = request.collection;
        // Refused now rather than later, if there is none.
        let name = self.apply(move |rag| Ok(rag.db().collection(&name)?.name().to_owned())).await?;
        let (rag, asked) = (self.rag(), asked(Kind::Export, &name, &[("file", &request.file)]));
        self.begin(asked, move |report, cancel| {
            report.begin("export", None, "rows");
            let mut told = exchange::told(report, cancel);
            let done = exchange::export(&rag, &name, &file, &options, &mut told).map_err(status::exchange)?;
            let counts = [("rows", done.rows), ("bytes", done.bytes)];
            Ok(counts.into_iter().map(|(name, count)| (name.to_owned(), count.to_string())).collect())
        })
        .await
    }

    pub(super) async fn import(&self, request: ImportCollectionRequest) -> Result<Operation, Status> {
        let file = exchange::file_in(self.exchange_dir(), &request.file)?;
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        let options = ImportOptions {
            id: named(request.id_column),
            number_rows: request.number_rows,
            vector: named(request.vector_column),
            ..ImportOptions::default()
        };
        let name = request.collection;
        let (rag, asked) = (self.rag(), asked(Kind::Import, &name, &[("file", &request.file)]));
        self.begin(asked, move |report, cancel| {
            report.begin("import", None, "rows");
            let mut told = exchange::told(report, cancel);
            let done = exchange::import(&rag, &name, &file, &options, &mut told).map_err(status::exchange)?;
            Ok(Outcome::from([
                ("rows".to_owned(), done.rows.to_string()),
                ("created".to_owned(), done.created.to_string()),
            ]))
        })
        .await
    }
}
