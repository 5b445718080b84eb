//! Errors of text, models and prompts.

use std::time::Duration;

use ragstone_proto::v1::ErrorReason;
use ragstone_rag::GenerateFailure;
use tonic::{Code, Status};

use super::{
    BUSY_RETRY, PDF_TURNS, Problem, beyond_limit, engine, invalid, invalid_with, io, operations, unknown,
};
use crate::limits::PDF_PROCESSES_MAX;

/// Text, model or prompt: something between the request and the engine refused or failed.
pub(crate) fn rag(error: ragstone_rag::Error) -> Status {
    use ragstone_rag::Error;
    let message = error.to_string();
    match error {
        Error::Engine(error) => engine(error),
        Error::Invalid { field, reason } => invalid(&field, &reason),
        Error::Limit { field, limit, max, actual } => beyond_limit(&field, limit, max, actual),
        Error::TokenLimit { field, model, tokens, max } => {
            let description = format!("{tokens} tokens are beyond the {max} that model {model} reads");
            invalid_with(ErrorReason::TokenLimit, &field, &description)
                .with("model", model)
                .with("max", max)
                .with("actual", tokens)
                .status()
        }
        Error::ModelNotFound { model, .. } => {
            Problem::new(Code::NotFound, ErrorReason::ModelNotFound, message).with("model", model).status()
        }
        Error::ModelInvalid { .. } => {
            Problem::new(Code::FailedPrecondition, ErrorReason::ModelInvalid, message).status()
        }
        Error::ModelMismatch { collection, expected, actual } => {
            Problem::new(Code::FailedPrecondition, ErrorReason::ModelMismatch, message)
                .with("collection", collection)
                .with("expected", expected)
                .with("actual", actual)
                .status()
        }
        Error::NoModel { collection } => {
            Problem::new(Code::FailedPrecondition, ErrorReason::CollectionWithoutModel, message)
                .with("collection", collection)
                .status()
        }
        Error::DocumentNotFound { collection, document } => {
            Problem::new(Code::NotFound, ErrorReason::DocumentNotFound, message)
                .with("collection", collection)
                .with("document", document)
                .status()
        }
        Error::NotText { document, reason } => {
            invalid_with(ErrorReason::NotText, "content", &reason).with("document", document).status()
        }
        Error::PdfReader { document, .. } => {
            tracing::error!(error = %message, "what reads PDFs failed");
            Problem::new(Code::Internal, ErrorReason::StoreIo, message).with("document", document).status()
        }
        Error::PdfReaderBusy { document, .. } => {
            Problem::new(Code::ResourceExhausted, ErrorReason::TooManyRequests, message.as_str())
                .with("document", document)
                .with("limit", PDF_TURNS)
                .with("max", PDF_PROCESSES_MAX)
                .quota(PDF_TURNS, message)
                .retry(BUSY_RETRY)
                .status()
        }
        Error::Template { reason } => {
            invalid_with(ErrorReason::TemplateInvalid, "template", &reason).status()
        }
        Error::TemplateNotFound { template } => {
            Problem::new(Code::NotFound, ErrorReason::TemplateNotFound, message)
                .with("template", template)
                .status()
        }
        Error::Remote { url, .. } => {
            Problem::new(Code::Unavailable, ErrorReason::RemoteModelFailed, message).with("url", url).status()
        }
        Error::RemoteBusy { url, retry_after, .. } => busy(message, retry_after).with("url", url).status(),
        Error::GenerateModelNotFound { model, .. } => {
            Problem::new(Code::NotFound, ErrorReason::GenerateModelNotFound, message)
                .with("model", model)
                .status()
        }
        Error::Generate { model, failure, .. } => generate(&model, failure, message),
        Error::Io { source, .. } => io(source.kind(), message),
        Error::Interrupted { .. } => operations::interrupted(message),
        _ => unknown(message),
    }
}

/// A language model gave no answer, or not all of it.
fn generate(model: &str, failure: GenerateFailure, message: String) -> Status {
    if let GenerateFailure::Busy { retry_after } = failure {
        return busy(message, retry_after).with("model", model).status();
    }
    let (code, reason) = match failure {
        GenerateFailure::Refused => (Code::FailedPrecondition, ErrorReason::GenerateRefused),
        GenerateFailure::TimedOut => (Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
        GenerateFailure::Stopped => (Code::Cancelled, ErrorReason::Cancelled),
        _ => (Code::Unavailable, ErrorReason::GenerateFailed),
    };
    Problem::new(code, reason, message).with("model", model).status()
}

/// The service of a model has no room now; it may have said when it will.
fn busy(message: String, retry_after: Option<Duration>) -> Problem {
    let problem = Problem::new(Code::ResourceExhausted, ErrorReason::ModelRateLimited, message.as_str());
    let problem = problem.quota("model", message);
    match retry_after {
        Some(after) => problem.retry(after),
        None => problem,
    }
}
