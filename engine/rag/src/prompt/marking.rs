//! Passages that can be told from instructions, whatever they say.
//!
//! **Problem.** A passage may say "ignore what you were told"; a model that reads it among its instructions may obey. Whoever wrote the document is
//! not whoever asks.
//!
//! **Idea.** Spotlighting (Hines et al., "Defending against indirect prompt injection attacks with spotlighting", 2024). A passage stands between
//! lines with a random delimiter which occurs in nothing else that the prompt holds, so it cannot end its own quotation; and it is
//! marked throughout with a sign that instructions lack: at the beginning of each line, or before each word. The mark is one
//! character, picked at random from those that occur nowhere in the texts.
//!
//! What names a passage comes from its document as well: headings are marked as a text of one line, and the document's id, behind the prompt's own number,
//! between its words where texts are. Both are one line, whatever they hold.
//!
//! A citation's text and names are not marked: only what the model reads is.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::error::{Error, Result};

/// How passages are marked as quoted, in what the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataMarking {
    /// Not at all: they stand between delimiters alone.
    Off,
    /// At the beginning of each line. It costs a token or two a line.
    #[default]
    Lines,
    /// At the beginning of each line, and in the place of each space between words: the strongest, for about one token more a word.
    Words,
}

impl DataMarking {
    /// Every way.
    pub const ALL: [DataMarking; 3] = [Self::Off, Self::Lines, Self::Words];

    /// Its name, which it is parsed from.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Lines => "lines",
            Self::Words => "words",
        }
    }

    /// A text as the model reads it.
    pub(crate) fn apply(self, mark: char, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::Lines => with_marked_lines(mark, text, |line| line.to_owned()),
            Self::Words => with_marked_lines(mark, text, |line| marked_words(mark, line)),
        }
    }
}

impl std::fmt::Display for DataMarking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for DataMarking {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|marking| marking.as_str() == name).ok_or_else(|| Error::Invalid {
            field: "data_marking".to_owned(),
            reason: format!("there is no marking `{name}`; there are off, lines and words"),
        })
    }
}

/// Characters of a name or of headings that a prompt shows.
const NAME_CHARS_MAX: usize = 400;

/// What names a passage, on one line.
fn one_line(text: &str) -> String {
    let is_break = |c: char| c.is_control() || is_line_end(c);
    match text.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].replace(is_break, " ")),
        None => text.replace(is_break, " "),
    }
}

fn with_marked_lines(mark: char, text: &str, line: impl Fn(&str) -> String) -> String {
    let mut marked = String::with_capacity(text.len() + text.len() / 16 + 4);
    let mut rest = text;
    loop {
        marked.push(mark);
        let end = rest.find(is_line_end).unwrap_or(rest.len());
        marked.push_str(&line(&rest[..end]));
        rest = &rest[end..];
        // A carriage return and a line feed are one end.
        let ending = if rest.starts_with("\r\n") { 2 } else { rest.chars().next().map_or(0, char::len_utf8) };
        if ending == 0 {
            return marked;
        }
        marked.push_str(&rest[..ending]);
        rest = &rest[ending..];
    }
}

/// Whatever a reader may take for the end of a line: a text must not get an unmarked one by it.
pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A line whose single spaces between words are marks. Its indentation stays, and so do longer runs of spaces, which are layout.
fn marked_words(mark: char, line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(indent);
    let mut marked = String::with_capacity(line.len() + 8);
    marked.push_str(indent);
    let mut characters = rest.chars().peekable();
    let mut before = None;
    while let Some(c) = characters.next() {
        let is_single = c == ' ' && before != Some(' ') && characters.peek().is_some_and(|next| *next != ' ');
        marked.push(if is_single { mark } else { c });
        before = Some(c);
    }
    marked
}

/// Characters that texts seldom hold and models read as one sign. All are punctuation by Unicode's category, which every tokenizer sets
/// apart from the words beside it: another sign would make one unknown word of what it joins.
pub(crate) const MARKS: [char; 12] = ['‖', '⁂', '‸', '※', '⁑', '⁎', '⁕', '⁘', '⁙', '⁛', '⁜', '⁞'];

/// What sets passages apart in one prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spotlight {
    /// A word that occurs in none of the texts.
    pub(crate) delimiter: String,
    pub(crate) marking: DataMarking,
    pub(crate) mark: char,
}

