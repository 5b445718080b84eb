//! A text to chunks.
//!
//! What a model embeds well is one thought, whole, with its place in the document. So a chunk is, from the best to the
//! last resort: a section with everything under it; a section's own text; a run of its paragraphs, sentences, words,
//! characters. Neighbouring pieces too small to say much are joined, but never across a heading of the document's top
//! level. Pieces cut out of one long text overlap a little, so that a sentence at a cut is whole in one of them.
//!
//! Paragraphs that are wrapped at a column would be cut at line ends, in the middle of sentences. The text that is
//! split is therefore a copy in which line ends inside prose are spaces: as many bytes, so that every place in the copy
//! is the same place in the text.
//!
//! Source code is divided by its items (`code.rs`), what is too long of one by its statements
//! (`statements.rs`), and code without a syntax tree between lines, best at blank ones; a PDF by its pages.
//!
//! Sizes are estimated while splitting ([`TokenIndex`]) and exact at the end: a piece that does not fit is halved until
//! it does, and the headings put before a chunk when it is embedded are left out, outermost first, where they do not
//! fit. Cost: linear in the text but for the windows of [`WINDOW_BYTES_MAX`] that the sentence splitter works on.

use std::borrow::Cow;
use std::ops::Range;

use text_splitter::{ChunkConfig, TextSplitter};
use tree_sitter::Tree;

pub(crate) use super::outline::PATH_SEPARATOR as HEADING_SEPARATOR;
use super::outline::{Outline, tidy};
use super::passages::Passages;
pub(crate) use super::passages::{Passage, content_hash, with_context};
use super::statements::Statements;
use super::tokens::TokenIndex;
use super::{ChunkOptions, MediaType, code};
use crate::embed::{Embedder, Role};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_CHUNKS_MAX;

/// Changes when the same text would give other chunks, so that stored documents are split anew.
pub(crate) const SPLIT_VERSION: u32 = 5;
/// Neighbours are joined while one of them has fewer tokens.
const JOIN_BELOW_TOKENS: usize = 64;
/// Models that read less are of no use for documents.
const MODEL_TOKENS_MIN: usize = 16;
/// Bytes that the sentence splitter is given at a time; its cost grows with their square.
const WINDOW_BYTES_MAX: usize = 16 << 10;
/// A line at least this long that is followed by a plain line is wrapped prose.
const WRAPPED_LINE_BYTES_MIN: usize = 48;

/// What is split.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The document's id.
    pub(crate) document: &'a str,
    /// The document's title; may be empty.
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    pub(crate) media_type: MediaType,
}

/// Splits a document's text for a model.
///
/// # Errors
/// [`Error::Limit`] with more than [`DOCUMENT_CHUNKS_MAX`] chunks; [`Error::Invalid`] for a model that reads too few
/// tokens.
pub(crate) fn split(
    source: Source<'_>,
    chunks: &ChunkOptions,
    embedder: &dyn Embedder,
) -> Result<Vec<Passage>> {
    let Source { document, title, text, media_type } = source;
    let info = embedder.info();
    let capacity = info.max_tokens.saturating_sub(embedder.overhead_tokens(Role::Passage));
    if capacity < MODEL_TOKENS_MIN {
        return Err(Error::Invalid {
            field: "model".to_owned(),
            reason: format!(
                "model {} reads {capacity} tokens of a passage; documents need {MODEL_TOKENS_MIN}",
                info.name
            ),
        });
    }
    let tree = match media_type {
        MediaType::Code(language) => code::parse(text, language),
        _ => None,
    };
    let outline = match media_type {
        MediaType::Text => Outline::flat(text),
        MediaType::Markdown | MediaType::Html => Outline::markdown(text),
        MediaType::Pdf => Outline::pages(text),
        MediaType::Code(_) => {
            tree.as_ref().map_or_else(|| Outline::flat(text), |tree| code::outline(text, tree))
        }
    };
    let is_code = matches!(media_type, MediaType::Code(_));
    // The lines of code mean something.
    let flow = if is_code { Cow::Borrowed(text) } else { Cow::Owned(unwrapped(text)) };
    let index = TokenIndex::new(&flow, embedder);
    let title = tidy(title);
    // A fifth of what the model reads is left to the headings, if there are any, else what the title takes.
    let left = match outline.top_level() {
        0 if title.is_empty() => 0,
        0 => (embedder.count_tokens(&title) + 1).min(capacity / 5),
        _ => capacity / 5,
    };
    let size = chunks.tokens.min(capacity - left);
    // Of a smaller chunk the same share.
    let overlap = chunks.overlap * size / chunks.tokens.max(1);
    let splitter = Splitter {
        flow: &flow,
        is_code,
        tree: tree.as_ref(),
        outline: &outline,
        index: &index,
        size,
        overlap,
    };
    let pieces = splitter.join(splitter.cut());
    let fitting =
        pieces.into_iter().flat_map(|piece| fit(text, piece, embedder, capacity)).collect::<Vec<_>>();
    if fitting.len() > DOCUMENT_CHUNKS_MAX {
        return Err(Error::Limit {
            field: "content".to_owned(),
            limit: "DOCUMENT_CHUNKS_MAX",
            max: DOCUMENT_CHUNKS_MAX as u64,
            actual: fitting.len() as u64,
        });
    }
    let passages = Passages { document, title: &title, text, outline: &outline, embedder, capacity };
    Ok(passages.of(fitting))
}

