//! `IngestDocuments`.

use ragstone_proto::v1::ingest_documents_response::Outcome;
use ragstone_proto::v1::{IngestDocumentsRequest, IngestDocumentsResponse};
use tonic::Status;

use super::super::{Services, documents};
use super::{Numbered, Store};
use crate::status;

/// Stores the documents of a stream.
pub(super) struct DocumentStream {
    pub(super) services: Services,
    pub(super) numbered: Numbered,
}

impl Store for DocumentStream {
    type Message = IngestDocumentsRequest;
    type Answer = IngestDocumentsResponse;

    async fn store(&mut self, message: IngestDocumentsRequest) -> Result<IngestDocumentsResponse, Status> {
        let IngestDocumentsRequest { sequence, document } = message;
        let mut document = document.ok_or_else(|| status::invalid("document", "it is not set"))?;
        let name = std::mem::take(&mut document.collection);
        document.collection = self.numbered.next(sequence, ("document.collection", name))?;
        let outcome = match documents::ingest(&self.services, document).await {
            Ok(stored) => Outcome::Stored(stored),
            Err(status) => Outcome::Refused(status::refused_item(status, 0)?),
        };
        Ok(IngestDocumentsResponse { sequence, outcome: Some(outcome) })
    }
}
