//! Documents and their chunks.

use ragstone_proto::v1;
use ragstone_rag::ingest::{Chunk, Document, DocumentInput, IngestReport, IngestStatus, Language, MediaType};
use ragstone_rag::reserved;
use tonic::Status;

use super::value::{payload_in, payload_out};
use super::{count, timings_out, unknown_enum};
use crate::status;

pub(crate) fn document_input(wire: v1::IngestDocumentRequest) -> Result<(String, DocumentInput), Status> {
    let media_type = match v1::MediaType::try_from(wire.media_type) {
        Ok(v1::MediaType::Unspecified) => None,
        Ok(known) => MediaType::all().find(|media_type| media_type_out(*media_type) == known),
        Err(_) => return Err(unknown_enum("media_type", wire.media_type)),
    };
    let metadata = payload_in(wire.metadata, "metadata")?;
    reserved::check_payload("metadata", &metadata).map_err(status::reserved)?;
    let document = DocumentInput {
        id: wire.id,
        title: wire.title,
        source: wire.source,
        media_type,
        content: wire.content.into(),
        metadata,
        request_id: Some(wire.request_id).filter(|id| !id.is_empty()),
    };
    Ok((wire.collection, document))
}

fn media_type_out(media_type: MediaType) -> v1::MediaType {
    match media_type {
        MediaType::Text => v1::MediaType::Text,
        MediaType::Markdown => v1::MediaType::Markdown,
        MediaType::Html => v1::MediaType::Html,
        MediaType::Pdf => v1::MediaType::Pdf,
        MediaType::Code(language) => match language {
            Language::Rust => v1::MediaType::Rust,
            Language::Python => v1::MediaType::Python,
            Language::JavaScript => v1::MediaType::Javascript,
            Language::TypeScript => v1::MediaType::Typescript,
            Language::Tsx => v1::MediaType::Tsx,
            Language::Go => v1::MediaType::Go,
            Language::Java => v1::MediaType::Java,
            Language::C => v1::MediaType::C,
            Language::Cpp => v1::MediaType::Cpp,
            Language::Other => v1::MediaType::Code,
        },
    }
}

pub(crate) fn ingest_report(report: IngestReport, write_token: String) -> v1::IngestDocumentResponse {
    let status = match report.status {
        IngestStatus::Added => v1::IngestStatus::Added,
        IngestStatus::Replaced => v1::IngestStatus::Replaced,
        IngestStatus::Unchanged => v1::IngestStatus::Unchanged,
    };
    v1::IngestDocumentResponse {
        status: status.into(),
        chunks: count(report.chunks),
        tokens: report.tokens as u64,
        timings: timings_out(report.timings_ms),
        write_token,
        chunks_added: count(report.chunks_added),
        chunks_kept: count(report.chunks_kept),
        chunks_removed: count(report.chunks_removed),
        embedded: count(report.embedded),
        repeated: report.repeated,
    }
}

pub(crate) fn document(document: Document) -> v1::Document {
    v1::Document {
        id: document.id,
        title: document.title,
        source: document.source,
        media_type: media_type_out(document.media_type).into(),
        content_sha256: document.content_sha256,
        text: document.text,
        chunks: count(document.chunks),
        metadata: payload_out(document.metadata),
    }
}

pub(crate) fn chunk(chunk: Chunk) -> v1::Chunk {
    v1::Chunk {
        document: chunk.document,
        ordinal: count(chunk.ordinal),
        heading: chunk.heading,
        start: chunk.start as u64,
        end: chunk.end as u64,
        text: chunk.text,
        tokens: count(chunk.tokens),
        content_sha256: chunk.content_sha256,
    }
}
