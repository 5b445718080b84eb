//! What the best chunks say of the question.
//!
//! A question is a few words; the chunks that answer it are about the same in many. So the best of a first ranking speak for it, too (Rocchio,
//! "Relevance feedback in information retrieval", 1971; Lavrenko and Croft, "Relevance-based language models", 2001): their vectors move its
//! vector, and the words that they have in common, and candidates further down have not, are asked for beside its own. Nothing is searched
//! again: the same candidates get scores by these as well.
//!
//! Where one chunk stands out, as where a question names an identifier, its neighbours have little to say, and their words would only
//! blur the question. So the words count by how much the first chunks agree ([`agreement`]).
//!
//! Pure: texts, vectors and scores in, a question out.

use std::collections::{HashMap, HashSet};

/// The best chunks, which speak for the question.
pub(crate) const SPEAKING: usize = 5;
/// The best chunks among which a word that many have says little.
pub(crate) const HEARD: usize = 30;
/// How much the mean of the best chunks' vectors counts beside the question's.
const VECTOR_WEIGHT: f32 = 0.6;
/// Words that are asked for.
const WORDS: usize = 20;
/// How often the weightiest of them is said; the others less often, and once at least.
const REPEATS: f64 = 5.0;
/// Characters of all words together, however often each is said. In a script without spaces each may become a term of each field, of which a query
/// has a limited number.
const SAID_CHARS_MAX: usize = 480;
/// Characters of a word at most. Longer ones are no words, or a run of a script without spaces, which would become as many terms.
const WORD_CHARS_MAX: usize = 40;

/// How alike the first chunks are scored, 0 to 1, by their scores, best first: near 1 where several fit as well as the first.
pub(crate) fn agreement(scores: &[f32]) -> f32 {
    match (scores.first(), scores.get(SPEAKING - 1)) {
        (Some(best), Some(last)) if *best > 0.0 => (last / best).clamp(0.0, 1.0).powi(2),
        _ => 0.0,
    }
}

/// The question's vector, moved towards those of the best chunks, each of which counts as if it was as long: where only directions are
/// compared, they are stored with a length of one, and a model need not give that.
pub(crate) fn moved(question: &[f32], found: &[&[f32]]) -> Vec<f32> {
    let length = |vector: &[f32]| vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let share = VECTOR_WEIGHT * length(question) / found.len().max(1) as f32;
    let mut moved = question.to_vec();
    for vector in found {
        let own = length(vector);
        if own > 0.0 {
            moved.iter_mut().zip(*vector).for_each(|(sum, value)| *sum += share / own * value);
        }
    }
    moved
}

/// The words that the best chunks say, each as often as it weighs; empty if there are none. `found` are texts with their scores, best first.
pub(crate) fn said(found: &[(f32, &str)]) -> String {
    let texts: Vec<Vec<String>> = found.iter().take(HEARD).map(|(_, text)| words_of(text)).collect();
    let mut having: HashMap<&str, usize> = HashMap::new();
    for words in &texts {
        for word in words.iter().collect::<HashSet<_>>() {
            *having.entry(word).or_default() += 1;
        }
    }
    let rarity = |word: &str| {
        let with = having.get(word).copied().unwrap_or_default() as f64;
        (1.0 + (texts.len() as f64 - with + 0.5) / (with + 0.5)).ln()
    };
    let mut weights: HashMap<&str, f64> = HashMap::new();
    for ((score, _), words) in found.iter().zip(&texts).take(SPEAKING) {
        for word in words {
            *weights.entry(word).or_default() += f64::from(*score) / words.len() as f64 * rarity(word);
        }
    }
    let mut weighty: Vec<(&str, f64)> = weights.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
    // Words that weigh the same are told apart by their letters, so that an answer is the same each time.
    weighty.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    weighty.truncate(WORDS);
    let mut chars = 0;
    let room = weighty.iter().take_while(|(word, _)| {
        chars += word.chars().count();
        chars <= SAID_CHARS_MAX
    });
    weighty.truncate(room.count());
    let most = weighty.first().map_or(1.0, |(_, weight)| *weight);
    let repeats = |weight: f64| (REPEATS * weight / most).round().max(1.0) as usize;
    let said = weighty.iter().flat_map(|(word, weight)| std::iter::repeat_n(*word, repeats(*weight)));
    said.collect::<Vec<_>>().join(" ")
}

/// Runs of letters, digits and underscores, in lower case but for identifiers, which the index takes apart by their capitals.
fn words_of(text: &str) -> Vec<String> {
    let is_word = |word: &&str| !word.is_empty() && word.chars().count() <= WORD_CHARS_MAX;
    let spelled = |word: &str| {
        let mut rest = word.chars().skip(1);
        let is_identifier = rest.clone().any(char::is_uppercase) && rest.any(char::is_lowercase);
        if is_identifier { word.to_owned() } else { word.to_lowercase() }
    };
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(is_word).map(spelled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_agree_if_the_first_ones_are_scored_alike() {
        assert_eq!(agreement(&[1.0, 1.0, 1.0, 1.0, 1.0, 0.1]), 1.0);
        assert_eq!(agreement(&[1.0, 0.9, 0.8, 0.7, 0.5]), 0.25);
        assert_eq!(agreement(&[1.0, 1.0]), 0.0, "too few to agree");
        assert_eq!(agreement(&[0.0; 9]), 0.0);
        assert_eq!(agreement(&[]), 0.0);
    }

    #[test]
    fn vectors_are_moved_by_a_mean() {
        assert_eq!(moved(&[1.0, 0.0], &[&[0.0, 1.0], &[0.0, 1.0]]), [1.0, 0.6]);
        assert_eq!(moved(&[1.0, 0.0], &[]), [1.0, 0.0]);
        assert_eq!(moved(&[4.0, 0.0], &[&[0.0, 0.5], &[0.0, 3.0]]), [4.0, 2.4], "lengths do not count");
        assert_eq!(moved(&[1.0, 0.0], &[&[0.0, 0.0]]), [1.0, 0.0]);
    }

    #[test]
    fn words_of_the_best_that_others_lack_are_said_most() {
        let rest = "the other text has the usual words";
        let mut found =
            vec![(1.0, "the MergeScheduler merges the segments"), (0.9, "the segments of a Merge")];
        found.extend((0..20).map(|_| (0.5, rest)));
        let said = said(&found);
        let count = |word: &str| said.split(' ').filter(|other| *other == word).count();
        assert!(count("segments") > count("the"), "{said}");
        assert_eq!(count("MergeScheduler"), count("merges"), "{said}");
        assert!(count("merge") > 0, "{said}");
        assert!(said.split(' ').collect::<HashSet<_>>().len() <= WORDS);
        let run = |at: u32| {
            (0..WORD_CHARS_MAX as u32)
                .filter_map(|n| char::from_u32(0x4E00 + 40 * at + n))
                .collect::<String>()
        };
        let runs = (0..30).map(run).collect::<Vec<_>>().join("、");
        let said_of_runs = super::said(&[(1.0, &runs)]);
        let distinct: HashSet<&str> = said_of_runs.split(' ').collect();
        let chars: usize = distinct.iter().map(|word| word.chars().count()).sum();
        assert_eq!((distinct.len(), chars), (12, SAID_CHARS_MAX));
        assert_eq!(super::said(&[]), "");
        assert_eq!(super::said(&[(1.0, " .,;")]), "");
        assert_eq!(super::said(&[(1.0, &"x".repeat(WORD_CHARS_MAX + 1))]), "");
    }
}
