//! The one line that the log has of a request to the HTTP port, when the whole of its answer has gone: as of a call of gRPC
//! (`layer/line.rs`), and with the same exceptions. Of probes and scrapes, which come every few seconds, it is there only where somebody asked for it, whatever
//! they were answered: a server that is being opened says 503 to each.

use std::time::Instant;

use tracing::Span;

use super::PROBES;
use crate::layer::LONG;
use crate::metrics::STATUS_LEFT;

/// A request under way. Dropped before it was [told](Line::end) how it ended, its caller has left.
#[derive(Debug)]
pub(super) struct Line {
    route: &'static str,
    started: Instant,
    span: Span,
    is_written: bool,
}

impl Line {
    pub(super) fn begin(route: &'static str, span: Span) -> Line {
        Line { route, started: Instant::now(), span, is_written: false }
    }

    /// All of the answer has gone, with this status.
    pub(super) fn end(mut self, status: u16) {
        self.write(status);
    }

    fn write(&mut self, status: u16) {
        self.is_written = true;
        let (span, route, latency) = (&self.span, self.route, self.started.elapsed());
        let latency_ms = latency.as_secs_f64() * 1e3;
        match status {
            _ if PROBES.contains(&route) => {
                tracing::debug!(parent: span, route, status, latency_ms, "request");
            }
            500 => tracing::error!(parent: span, route, status, latency_ms, "request"),
            ..400 if latency < LONG => {
                tracing::debug!(parent: span, route, status, latency_ms, "request");
            }
            _ => tracing::info!(parent: span, route, status, latency_ms, "request"),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(STATUS_LEFT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::lines::Lines;

    /// A server that was being opened wrote an error each time that somebody asked whether it was ready, and every answer that went well had a line, without
    /// how long it took and of which trace it was.
    #[test]
    fn what_failed_or_was_left_is_told_with_its_trace_and_probes_are_not() {
        let lines = Lines::begin();
        for (route, status) in [("/readyz", 503), ("/metrics", 200), ("/v1/models", 200)] {
            Line::begin(route, Span::none()).end(status);
        }
        assert_eq!(lines.text(), "");
        let span = tracing::info_span!("http", route = "/v1/models", trace_id = "0af7651916cd43dd");
        Line::begin("/v1/models", span).end(404);
        Line::begin("/v1/embeddings", Span::none()).end(500);
        drop(Line::begin("/v1/chat/completions", Span::none()));
        let text = lines.text();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told.len(), 3, "{text}");
        for (line, words) in told.iter().zip([
            ["INFO", "status=404", "0af7651916cd43dd", "latency_ms="],
            ["ERROR", "status=500", "/v1/embeddings", "latency_ms="],
            ["INFO", "status=499", "/v1/chat/completions", "latency_ms="],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
        }
    }
}
