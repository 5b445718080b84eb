//! Texts that say what a better one says already.
//!
//! A text is taken for a repetition if nearly all its runs of three words are in one text that was kept before
//! (containment of shingles; Broder, "On the resemblance and containment of documents", 1997) and so are all its words
//! with digits: two sentences that differ in a version or an amount say different things. Case, white space and
//! punctuation do not count. Words are runs of letters and digits, so that scripts without spaces fall back to equality
//! of whole clauses.
//!
//! Cost: an inverted index from shingles to kept texts, so a text costs what it shares, not a comparison with each.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Words of a shingle.
const SHINGLE_WORDS: usize = 3;
/// Of a repetition's shingles, how many of a hundred are in the kept text.
const CONTAINED_PERCENT: usize = 95;

/// Kept texts that are remembered for a shingle.
const HOLDERS_MAX: usize = 64;

/// The texts kept so far.
#[derive(Default)]
pub(crate) struct Kept {
    texts: Vec<Signature>,
    holders: HashMap<u64, Vec<usize>>,
}

/// What a text is compared by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature {
    /// Of the whole text.
    whole: u64,
    shingles: HashSet<u64>,
    numbers: HashSet<String>,
}

impl Signature {
    pub(crate) fn of(text: &str) -> Signature {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let whole = match words.is_empty() {
            // Nothing but punctuation: only the same punctuation is a repetition.
            true => hash(&text.split_whitespace().collect::<Vec<_>>()),
            false => hash(&words),
        };
        Signature {
            whole,
            shingles: words.windows(SHINGLE_WORDS).map(hash).collect(),
            numbers: words.into_iter().filter(|word| word.contains(|c: char| c.is_numeric())).collect(),
        }
    }
}

impl Kept {
    /// Whether a kept text says all that this one says.
    pub(crate) fn contains(&self, candidate: &Signature) -> bool {
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for holder in candidate.shingles.iter().filter_map(|shingle| self.holders.get(shingle)).flatten() {
            *shared.entry(*holder).or_default() += 1;
        }
        let enough = (candidate.shingles.len() * CONTAINED_PERCENT).div_ceil(100).max(1);
        shared.into_iter().any(|(holder, count)| {
            count >= enough && candidate.numbers.is_subset(&self.texts[holder].numbers)
        }) || self
            .holders
            .get(&candidate.whole)
            .is_some_and(|same| same.iter().any(|holder| self.texts[*holder].whole == candidate.whole))
    }

    pub(crate) fn add(&mut self, signature: Signature) {
        let at = self.texts.len();
        for key in signature.shingles.iter().chain([&signature.whole]) {
            let holders = self.holders.entry(*key).or_default();
            // What so many say tells none of them apart, and would make each comparison one with all.
            if holders.len() < HOLDERS_MAX {
                holders.push(at);
            }
        }
        self.texts.push(signature);
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(kept: &str, candidate: &str) -> bool {
        let mut all = Kept::default();
        all.add(Signature::of("something else that was kept before"));
        all.add(Signature::of(kept));
        all.contains(&Signature::of(candidate))
    }

    #[test]
    fn what_many_say_is_compared_with_some_of_them() {
        let mut kept = Kept::default();
        for at in 0..3 * HOLDERS_MAX {
            kept.add(Signature::of(&format!("all rights are reserved and this is text{at}")));
        }
        assert!(kept.holders.values().all(|holders| holders.len() <= HOLDERS_MAX));
        assert!(kept.contains(&Signature::of("all rights are reserved and this is text5")));
        assert!(!kept.contains(&Signature::of("all rights are reserved and this is new999")));
    }

    #[test]
    fn repetitions() {
        let long: String = (b'a'..=b'j')
            .flat_map(|a| (b'a'..=b'j').map(move |b| format!("{}{} ", a as char, b as char)))
            .collect();
        for (kept, candidate, expected) in [
            ("The cat sat.", "the  CAT\nsat", true),
            ("one two", "one two", true),
            ("one two", "two one", false),
            ("***", "***", true),
            ("***", "---", false),
            ("a b c d e f g", "c d e f", true),
            ("c d e f", "a b c d e f g", false),
            ("the port is 6733 by default", "the port is 6734 by default", false),
            ("日本語。", "日本語", true),
            ("", "a b c", false),
        ] {
            assert_eq!(repeats(kept, candidate), expected, "{kept:?} {candidate:?}");
        }
        assert!(repeats(&long, &long.replace("ce ", "other ")), "one word of a hundred");
        assert!(!repeats(&long, &long.replace("ce ", "10 ")), "one number of a hundred");
        assert!(!repeats(&long, &long.replace("e ", "other ")), "ten words");
    }
}
