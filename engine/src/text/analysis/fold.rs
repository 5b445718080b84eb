//! Letters without what stands above and below them, so that *resume* finds *résumé*.
//!
//! Diacritics of Latin and Greek letters go, and the dots of the Cyrillic *ё*. Elsewhere a mark makes another letter: a vowel of an Indic
//! script, the *й* of Russian, the voiced kana.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// A term without diacritics.
pub(super) fn fold(term: &str) -> Cow<'_, str> {
    if term.is_ascii() {
        return Cow::Borrowed(term);
    }
    let mut base = '\0';
    let mut folded = String::with_capacity(term.len());
    let kept = term.nfd().filter(|character| {
        let is_mark = matches!(character, '\u{300}'..='\u{36F}');
        if !is_mark {
            base = *character;
        }
        !(is_mark && loses_marks(base, *character))
    });
    for character in kept.nfc() {
        match plain(character) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(character),
        }
    }
    Cow::Owned(folded)
}

fn loses_marks(base: char, mark: char) -> bool {
    match base {
        'a'..='z' | 'A'..='Z' | '\u{C0}'..='\u{24F}' | '\u{370}'..='\u{3FF}' | '\u{1E00}'..='\u{1FFF}' => {
            true
        }
        // ё
        '\u{435}' => mark == '\u{308}',
        _ => false,
    }
}

/// Latin letters that are others with something through them, or two at once.
fn plain(character: char) -> Option<&'static str> {
    Some(match character {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'þ' => "th",
        'ς' => "σ",
        _ => return None,
    })
}
