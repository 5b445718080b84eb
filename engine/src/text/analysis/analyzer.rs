//! The analysers by name: in schemas, on disk, on the command line.

/// How a text becomes terms that are searched for by word.
///
/// All of them bring words to lower case, drop the diacritics of Latin and Greek letters, and take scripts that are written
/// without spaces (Han, kana, Hangul, Thai, Lao, Khmer, Burmese) character by character and in pairs.
///
/// ```
/// use ragstone::Analyzer;
///
/// assert_eq!(Analyzer::default(), Analyzer::English);
/// assert_eq!("german".parse(), Ok(Analyzer::German));
/// let terms = Analyzer::English.terms("The walkers of getRowCount");
/// assert_eq!(terms, ["the", "walker", "of", "getrowcount", "get", "row", "count"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Analyzer {
    /// Words as they are.
    Standard,
    /// Words as they are, and the parts of identifiers beside them.
    Code,
    /// Arabic stems, and the parts of identifiers, as for all languages.
    Arabic,
    /// Danish stems; stop words are left out of queries that have other words.
    Danish,
    /// Dutch stems; stop words are left out of queries.
    Dutch,
    /// English stems; stop words are left out of queries. Serves other languages, too, and texts with code.
    #[default]
    English,
    /// Finnish stems; stop words are left out of queries.
    Finnish,
    /// French stems; stop words are left out of queries.
    French,
    /// German stems; stop words are left out of queries.
    German,
    /// Greek stems.
    Greek,
    /// Hungarian stems; stop words are left out of queries.
    Hungarian,
    /// Italian stems; stop words are left out of queries.
    Italian,
    /// Norwegian stems; stop words are left out of queries.
    Norwegian,
    /// Portuguese stems; stop words are left out of queries.
    Portuguese,
    /// Romanian stems.
    Romanian,
    /// Russian stems; stop words are left out of queries.
    Russian,
    /// Spanish stems; stop words are left out of queries.
    Spanish,
    /// Swedish stems; stop words are left out of queries.
    Swedish,
    /// Tamil stems.
    Tamil,
    /// Turkish stems.
    Turkish,
    /// Czech stems.
    Czech,
    /// Hindi stems.
    Hindi,
    /// Indonesian stems.
    Indonesian,
    /// Polish stems.
    Polish,
    /// Ukrainian stems.
    Ukrainian,
}

/// Each with its code on disk and its name.
const ALL: [(Analyzer, u8, &str); 25] = [
    (Analyzer::Standard, 0, "standard"),
    (Analyzer::Code, 1, "code"),
    (Analyzer::Arabic, 2, "arabic"),
    (Analyzer::Danish, 3, "danish"),
    (Analyzer::Dutch, 4, "dutch"),
    (Analyzer::English, 5, "english"),
    (Analyzer::Finnish, 6, "finnish"),
    (Analyzer::French, 7, "french"),
    (Analyzer::German, 8, "german"),
    (Analyzer::Greek, 9, "greek"),
    (Analyzer::Hungarian, 10, "hungarian"),
    (Analyzer::Italian, 11, "italian"),
    (Analyzer::Norwegian, 12, "norwegian"),
    (Analyzer::Portuguese, 13, "portuguese"),
    (Analyzer::Romanian, 14, "romanian"),
    (Analyzer::Russian, 15, "russian"),
    (Analyzer::Spanish, 16, "spanish"),
    (Analyzer::Swedish, 17, "swedish"),
    (Analyzer::Tamil, 18, "tamil"),
    (Analyzer::Turkish, 19, "turkish"),
    (Analyzer::Czech, 20, "czech"),
    (Analyzer::Hindi, 21, "hindi"),
    (Analyzer::Indonesian, 22, "indonesian"),
    (Analyzer::Polish, 23, "polish"),
    (Analyzer::Ukrainian, 24, "ukrainian"),
];

impl Analyzer {
    /// Every analyser.
    pub fn all() -> impl Iterator<Item = Analyzer> {
        ALL.iter().map(|(analyzer, ..)| *analyzer)
    }

    /// Its name, which it is parsed from.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(analyzer, ..)| *analyzer == self).map_or("", |(.., name)| name)
    }

    /// Its code on disk.
    pub(crate) fn code(self) -> u8 {
        ALL.iter().find(|(analyzer, ..)| *analyzer == self).map_or(u8::MAX, |(_, code, _)| *code)
    }

    /// The analyser with this code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        ALL.iter().find(|(_, known, _)| *known == code).map(|(analyzer, ..)| *analyzer)
    }

    /// The terms of a text, in order: what a row with it is found by.
    pub fn terms(self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        super::Analysis::new(self).document(text, &mut |term| terms.push(term.to_owned()));
        terms
    }
}

impl std::fmt::Display for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of no analyser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no analyzer is called `{name}`; there are {}", names())]
pub struct UnknownAnalyzer {
    name: String,
}

fn names() -> String {
    let names: Vec<&str> = ALL.iter().map(|(.., name)| *name).collect();
    names.join(", ")
}

impl std::str::FromStr for Analyzer {
    type Err = UnknownAnalyzer;

    fn from_str(name: &str) -> Result<Self, UnknownAnalyzer> {
        let found = ALL.iter().find(|(.., known)| *known == name).map(|(analyzer, ..)| *analyzer);
        found.ok_or_else(|| UnknownAnalyzer { name: name.chars().take(100).collect() })
    }
}
