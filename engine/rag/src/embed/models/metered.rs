//! How much each model has embedded: whoever runs it wants to know where the time goes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::super::{Embedded, Embedder, Embeddings, ModelInfo, Overflow, Role, Wanted, hex};
use crate::error::Result;

/// Bytes of a name that a model is counted by: the name of a remote one may be as long as a URL, with prefixes in it.
const METER_NAME_BYTES_MAX: usize = 128;
/// Characters of the hash that stands for what is cut off.
const CUT_HASH_CHARACTERS: usize = 8;
/// Models that are counted by their own name; all others together are `other`, as callers may be allowed to name any.
const METERS_MAX: usize = 64;
const OTHER: &str = "other";

/// What models read, by their names.
#[derive(Default)]
pub(super) struct Meters(Mutex<BTreeMap<String, Arc<Meter>>>);

/// What one has read. Nothing is handed over with the counts, so no order is needed.
#[derive(Default)]
struct Meter {
    calls: AtomicU64,
    texts: AtomicU64,
    tokens: AtomicU64,
    busy_us: AtomicU64,
}

impl Meters {
    /// The embedder, counting.
    pub(super) fn metered(&self, embedder: Arc<dyn Embedder>) -> Arc<dyn Embedder> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = meter_name(&embedder.info().name);
        let known = meters.len() < METERS_MAX || meters.contains_key(&name);
        let meter = meters.entry(if known { name } else { OTHER.to_owned() }).or_default().clone();
        Arc::new(Metered { embedder, meter })
    }

    pub(super) fn read(&self) -> Vec<Embedded> {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(name, meter): (&String, &Arc<Meter>)| Embedded {
            model: name.clone(),
            calls: meter.calls.load(Ordering::Relaxed),
            texts: meter.texts.load(Ordering::Relaxed),
            tokens: meter.tokens.load(Ordering::Relaxed),
            seconds: meter.busy_us.load(Ordering::Relaxed) as f64 / 1e6,
        };
        meters.iter().map(read).collect()
    }
}

/// What a model is counted by: its name, or if that is long its beginning and a hash of all of it, so that two that begin alike are not
/// counted as one.
fn meter_name(name: &str) -> String {
    if name.len() <= METER_NAME_BYTES_MAX {
        return name.to_owned();
    }
    let hash = &hex(&Sha256::digest(name))[..CUT_HASH_CHARACTERS];
    let cut = name.floor_char_boundary(METER_NAME_BYTES_MAX - "…".len() - hash.len());
    format!("{}…{hash}", &name[..cut])
}

/// An embedder that counts what it reads.
struct Metered {
    embedder: Arc<dyn Embedder>,
    meter: Arc<Meter>,
}

impl Metered {
    /// What the closure returns, counted if it is vectors.
    fn count(&self, embed: impl FnOnce() -> Result<Embeddings>) -> Result<Embeddings> {
        let began = Instant::now();
        let embeddings = embed()?;
        let tokens: usize = embeddings.token_counts.iter().sum();
        let busy_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.meter.calls.fetch_add(1, Ordering::Relaxed);
        self.meter.texts.fetch_add(embeddings.vectors.len() as u64, Ordering::Relaxed);
        self.meter.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        self.meter.busy_us.fetch_add(busy_us, Ordering::Relaxed);
        Ok(embeddings)
    }
}

impl Embedder for Metered {
    fn info(&self) -> &ModelInfo {
        self.embedder.info()
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
        self.count(|| self.embedder.embed(texts, role, overflow))
    }

    fn embed_wanted(
        &self,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
        wanted: Wanted<'_>,
    ) -> Result<Embeddings> {
        self.count(|| self.embedder.embed_wanted(texts, role, overflow, wanted))
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.embedder.count_tokens(text)
    }

    fn count_tokens_as_it_stands(&self, text: &str) -> usize {
        self.embedder.count_tokens_as_it_stands(text)
    }

    fn texts_at_a_time(&self) -> usize {
        self.embedder.texts_at_a_time()
    }

    fn counts_exactly(&self) -> bool {
        self.embedder.counts_exactly()
    }

    fn overhead_tokens(&self, role: Role) -> usize {
        self.embedder.overhead_tokens(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::BagOfWords;

    #[test]
    fn what_is_embedded_is_counted_by_model() {
        let meters = Meters::default();
        let one = meters.metered(Arc::new(BagOfWords::new("one", 100)));
        let _other = meters.metered(Arc::new(BagOfWords::new("other", 100)));
        let made = one.embed(&["a b", "c"], Role::Plain, Overflow::Error).unwrap();
        let tokens: usize = made.token_counts.iter().sum();
        assert!(tokens >= 3);
        assert!(one.embed(&["a b"], Role::Plain, Overflow::Error).is_ok());
        let read = meters.read();
        let read: Vec<_> = read.iter().map(|of| (of.model.as_str(), of.calls, of.texts)).collect();
        assert_eq!(read, [("one", 2, 3), ("other", 0, 0)]);
        let all = &meters.read()[0];
        assert!(all.tokens > tokens as u64 && all.seconds >= 0.0, "{all:?}");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = |last: &str| format!("https://host/v1?query_prefix={}#{last}", "é".repeat(200));
        let (one, other) = (meter_name(&long("one")), meter_name(&long("other")));
        assert!(one.len() <= METER_NAME_BYTES_MAX && other.len() <= METER_NAME_BYTES_MAX, "{one} {other}");
        assert!(one.starts_with("https://host/v1?query_prefix=é") && one != other, "{one} {other}");
        let fits = "x".repeat(METER_NAME_BYTES_MAX);
        assert_eq!(meter_name(&fits), fits);
    }

    #[test]
    fn names_are_bounded() {
        let meters = Meters::default();
        for number in 0..2 * METERS_MAX {
            meters.metered(Arc::new(BagOfWords::new(&format!("m{number}"), 100)));
        }
        let names: Vec<String> = meters.read().into_iter().map(|of| of.model).collect();
        assert_eq!(names.len(), METERS_MAX + 1);
        assert!(names.iter().any(|name| name == OTHER));
    }
}
