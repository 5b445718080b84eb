//! Collections to and from Arrow streams of this process: what a server does with files of its own.

use std::future::Future;
use std::ops::ControlFlow;

use bytes::Bytes;
use prost::Message as _;
use ragstone::CancelToken;
use ragstone_exchange::{
    ExportOptions, ExportStream, ImportOptions, Imported, Progress, RecordBatchReader, export_stream,
};
use ragstone_proto::v1;
use ragstone_rag::Rag;
use tokio::sync::watch;

use super::{Failed, InProcess};
use crate::work::{Kind, Work};
use crate::{convert, exchange, status};

impl InProcess {
    /// A collection, as it is now, as Arrow batches that are made as they are asked for; of a filter, which is an encoded `ragstone.v1.Filter`, the
    /// rows that pass. The stream does not keep the database open. Blocks for a moment.
    ///
    /// # Errors
    /// NOT_FOUND; INVALID_ARGUMENT, naming the place in the filter; FAILED_PRECONDITION once the engine is closed.
    pub fn export(&self, collection: &str, filter: Option<Bytes>) -> Result<ExportStream, Failed> {
        let (rag, ..) = self.library()?;
        let filter = filter.map(v1::Filter::decode).transpose();
        let filter = filter.map_err(|error| status::malformed(&error.to_string()))?;
        let options = ExportOptions { filter: convert::filter_in(filter)?, ..ExportOptions::default() };
        let rows = rag.db().collection(collection)?;
        export_stream(&rows, &options).map_err(|error| status::exchange(error).into())
    }

    /// Writes the batches of a stream to a collection, which is made if it is not there. Dropping the future ends it after the batch that is being
    /// written; what was written stays.
    ///
    /// # Errors
    /// As [`ragstone_exchange::import_stream`], as a status.
    pub fn import(
        &self,
        collection: &str,
        batches: Box<dyn RecordBatchReader + Send>,
        options: ImportOptions,
    ) -> impl Future<Output = Result<Imported, Failed>> + Send + use<> {
        let (library, collection) = (self.library(), collection.to_owned());
        async move {
            let (rag, work, given_up) = library?;
            let place = work.admit(Kind::Write, true)?;
            let token = CancelToken::new();
            let _end_with_call = token.cancel_on_drop();
            let job = tokio::task::spawn_blocking(move || {
                // Closing waits for it.
                let _place = place;
                let mut told = |_: Progress| match token.is_cancelled() || *given_up.borrow() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
                exchange::import_stream(&rag, &collection, batches, &options, &mut told)
            });
            let done = job.await.map_err(|_| status::fault())?;
            done.map_err(|error| status::exchange(error).into())
        }
    }

    /// What works beside the services, and when it is to be given up.
    fn library(&self) -> Result<(Rag, Work, watch::Receiver<bool>), Failed> {
        if self.is_inherited() {
            return Err(Failed::forked());
        }
        let state = self.state();
        let open = state.as_ref().ok_or_else(Failed::closed)?;
        Ok((open.services.whole_rag().clone(), open.work.clone(), open.give_up.subscribe()))
    }
}
