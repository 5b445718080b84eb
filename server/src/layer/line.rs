//! The one line that the log has of a call, when the whole of it is over.
//!
//! Calls that went well and took no time are counted and timed by metrics; a line of each would take longer to write than many a search
//! takes, so these are there only where somebody asked for them (`RUST_LOG=ragstone_server=debug`). What failed, was refused or given up,
//! or took long is told always.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

/// A call that takes so long is told of, however it ends.
pub(crate) const LONG: Duration = Duration::from_secs(1);

/// A call under way. Dropped before it was [told](Line::end) how it ended, its caller has left.
#[derive(Debug)]
pub(super) struct Line {
    method: String,
    started: Instant,
    span: Span,
    is_written: bool,
}

impl Line {
    pub(super) fn begin(method: String, span: Span) -> Line {
        Line { method, started: Instant::now(), span, is_written: false }
    }

    /// When the call began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The span of the call, which outlives its handler: the answer is sent then.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// The call is over.
    pub(super) fn end(mut self, code: Code) {
        self.write(code);
    }

    fn write(&mut self, code: Code) {
        self.is_written = true;
        // Named rather than entered, which would cost each of the many lines that are not written.
        let (span, method, latency) = (&self.span, self.method.as_str(), self.started.elapsed());
        let latency_ms = latency.as_secs_f64() * 1e3;
        match code {
            Code::Internal | Code::DataLoss | Code::Unknown => {
                tracing::error!(parent: span, method, ?code, latency_ms, "request");
            }
            Code::Ok if latency < LONG => {
                tracing::debug!(parent: span, method, ?code, latency_ms, "request");
            }
            _ if method.starts_with("/grpc.health.") => {
                tracing::debug!(parent: span, method, ?code, latency_ms, "request");
            }
            _ => tracing::info!(parent: span, method, ?code, latency_ms, "request"),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(Code::Cancelled);
        }
    }
}
