//! `ragstone documents`.

use std::io::Write;

use anyhow::Result;
use serde_json::json;

use super::Session;
use crate::cli::args::{
    ChunksArgs, DeleteDocumentArgs, DocumentsCommand, GetDocumentArgs, ListDocumentsArgs,
};
use crate::cli::backend::documents::{ChunkView, DocumentView};
use crate::cli::output;

pub(super) fn run(session: &Session, command: DocumentsCommand) -> Result<()> {
    match command {
        DocumentsCommand::List(args) => list(session, &args),
        DocumentsCommand::Get(args) => get(session, &args),
        DocumentsCommand::Chunks(args) => chunks(session, &args),
        DocumentsCommand::Delete(args) => delete(session, &args),
    }
}

fn list(session: &Session, args: &ListDocumentsArgs) -> Result<()> {
    let (collection, source) = (args.collection.collection.as_str(), args.source.as_deref());
    let show = |documents: &[DocumentView]| -> Result<()> {
        let mut out = std::io::stdout().lock();
        if documents.is_empty() {
            writeln!(out, "no documents; `ragstone ingest PATH` stores some")?;
        }
        for document in documents {
            let DocumentView { id, title, chunks, media_type, .. } = document;
            let title =
                if title.is_empty() { String::new() } else { format!(", {}", output::snippet(title)) };
            writeln!(out, "{}: {chunks} chunks, {media_type}{title}", output::harmless(id))?;
        }
        Ok(())
    };
    args.paging.print(session, "documents", |page| session.backend.documents(collection, source, page), show)
}

fn get(session: &Session, args: &GetDocumentArgs) -> Result<()> {
    let document = session.backend.document(&args.collection.collection, &args.id)?;
    if session.json {
        output::json(&document)
    } else {
        output::text(document.text.as_deref().unwrap_or_default())
    }
}

fn chunks(session: &Session, args: &ChunksArgs) -> Result<()> {
    let collection = args.collection.collection.as_str();
    let show = |chunks: &[ChunkView]| -> Result<()> {
        let mut out = std::io::stdout().lock();
        if chunks.is_empty() {
            writeln!(out, "no chunks: there is no text in it")?;
        }
        for chunk in chunks {
            let ChunkView { ordinal, heading, start, end, tokens, text, .. } = chunk;
            let heading =
                if heading.is_empty() { "(no heading)".to_owned() } else { output::harmless(heading) };
            writeln!(out, "{ordinal}. {heading} · characters {start}..{end} · {tokens} tokens")?;
            writeln!(out, "   {}", output::snippet(text))?;
        }
        Ok(())
    };
    args.paging.print(session, "chunks", |page| session.backend.chunks(collection, &args.id, page), show)
}

fn delete(session: &Session, args: &DeleteDocumentArgs) -> Result<()> {
    let (collection, id) = (args.collection.collection.as_str(), args.id.as_str());
    let removed = session.backend.delete_document(collection, id, args.request_id.as_deref())?;
    if session.json {
        return session.acknowledge(&json!({ "deleted": removed.deleted, "repeated": removed.repeated }));
    }
    let done =
        if removed.deleted { format!("deleted document {id}") } else { format!("there is no document {id}") };
    let before = if removed.repeated { " (by this request before)" } else { "" };
    writeln!(std::io::stdout(), "{}{before}", output::harmless(&done))?;
    Ok(())
}
