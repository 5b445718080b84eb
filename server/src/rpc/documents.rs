//! DocumentsService.

use ragstone_proto::v1::documents_service_server::DocumentsService;
use ragstone_proto::v1::{
    DeleteDocumentRequest, DeleteDocumentResponse, GetDocumentRequest, GetDocumentResponse,
    IngestDocumentRequest, IngestDocumentResponse, ListChunksRequest, ListChunksResponse,
    ListDocumentsRequest, ListDocumentsResponse,
};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::Services;
use crate::{convert, page, status};

#[tonic::async_trait]
impl DocumentsService for Services {
    async fn ingest_document(
        &self,
        request: Request<IngestDocumentRequest>,
    ) -> Result<Response<IngestDocumentResponse>, Status> {
        let (collection, document) = convert::document_input(request.into_inner())?;
        self.require_model_of(&collection).await?;
        self.answer(move |rag| Ok(convert::ingest_report(rag.ingest(&collection, document)?))).await
    }

    async fn get_document(
        &self,
        request: Request<GetDocumentRequest>,
    ) -> Result<Response<GetDocumentResponse>, Status> {
        let request = request.into_inner();
        let get = move |rag: &Rag| {
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
        let mut budget = self.budget();
        let get = move |rag: &Rag| {
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
            let deleted = rag.delete_document(&request.collection, &request.id)?;
            Ok(DeleteDocumentResponse { deleted })
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
        let mut budget = self.budget();
        let get = move |rag: &Rag| {
            let chunks = rag.chunks(&request.collection, &request.document)?;
            let end = first.saturating_add(size);
            let next_page_token =
                if chunks.len() > end { list.token(&end.to_string()) } else { String::new() };
            let page = chunks.into_iter().skip(first).take(size);
            let chunks = page.map(|chunk| budget.spend(convert::chunk(chunk))).collect::<Result<_, _>>()?;
            Ok(ListChunksResponse { chunks, next_page_token })
        };
        self.answer(get).await
    }
}
