//! What is known of languages: stems and stop words, both of the Snowball project.

use std::borrow::Cow;

use frostem::{Algorithm, Stemmer};

use super::Analyzer;

/// A language's rules.
pub(super) struct Language {
    stemmer: Stemmer,
    /// Separated by space.
    stop_words: &'static str,
}

impl std::fmt::Debug for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Language").field("algorithm", &self.stemmer.algorithm()).finish_non_exhaustive()
    }
}

impl Language {
    /// That of an analyser, if it has one.
    pub(super) fn of(analyzer: Analyzer) -> Option<Self> {
        let (algorithm, stop_words) = match analyzer {
            Analyzer::Standard | Analyzer::Code => return None,
            Analyzer::Arabic => (Algorithm::Arabic, ""),
            Analyzer::Danish => (Algorithm::Danish, include_str!("stop_words/danish.txt")),
            Analyzer::Dutch => (Algorithm::Dutch, include_str!("stop_words/dutch.txt")),
            Analyzer::English => (Algorithm::English, include_str!("stop_words/english.txt")),
            Analyzer::Finnish => (Algorithm::Finnish, include_str!("stop_words/finnish.txt")),
            Analyzer::French => (Algorithm::French, include_str!("stop_words/french.txt")),
            Analyzer::German => (Algorithm::German, include_str!("stop_words/german.txt")),
            Analyzer::Greek => (Algorithm::Greek, ""),
            Analyzer::Hungarian => (Algorithm::Hungarian, include_str!("stop_words/hungarian.txt")),
            Analyzer::Italian => (Algorithm::Italian, include_str!("stop_words/italian.txt")),
            Analyzer::Norwegian => (Algorithm::Norwegian, include_str!("stop_words/norwegian.txt")),
            Analyzer::Portuguese => (Algorithm::Portuguese, include_str!("stop_words/portuguese.txt")),
            Analyzer::Romanian => (Algorithm::Romanian, ""),
            Analyzer::Russian => (Algorithm::Russian, include_str!("stop_words/russian.txt")),
            Analyzer::Spanish => (Algorithm::Spanish, include_str!("stop_words/spanish.txt")),
            Analyzer::Swedish => (Algorithm::Swedish, include_str!("stop_words/swedish.txt")),
            Analyzer::Tamil => (Algorithm::Tamil, ""),
            Analyzer::Turkish => (Algorithm::Turkish, ""),
            Analyzer::Czech => (Algorithm::Czech, ""),
            Analyzer::Hindi => (Algorithm::Hindi, ""),
            Analyzer::Indonesian => (Algorithm::Indonesian, ""),
            Analyzer::Polish => (Algorithm::Polish, ""),
            Analyzer::Ukrainian => (Algorithm::Ukrainian, ""),
        };
        Some(Self { stemmer: Stemmer::new(algorithm), stop_words })
    }

    pub(super) fn is_stop_word(&self, word: &str) -> bool {
        self.stop_words.split_ascii_whitespace().any(|stop| stop == word)
    }

    /// The stem of a word in lower case.
    pub(super) fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        let stem = self.stemmer.stem(word);
        // What is nothing but an ending stays what it is.
        if stem.is_empty() { Cow::Borrowed(word) } else { stem }
    }
}