/// A part of the text that is to become a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    /// The innermost section that holds it; none, if it lies in several without a common heading.
    pub(super) section: Option<usize>,
    /// Its top-level section.
    top: usize,
}

struct Splitter<'a> {
    flow: &'a str,
    /// Whether the text is source code.
    is_code: bool,
    /// The syntax of source code that has been parsed.
    tree: Option<&'a Tree>,
    outline: &'a Outline,
    index: &'a TokenIndex<'a>,
    size: usize,
    /// Tokens that pieces cut out of one long text share.
    overlap: usize,
}

impl Splitter<'_> {
    /// Sections with all that is under them where they fit, else their own text, else pieces of it.
    fn cut(&self) -> Vec<Piece> {
        let sections = &self.outline.sections;
        let top_level = self.outline.top_level();
        let (mut pieces, mut at, mut top, mut start) = (Vec::new(), 0, 0, None);
        while at < sections.len() {
            let section = &sections[at];
            if section.level == top_level && self.outline.is_divided_at_the_top {
                top = at;
            }
            let from = start.take().unwrap_or(section.range.start);
            let whole = from..sections[section.subtree_end - 1].range.end;
            if self.units(&whole) <= self.size {
                pieces.push(Piece { range: whole, section: Some(at), top });
                at = section.subtree_end;
                continue;
            }
            let bare = self.flow[section.body..section.range.end].trim().is_empty();
            if bare && at + 1 < section.subtree_end {
                // A heading alone says nothing: it goes with what follows under it.
                start = Some(from);
            } else {
                let own = from..section.range.end;
                pieces.extend(self.divided(own).map(|range| Piece { range, section: Some(at), top }));
            }
            at += 1;
        }
        pieces
    }

    /// A text in pieces that fit: code by its statements, as far as these are known.
    fn divided(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        let &Splitter { flow: text, index, size, overlap, .. } = self;
        let by_sentences = |range: Range<usize>| -> Vec<Range<usize>> { self.sentences(range).collect() };
        let pieces = match self.tree {
            Some(tree) => Statements { text, tree, index, size, overlap }.pieces(range, by_sentences),
            None => by_sentences(range),
        };
        pieces.into_iter()
    }

    /// A text in pieces that fit, cut between paragraphs, else sentences, else words.
    fn sentences(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        windows(self.flow, range).into_iter().flat_map(move |window| {
            if self.units(&window) <= self.size {
                return vec![window];
            }
            let text = &self.flow[window.clone()];
            let place = |(at, chunk): (usize, &str)| window.start + at..window.start + at + chunk.len();
            // Of code without statements, too: between lines, best at blank ones.
            TextSplitter::new(self.config()).chunk_indices(text).map(place).collect()
        })
    }

    fn config(&self) -> ChunkConfig<&TokenIndex<'_>> {
        let config = || ChunkConfig::new(self.size).with_sizer(self.index);
        // Refused only where the overlap is not below the size, and it is half of it at most.
        config().with_overlap(self.overlap).unwrap_or_else(|_| config())
    }

    /// Joins small pieces to their neighbours where both fit and no top-level heading lies between.
    fn join(&self, pieces: Vec<Piece>) -> Vec<Piece> {
        let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            if self.flow[piece.range.clone()].trim().is_empty() {
                continue;
            }
            if let Some(last) = joined.last_mut() {
                let both = last.range.start..piece.range.end.max(last.range.end);
                let small = JOIN_BELOW_TOKENS.min(self.size / 2);
                let (is_last, is_next) = (self.units(&last.range) < small, self.units(&piece.range) < small);
                // An item of code that says much by itself keeps its name; a section of prose takes what is small beside it.
                let is_wanted = if self.is_code { is_last && is_next } else { is_last || is_next };
                if last.top == piece.top && is_wanted && self.units(&both) <= self.size {
                    last.range = both;
                    last.section = match (last.section, piece.section) {
                        (Some(a), Some(b)) => self.outline.common_ancestor(a, b),
                        _ => None,
                    };
                    continue;
                }
            }
            joined.push(piece);
        }
        joined
    }

    fn units(&self, range: &Range<usize>) -> usize {
        self.index.units(range.start, range.end)
    }
}

