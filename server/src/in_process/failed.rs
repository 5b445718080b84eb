//! Why a call failed, without the types of the wire.

use bytes::Bytes;
use tonic::Status;

use crate::listen::ServeError;
use crate::status;

/// Why a call in the process failed: the status that a server would have answered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct Failed {
    /// The code, as gRPC names it: `INVALID_ARGUMENT`.
    pub code: &'static str,
    /// The failure in words.
    pub message: String,
    /// The bytes of its `google.rpc.Status`, which has the reason, the fields and the limits; empty if there are none.
    pub details: Bytes,
}

impl Failed {
    fn new(code: &'static str, message: impl Into<String>) -> Failed {
        Failed { code, message: message.into(), details: Bytes::new() }
    }

    /// The engine is closed.
    #[must_use]
    pub fn closed() -> Failed {
        Failed::new("FAILED_PRECONDITION", "the engine is closed")
    }

    /// The call was given up by its caller.
    #[must_use]
    pub fn cancelled() -> Failed {
        Failed::new("CANCELLED", "the call was cancelled")
    }

    pub(super) fn forked() -> Failed {
        let message = "the engine was opened by the process that this one was forked off: open the database in the process that uses it";
        Failed::new("FAILED_PRECONDITION", message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Failed {
        Failed::new("INTERNAL", message)
    }

    pub(super) fn of_config(error: ServeError) -> Failed {
        match error {
            ServeError::Config { field, reason } => status::invalid(field, reason).into(),
            error => Failed::new("INVALID_ARGUMENT", error.to_string()),
        }
    }
}

impl From<ragstone::Error> for Failed {
    fn from(error: ragstone::Error) -> Failed {
        status::engine(error).into()
    }
}

impl From<ragstone_rag::Error> for Failed {
    fn from(error: ragstone_rag::Error) -> Failed {
        status::rag(error).into()
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Failed {
        let (code, message) = (status::code_name(status.code()), status.message().to_owned());
        Failed { code, message, details: Bytes::copy_from_slice(status.details()) }
    }
}
