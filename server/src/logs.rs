//! Structured logs, to standard error.

#[cfg(test)]
pub(crate) mod lines;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _};
use std::panic::{self, PanicHookInfo};
use std::thread;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

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
/// already. Where lines are JSON, what a thread panics with is one, too.
pub fn init_logs(format: LogFormat) {
    // Colours are for people at a terminal, not for files and collectors.
    let lines = tracing_subscriber::fmt::layer::<Registry>()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => Box::new(lines),
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
    };
    let told = tracing_subscriber::registry().with(lines).with(filter_fn(may_be_logged));
    let asked = asked_for(std::env::var(EnvFilter::DEFAULT_ENV).ok());
    let (started, misread) = match targets_of(&asked) {
        Some(targets) => (told.with(targets).try_init(), None),
        None => {
            let (filter, misread) = filter_of(&asked);
            (told.with(filter).try_init(), misread)
        }
    };
    match started {
        Ok(()) if format == LogFormat::Json => tell_panics(),
        Ok(()) => {}
        Err(error) => tracing::debug!(%error, "the process logs already"),
    }
    if let Some(error) = misread {
        tracing::warn!(asked, error, "RUST_LOG is not understood; what is logged is info");
    }
}

/// Has panics told in the log, rather than as lines of text beside it; where that takes no errors, as ever.
fn tell_panics() {
    let usual = panic::take_hook();
    let told = move |panic: &PanicHookInfo<'_>| match tracing::enabled!(Level::ERROR) {
        true => tell_panic(panic),
        false => usual(panic),
    };
    panic::set_hook(Box::new(told));
}

fn tell_panic(panic: &PanicHookInfo<'_>) {
    let (thread, location) = (thread::current(), panic.location().map(ToString::to_string));
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        error = panic.payload_as_str(),
        thread = thread.name(),
        location,
        backtrace,
        "a thread panicked"
    );
}

/// What a variable asks for. Set to nothing, as files for containers often do, it is as good as unset; a filter takes that for errors alone.
fn asked_for(variable: Option<String>) -> String {
    variable.filter(|asked| !asked.trim().is_empty()).unwrap_or_else(|| USUAL.to_owned())
}

/// The filter that is asked for; the usual one, and why, if that is not understood.
fn filter_of(asked: &str) -> (EnvFilter, Option<String>) {
    match EnvFilter::try_new(asked) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(USUAL), Some(error.to_string())),
    }
}

/// What is logged where nobody says anything else.
const USUAL: &str = "info";

/// What is asked for, if that is a matter of targets and levels alone, as it mostly is. Then nobody looks at spans: to find those that a filter names
/// takes locks whenever any is entered, which each call does.
fn targets_of(asked: &str) -> Option<Targets> {
    asked.split(',').all(is_plain).then(|| asked.parse().ok()).flatten()
}

/// Whether a part of a filter is a level, a target, or a target with its level, which [`Targets`] and [`EnvFilter`] read alike. Of all else they do not:
/// `*=debug` is a target that nothing has to the one, so that nothing would be logged, and a mistake to the other.
fn is_plain(part: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_:-".contains(c));
    match part.split_once('=') {
        Some((target, level)) => is_name(target) && is_name(level),
        None => is_name(part),
    }
}