/// Trims a piece and halves it until it has no more tokens than the model reads.
fn fit(text: &str, piece: Piece, embedder: &dyn Embedder, capacity: usize) -> Vec<Piece> {
    let (mut open, mut fitting) = (vec![piece.range.clone()], Vec::new());
    while let Some(range) = open.pop() {
        let range = trimmed(text, range);
        if range.is_empty() {
            continue;
        }
        let slice = &text[range.clone()];
        match middle(slice) {
            Some(half) if embedder.count_tokens(slice) > capacity => {
                open.push(range.start + half..range.end);
                open.push(range.start..range.start + half);
            }
            _ => fitting.push(Piece { range, ..piece }),
        }
    }
    fitting
}

/// The last white space before the middle of a text, else the character boundary nearest to it; none in a single
/// character.
fn middle(text: &str) -> Option<usize> {
    let boundary = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= text.len() / 2).last()?;
    let space = text[..boundary].rfind(char::is_whitespace).filter(|at| *at > 0);
    space.or(Some(boundary).filter(|at| *at > 0)).or_else(|| text.char_indices().nth(1).map(|(at, _)| at))
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let slice = &text[range.clone()];
    let end = range.start + slice.trim_end().len();
    // Indentation is kept where it relates the first line to those below it.
    let blank = slice.len() - slice.trim_start().len();
    let line = match slice[..blank].rfind('\n') {
        Some(at) => Some(at + 1),
        None => (range.start == 0 || text[..range.start].ends_with('\n')).then_some(0),
    };
    let start = line.filter(|_| slice.trim().contains('\n')).unwrap_or(blank);
    range.start + start.min(end - range.start)..end
}

/// Cuts a range into windows, after a blank line, a line or a word where there is one in the second half.
fn windows(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let (mut windows, mut start) = (Vec::new(), range.start);
    while range.end - start > WINDOW_BYTES_MAX {
        let limit = text.floor_char_boundary(start + WINDOW_BYTES_MAX);
        let half = text.floor_char_boundary(start + WINDOW_BYTES_MAX / 2);
        let second = &text[half..limit];
        let after = |separator: &str| second.rfind(separator).map(|at| half + at + separator.len());
        let end = after("\n\n").or_else(|| after("\n")).or_else(|| after(" ")).unwrap_or(limit);
        windows.push(start..end);
        start = end;
    }
    windows.push(start..range.end);
    windows
}

/// The text with a space for every byte of a line end that only wraps a paragraph.
fn unwrapped(text: &str) -> String {
    let mut flow = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let content = line.trim_end_matches(['\n', '\r']);
        let wraps = content.len() >= WRAPPED_LINE_BYTES_MIN
            && !content.ends_with(['.', ':', '!', '?', '|', ';', '{', '}', ' ', '\\', '>'])
            && lines.peek().is_some_and(|next| {
                next.starts_with(|c: char| c.is_alphanumeric() || "\"'(`*_[".contains(c))
            })
            && !lines.peek().is_some_and(|next| is_item(next));
        flow.push_str(content);
        if wraps {
            flow.extend(std::iter::repeat_n(' ', line.len() - content.len()));
        } else {
            flow.push_str(&line[content.len()..]);
        }
    }
    flow
}

/// Whether a line begins a list item: `* x`, `1. x`.
fn is_item(line: &str) -> bool {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("* ")
        || (digits.len() < line.len() && (digits.starts_with(". ") || digits.starts_with(") ")))
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
