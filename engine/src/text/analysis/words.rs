//! Where words begin and end.
//!
//! Unicode's word boundaries (UAX #29), with these differences, which let code and prose be treated alike: apostrophes, colons and dots
//! within a word separate (`l'eau`, `std::fs`, `self.rows`), but for a dot between two digits (`3.14`, `1.2.3`). Texts are brought to NFKC first, so
//! that full-width letters and composed ones are what they look like.
//!
//! Scripts that are written without spaces have no words here but runs of characters.
//!
//! **Cost.** Nearly all text is ASCII, where a word is a run of letters, digits and underscores; a stretch with anything else
//! goes through the tables of Unicode.

use std::ops::Range;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// A part of a text.
pub(super) enum Piece<'a> {
    /// A word as it is written.
    Word(&'a str),
    /// Characters of scripts without spaces.
    Unspaced(&'a str),
}

/// Calls `emit` with the pieces of a text.
pub(super) fn each(text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if !is_word(byte) && byte.is_ascii() {
            at += 1;
            continue;
        }
        let start = at;
        let mut is_ascii = true;
        while at < bytes.len() {
            let byte = bytes[at];
            is_ascii &= byte.is_ascii();
            if byte.is_ascii() && !is_word(byte) && !(byte == b'.' && is_between_digits(bytes, at)) {
                break;
            }
            at += 1;
        }
        match is_ascii {
            true => word(&text[start..at], emit),
            false => stretch(&text[start..at], emit),
        }
    }
}

/// Letters, digits and underscores of ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_between_digits(bytes: &[u8], at: usize) -> bool {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    is_digit(at.wrapping_sub(1)) && is_digit(at + 1)
}

fn word(word: &str, emit: &mut dyn FnMut(Piece<'_>)) {
    if word.bytes().any(|byte| byte != b'_') {
        emit(Piece::Word(word));
    }
}

/// A stretch of text that is not all ASCII.
fn stretch(text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
    match is_nfkc_quick(text.chars()) {
        IsNormalized::Yes => normal(text, emit),
        _ => normal(&text.nfkc().collect::<String>(), emit),
    }
}

pub(super) fn normal(text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
    let mut run: Range<usize> = 0..0;
    for (start, found) in text.unicode_word_indices() {
        if found.chars().next().is_some_and(is_unspaced) {
            if run.end != start {
                unspaced(&text[run.clone()], emit);
                run.start = start;
            }
            run.end = start + found.len();
            continue;
        }
        unspaced(&text[run.clone()], emit);
        run = 0..0;
        let mut rest = found;
        while let Some((at, character)) =
            rest.char_indices().find(|(at, character)| separates(rest, *at, *character))
        {
            word(&rest[..at], emit);
            rest = &rest[at + character.len_utf8()..];
        }
        word(rest, emit);
    }
    unspaced(&text[run], emit);
}

fn unspaced(run: &str, emit: &mut dyn FnMut(Piece<'_>)) {
    if !run.is_empty() {
        emit(Piece::Unspaced(run));
    }
}

/// Whether a character within a word of Unicode's is none of a word here.
fn separates(word: &str, at: usize, character: char) -> bool {
    match character {
        '_' => false,
        '.' => !is_between_digits(word.as_bytes(), at),
        '\u{B7}' | '\u{387}' | '\u{2018}' | '\u{2019}' | '\u{2024}' | '\u{2027}' => true,
        character => character.is_ascii_punctuation(),
    }
}

/// Whether a character is of a script that is written without spaces between words.
fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x0E00..=0x0EFF        // Thai, Lao
        | 0x1000..=0x109F      // Burmese
        | 0x1100..=0x11FF      // Hangul
        | 0x1780..=0x17FF      // Khmer
        | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3031..=0x3035
        | 0x3040..=0x30FF      // kana
        | 0x3130..=0x318F | 0x31A0..=0x31BF | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xA960..=0xA97F | 0xAC00..=0xD7FF
        | 0xF900..=0xFAFF
        | 0x1B000..=0x1B16F
        | 0x20000..=0x3FFFF)
}
