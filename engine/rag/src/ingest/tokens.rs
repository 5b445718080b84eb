//! How many tokens a slice of a text has, without tokenising it again and again.
//!
//! A splitter asks for the size of many overlapping slices. Tokenisers treat words (runs without white space) nearly
//! independently, so the text is cut into words once, each distinct word is counted once, and the size of a slice is a
//! difference of two prefix sums plus the words at its ends. The sum may differ from the true count of some tokenisers;
//! what is finally stored is counted exactly by [`split`](super::split).
//!
//! A word longer than [`WORD_CHARS_MAX`] is cut: some tokenisers answer to a very long word with a single "unknown", and
//! a chunk of megabytes would count as one token. For the same reason every word costs at least one unit for each
//! [`CHARS_PER_UNIT_MAX`] of its characters, and so does white space at a lower rate.
//!
//! Cost: one tokenisation of the distinct words; O(log words) for a slice.

use std::cell::RefCell;
use std::collections::HashMap;

use text_splitter::ChunkSizer;

use crate::embed::Embedder;

/// Code points of a run that is counted as one word.
const WORD_CHARS_MAX: usize = 64;
/// Code points of a word that cost one unit even where the tokenizer counts less.
const CHARS_PER_UNIT_MAX: usize = 16;
/// Code points of white space that cost one unit.
const SPACES_PER_UNIT: usize = 64;

/// Sizes of the slices of one text.
pub(super) struct TokenIndex<'a> {
    text: &'a str,
    embedder: &'a dyn Embedder,
    /// First byte of every piece, then the text's length.
    starts: Vec<usize>,
    /// Units before every piece, then all of them.
    before: Vec<usize>,
    /// Units of the parts of words that slices begin and end with.
    parts: RefCell<HashMap<String, usize>>,
}

impl<'a> TokenIndex<'a> {
    pub(super) fn new(text: &'a str, embedder: &'a dyn Embedder) -> TokenIndex<'a> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let (mut starts, mut before, mut sum) = (Vec::new(), Vec::new(), 0);
        for (start, piece) in pieces(text) {
            starts.push(start);
            before.push(sum);
            sum += *known.entry(piece).or_insert_with(|| units(piece, embedder));
        }
        starts.push(text.len());
        before.push(sum);
        TokenIndex { text, embedder, starts, before, parts: RefCell::new(HashMap::new()) }
    }

    /// Units of the bytes `start..end`, both on character boundaries.
    pub(super) fn units(&self, start: usize, end: usize) -> usize {
        if start >= end {
            return 0;
        }
        let first = self.starts.partition_point(|piece| *piece < start);
        let last = self.starts.partition_point(|piece| *piece <= end) - 1;
        if first > last {
            return self.part(start, end);
        }
        self.part(start, self.starts[first]) + self.before[last] - self.before[first]
            + self.part(self.starts[last], end)
    }

    fn part(&self, start: usize, end: usize) -> usize {
        if start == end {
            return 0;
        }
        let piece = &self.text[start..end];
        if let Some(known) = self.parts.borrow().get(piece) {
            return *known;
        }
        let counted = units(piece, self.embedder);
        self.parts.borrow_mut().insert(piece.to_owned(), counted);
        counted
    }
}

impl ChunkSizer for TokenIndex<'_> {
    fn size(&self, chunk: &str) -> usize {
        // The splitter passes slices of the indexed text; their place in it is the distance of the pointers.
        let start = (chunk.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        match start.checked_add(chunk.len()) {
            Some(end) if end <= self.text.len() => self.units(start, end),
            _ => pieces(chunk).map(|(_, piece)| units(piece, self.embedder)).sum(),
        }
    }
}

fn units(piece: &str, embedder: &dyn Embedder) -> usize {
    let chars = piece.chars().count();
    if piece.chars().next().is_some_and(char::is_whitespace) {
        chars / SPACES_PER_UNIT
    } else {
        embedder.count_tokens(piece).max(chars.div_ceil(CHARS_PER_UNIT_MAX))
    }
}

/// Alternating runs of white space and of anything else, the latter of bounded length, with their first bytes.
fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &text[start..];
        let space = rest.chars().next()?.is_whitespace();
        let end = rest
            .char_indices()
            .enumerate()
            .find(|(count, (_, c))| c.is_whitespace() != space || (!space && *count == WORD_CHARS_MAX))
            .map_or(rest.len(), |(_, (at, _))| at);
        let piece = (start, &rest[..end]);
        start += end;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::BagOfWords;

    #[test]
    fn pieces_are_words_and_spaces_of_bounded_length() {
        let long = "x".repeat(WORD_CHARS_MAX + 1);
        let text = format!("a  bc\n{long}");
        let shown: Vec<&str> = pieces(&text).map(|(_, piece)| piece).collect();
        assert_eq!(shown, ["a", "  ", "bc", "\n", &long[1..], "x"]);
    }

    #[test]
    fn a_word_the_tokenizer_gives_up_on_still_costs() {
        let embedder = BagOfWords::new("m", 256);
        let text = "x".repeat(100_000);
        assert!(TokenIndex::new(&text, &embedder).units(0, text.len()) >= text.len() / CHARS_PER_UNIT_MAX);
    }

    proptest! {
        #[test]
        fn prefix_sums_agree_with_counting_every_piece(text in "[a-c \n.é日]{0,200}", cut in any::<(u8, u8)>()) {
            let embedder = BagOfWords::new("m", 256);
            let index = TokenIndex::new(&text, &embedder);
            let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (a, b) = (boundaries[cut.0 as usize % boundaries.len()], boundaries[cut.1 as usize % boundaries.len()]);
            let slice = &text[a.min(b)..a.max(b)];
            let naive: usize = pieces(slice).map(|(_, piece)| units(piece, &embedder)).sum();
            // The pieces of a slice are those of the text, but for words longer than a piece.
            prop_assert_eq!(index.size(slice), naive);
        }
    }
}
