//! Identifiers and what they are made of.
//!
//! ```text
//! getRowCount  -> getrowcount get row count         a capital after a small letter
//! HTTPServer   -> httpserver http server            the last capital of several belongs to what follows
//! get_row      -> getrow get row                    underscores stand in no term
//! utf8         -> utf8 utf 8                        a digit beside a letter
//! ```
//! So however an identifier is spelled, it is the same term.

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Small,
    Capital,
    Digit,
    Underscore,
}

fn class(character: char) -> Class {
    match character {
        '_' => Class::Underscore,
        // A dot within a word stands between digits.
        '.' => Class::Digit,
        'a'..='z' => Class::Small,
        'A'..='Z' => Class::Capital,
        character if character.is_numeric() => Class::Digit,
        character if character.is_uppercase() => Class::Capital,
        // Marks too: they belong to the letter before.
        _ => Class::Small,
    }
}

/// Calls `emit` with a word without its underscores, then with its parts, if it has several. Otherwise it is not called, and the answer
/// is `false`.
pub(super) fn each(word: &str, emit: &mut dyn FnMut(&str)) -> bool {
    // Nearly all words are one capital at most and then small letters.
    let Some(rest) = word.as_bytes().get(1..) else { return false };
    if word.is_ascii()
        && !word.starts_with(|first: char| first.is_ascii_digit() || first == '_')
        && rest.iter().all(u8::is_ascii_lowercase)
    {
        return false;
    }
    let has_underscore = word.contains('_');
    let mut parts = split(word);
    let Some(first) = parts.next() else { return false };
    let Some(second) = parts.next() else {
        // Underscores around one part.
        if has_underscore {
            emit(first);
        }
        return has_underscore;
    };
    if has_underscore {
        emit(&word.replace('_', ""))
    } else {
        emit(word)
    }
    [first, second].into_iter().chain(parts).for_each(emit);
    true
}

/// The parts of a word.
fn split(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('_');
        let mut characters = rest.char_indices();
        let mut before = class(characters.next()?.1);
        let mut end = rest.len();
        for (at, character) in characters.by_ref() {
            let now = class(character);
            let is_boundary = match (before, now) {
                (_, Class::Underscore) | (Class::Small, Class::Capital) => true,
                (Class::Capital, Class::Capital) => rest[at + character.len_utf8()..]
                    .chars()
                    .next()
                    .is_some_and(|next| class(next) == Class::Small),
                (Class::Capital, Class::Small) => false,
                (before, now) => before != now,
            };
            if is_boundary {
                end = at;
                break;
            }
            before = now;
        }
        let part;
        (part, rest) = rest.split_at(end);
        Some(part)
    })
}
