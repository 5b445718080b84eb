//! Answers that are kept and given again: to the same question, or to those that mean the same. Off unless it is asked for.
//!
//! **Problem.** Many ask the same, some in other words, and each answer of a language model costs seconds and money. But an answer rests on rows that
//! not everybody may see, and what is kept for one must reach nobody else; nor may it outlive what it was made of.
//!
//! **Idea.** Two keys. A hard one (`key.rs`) has everything that shapes an answer but the question: who asks, which rows they see, the state
//! that the collection is in, the filter, the template with its text, the embedding model, the re-ranker, the language model with its address, every
//! option of the request and the caller's instructions. It is compared exactly, so an answer is given again only where all of that is the same. The other is
//! the question (`question.rs`): by default its text, letter by letter; below a similarity of 1 its vector, too (a semantic cache): within a
//! partition the nearest question that is near enough is answered by its answer.
//!
//! **Invariants.**
//! - Nothing is answered across partitions, and nothing once a row of the collection was written or has expired.
//! - Kept is only an answer that its model ended itself, which its service said, and that was given whole; nothing that failed, was stopped or was cut at a limit.
//! - Kept is only what rests on the state that was looked up: an answer whose collection or template changed while its evidence was found is not.
//! - Conversations with more than a question are not looked up. Questions that the embedding model cuts, and those that are searched by word alone, which are
//!   not embedded, are near no other.
//! - Entries, their bytes and their lifetime are bounded; those that were used the longest ago go first.
//!
//! **Risk**, and why it is off by default, and exact when it is on: that two vectors are near does not make two questions one. "Is smoking allowed" and "is
//! smoking not allowed" may be nearer than any threshold that is of use, and so may questions about two persons. Whoever asks twice to get another
//! wording gets the same one, in either case.
//!
//! **Cost.** A look-up compares the question with those of its partition, one after the other; below a similarity of 1 it is embedded before, and once more if there
//! is no answer.

mod entries;
pub(crate) mod key;
mod question;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::entries::Entries;
pub(crate) use self::key::Partition;
pub(crate) use self::question::Question;
use crate::generate::Answer;
use crate::prompt::Enriched;

/// How many answers are kept, and which are near enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerCacheOptions {
    /// Answers that are kept at most; 0, the default, keeps none, and nothing is looked up.
    pub entries_max: usize,
    /// Bytes that they may take with their evidence, about; 64 MiB by default.
    pub bytes_max: usize,
    /// The cosine of two questions from which on they are taken for the same one, if they have the same numbers. At 1, the default, only the same text is the
    /// same question. Below it, **wrong answers are possible at any value**: a question may be as near to its negation as to itself in other words.
    pub similarity_min: f64,
    /// How long an answer is given again; an hour by default.
    pub lifetime: Duration,
}

impl Default for AnswerCacheOptions {
    fn default() -> Self {
        Self {
            entries_max: 0,
            bytes_max: 64 << 20,
            similarity_min: 1.0,
            lifetime: Duration::from_secs(3_600),
        }
    }
}

impl AnswerCacheOptions {
    /// Whether another text may be the same question.
    fn is_by_meaning(&self) -> bool {
        self.similarity_min < 1.0
    }
}

/// Answers that are kept, in memory; cheap to clone, and all clones are one. The default keeps none.
#[derive(Clone, Default)]
pub struct AnswerCache(Option<Shared>);

#[derive(Clone)]
struct Shared {
    is_by_meaning: bool,
    answers: Arc<Mutex<Answers>>,
}

type Answers = Entries<Arc<Kept>>;

impl std::fmt::Debug for AnswerCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerCache").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

impl AnswerCache {
    /// An empty one.
    pub fn new(options: AnswerCacheOptions) -> AnswerCache {
        let shared = || Shared {
            is_by_meaning: options.is_by_meaning(),
            answers: Arc::new(Mutex::new(Entries::new(options))),
        };
        AnswerCache((options.entries_max > 0).then(shared))
    }

    /// Whether it keeps anything.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether questions are looked for by their vectors, too.
    pub(crate) fn is_by_meaning(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.is_by_meaning)
    }

    /// The answer to the same question, or to one that is taken for it.
    pub(crate) fn get(&self, partition: &Partition, question: &Question) -> Option<Arc<Kept>> {
        lock(&self.0.as_ref()?.answers).get(partition, question, Instant::now())
    }

    fn put(&self, place: Place, kept: Kept) {
        let Some(shared) = &self.0 else { return };
        let bytes = kept.bytes();
        lock(&shared.answers).put((place.partition, place.question), (Arc::new(kept), bytes), Instant::now());
    }
}

/// Held for a look or a change, never while anything is waited for.
fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    // They are whole at every moment; a panic elsewhere does not spoil them.
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept of an answer.
pub(crate) struct Kept {
    /// What it rests on; the numbers that it cites are of this.
    pub(crate) evidence: Enriched,
    pub(crate) answer: Answer,
}

impl Kept {
    /// About, without the question and the partition.
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
    pub(crate) question: Question,
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
