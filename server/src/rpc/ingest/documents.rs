//! `IngestDocuments`.

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;
use ragstone_proto::v1::ingest_documents_response::Outcome;
use ragstone_proto::v1::{IngestDocumentsRequest, IngestDocumentsResponse, RefusedItem};
use ragstone_rag::IngestOptions;
use ragstone_rag::ingest::DocumentInput;
use tokio::sync::mpsc;
use tonic::Status;

use super::super::Services;
use super::{Numbered, Out, Store, UnderWay};
use crate::limits::{INGEST_DOCUMENTS_MAX, INGEST_DOCUMENTS_TOGETHER_BYTES};
use crate::telemetry::Figures;
use crate::{convert, status, token};

/// Stores the documents of a stream.
pub(super) struct DocumentStream {
    pub(super) services: Services,
    pub(super) numbered: Numbered,
}

/// Documents that have come and are not acknowledged yet.
#[derive(Default)]
struct Come {
    collection: String,
    /// Those to store, by their places.
    documents: Vec<(usize, DocumentInput)>,
    /// What is known already of others.
    refused: BTreeMap<usize, Told>,
    /// The numbers of all, in their order.
    under_way: VecDeque<(u64, UnderWay)>,
}

/// What became of a document; an error ends the stream.
type Told = Result<Outcome, Status>;

impl Store for DocumentStream {
    type Message = IngestDocumentsRequest;
    type Answer = IngestDocumentsResponse;

    const AHEAD: usize = INGEST_DOCUMENTS_MAX;
    const TOGETHER: usize = INGEST_DOCUMENTS_MAX;

    fn services(&self) -> &Services {
        &self.services
    }

    fn bytes(message: &IngestDocumentsRequest) -> usize {
        // All of it: what a document has beside its content is refused only once it is looked at.
        message.encoded_len()
    }

    async fn store(
        &mut self,
        messages: Vec<(IngestDocumentsRequest, UnderWay)>,
        out: &Out<IngestDocumentsResponse>,
    ) -> Result<(), Status> {
        let (mut come, mut bytes) = (Come::default(), 0);
        for (message, under_way) in messages {
            bytes += Self::bytes(&message);
            if let Err(status) = self.take(message, under_way, &mut come) {
                // What came before is stored, and what comes behind is not looked at.
                return self.store_together(come, out).await.and(Err(status));
            }
            if bytes >= INGEST_DOCUMENTS_TOGETHER_BYTES {
                bytes = 0;
                self.store_together(std::mem::take(&mut come), out).await?;
            }
        }
        self.store_together(come, out).await
    }
}

impl DocumentStream {
    /// Puts a document to the others.
    fn take(
        &mut self,
        message: IngestDocumentsRequest,
        under_way: UnderWay,
        come: &mut Come,
    ) -> Result<(), Status> {
        let IngestDocumentsRequest { sequence, document } = message;
        let mut document = document.ok_or_else(|| status::invalid("document", "it is not set"))?;
        let name = std::mem::take(&mut document.collection);
        come.collection = self.numbered.next(sequence, ("document.collection", name))?;
        let place = come.under_way.len();
        match convert::document_input(document) {
            Ok((_, document)) => come.documents.push((place, document)),
            Err(status) => {
                come.refused.insert(place, Ok(Outcome::Refused(refused(status)?)));
            }
        }
        come.under_way.push_back((sequence, under_way));
        Ok(())
    }

    /// Stores documents in one turn among the writes.
    async fn store_together(&self, come: Come, out: &Out<IngestDocumentsResponse>) -> Result<(), Status> {
        let Come { collection, documents, refused, under_way } = come;
        let (tell, told) = mpsc::unbounded_channel();
        if documents.is_empty() {
            drop(tell);
            return acknowledge(told, refused, under_way, out).await;
        }
        let stages = self.services.ingesting(&collection).await?;
        let ingest = self.services.apply(move |rag| {
            let options = IngestOptions::default();
            let cancel = options.cancel.clone();
            let documents = documents.into_iter().map(|(place, document)| (place, Ok(document)));
            rag.ingest_all(&collection, documents, &options, |place, report| {
                let told = match report {
                    Ok(report) => {
                        stages.were(&report.timings_ms, Figures::of_document(&report));
                        Ok(Outcome::Stored(convert::ingest_report(report, token::of_now(rag))))
                    }
                    Err(error) => self::refused(status::rag(error)).map(Outcome::Refused),
                };
                if tell.send((place, told)).is_err() {
                    // An error has ended the stream.
                    cancel.cancel();
                }
            })
        });
        let (ended, acknowledged) = tokio::join!(ingest, acknowledge(told, refused, under_way, out));
        acknowledged.and(ended.map(drop))
    }
}

/// Acknowledges documents in their order: those before which all are told of.
async fn acknowledge(
    mut told: mpsc::UnboundedReceiver<(usize, Told)>,
    mut known: BTreeMap<usize, Told>,
    mut under_way: VecDeque<(u64, UnderWay)>,
    out: &Out<IngestDocumentsResponse>,
) -> Result<(), Status> {
    let mut next = 0;
    loop {
        while let Some(told) = known.remove(&next) {
            let Some((sequence, _under_way)) = under_way.pop_front() else { return Ok(()) };
            next += 1;
            let answer = IngestDocumentsResponse { sequence, outcome: Some(told?) };
            if out.send(Ok(answer)).await.is_err() {
                return Ok(());
            }
        }
        let Some((place, told)) = told.recv().await else { return Ok(()) };
        known.insert(place, told);
    }
}

/// What a document is refused with, if that is about the document alone.
fn refused(status: Status) -> Result<RefusedItem, Status> {
    status::refused_item(status, 0)
}
