//! Spans on their way to the collector.
//!
//! **Problem.** What puts spans into batches logs an error for each batch that does not arrive, and what sends them a warning: where calls are many and
//! the collector is gone, that is a few lines a second for as long as it is gone, and nothing else is to be found among them.
//! **Idea.** The log is told when spans begin not to arrive, and when they arrive again. What puts them into batches is told of no failure:
//! it has no other use for one. The warnings are left out of the log (`logs.rs`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter whose failures are told once.
#[derive(Debug)]
pub(super) struct ToldOnce<E> {
    exporter: E,
    /// Whether the last batch did not arrive. Batches come one after the other.
    is_failing: AtomicBool,
}

impl<E> ToldOnce<E> {
    pub(super) fn new(exporter: E) -> ToldOnce<E> {
        ToldOnce { exporter, is_failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for ToldOnce<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(()) if was_failing => tracing::info!("spans reach the collector again"),
            Err(error) if !was_failing => {
                tracing::warn!(%error, "spans do not reach the collector and are lost; this is told again once they do");
            }
            _ => {}
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::logs::lines::Lines;

    /// It is gone, or is not.
    #[derive(Debug, Default)]
    struct Collector {
        is_gone: AtomicBool,
    }

    impl SpanExporter for Collector {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            if self.is_gone.load(Ordering::Relaxed) {
                return Err(OTelSdkError::InternalFailure("nobody listens".to_owned()));
            }
            Ok(())
        }
    }

    /// A server that answered a thousand calls a second wrote several errors a second for as long as its collector was away.
    #[tokio::test]
    async fn a_collector_that_is_gone_is_told_of_once() {
        let (lines, exporter) = (Lines::begin(), ToldOnce::new(Collector::default()));
        for is_gone in [false, true, true, true, false, false, true, true] {
            exporter.exporter.is_gone.store(is_gone, Ordering::Relaxed);
            assert!(exporter.export(Vec::new()).await.is_ok());
        }
        let text = lines.text();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told.len(), 3, "{text}");
        for (line, words) in told.into_iter().zip([
            ["WARN", "do not reach", "nobody listens"],
            ["INFO", "reach the collector again", ""],
            ["WARN", "do not reach", "nobody listens"],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
    }
}
