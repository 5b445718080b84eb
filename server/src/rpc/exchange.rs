//! Collections to and from files of the server, as operations.

use ragstone_exchange::Error;
use ragstone_proto::v1::{ExportCollectionRequest, ImportCollectionRequest};
use ragstone_rag::Rag;
use ragstone_rag::progress::Progress as _;
use tonic::Status;

use super::Services;
use super::admin::asked;
use crate::operations::{Kind, Operation, Outcome};
use crate::{convert, exchange, status};

impl Services {
    pub(super) async fn export(&self, request: ExportCollectionRequest) -> Result<Operation, Status> {
        let file = exchange::file_in(self.exchange_dir(), &request.file)?;
        let (name, file_name) = (request.collection.clone(), request.file.clone());
        let options = convert::export_options(request)?;
        // Refused now rather than later, if there is none.
        let name = self.apply(move |rag| Ok(rag.db().collection(&name)?.name().to_owned())).await?;
        let (rag, asked) = (self.rag(), asked(Kind::Export, &name, &[("file", &file_name)]));
        self.begin(asked, move |report, cancel| {
            report.begin("export", None, "rows");
            let mut told = exchange::told(report, cancel);
            let done = exchange::export(&rag, &name, &file, &options, &mut told).map_err(refused)?;
            let counts = [("rows", done.rows), ("bytes", done.bytes)];
            Ok(counts.into_iter().map(|(name, count)| (name.to_owned(), count.to_string())).collect())
        })
        .await
    }

    pub(super) async fn import(&self, request: ImportCollectionRequest) -> Result<Operation, Status> {
        let file = exchange::file_in(self.exchange_dir(), &request.file)?;
        let (name, file_name) = (request.collection.clone(), request.file.clone());
        let options = convert::import_options(request)?;
        // An alias is not what is written to; what nothing has as its name is made.
        let named =
            move |rag: &Rag| Ok(rag.db().collection(&name).map_or(name, |rows| rows.name().to_owned()));
        let name = self.apply(named).await?;
        let (rag, asked) = (self.rag(), asked(Kind::Import, &name, &[("file", &file_name)]));
        self.begin(asked, move |report, cancel| {
            report.begin("import", None, "rows");
            let mut told = exchange::told(report, cancel);
            let done = exchange::import(&rag, &name, &file, &options, &mut told).map_err(refused)?;
            Ok(Outcome::from([
                ("rows".to_owned(), done.rows.to_string()),
                ("created".to_owned(), done.created.to_string()),
            ]))
        })
        .await
    }
}

/// The status of what failed, with options named as the caller has them.
fn refused(error: Error) -> Status {
    status::exchange(match error {
        Error::Option { option, reason } => Error::Option { option: convert::exchange_field(option), reason },
        error => error,
    })
}
