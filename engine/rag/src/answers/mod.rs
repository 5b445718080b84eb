//! Answers that are kept for questions that mean the same: the semantic cache. Off unless it is asked for.
//!
//! **Problem.** Many ask the same in other words, and each answer of a language model costs seconds and money. But an answer rests on rows that
//! not everybody may see, and what is kept for one must reach nobody else; nor may it outlive what it was made of.
//!
//! **Idea.** Two keys. A hard one (`key.rs`) has everything that shapes an answer but the question: who asks, which rows they see, the state
//! that the collection is in, the filter, the template with its text, the embedding model, the language model with its address, every
//! option of the request and the caller's instructions. It is compared exactly, so an answer is given again only where all of that is the same. A soft one is
//! the question's vector: within a partition the nearest question that is near enough is answered by its answer.
//!
//! **Invariants.**
//! - Nothing is answered across partitions, and nothing once a row of the collection was written or has expired.
//! - Kept is only an answer that its model ended itself and that was given whole; nothing that failed, was stopped or was cut at a limit.
//! - Kept is only what rests on the state that was looked up: an answer whose collection or template changed while its evidence was found is not.
//! - Not looked up are conversations with more than a question, questions that the embedding model cuts, and those that are searched by word alone, which are not
//!   embedded.
//! - Entries, their bytes and their lifetime are bounded; those that were used the longest ago go first.
//!
//! **Risk**, and why it is off by default: that two vectors are near does not make two questions one. "The rent in 2023" and "the rent in 2024", or a
//! question and its negation, may be nearer than any threshold that is of use; and who asks twice to get another wording gets the same one.
//!
//! **Cost.** A look-up embeds the question, which is embedded once more if there is no answer, and compares it with those of its partition, one after the
//! other.

mod entries;
pub(crate) mod key;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::entries::Entries;
pub(crate) use self::key::Partition;
use crate::generate::Answer;
use crate::prompt::Enriched;

/// How many answers are kept, and which are near enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerCacheOptions {
    /// Answers that are kept at most; 0, the default, keeps none, and nothing is looked up.
    pub entries_max: usize,
    /// Bytes that they may take with their evidence, about; 64 MiB by default.
    pub bytes_max: usize,
    /// The cosine of two questions from which on they are taken for the same one; 0.97 by default. What it has to be depends on the embedding model.
    pub similarity_min: f64,
    /// How long an answer is given again; an hour by default.
    pub lifetime: Duration,
}

impl Default for AnswerCacheOptions {
    fn default() -> Self {
        Self {
            entries_max: 0,
            bytes_max: 64 << 20,
            similarity_min: 0.97,
            lifetime: Duration::from_secs(3_600),
        }
    }
}

/// Answers that are kept, in memory; cheap to clone, and all clones are one. The default keeps none.
#[derive(Clone, Default)]
pub struct AnswerCache(Option<Arc<Mutex<Answers>>>);

type Answers = Entries<Arc<Kept>>;

impl std::fmt::Debug for AnswerCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerCache").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

impl AnswerCache {
    /// An empty one.
    pub fn new(options: AnswerCacheOptions) -> AnswerCache {
        let is_on = options.entries_max > 0;
        AnswerCache(is_on.then(|| Arc::new(Mutex::new(Entries::new(options)))))
    }

    /// Whether it keeps anything.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The answer to a question that means the same.
    pub(crate) fn get(&self, partition: &Partition, question: &[f32]) -> Option<Arc<Kept>> {
        lock(self.0.as_ref()?).get(partition, question, Instant::now())
    }

    fn put(&self, place: Place, kept: Kept) {
        let Some(entries) = &self.0 else { return };
        let bytes = kept.bytes();
        lock(entries).put((place.partition, place.question), (Arc::new(kept), bytes), Instant::now());
    }
}

/// Held for a look or a change, never while anything is waited for.
fn lock(entries: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    // Entries are whole at every moment; a panic elsewhere does not spoil them.
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept of an answer.
pub(crate) struct Kept {
    /// What it rests on; the numbers that it cites are of this.
    pub(crate) evidence: Enriched,
    pub(crate) answer: Answer,
}

impl Kept {
    /// About, without the vector and the partition.
    fn bytes(&self) -> usize {
        let messages = self.evidence.messages.iter().map(|message| message.content.len());
        let cited = self.evidence.citations.iter().map(|citation| {
            let chunks = size_of_val(citation.chunks.as_slice());
            size_of_val(citation)
                + citation.document.len()
                + citation.heading.len()
                + citation.text.len()
                + chunks
        });
        let dropped =
            self.evidence.dropped.iter().map(|dropped| size_of_val(dropped) + dropped.document.len());
        let checked = &self.answer.citations;
        let checked = size_of_val(checked.uses.as_slice())
            + size_of_val(checked.cited.as_slice())
            + size_of_val(checked.unknown.as_slice())
            + size_of_val(checked.unused.as_slice());
        let texts = self.evidence.query.len() + self.answer.text.len();
        size_of_val(self) + texts + checked + messages.chain(cited).chain(dropped).sum::<usize>()
    }
}

/// Where an answer belongs that was not there.
pub(crate) struct Place {
    pub(crate) cache: AnswerCache,
    pub(crate) partition: Partition,
    pub(crate) question: Vec<f32>,
}

impl Place {
    /// Keeps an answer here.
    pub(crate) fn keep(self, evidence: Enriched, answer: Answer) {
        let cache = self.cache.clone();
        // How long it took then is of no interest to who gets it again.
        let evidence = Enriched { timings_ms: Vec::new(), ..evidence };
        cache.put(self, Kept { evidence, answer });
    }
}
