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

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;
    use crate::calls::{Calls, Shape};
    use crate::config::ServerConfig;
    use crate::metrics::{GrpcMetrics, Metrics};
    use crate::recall::Recall;
    use crate::telemetry::Traces;
    use crate::work::Work;

    #[tokio::test]
    async fn a_call_is_counted_once_however_it_ends() {
        let work = Work::new(&ServerConfig::default());
        let metrics = Metrics::new(work.clone(), Recall::new(0.0, work));
        let counts = GrpcMetrics::new(metrics.clone(), Traces::default());
        let calls = Calls::with("/x/Y", Shape::default());
        let begin =
            || Line::begin(calls.method("/x/Y"), Span::none(), Some(counts.begin(None, &HeaderMap::new())));
        let value = |name: &str| {
            let text = metrics.text();
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
        };
        let ended = |code: &str| {
            let labels = format!(r#"service="unknown",method="unknown",code="{code}""#);
            value(&format!("ragstone_grpc_requests_total{{{labels}}}"))
        };
        let under_way = || value("ragstone_grpc_requests_in_flight");

        let [answered, refused, given_up, left] = [begin(), begin(), begin(), begin()];
        assert_eq!(under_way(), Some(4.0));
        answered.end_with(Code::Ok, &HeaderMap::new());
        let mut headers = HeaderMap::new();
        Status::not_found("there is none").add_header(&mut headers).unwrap();
        refused.end_with(Code::NotFound, &headers);
        assert_eq!((ended("OK"), ended("NOT_FOUND"), under_way()), (Some(1.0), Some(1.0), Some(2.0)));
        // Its caller was not told.
        given_up.end(Code::DeadlineExceeded);
        drop(left);
        assert_eq!((ended("CANCELLED"), ended("DEADLINE_EXCEEDED")), (Some(2.0), None));
        assert_eq!((under_way(), value("ragstone_errors_total{reason=\"OTHER\"}")), (Some(0.0), Some(1.0)));
    }
}
