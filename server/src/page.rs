//! Page sizes and page tokens.
//!
//! A token says where the next page starts: the last key of the page before, after a hash of what was listed, so that a
//! token of another list is refused instead of answered with nonsense. In hex: it travels in JSON and in URLs. The hash is the same
//! in every process: tokens outlive a restart, and another version of the server where what its list is made of is the same.

use tonic::Status;

use crate::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::{hash, status};

/// The number of items to give.
pub(crate) fn size(page_size: u32) -> Result<usize, Status> {
    match page_size as usize {
        0 => Ok(PAGE_SIZE_DEFAULT),
        size if size > PAGE_SIZE_MAX => {
            Err(status::beyond_limit("page_size", "PAGE_SIZE_MAX", PAGE_SIZE_MAX as u64, size as u64))
        }
        size => Ok(size),
    }
}

/// What is listed: the call and what its request narrows it to.
#[derive(Clone, Debug)]
pub(crate) struct List(u64);

impl List {
    /// `parts` are the call's name and the fields that must stay the same from page to page.
    pub(crate) fn new(parts: &[&str]) -> List {
        List::of(parts.iter().map(|part| part.as_bytes()))
    }

    /// The same, of parts that need not be text.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> List {
        List(hash::of(parts))
    }

    /// The token of the page after `key`.
    pub(crate) fn token(&self, key: &str) -> String {
        self.marked(&hex(key.as_bytes()))
    }

    /// The token of the page that a place in hex begins, as scrolls have them.
    pub(crate) fn marked(&self, place: &str) -> String {
        hex(&self.0.to_le_bytes()) + place
    }

    /// The place of a token, which is in hex if it is one; none if the token is of another list, or of none.
    pub(crate) fn unmarked<'a>(&self, token: &'a str) -> Option<&'a str> {
        token.strip_prefix(&hex(&self.0.to_le_bytes()))
    }

    /// The key that a token holds; none for the first page.
    pub(crate) fn key(&self, token: &str) -> Result<Option<String>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let refused = || status::invalid("page_token", "not a token of this list");
        let bytes = unhex(token).ok_or_else(refused)?;
        let (list, key) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
        if *list != self.0.to_le_bytes() {
            return Err(refused());
        }
        String::from_utf8(key.to_vec()).map(Some).map_err(|_| refused())
    }
}

/// Bytes as text.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The page of a list that is in memory, sorted by key: items after `after`, and the last key if there are more.
pub(crate) fn cut<T>(
    items: Vec<T>,
    after: Option<&str>,
    size: usize,
    key: impl Fn(&T) -> &str,
) -> (Vec<T>, Option<String>) {
    let mut rest = items.into_iter().filter(|item| after.is_none_or(|after| key(item) > after));
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let last = page.last().filter(|_| more).map(|item| key(item).to_owned());
    (page, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_return_their_key_and_only_to_their_own_list() {
        let list = List::new(&["ListDocuments", "notes", "ü/ b"]);
        for key in ["", "a", "Ünicode \u{0} key"] {
            assert_eq!(list.key(&list.token(key)).unwrap().as_deref(), Some(key));
        }
        assert_eq!(list.key("").unwrap(), None);
        // The parts are told apart, not only their concatenation.
        let other = List::new(&["ListDocuments", "notesü", "/ b"]);
        for token in [other.token("a"), "00".into(), "xyz".into(), "0".into(), list.token("a") + "ff"] {
            let status = list.key(&token).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }

    #[test]
    fn places_of_scrolls_are_marked_with_their_list() {
        let list = List::new(&["ScrollPoints", "notes"]);
        let token = list.marked("0a0b");
        assert_eq!(List::of([&b"ScrollPoints"[..], b"notes"]).unmarked(&token), Some("0a0b"));
        assert_eq!(list.unmarked(&token), Some("0a0b"));
        let other = List::of([&b"ScrollPoints"[..], b"notes", &[0_u8, 255]]);
        let no_digit = format!("ü{}", &token[1..]);
        for wrong in ["", "0a0b", &token[1..], &token[..15], &no_digit, &other.marked("0a0b")] {
            assert_eq!(list.unmarked(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pages_cover_the_list_once() {
        let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = cut(names.clone(), after.as_deref(), 3, |name| name);
            assert!(page.len() <= 3);
            seen.extend(page);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, names);
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(size(0).unwrap(), PAGE_SIZE_DEFAULT);
        assert_eq!(size(PAGE_SIZE_MAX as u32).unwrap(), PAGE_SIZE_MAX);
        assert!(size(PAGE_SIZE_MAX as u32 + 1).is_err());
    }
}
