//! What the database, the models, operations, certificates and the process tell when they are asked.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use ragstone::{Db, DbStats, Latencies};
use ragstone_rag::Rag;
use ragstone_rag::embed::Embedded;

use crate::operations::Operations;
use crate::recall::{Measured, Recall};

type Encoded = Result<(), fmt::Error>;

/// A counter: its name, its help, and how much it is of something.
type Counted<T> = (&'static str, &'static str, fn(&T) -> u64);

/// What a database is asked for that takes more than a count.
pub(super) fn encode_engine(db: &Db, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
    let mut gauge = |name: &str, help: &str, value: u64| {
        ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    };
    let is_stopped = u64::from(db.check_writes().is_err());
    gauge("writes_stopped", "1 once a failure of the disk has ended writing", is_stopped)?;
    // Of a database that takes no more writes nothing more is known.
    if let Ok(stats) = db.stats() {
        let of_collections = |of: fn(&ragstone::CollectionStats) -> u64| sum(&stats, of);
        gauge("log_bytes", "Bytes of the log", stats.log_bytes)?;
        gauge("growing_bytes", "Bytes of memory of rows that are not sealed", stats.growing_bytes)?;
        gauge(
            "segments_sealed",
            "Sealed segments of all collections",
            of_collections(|of| of.sealed_segments as u64),
        )?;
        gauge("sealed_bytes", "Bytes of their files", of_collections(|of| of.sealed_bytes))?;
        gauge(
            "points_dead",
            "Rows in sealed segments that died, and take room until a merge",
            of_collections(|of| of.dead_points),
        )?;
        gauge(
            "points_unlinked",
            "Vectors in memory that searches compare one by one, as they are not in the graph yet",
            of_collections(|of| of.unlinked_points),
        )?;
    }
    let latencies = db.latencies();
    for (name, help, of) in [
        ("log_sync", "Writing a frame of the log and syncing it", latencies.log_syncs),
        ("seal", "Sealing rows that are in memory", latencies.seals),
        ("merge", "Merging segments", latencies.merges),
    ] {
        encode_latencies(encoder, (name, help), &of)?;
    }
    Ok(())
}

fn sum(stats: &DbStats, of: fn(&ragstone::CollectionStats) -> u64) -> u64 {
    stats.collections.iter().map(of).sum()
}

fn encode_latencies(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    of: &Latencies,
) -> Encoded {
    let seconds = Unit::Seconds;
    let mut metric = encoder.encode_descriptor(name, help, Some(&seconds), MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(of.sum_seconds, of.count, &of.buckets, None)
}

/// What models read.
pub(super) fn encode_embedded(rag: &Rag, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
    let models = rag.models().embedded();
    let counted: [Counted<Embedded>; 3] = [
        ("embedding_calls", "Calls of embedding models, each for a batch of texts", |of| of.calls),
        ("embedding_texts", "Texts that embedding models have read", |of| of.texts),
        ("embedding_tokens", "Tokens that embedding models have read", |of| of.tokens),
    ];
    for (name, help, of) in counted {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for model in &models {
            let labels = [("model", model.model.as_str())];
            ConstCounter::new(of(model)).encode(family.encode_family(&labels)?)?;
        }
    }
    let (seconds, help) = (Unit::Seconds, "Time of calls of embedding models, one after the other");
    let mut family = encoder.encode_descriptor("embedding", help, Some(&seconds), MetricType::Counter)?;
    for model in &models {
        let labels = [("model", model.model.as_str())];
        ConstCounter::new(model.seconds).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// How operations ended, and when one last did what it was to do, or failed.
pub(super) fn encode_operations(operations: &Operations, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
    let tallies = operations.tallies();
    let help = "Operations that have ended";
    let mut family = encoder.encode_descriptor("operations", help, None, MetricType::Counter)?;
    for (kind, tally) in tallies.by_kind() {
        for (outcome, ended) in
            [("succeeded", tally.succeeded), ("failed", tally.failed), ("cancelled", tally.cancelled)]
        {
            let labels = [("kind", kind.name()), ("outcome", outcome)];
            ConstCounter::new(ended).encode(family.encode_family(&labels)?)?;
        }
    }
    let seconds = Unit::Seconds;
    for (name, help, is_of_failure) in [
        ("operation_last_success_timestamp", "When an operation last succeeded, since 1970", false),
        ("operation_last_failure_timestamp", "When an operation last failed, since 1970", true),
    ] {
        let mut family = encoder.encode_descriptor(name, help, Some(&seconds), MetricType::Gauge)?;
        for (kind, tally) in tallies.by_kind() {
            let last_us = if is_of_failure { tally.last_failure_us } else { tally.last_success_us };
            if let Some(ended_us) = last_us {
                let labels = [("kind", kind.name())];
                ConstGauge::new(ended_us / 1_000_000).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

/// When the first of the certificates ends that both ports show, in seconds since 1970.
pub(super) fn encode_certificates(ends_at: u64, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
    let (name, seconds) = ("certificate_expiration_timestamp", Unit::Seconds);
    let help = "When the first of the certificates ends that the ports show, since 1970";
    let metric = encoder.encode_descriptor(name, help, Some(&seconds), MetricType::Gauge)?;
    ConstGauge::new(ends_at).encode(metric)
}

/// How many of the right rows queries found.
pub(super) fn encode_recall(recall: &Recall, encoder: &mut DescriptorEncoder<'_>) -> Encoded {
    let measured = recall.measured();
    let counted: [Counted<Measured>; 3] = [
        ("recall_queries", "Queries that were answered exactly, too", |of| of.queries),
        ("recall_rows_wanted", "Rows that they should have found", |of| of.wanted),
        ("recall_rows_found", "Rows of these that they did find", |of| of.found),
    ];
    for (name, help, of) in counted {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (collection, measured) in &measured {
            let labels = [("collection", collection.as_str())];
            ConstCounter::new(of(measured)).encode(family.encode_family(&labels)?)?;
        }
    }
    let help = "Queries that were drawn to be measured and were not";
    let skipped = encoder.encode_descriptor("recall_skipped", help, None, MetricType::Counter)?;
    ConstCounter::new(recall.skipped()).encode(skipped)
}

/// The memory of the process, where the system tells.
pub(super) fn encode_process(encoder: &mut DescriptorEncoder<'_>) -> Encoded {
    let Some(bytes) = resident_bytes() else { return Ok(()) };
    let help = "Bytes of the process that are in memory, files that are mapped included";
    let metric = encoder.encode_descriptor("resident_bytes", help, None, MetricType::Gauge)?;
    ConstGauge::new(bytes).encode(metric)
}

/// Of Linux.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_takes_memory() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
