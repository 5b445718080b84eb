//! DocumentsService.

use ragstone_proto::v1::documents_service_server::DocumentsService;
use ragstone_proto::v1::{
    DeleteDocumentRequest, DeleteDocumentResponse, GetDocumentRequest, GetDocumentResponse,
    IngestDocumentRequest, IngestDocumentResponse, IngestDocumentsRequest, IngestDocumentsResponse,
    IngestRecordsRequest, IngestRecordsResponse, ListChunksRequest, ListChunksResponse, ListDocumentsRequest,
    ListDocumentsResponse,
};
use ragstone_rag::ingest::{DocumentRemoval, records};
use ragstone_rag::{Error, IngestOptions, Rag};
use tonic::{Request, Response, Status, Streaming};

use super::Services;
use super::answer::Refused;
use crate::telemetry::{About, Activity, Figures, Stages};
use crate::{convert, page, status, token};

#[tonic::async_trait]
impl DocumentsService for Services {
    async fn ingest_document(
        &self,
        request: Request<IngestDocumentRequest>,
    ) -> Result<Response<IngestDocumentResponse>, Status> {
        ingest(self, request.into_inner()).await.map(Response::new)
    }

    type IngestDocumentsStream = super::ingest::Answers<IngestDocumentsResponse>;

    async fn ingest_documents(
        &self,
        request: Request<Streaming<IngestDocumentsRequest>>,
    ) -> Result<Response<Self::IngestDocumentsStream>, Status> {
        Ok(super::ingest::documents(request, self.clone()))
    }

    async fn ingest_records(
        &self,
        request: Request<IngestRecordsRequest>,
    ) -> Result<Response<IngestRecordsResponse>, Status> {
        let file = convert::records_file(request.into_inner())?;
        let stages = self.ingesting(&file.collection).await?;
        self.answer(move |rag| ingest_records(rag, file, &stages)).await
    }

    async fn get_document(
        &self,
        request: Request<GetDocumentRequest>,
    ) -> Result<Response<GetDocumentResponse>, Status> {
        let request = request.into_inner();
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let get = move |rag: &Rag| {
            reading.collection(rag, &request.collection)?;
            let document = rag.document(&request.collection, &request.id)?;
            Ok(GetDocumentResponse { document: Some(convert::document(document)) })
        };
        self.answer(get).await
    }

    async fn list_documents(
        &self,
        request: Request<ListDocumentsRequest>,
    ) -> Result<Response<ListDocumentsResponse>, Status> {
        let request = request.into_inner();
        let mut parts = vec!["ListDocuments", &request.collection];
        parts.extend(request.source.as_deref());
        let list = page::List::new(&parts);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let mut budget = self.budget();
        let get = move |rag: &Rag| {
            reading.collection(rag, &request.collection)?;
            let (collection, source) = (&request.collection, request.source.as_deref());
            let found = rag.documents(collection, source, after.as_deref(), size)?;
            let documents = found.documents.into_iter().map(|found| budget.spend(convert::document(found)));
            Ok(ListDocumentsResponse {
                documents: documents.collect::<Result<_, _>>()?,
                next_page_token: found.next.map(|key| list.token(&key)).unwrap_or_default(),
            })
        };
        self.answer(get).await
    }

    async fn delete_document(
        &self,
        request: Request<DeleteDocumentRequest>,
    ) -> Result<Response<DeleteDocumentResponse>, Status> {
        let request = request.into_inner();
        let delete = move |rag: &Rag| {
            let DeleteDocumentRequest { collection, id, request_id } = request;
            let DocumentRemoval { deleted, repeated } = match request_id.as_str() {
                "" => DocumentRemoval { deleted: rag.delete_document(&collection, &id)?, repeated: false },
                request_id => rag.delete_document_once(&collection, &id, request_id)?,
            };
            Ok(DeleteDocumentResponse { deleted, repeated, write_token: token::of_now(rag) })
        };
        self.answer(delete).await
    }

    async fn list_chunks(
        &self,
        request: Request<ListChunksRequest>,
    ) -> Result<Response<ListChunksResponse>, Status> {
        let request = request.into_inner();
        let list = page::List::new(&["ListChunks", &request.collection, &request.document]);
        let size = page::size(request.page_size)?;
        // The key is the first ordinal of the page.
        let first = match list.key(&request.page_token)? {
            None => 0,
            Some(key) => {
                key.parse::<usize>().map_err(|_| status::invalid("page_token", "not a token of this list"))?
            }
        };
        let reading = self.reading(&request.collection, &request.at_least).await?;
        let mut budget = self.budget();
        let get = move |rag: &Rag| {
            reading.collection(rag, &request.collection)?;
            let found = rag.chunk_page(&request.collection, &request.document, first, size)?;
            let chunks = found.chunks.into_iter().map(|chunk| budget.spend(convert::chunk(chunk)));
            Ok(ListChunksResponse {
                chunks: chunks.collect::<Result<_, _>>()?,
                next_page_token: found.next.map(|next| list.token(&next.to_string())).unwrap_or_default(),
            })
        };
        self.answer(get).await
    }
}

impl Services {
    /// Returns when the model of a collection is loaded. What comes back tells the stages of documents.
    pub(super) async fn ingesting(&self, collection: &str) -> Result<Stages, Status> {
        let embedder = self.require_model_of(collection).await?;
        let collection = collection.to_owned();
        Ok(self.stages(Activity::Ingest, About { collection, embedder, ..About::default() }))
    }
}

/// Stores a document; durable when it returns.
async fn ingest(
    services: &Services,
    request: IngestDocumentRequest,
) -> Result<IngestDocumentResponse, Status> {
    let (collection, document) = convert::document_input(request)?;
    let stages = services.ingesting(&collection).await?;
    let ingest = move |rag: &Rag| {
        let report = rag.ingest(&collection, document)?;
        stages.were(&report.timings_ms, Figures::of_document(&report));
        Ok(convert::ingest_report(report, token::of_now(rag)))
    };
    services.answered(ingest).await
}

fn ingest_records(
    rag: &Rag,
    file: convert::RecordsFile,
    stages: &Stages,
) -> Result<IngestRecordsResponse, Refused> {
    let convert::RecordsFile { collection, file, source, format, options, content, metadata } = file;
    let options = options.typed_by(&rag.db().collection(&collection)?.schema());
    let documents = records::read(&*content, format, options).map(|record| {
        let document = record.map(|record| {
            let mut document = record.into_document(&file, &source);
            for (name, value) in &metadata {
                document.metadata.entry(name.clone()).or_insert_with(|| value.clone());
            }
            document
        });
        (document.as_ref().ok().map(|document| document.id.clone()), document)
    });
    let (mut counted, mut has_begun) = (IngestRecordsResponse::default(), false);
    let ended = rag.ingest_all(&collection, documents, &IngestOptions::default(), |id, outcome| {
        if let Ok(report) = &outcome {
            has_begun = true;
            stages.were(&report.timings_ms, Figures::of_document(report));
        }
        convert::count_record(&mut counted, id, outcome);
    });
    ended.map_err(|error| match error {
        // Who is told when to come back takes it that nothing was begun, and asks again.
        Error::RemoteBusy { url, reason, .. } if has_begun => {
            Error::RemoteBusy { url, reason, retry_after: None }
        }
        other => other,
    })?;
    counted.write_token = token::of_now(rag);
    Ok(counted)
}
