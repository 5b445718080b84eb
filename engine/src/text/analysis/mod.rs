//! From a text to its terms.
//!
//! ```text
//! text -> words (words.rs) -> identifiers and their parts (parts.rs) -> lower case -> stem (language.rs) -> without diacritics (fold.rs)
//!              -> scripts without spaces: characters and pairs of them
//! ```
//! A text of a row gives every term. That of a query gives fewer: a language's stop words only if there is nothing else, and of
//! a run of characters without spaces only the pairs, if there is one. So stop words cost a query nothing and are still found by
//! a query that has nothing else (*to be or not to be*), and a single ideograph finds the texts that have it.
//!
//! Identifiers are split by every analyser but [`Analyzer::Standard`], as texts about software are full of them: `getRowCount` is the term
//! `getrowcount` and the terms `get`, `row` and `count`; so is `get_row_count`. Of words without such a boundary nothing changes.
//!
//! **Bounds.** A term has at most [`TERM_BYTES_MAX`] bytes: of a longer word that many are its term, and it is not split.
//!
//! **Measured** (nDCG@10 of BM25 alone, `benches/src/bin/text.rs`): stems, stop words left out of queries, and identifiers each gain on two
//! judged sets of different kinds, abstracts of papers and Rust source; no set lost by any of them.

mod analyzer;
mod fold;
mod language;
mod parts;
mod words;

use std::collections::{BTreeMap, HashMap};

pub use analyzer::{Analyzer, UnknownAnalyzer};
use language::Language;
use words::Piece;

use super::TERM_BYTES_MAX;
use super::hash::Seeded;

/// Of what an analyser makes. An index with another number is not searched, but made anew.
pub(crate) const ANALYSIS_VERSION: u16 = 1;
/// Stems that are kept at most; then they are forgotten, one and all.
const STEMS_MAX: usize = 1 << 16;

/// An analyser at work. It remembers stems, so one for many texts is faster than one for each.
#[derive(Debug)]
pub(crate) struct Analysis {
    terms: Terms,
    splits: bool,
}

/// Analysers at work, for whoever has texts of several fields again and again.
#[derive(Debug, Default)]
pub(crate) struct Analyses(BTreeMap<Analyzer, Analysis>);

impl Analyses {
    pub(crate) fn of(&mut self, analyzer: Analyzer) -> &mut Analysis {
        self.0.entry(analyzer).or_insert_with(|| Analysis::new(analyzer))
    }

    /// Gives back the memory of all stems.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether any stem is remembered.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// From words to terms.
#[derive(Debug)]
struct Terms {
    language: Option<Language>,
    /// And whether the word is a stop word.
    stems: HashMap<Box<str>, (Box<str>, bool), Seeded>,
    lower: String,
}

/// What a query's text consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueryTerms {
    /// Each once, in the order in which they come, and how often.
    pub(crate) terms: Vec<(String, u32)>,
}

impl Analysis {
    pub(crate) fn new(analyzer: Analyzer) -> Self {
        let terms =
            Terms { language: Language::of(analyzer), stems: HashMap::default(), lower: String::new() };
        Self { terms, splits: analyzer != Analyzer::Standard }
    }

    /// Calls `emit` with every term of a row's text, repeated ones too.
    pub(crate) fn document(&mut self, text: &str, emit: &mut dyn FnMut(&str)) {
        self.pieces(text, &mut |term, kind| {
            if kind != Kind::Lone {
                emit(term);
            }
        });
    }

    /// The terms that a query asks for.
    pub(crate) fn query(&mut self, text: &str) -> QueryTerms {
        let mut found: Vec<(String, Kind)> = Vec::new();
        self.pieces(text, &mut |term, kind| {
            if kind != Kind::Character {
                found.push((term.to_owned(), kind));
            }
        });
        if found.iter().any(|(_, kind)| *kind != Kind::Stop) {
            found.retain(|(_, kind)| *kind != Kind::Stop);
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut terms: Vec<(String, u32)> = Vec::new();
        for (term, _) in found {
            match places.get(&term) {
                Some(place) => terms[*place].1 += 1,
                None => {
                    places.insert(term.clone(), terms.len());
                    terms.push((term, 1));
                }
            }
        }
        QueryTerms { terms }
    }

    fn pieces(&mut self, text: &str, emit: &mut dyn FnMut(&str, Kind)) {
        let Self { terms, splits } = self;
        words::each(text, &mut |piece| match piece {
            Piece::Word(word) => {
                if !(*splits
                    && word.len() <= TERM_BYTES_MAX
                    && parts::each(word, &mut |part| terms.word(part, true, emit)))
                {
                    terms.word(word, false, emit);
                }
            }
            Piece::Unspaced(run) => unspaced(run, emit),
        });
    }
}

/// What a term comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    /// A stop word of the language.
    Stop,
    /// One character of a script without spaces; of texts only.
    Character,
    /// The only one of a run; of queries only, as it is a `Character` too.
    Lone,
}

impl Terms {
    fn word(&mut self, word: &str, is_part: bool, emit: &mut dyn FnMut(&str, Kind)) {
        self.lower.clear();
        if word.is_ascii() {
            self.lower.push_str(word);
            self.lower.make_ascii_lowercase();
        } else {
            self.lower.extend(word.chars().flat_map(char::to_lowercase));
        }
        cut(&mut self.lower);
        let Some(language) = &self.language else {
            return emit(&fold::fold(&self.lower), Kind::Word);
        };
        let kind = |is_stop| if is_stop && !is_part { Kind::Stop } else { Kind::Word };
        if let Some((stem, is_stop)) = self.stems.get(self.lower.as_str()) {
            return emit(stem, kind(*is_stop));
        }
        let mut stem = fold::fold(&language.stem(&self.lower)).into_owned();
        cut(&mut stem);
        let is_stop = language.is_stop_word(&self.lower);
        emit(&stem, kind(is_stop));
        if self.stems.len() >= STEMS_MAX {
            self.stems.clear();
        }
        self.stems.insert(self.lower.as_str().into(), (stem.into(), is_stop));
    }
}

/// Cuts a term where it gets too long.
fn cut(term: &mut String) {
    if term.len() > TERM_BYTES_MAX {
        term.truncate(term.floor_char_boundary(TERM_BYTES_MAX));
    }
}

fn unspaced(run: &str, emit: &mut dyn FnMut(&str, Kind)) {
    let mut before = None;
    let mut is_lone = true;
    for (start, character) in run.char_indices() {
        let end = start + character.len_utf8();
        emit(&run[start..end], Kind::Character);
        if let Some(before) = before.replace(start) {
            emit(&run[before..end], Kind::Word);
            is_lone = false;
        }
    }
    if is_lone {
        emit(run, Kind::Lone);
    }
}

#[cfg(test)]
mod tests;
