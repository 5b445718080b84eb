//! What letters of other scripts cost a tokenizer that is not known.
//!
//! **Problem.** Byte-level vocabularies spell out what they have seldom seen. A bound that always holds, a token for each byte, is twice to five times what
//! they need for scripts that they know; one rate for all is too high for Cyrillic and too low for Armenian.
//!
//! **Idea.** A rate for each script, from texts that were counted by OpenAI's `cl100k_base`, which knows these scripts least of the vocabularies in use (its
//! successor `o200k_base` takes fewer of each text), and somewhat above what the dearest of them took. Capitals, and letters that few
//! languages of a script use, have rates of their own, as few pieces hold them. Where letters have no rate, each costs its bytes, and their word one token more for
//! what begins it, which no byte-level vocabulary exceeds.
//!
//! **Bound.** Of prose in the scripts of the table a count is never below that of `cl100k_base`, and at most 1.6 times it: the tests hold
//! it to that in twenty-two languages. It is no bound for what is no prose: old Chinese verse, of rare characters, took a tenth more.

/// Tokens of a hundred such characters, where they have a rate.
fn hundredths(c: char) -> Option<usize> {
    Some(match c {
        '0'..='9' => 100,
        'A'..='Z' | 'a'..='z' => 50,
        // Latin beyond ASCII, as Vietnamese has it.
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => 120,
        // Greek: capitals, small letters, and those with breathings.
        '\u{391}'..='\u{3a9}' | '\u{1f00}'..='\u{1fff}' => 215,
        '\u{370}'..='\u{3ff}' => 125,
        // Cyrillic: of Ukrainian, capitals, small letters, of other languages.
        '\u{451}' | '\u{454}' | '\u{456}' | '\u{457}' => 100,
        '\u{410}'..='\u{42f}' => 115,
        '\u{430}'..='\u{44f}' => 62,
        '\u{400}'..='\u{52f}' => 360,
        // Armenian, Hebrew.
        '\u{530}'..='\u{58f}' => 225,
        '\u{590}'..='\u{5ff}' => 145,
        // Arabic: its letters, then vowels and what Urdu and other languages have besides.
        '\u{600}'..='\u{64a}' => 95,
        '\u{64b}'..='\u{6ff}' => 165,
        // Devanagari, Bengali, Tamil, Thai, Georgian, Khmer.
        '\u{900}'..='\u{97f}' => 125,
        '\u{980}'..='\u{9ff}' => 165,
        '\u{b80}'..='\u{bff}' => 170,
        '\u{e00}'..='\u{e7f}' => 125,
        '\u{10a0}'..='\u{10ff}' => 240,
        '\u{1780}'..='\u{17ff}' => 220,
        // Chinese, Japanese and Korean: punctuation, kana, Han, Hangul.
        '\u{3001}'..='\u{303f}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' => 120,
        '\u{3040}'..='\u{30ff}' => 115,
        '\u{4e00}'..='\u{9fff}' => 150,
        '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}' => 135,
        _ => return None,
    })
}

/// Whether a character is part of a word: a letter or digit of any script, or, of a script with a rate, any sign.
pub(crate) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || (!c.is_ascii() && hundredths(c).is_some())
}

/// Letters without anything between them.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    hundredths: usize,
    /// Whether some of them have no rate.
    is_spelled_out: bool,
}

impl Letters {
    pub(crate) fn of(run: &str) -> Letters {
        let mut letters = Letters::default();
        run.chars().for_each(|c| letters.add(c));
        letters
    }

    pub(crate) fn add(&mut self, c: char) {
        let rate = hundredths(c);
        self.is_spelled_out |= rate.is_none();
        self.hundredths += rate.unwrap_or(100 * c.len_utf8());
    }

    /// Tokens of all of them, at most.
    pub(crate) fn tokens(&self) -> usize {
        self.hundredths.div_ceil(100) + usize::from(self.is_spelled_out)
    }
}

#[cfg(test)]
#[path = "scripts_tests.rs"]
mod tests;
