//! Structured logs, to standard error.

#[cfg(test)]
pub(crate) mod lines;

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging: level `info`, or what `RUST_LOG` says, but never what other crates tell at the level `trace`. Does nothing if the process logs
/// already.
pub fn init_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for people at a terminal, not for files and collectors.
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => builder.finish().with(filter_fn(may_be_logged)).try_init(),
        LogFormat::Json => {
            builder.json().flatten_event(true).finish().with(filter_fn(may_be_logged)).try_init()
        }
    };
    if let Err(error) = started {
        tracing::debug!(%error, "the process logs already");
    }
}

/// Whether something may be in a log at all, whatever somebody who looks for a fault asks to see. At the level `trace`, libraries tell what goes over the
/// wire: of HTTP clients that is `authorization: Bearer …`, questions and texts.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() != Level::TRACE || metadata.target().starts_with("ragstone")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// `RUST_LOG=trace` wrote the operator's key of a model's service into the log, and what it was asked.
    #[test]
    fn bytes_of_the_wire_are_in_no_log() {
        let (written, filter) = (Written::default(), EnvFilter::new("trace,ureq_proto::util=trace"));
        let writer = written.clone();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
        let logs = builder.with_writer(move || writer.clone()).finish().with(filter_fn(may_be_logged));
        tracing::subscriber::with_default(logs, || {
            tracing::trace!(target: "ureq_proto::util", "authorization: Bearer sk-1");
            tracing::trace!(target: "ragstone_server::tests", "of ours");
            tracing::debug!(target: "ureq_proto::client", "of theirs");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("of ours") && text.contains("of theirs"), "{text}");
        assert!(!text.contains("sk-1"), "{text}");
    }
}
