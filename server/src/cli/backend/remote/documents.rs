//! The documents of a server.

use anyhow::{Context, Result};
use ragstone_client as client;
use ragstone_rag::ingest::{Chunk, Document, DocumentRemoval, MediaType};

use super::{Remote, ingest, types, wire_size};
use crate::cli::backend::documents::{ChunkView, DocumentKeeper, DocumentView};
use crate::cli::backend::{Page, PageAsk};

impl DocumentKeeper for Remote {
    fn documents(
        &self,
        collection: &str,
        source: Option<&str>,
        page: &PageAsk<'_>,
    ) -> Result<Page<DocumentView>> {
        let request =
            client::ListDocuments::new(collection).page_size(wire_size(page.limit)).page_token(page.token);
        let request = source.into_iter().fold(request, client::ListDocuments::source);
        let found = self.call(self.client.list_documents(request))?;
        let listed = |wire| document(wire).map(DocumentView::listed);
        Ok((found.items.into_iter().map(listed).collect::<Result<_>>()?, found.next_page_token))
    }

    fn document(&self, collection: &str, id: &str) -> Result<DocumentView> {
        document(self.call(self.client.get_document(collection, id))?).map(DocumentView::read)
    }

    fn chunks(&self, collection: &str, document: &str, page: &PageAsk<'_>) -> Result<Page<ChunkView>> {
        let request = client::ListChunks::new(collection, document)
            .page_size(wire_size(page.limit))
            .page_token(page.token);
        let found = self.call(self.client.list_chunks(request))?;
        let view = |wire| ChunkView::from(chunk(wire));
        Ok((found.items.into_iter().map(view).collect(), found.next_page_token))
    }

    fn delete_document(
        &self,
        collection: &str,
        id: &str,
        request_id: Option<&str>,
    ) -> Result<DocumentRemoval> {
        let request_id = request_id.unwrap_or_default();
        let removed = self.call(self.client.delete_document_once(collection, id, request_id))?;
        Ok(DocumentRemoval { deleted: removed.deleted, repeated: removed.repeated })
    }
}

fn document(wire: client::Document) -> Result<Document> {
    let media_type = MediaType::all().find(|known| ingest::media_type_out(*known) == wire.media_type);
    Ok(Document {
        media_type: media_type
            .context("the server's answer has a media type that this program does not know")?,
        metadata: types::payload_in(wire.metadata)?,
        id: wire.id,
        title: wire.title,
        source: wire.source,
        content_sha256: wire.content_sha256,
        text: wire.text,
        chunks: wire.chunks,
    })
}

fn chunk(wire: client::Chunk) -> Chunk {
    Chunk {
        document: wire.document,
        ordinal: wire.ordinal,
        heading: wire.heading,
        start: wire.start,
        end: wire.end,
        text: wire.text,
        tokens: wire.tokens,
        content_sha256: wire.content_sha256,
    }
}