impl Spotlight {
    /// Picks a delimiter and a mark that none of the texts has. `words` and `start` are random; of marks that all occur, the first is taken: a
    /// mark in a text is as much a mark.
    ///
    /// # Errors
    /// [`Error::Template`] if every word occurs.
    pub(crate) fn pick<'t>(
        texts: impl Iterator<Item = &'t str> + Clone,
        marking: DataMarking,
        words: impl IntoIterator<Item = String>,
        start: usize,
    ) -> Result<Spotlight> {
        let occurs = |word: &String| texts.clone().any(|text| text.contains(word.as_str()));
        let delimiter = words
            .into_iter()
            .find(|word| !occurs(word))
            .ok_or_else(|| Error::Template { reason: "every delimiter occurs in the texts".to_owned() })?;
        let first = start % MARKS.len();
        let mut marks = MARKS[first..].iter().chain(&MARKS[..first]).copied();
        let mark = marks.find(|mark| texts.clone().all(|text| !text.contains(*mark)));
        Ok(Spotlight { delimiter, marking, mark: mark.unwrap_or(MARKS[first]) })
    }

    /// A text as the model reads it.
    pub(crate) fn apply(&self, text: &str) -> String {
        self.marking.apply(self.mark, text)
    }

    /// The headings above a passage as the model reads them; no headings stay none.
    pub(crate) fn heading(&self, heading: &str) -> String {
        if heading.is_empty() { String::new() } else { self.apply(&one_line(heading)) }
    }

    /// A document's id as the model reads it.
    pub(crate) fn document(&self, id: &str) -> String {
        let id = one_line(id);
        match self.marking {
            DataMarking::Words => marked_words(self.mark, &id),
            DataMarking::Off | DataMarking::Lines => id,
        }
    }
}

/// Words that cannot be guessed, from the randomness that the standard library keys its maps with. They need not be long: what matters is that none
/// of the texts holds the one that is taken.
pub(crate) fn random_delimiters() -> impl Iterator<Item = String> {
    std::iter::repeat_with(|| format!("passage-{:08x}", random() as u32))
}

/// A number that cannot be guessed.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markings_have_names() {
        for marking in DataMarking::ALL {
            assert_eq!(marking.to_string().parse::<DataMarking>().unwrap(), marking);
        }
        assert!("letters".parse::<DataMarking>().is_err_and(|error| error.to_string().contains("`letters`")));
    }

    #[test]
    fn lines_and_words_are_marked_and_layout_stays() {
        let text = "One two  three.\n    if x { y }\n\nEnd ";
        for (marking, expected) in [
            (DataMarking::Off, text),
            (DataMarking::Lines, "^One two  three.\n^    if x { y }\n^\n^End "),
            (DataMarking::Words, "^One^two  three.\n^    if^x^{^y^}\n^\n^End "),
        ] {
            assert_eq!(marking.apply('^', text), expected, "{marking}");
        }
        assert_eq!(DataMarking::Words.apply('^', ""), "^");
        assert_eq!(DataMarking::Lines.apply('^', "a\r\nb\rc\u{2028}d\n"), "^a\r\n^b\r^c\u{2028}^d\n^");
    }

    #[test]
    fn what_names_a_passage_is_one_marked_line() {
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        let cut = format!("{}…", "x".repeat(NAME_CHARS_MAX));
        for (marking, heading, document) in [
            (DataMarking::Off, "A > B  C", "the lease.md"),
            (DataMarking::Lines, "^A > B  C", "the lease.md"),
            (DataMarking::Words, "^A^>^B  C", "the^lease.md"),
        ] {
            let spotlight = Spotlight { delimiter: "word".to_owned(), marking, mark: '^' };
            assert_eq!(spotlight.heading("A\n>\rB\r\nC"), heading, "{marking}");
            assert_eq!(spotlight.document("the\u{2028}lease.md"), document, "{marking}");
            assert_eq!(spotlight.heading(""), "", "{marking}");
            assert!(spotlight.heading(&long).ends_with(&cut) && spotlight.document(&long).ends_with(&cut));
        }
    }

    #[test]
    fn what_is_picked_occurs_in_no_text() {
        let words = || (0..9).map(|at| format!("word-{at}"));
        let texts = ["word-0 ‖", "※ word-2", "word-1"];
        let picked = Spotlight::pick(texts.into_iter(), DataMarking::Lines, words(), MARKS.len()).unwrap();
        assert_eq!((picked.delimiter.as_str(), picked.mark), ("word-3", '⁂'));
        let last = Spotlight::pick(texts.into_iter(), DataMarking::Off, words(), MARKS.len() - 1).unwrap();
        assert_eq!(last.mark, MARKS[MARKS.len() - 1]);
        let all: String = MARKS.iter().collect();
        assert_eq!(
            Spotlight::pick([&*all].into_iter(), DataMarking::Lines, words(), 3).unwrap().mark,
            MARKS[3]
        );
        let none = Spotlight::pick(["x"].into_iter(), DataMarking::Lines, ["x".to_owned()], 0);
        assert!(matches!(none, Err(Error::Template { .. })));
    }

    #[test]
    fn delimiters_are_fresh() {
        let words: std::collections::HashSet<String> = random_delimiters().take(100).collect();
        assert!(words.len() > 98, "{words:?}");
    }
}
