//! The one line that the log has of a call, and that it is counted, when the whole of it is over.
//!
//! Calls that went well and took no time are counted and timed by metrics; a line of each would take longer to write than many a search
//! takes, so these are there only where somebody asked for them (`RUST_LOG=ragstone_server=debug`). What failed, was refused or given up,
//! or took long is told always.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Code;
use tracing::Span;

use crate::calls::Called;
use crate::metrics::Rpc;
use crate::telemetry::Call;

/// A call that takes so long is told of, however it ends.
pub(crate) const LONG: Duration = Duration::from_secs(1);

/// A call under way. Dropped before it was [told](Line::end) how it ended, its caller has left.
pub(super) struct Line {
    called: Called,
    started: Instant,
    span: Span,
    /// Where calls are counted.
    counted: Option<Rpc>,
    /// How long it took, once it is over and its line is written.
    took: Option<Duration>,
}

impl Line {
    pub(super) fn begin(called: Called, span: Span, counted: Option<Rpc>) -> Line {
        Line { called, started: Instant::now(), span, counted, took: None }
    }

    /// The method that is called.
    pub(super) fn called(&self) -> &Called {
        &self.called
    }

    /// The call that its spans are of, for who collects them.
    pub(super) fn call(&self) -> Call {
        self.counted.as_ref().map(|counted| counted.call().clone()).unwrap_or_default()
    }

    /// When the call began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The span of the call, which outlives its handler: the answer is sent then.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// The call is over, and its caller is not told: it is counted as one that they left.
    pub(super) fn end(mut self, code: Code) {
        self.write(code);
    }

    /// The call is over, with these headers or trailers, which have this code.
    pub(super) fn end_with(mut self, code: Code, headers: &HeaderMap) {
        if let Some(counted) = &mut self.counted {
            counted.ends(code, headers);
        }
        self.write(code);
    }

    fn write(&mut self, code: Code) {
        let latency = self.started.elapsed();
        self.took = Some(latency);
        // Named rather than entered, which would cost each of the many lines that are not written.
        let (span, method) = (&self.span, self.called.path());
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
        if self.took.is_none() {
            self.write(Code::Cancelled);
        }
        if let (Some(counted), Some(took)) = (&self.counted, self.took) {
            counted.ended(self.called.series(), took);
        }
    }
}
