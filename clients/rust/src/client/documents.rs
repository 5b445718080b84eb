//! The calls of DocumentsService.

use ragstone_proto::v1;
use ragstone_proto::v1::documents_service_client::DocumentsServiceClient;

use super::{Calling, Client, service};
use crate::call::{call, methods};
use crate::document::{
    Chunk, Document, DocumentRemoval, IngestDocument, IngestReport, ListChunks, ListDocuments,
};
use crate::error::{Error, Result};
use crate::point::Page;
use crate::records::{IngestRecords, IngestedRecords};
use crate::retry::request_id;

impl Client {
    /// Stores a document: split, embedded, indexed, in place of its earlier version; durable when it returns. It is done once, also
    /// where the client asks again: by the request's id, or by one that it gets here. 600 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument` (not text, too long, a reserved field);
    /// `Code::FailedPrecondition` (the collection has no model, or its model differs); `Code::Unavailable`.
    pub async fn ingest_document(&self, request: IngestDocument) -> Result<IngestReport> {
        let service = self.documents();
        let mut request = request.into_wire();
        if request.request_id.is_empty() {
            request.request_id = request_id();
        }
        let response = call(self.policy, methods::INGEST_DOCUMENT, request, |request| {
            let mut service = service.clone();
            async move { service.ingest_document(request).await }
        })
        .await?;
        self.written.note(response.write_token.clone());
        IngestReport::from_wire(response)
    }

    /// Stores every record of a file as a document; durable when it returns. Those that do not fit are listed. 600 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument` (too long, a reserved field); `Code::FailedPrecondition` (the
    /// collection has no model, or its model differs); `Code::Unavailable`. Some of the records may be stored then.
    pub async fn ingest_records(&self, request: IngestRecords) -> Result<IngestedRecords> {
        let service = self.documents();
        let response = call(self.policy, methods::INGEST_RECORDS, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.ingest_records(request).await }
        })
        .await?;
        self.written.note(response.write_token.clone());
        Ok(IngestedRecords::from_wire(response))
    }

    /// Reads a document with its extracted text. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn get_document(&self, collection: &str, id: &str) -> Result<Document> {
        let service = self.documents();
        let request = v1::GetDocumentRequest {
            collection: collection.to_owned(),
            id: id.to_owned(),
            at_least: self.written.at_least(),
        };
        let response = call(self.policy, methods::GET_DOCUMENT, request, |request| {
            let mut service = service.clone();
            async move { service.get_document(request).await }
        })
        .await?;
        Document::from_wire(response.document.ok_or_else(|| Error::missing("document"))?)
    }

    /// Lists a page of documents, without their text. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument` (page size or token).
    pub async fn list_documents(&self, request: ListDocuments) -> Result<Page<Document>> {
        let service = self.documents();
        let request = v1::ListDocumentsRequest { at_least: self.written.at_least(), ..request.into_wire() };
        let response = call(self.policy, methods::LIST_DOCUMENTS, request, |request| {
            let mut service = service.clone();
            async move { service.list_documents(request).await }
        })
        .await?;
        Page::from_wire(response.documents, response.next_page_token, Document::from_wire)
    }

    /// Removes a document and its chunks; durable when it returns. Whether there was one. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection).
    pub async fn delete_document(&self, collection: &str, id: &str) -> Result<bool> {
        Ok(self.remove_document(collection, id, request_id()).await?.deleted)
    }

    /// The same under a request id of the caller's, 1 to 128 bytes: sent again under it, nothing is removed of what was stored under the
    /// document's id since, and the answer is the first one. Without one (empty) it gets one of its own. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` (no such collection); `Code::InvalidArgument` (a request id that is too long).
    pub async fn delete_document_once(
        &self,
        collection: &str,
        id: &str,
        request_id: impl Into<String>,
    ) -> Result<DocumentRemoval> {
        let given: String = request_id.into();
        let request_id = if given.is_empty() { self::request_id() } else { given };
        self.remove_document(collection, id, request_id).await
    }

    async fn remove_document(
        &self,
        collection: &str,
        id: &str,
        request_id: String,
    ) -> Result<DocumentRemoval> {
        let service = self.documents();
        let request =
            v1::DeleteDocumentRequest { collection: collection.to_owned(), id: id.to_owned(), request_id };
        let response = call(self.policy, methods::DELETE_DOCUMENT, request, |request| {
            let mut service = service.clone();
            async move { service.delete_document(request).await }
        })
        .await?;
        self.written.note(response.write_token);
        Ok(DocumentRemoval { deleted: response.deleted, repeated: response.repeated })
    }

    /// Lists a page of a document's chunks, in their order. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument` (page size or token).
    pub async fn list_chunks(&self, request: ListChunks) -> Result<Page<Chunk>> {
        let service = self.documents();
        let request = v1::ListChunksRequest { at_least: self.written.at_least(), ..request.into_wire() };
        let response = call(self.policy, methods::LIST_CHUNKS, request, |request| {
            let mut service = service.clone();
            async move { service.list_chunks(request).await }
        })
        .await?;
        Page::from_wire(response.chunks, response.next_page_token, |chunk| Ok(Chunk::from_wire(chunk)))
    }

    pub(super) fn documents(&self) -> DocumentsServiceClient<Calling> {
        service!(self, DocumentsServiceClient)
    }
}
