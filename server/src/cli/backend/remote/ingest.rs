//! Documents to a server, several at a time.
//!
//! The server embeds what comes together in one pass, so it has to have some documents at any moment; how many is bounded here, by number
//! and by bytes. A thread of its own reads files, while the connection's goes on. Two documents of one id are never under way together,
//! so that the later one stays.

use std::collections::HashMap;

use anyhow::Result;
use ragstone_client::{self as client, Client};
use ragstone_rag::ingest::{DocumentInput, IngestStatus, Language, MediaType};
use ragstone_rag::{Ended, IngestOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Remote, types};
use crate::cli::backend::{Documents, Done, Ingested, Loaded, Origin};

/// Documents that are under way.
const CALLS: usize = 16;
/// Documents that are read before there is a call for them.
const READ_AHEAD: usize = 4;
/// What the server says of a document that it refuses, whatever the others are.
const ABOUT_DOCUMENT: [&str; 8] = [
    "INVALID_FIELD",
    "LIMIT_EXCEEDED",
    "NOT_TEXT",
    "PAYLOAD_FIELD_TYPE",
    "REQUEST_TOO_LARGE",
    "RESERVED_NAME",
    "TOKEN_LIMIT",
    "UNKNOWN_PAYLOAD_FIELD",
];

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
        let mut calls = Calls {
            client: &remote.client,
            collection,
            under_way: JoinSet::new(),
            ids: HashMap::new(),
            bytes: 0,
        };
        let outcome = remote.runtime.block_on(calls.run(read, options, done));
        outcome.map_err(|error| {
            let is_away = error.code() == client::Code::Unavailable;
            let error = anyhow::Error::new(error);
            if is_away { error.context(format!("--url {}", remote.url)) } else { error }
        })
    })
}

type Outcome = (Origin, String, client::Result<client::IngestReport>);

struct Calls<'a> {
    client: &'a Client,
    collection: &'a str,
    under_way: JoinSet<Outcome>,
    /// Bytes of the documents that are under way.
    ids: HashMap<String, usize>,
    bytes: usize,
}

impl Calls<'_> {
    async fn run(
        &mut self,
        mut read: mpsc::Receiver<(Origin, Loaded)>,
        options: &IngestOptions,
        done: Done<'_>,
    ) -> client::Result<Ended> {
        let mut ended = Ended::Complete;
        while let Some((origin, document)) = read.recv().await {
            if options.cancel.is_cancelled() {
                ended = Ended::Cancelled;
                break;
            }
            let document = match document {
                Ok(document) => document,
                Err(error) => {
                    done(origin, Err(error.to_string()));
                    continue;
                }
            };
            while self.under_way.len() >= CALLS
                || (self.bytes > 0 && self.bytes + document.content.len() > options.ahead_bytes)
                || self.ids.contains_key(&document.id)
            {
                self.finish_one(done).await?;
            }
            self.begin(origin, document);
        }
        drop(read);
        while !self.under_way.is_empty() {
            self.finish_one(done).await?;
        }
        Ok(ended)
    }

    fn begin(&mut self, origin: Origin, document: DocumentInput) {
        self.ids.insert(document.id.clone(), document.content.len());
        self.bytes += document.content.len();
        let (client, id) = (self.client.clone(), document.id.clone());
        let request = request(self.collection, document);
        self.under_way.spawn(async move { (origin, id, client.ingest_document(request).await) });
    }

    /// Waits until a document is stored or refused.
    async fn finish_one(&mut self, done: Done<'_>) -> client::Result<()> {
        let Some(Ok((origin, id, outcome))) = self.under_way.join_next().await else { return Ok(()) };
        self.bytes -= self.ids.remove(&id).unwrap_or(0);
        match outcome {
            Ok(report) => done(origin, Ok(ingested(&report))),
            Err(error) if error.reason().is_some_and(|reason| ABOUT_DOCUMENT.contains(&reason)) => {
                done(origin, Err(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
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

fn media_type_out(media_type: MediaType) -> client::MediaType {
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
