//! The documents of a directory. Tokens of pages are those of scrolls: a document's id, or a chunk's place, is where the next page begins.

use anyhow::{Context, Result, bail};
use ragstone::PointId;
use ragstone::query::Cursor;
use ragstone_rag::ingest::DocumentRemoval;

use super::Local;
use crate::cli::backend::documents::{ChunkView, DocumentKeeper, DocumentView};
use crate::cli::backend::{Page, PageAsk};

impl DocumentKeeper for Local {
    fn documents(
        &self,
        collection: &str,
        source: Option<&str>,
        page: &PageAsk<'_>,
    ) -> Result<Page<DocumentView>> {
        let after = match place(page.token)? {
            None => None,
            Some(PointId::Str(id)) => Some(id),
            Some(PointId::Num(_)) => bail!("--page-token: it is no token of a list of documents"),
        };
        let found = self.rag(false)?.documents(collection, source, after.as_deref(), page.limit)?;
        Ok((found.documents.into_iter().map(DocumentView::listed).collect(), found.next.map(token)))
    }

    fn document(&self, collection: &str, id: &str) -> Result<DocumentView> {
        Ok(DocumentView::read(self.rag(false)?.document(collection, id)?))
    }

    fn chunks(&self, collection: &str, document: &str, page: &PageAsk<'_>) -> Result<Page<ChunkView>> {
        let first = match place(page.token)? {
            None => 0,
            Some(PointId::Num(first)) => usize::try_from(first).unwrap_or(usize::MAX),
            Some(PointId::Str(_)) => bail!("--page-token: it is no token of a list of chunks"),
        };
        let found = self.rag(false)?.chunk_page(collection, document, first, page.limit)?;
        let next = found.next.map(|next| token(next as u64));
        Ok((found.chunks.into_iter().map(ChunkView::from).collect(), next))
    }

    fn delete_document(
        &self,
        collection: &str,
        id: &str,
        request_id: Option<&str>,
    ) -> Result<DocumentRemoval> {
        let rag = self.rag(false)?;
        Ok(match request_id {
            Some(request_id) => rag.delete_document_once(collection, id, request_id)?,
            None => {
                let deleted = rag.delete_document(collection, id)?;
                DocumentRemoval { deleted, ..DocumentRemoval::default() }
            }
        })
    }
}

fn token(place: impl Into<PointId>) -> String {
    Cursor::from(place.into()).to_string()
}

/// Where a page begins; none for the first.
fn place(token: &str) -> Result<Option<PointId>> {
    Ok(match token {
        "" => None,
        token => Some(token.parse::<Cursor>().context("--page-token")?.id().clone()),
    })
}
