//! Pieces of a text to passages: where each stands, what is above it, and what is embedded for it.

use super::outline::{Outline, PATH_SEPARATOR};
use super::split::Piece;
use super::{Chunk, content_sha256};
use crate::embed::Embedder;

/// Bytes of the white space between two chunks that is kept with the second, so that they can be put together again.
const GAP_BYTES_MAX: usize = 64;

/// A chunk as it is stored and embedded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Passage {
    pub(crate) chunk: Chunk,
    /// The white space between the previous chunk and this one, unless they overlap or it is long.
    pub(crate) gap: Option<String>,
    /// Headings that are put before the text when it is embedded; may be empty.
    pub(crate) context: String,
}

impl Passage {
    /// What the model reads.
    pub(crate) fn embedded(&self) -> String {
        with_context(&self.context, &self.chunk.text)
    }
}

/// What passages are made with.
pub(super) struct Passages<'a> {
    /// The document's id.
    pub(super) document: &'a str,
    /// Its title, as it stands in paths; may be empty.
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) outline: &'a Outline,
    pub(super) embedder: &'a dyn Embedder,
    /// Tokens that the model reads of a passage.
    pub(super) capacity: usize,
}

impl Passages<'_> {
    /// The passages of pieces that fit, in their order.
    pub(super) fn of(&self, pieces: Vec<Piece>) -> Vec<Passage> {
        let mut position = Position::default();
        let mut previous_end = 0;
        let mut passages = Vec::with_capacity(pieces.len());
        for (ordinal, piece) in pieces.into_iter().enumerate() {
            let text = &self.text[piece.range.clone()];
            let start = position.advance(self.text, piece.range.start);
            let gap = self.text.get(previous_end..piece.range.start).filter(|gap| gap.len() <= GAP_BYTES_MAX);
            let mut chunk = Chunk {
                document: self.document.to_owned(),
                ordinal,
                heading: self.titles(&piece).join(PATH_SEPARATOR),
                start,
                end: start + text.chars().count(),
                text: text.to_owned(),
                tokens: self.embedder.count_tokens(text),
                content_sha256: String::new(),
            };
            let context = self.context(&piece, &chunk);
            chunk.content_sha256 = content_hash(&chunk.heading, &context, text);
            passages.push(Passage { chunk, gap: gap.filter(|_| ordinal > 0).map(str::to_owned), context });
            previous_end = piece.range.end;
        }
        passages
    }

    /// The document's title and the headings down to the piece's own; no title that the piece begins with, or that is the first heading.
    fn titles(&self, piece: &Piece) -> Vec<&str> {
        let headings = self.outline.titles(piece.section);
        let text = self.text[piece.range.clone()].trim_start();
        let is_said = self.title.is_empty()
            || headings.first() == Some(&self.title)
            || text.starts_with(self.title.trim_end_matches('…'));
        Some(self.title).filter(|_| !is_said).into_iter().chain(headings).collect()
    }

    /// As many of the headings above the piece as fit, innermost first to stay; its own heading stands in its text.
    fn context(&self, piece: &Piece, chunk: &Chunk) -> String {
        let mut titles = self.titles(piece);
        let own = piece.section.map(|at| &self.outline.sections[at]);
        if !self.outline.says_what_it_is_about {
            titles.truncate(titles.len() - self.outline.titles(piece.section).len());
        } else if own
            .is_some_and(|section| !section.title.is_empty() && section.range.start >= piece.range.start)
        {
            titles.pop();
        }
        (0..titles.len())
            .map(|skipped| titles[skipped..].join(PATH_SEPARATOR))
            .find(|context| self.embedder.count_tokens(&with_context(context, &chunk.text)) <= self.capacity)
            .unwrap_or_default()
    }
}

/// See [`Chunk::content_sha256`].
pub(crate) fn content_hash(heading: &str, context: &str, text: &str) -> String {
    // Headings hold no line ends, so the three are told apart.
    content_sha256(format!("{heading}\n{context}\n{text}").as_bytes())
}

/// What the model reads of a text below headings.
pub(crate) fn with_context(context: &str, text: &str) -> String {
    if context.is_empty() { text.to_owned() } else { format!("{context}\n\n{text}") }
}

/// Code points before a byte, for bytes that mostly ascend.
#[derive(Default)]
struct Position {
    byte: usize,
    chars: usize,
}

impl Position {
    fn advance(&mut self, text: &str, byte: usize) -> usize {
        if byte >= self.byte {
            self.chars += text[self.byte..byte].chars().count();
        } else {
            self.chars -= text[byte..self.byte].chars().count();
        }
        self.byte = byte;
        self.chars
    }
}