/// Whether something may be in a log at all, whatever somebody who looks for a fault asks to see. At the level `trace`, libraries tell what goes over the
/// wire: of HTTP clients that is `authorization: Bearer …`, questions and texts. That spans do not reach their collector is told once, by our own exporter:
/// theirs tells it of each batch.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let (target, is_trace) = (metadata.target(), *metadata.level() == Level::TRACE);
    let is_of_batch = target == "opentelemetry-otlp" && metadata.name().starts_with("Export.Failed");
    !is_of_batch && (!is_trace || target.starts_with("ragstone"))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::lines::Written;
    use super::*;

    /// The log of what is told, where everything is asked for.
    fn logged(tell: impl FnOnce()) -> String {
        let (written, filter) = (Written::default(), EnvFilter::new("trace,ureq_proto::util=trace"));
        let writer = written.clone();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
        let logs = builder.with_writer(move || writer.clone()).finish().with(filter_fn(may_be_logged));
        tracing::subscriber::with_default(logs, tell);
        written.text()
    }

    /// Beside the line that a collector is gone there was one for each batch.
    #[test]
    fn what_is_told_of_each_batch_of_spans_is_in_no_log() {
        let text = logged(|| {
            tracing::warn!(name: "Export.Failed.Exhausted", target: "opentelemetry-otlp", "of a batch");
            tracing::warn!(name: "TonicTracesClient.PartialSuccess", target: "opentelemetry-otlp", "of spans");
        });
        assert!(text.contains("of spans") && !text.contains("of a batch"), "{text}");
    }

    /// `RUST_LOG=trace` wrote the operator's key of a model's service into the log, and what it was asked.
    #[test]
    fn bytes_of_the_wire_are_in_no_log() {
        let text = logged(|| {
            tracing::trace!(target: "ureq_proto::util", "authorization: Bearer sk-1");
            tracing::trace!(target: "ragstone_server::tests", "of ours");
            tracing::debug!(target: "ureq_proto::client", "of theirs");
        });
        assert!(text.contains("of ours") && text.contains("of theirs"), "{text}");
        assert!(!text.contains("sk-1"), "{text}");
    }

    /// A panic was three lines of text among those of JSON.
    #[test]
    fn a_panic_is_a_line_of_json() {
        const CHILD: &str = "RAGSTONE_TEST_THAT_PANICS";
        if std::env::var_os(CHILD).is_some() {
            init_logs(LogFormat::Json);
            panic!("deliberate,\nin two lines");
        }
        // Logs and hooks are the process's, so it is one of its own.
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logs::tests::a_panic_is_a_line_of_json", "--nocapture"])
            .env(CHILD, "1")
            .env_remove(EnvFilter::DEFAULT_ENV)
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let told: Vec<_> = lines.filter(|line| line["message"] == "a thread panicked").collect();
        assert_eq!(told.len(), 1, "{text}");
        assert_eq!(told[0]["error"], "deliberate,\nin two lines");
        assert!(told[0]["location"].as_str().is_some_and(|at| at.contains("logs.rs:")), "{text}");
        assert!(!text.contains("panicked at"), "{text}");
    }

    #[test]
    fn what_is_asked_for_by_targets_alone_is_told_from_what_names_spans() {
        let targets = targets_of("warn,ragstone_server=debug").unwrap();
        assert!(targets.would_enable("ragstone_server::layer", &Level::DEBUG));
        assert!(targets.would_enable("h2", &Level::WARN) && !targets.would_enable("h2", &Level::INFO));
        assert!(targets_of(USUAL).unwrap().would_enable("ragstone::audit", &Level::INFO));
        for other in ["", "info,", "info, h2=off", "info,\th2=off", "[rpc]=debug", "a[{b}]=trace", "a=loud"] {
            assert!(targets_of(other).is_none(), "{other}");
        }
    }

    /// Set to nothing, it had a server log errors alone; a slip in it had it log as ever, without a word.
    #[test]
    fn what_asks_for_nothing_or_is_not_understood_is_as_if_it_were_unset() {
        for unset in [None, Some(""), Some(" ")] {
            assert_eq!(asked_for(unset.map(str::to_owned)), USUAL);
        }
        assert_eq!(asked_for(Some("h2=off".to_owned())), "h2=off");
        for wrong in ["ragstone_server=debgu", "info,a=loud", "[rpc"] {
            assert!(targets_of(wrong).is_none(), "{wrong}");
            let (filter, misread) = filter_of(wrong);
            assert!(misread.is_some(), "{wrong}");
            assert_eq!(filter.max_level_hint(), Some(LevelFilter::INFO), "{wrong}");
        }
        assert!(filter_of("[rpc]=debug").1.is_none());
    }

    /// `RUST_LOG=*=debug` logged nothing at all, and `h2=` errors alone.
    #[test]
    fn what_is_taken_for_targets_alone_means_the_same_to_a_filter_of_spans() {
        for (asked, target, level) in [
            ("INFO", "h2", Level::INFO),
            ("3", "h2", Level::INFO),
            ("h2", "h2::frame", Level::TRACE),
            ("h2=0,warn", "ragstone_server", Level::WARN),
            ("ragstone::audit=off,debug", "ragstone_server", Level::DEBUG),
        ] {
            assert!(targets_of(asked).unwrap().would_enable(target, &level), "{asked}");
            let filter: EnvFilter = asked.parse().unwrap();
            assert_eq!(filter.max_level_hint(), Some(LevelFilter::from(level)), "{asked}");
        }
        for other in ["*", "*=debug", "=debug", "h2=", "info,h2=", "a.b=info"] {
            assert!(targets_of(other).is_none(), "{other}");
        }
    }
}
