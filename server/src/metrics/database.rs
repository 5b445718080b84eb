//! What is read off the server's state whenever it is asked for.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use ragstone_rag::Rag;

use super::Opened;
use super::engine::{
    encode_certificates, encode_embedded, encode_engine, encode_operations, encode_process, encode_recall,
};
use crate::late::Late;
use crate::recall::Recall;
use crate::tls::Tls;
use crate::work::{Kind, Refusal, Work};

/// The database, the models, the certificates and the gates of a server.
pub(super) struct Database {
    opened: Late<Opened>,
    tls: Late<Tls>,
    work: Work,
    recall: Recall,
    /// The last sum of the files, and when it was made: there may be tens of thousands of them. Locked while they are summed, so that
    /// this is done once for all who ask.
    data_bytes: Mutex<Option<(Instant, u64)>>,
}

/// How long a sum of the files is good for.
const DATA_BYTES_KEPT: Duration = Duration::from_secs(5);

impl Database {
    pub(super) fn new((opened, tls): (Late<Opened>, Late<Tls>), work: Work, recall: Recall) -> Database {
        Database { opened, tls, work, recall, data_bytes: Mutex::new(None) }
    }

    fn data_bytes(&self, directory: &Path) -> u64 {
        let mut kept = self.data_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        match *kept {
            Some((made, bytes)) if made.elapsed() < DATA_BYTES_KEPT => bytes,
            _ => {
                let bytes = bytes_below(directory);
                *kept = Some((Instant::now(), bytes));
                bytes
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Collector for Database {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(Opened { rag, operations }) = self.opened.now() {
            self.encode_database(&rag, &mut encoder)?;
            encode_operations(&operations, &mut encoder)?;
        }
        if let Some(ends_at) = self.tls.now().and_then(|tls| tls.ends_at()) {
            encode_certificates(ends_at, &mut encoder)?;
        }
        encode_recall(&self.recall, &mut encoder)?;
        encode_process(&mut encoder)?;
        encode_work(&self.work, &mut encoder)
    }
}

impl Database {
    fn encode_database(&self, rag: &Rag, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let db = rag.db();
        let collections = db.collections();
        self.recall.keep(|name| collections.iter().any(|info| info.name == name));
        let sum = |of: fn(&ragstone::CollectionInfo) -> u64| collections.iter().map(of).sum::<u64>();
        let loaded = rag.models().list().unwrap_or_default().into_iter().filter(|model| model.loaded).count();
        let mut gauge = |name: &str, help: &str, value: u64| {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        gauge("collections", "Collections", collections.len() as u64)?;
        gauge("collections_damaged", "Collections that could not be opened", db.damaged().len() as u64)?;
        gauge("points", "Live rows of all collections", sum(|info| info.points))?;
        gauge(
            "points_unsealed",
            "Live rows that are only in memory and in the log",
            sum(|info| info.growing),
        )?;
        gauge("segments", "Segments of all collections", sum(|info| info.segments as u64))?;
        gauge("data_bytes", "Bytes of the data directory's files", self.data_bytes(db.path()))?;
        gauge("models_loaded", "Models in memory", loaded as u64)?;
        encode_engine(db, encoder)?;
        encode_embedded(rag, encoder)
    }
}

fn encode_work(work: &Work, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let help = "Requests that were refused for want of room, by what there was none in";
    let mut family = encoder.encode_descriptor("requests_refused", help, None, MetricType::Counter)?;
    for (kind, refusal) in Kind::ALL.into_iter().flat_map(|kind| Refusal::ALL.map(|refusal| (kind, refusal)))
    {
        let labels = [("kind", kind.name()), ("reason", refusal.name())];
        ConstCounter::new(work.refused(kind, refusal)).encode(family.encode_family(&labels)?)?;
    }
    let help = "Requests that arrive, wait for a thread or are being worked on";
    let mut family = encoder.encode_descriptor("places_taken", help, None, MetricType::Gauge)?;
    for kind in Kind::ALL {
        let taken = work.places(kind).0 as u64;
        ConstGauge::new(taken).encode(family.encode_family(&[("kind", kind.name())])?)?;
    }
    let help = "From a request's being asked for work to its turn";
    let seconds = Unit::Seconds;
    let mut family = encoder.encode_descriptor("queue_wait", help, Some(&seconds), MetricType::Histogram)?;
    for turns in work.queues() {
        turns.waited().encode(family.encode_family(&[("kind", turns.name())])?)?;
    }
    let help = "Requests that wait for their turn";
    let mut family = encoder.encode_descriptor("requests_waiting", help, None, MetricType::Gauge)?;
    for turns in work.queues() {
        ConstGauge::new(turns.waiting()).encode(family.encode_family(&[("kind", turns.name())])?)?;
    }
    let help = "How many of them there may be";
    let mut family = encoder.encode_descriptor("places_max", help, None, MetricType::Gauge)?;
    for kind in Kind::ALL {
        let max = work.places(kind).1 as u64;
        ConstGauge::new(max).encode(family.encode_family(&[("kind", kind.name())])?)?;
    }
    Ok(())
}

/// Bytes of all files of a directory. Files that go meanwhile count nothing, nor do those of a database in memory.
fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let bytes = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    entries.flatten().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_folders_are_summed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("one"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("a/b/two"), [0; 32]).unwrap();
        assert_eq!(bytes_below(folder.path()), 42);
        assert_eq!(bytes_below(&folder.path().join("absent")), 0);
    }
}
