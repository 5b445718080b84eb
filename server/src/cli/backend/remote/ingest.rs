//! Documents to a server, as a stream.
//!
//! The server embeds what has come together, and the client bounds what is under way. A thread of its own reads files, while the
//! connection's goes on: it tells of a document when it is sent, and of the same document, in the same order, when it is acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use ragstone::CancelToken;
use ragstone_client as client;
use ragstone_rag::ingest::{DocumentInput, IngestStatus, Language, MediaType};
use ragstone_rag::{Ended, IngestOptions};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::{Remote, types};
use crate::cli::backend::{Documents, Done, Ingested, Loaded, Origin};

/// Documents that are read before they can be sent.
const READ_AHEAD: usize = 4;
/// Between two looks at whether the work is to end.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn ingest_all(
    remote: &Remote,
    collection: &str,
    documents: Documents<'_>,
    options: &IngestOptions,
    done: Done<'_>,
) -> Result<Ended> {
    let (send, read) = mpsc::channel(READ_AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for document in documents {
                // Nobody asks for more after an error.
                if send.blocking_send(document).is_err() {
                    return;
                }
            }
        });
        remote.call(stream(remote, collection, read, (&options.cancel, done)))
    })
}

/// What happens to documents, in the order in which it happens.
enum News {
    /// One could not be had.
    Broken(Origin, String),
    /// One is sent.
    Sent(Origin),
    /// The first that was sent, and not told of yet, is stored or refused.
    Acknowledged(client::DocumentAcknowledged),
}

async fn stream(
    remote: &Remote,
    collection: &str,
    read: mpsc::Receiver<(Origin, Loaded)>,
    (cancel, done): (&CancelToken, Done<'_>),
) -> client::Result<Ended> {
    let (tell, mut news) = mpsc::unbounded_channel();
    let told = tell.clone();
    let documents = ReceiverStream::new(read).filter_map(move |(origin, document): (Origin, Loaded)| {
        let (news, request) = match document {
            Ok(document) => (News::Sent(origin), Some(request(collection, document))),
            Err(error) => (News::Broken(origin, error.to_string()), None),
        };
        // The other end is there as long as this one.
        let _ = tell.send(news);
        request
    });
    let acknowledged = move |document| {
        let _ = told.send(News::Acknowledged(document));
    };
    let ingest = async {
        tokio::select! {
            ingested = remote.client.ingest_documents(documents, acknowledged) => {
                ingested.map(|_| Ended::Complete)
            }
            // Dropped, the stream is given up: what is not embedded by then never is.
            () = cancelled(cancel) => Ok(Ended::Cancelled),
        }
    };
    let report = async {
        let mut sent = VecDeque::new();
        while let Some(news) = news.recv().await {
            match news {
                News::Broken(origin, reason) => done(origin, Err(reason)),
                News::Sent(origin) => sent.push_back(origin),
                News::Acknowledged(document) => {
                    let Some(origin) = sent.pop_front() else { continue };
                    let outcome = document.outcome.map(|report| ingested(&report));
                    done(origin, outcome.map_err(|refused| refused.message));
                }
            }
        }
    };
    let (ended, ()) = tokio::join!(ingest, report);
    ended
}

/// Returns when the token is cancelled.
async fn cancelled(token: &CancelToken) {
    while !token.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}

fn ingested(report: &client::IngestReport) -> Ingested {
    Ingested {
        status: match report.status {
            client::IngestStatus::Added => IngestStatus::Added,
            client::IngestStatus::Unchanged => IngestStatus::Unchanged,
            _ => IngestStatus::Replaced,
        },
        chunks: report.chunks as u64,
        kept: report.chunks_kept as u64,
        embedded: report.embedded as u64,
        tokens: report.tokens as u64,
    }
}

fn request(collection: &str, document: DocumentInput) -> client::IngestDocument {
    let mut request = client::IngestDocument::new(collection, document.id, document.content)
        .title(document.title)
        .source(document.source);
    if let Some(media_type) = document.media_type {
        request = request.media_type(media_type_out(media_type));
    }
    for (name, field) in document.metadata {
        request = request.metadata(name, types::value_out(field));
    }
    request
}

pub(super) fn media_type_out(media_type: MediaType) -> client::MediaType {
    match media_type {
        MediaType::Text => client::MediaType::Text,
        MediaType::Markdown => client::MediaType::Markdown,
        MediaType::Html => client::MediaType::Html,
        MediaType::Pdf => client::MediaType::Pdf,
        MediaType::Code(language) => match language {
            Language::Rust => client::MediaType::Rust,
            Language::Python => client::MediaType::Python,
            Language::JavaScript => client::MediaType::JavaScript,
            Language::TypeScript => client::MediaType::TypeScript,
            Language::Tsx => client::MediaType::Tsx,
            Language::Go => client::MediaType::Go,
            Language::Java => client::MediaType::Java,
            Language::C => client::MediaType::C,
            Language::Cpp => client::MediaType::Cpp,
            Language::Other => client::MediaType::Code,
        },
    }
}
