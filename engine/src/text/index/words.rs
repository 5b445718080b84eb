//! The dictionary: from a term to the list of its rows.
//!
//! ```text
//! words  = group *                      sixteen terms each, the last one fewer, in the order of their bytes
//! group  = word *
//! word   = shared varint | rest varint | byte * rest | rows varint | length varint
//! groups = (words u64 | postings u64) *            where a group begins, and the list of its first term
//! ```
//! A word repeats the first `shared` bytes of the one before in its group; the first of a group shares none. `rows` is
//! how many rows have it, `length` the bytes of its list; lists lie in the order of the words without a gap. A varint has
//! seven bits a byte, the lowest first; all bytes but the last have the eighth bit set.
//!
//! Finding a term compares it with the first ones of log2(groups) groups and goes through one of them. Nothing read is trusted:
//! what is no word ends the group.

use std::ops::Range;

use crate::codec::u64_at;
use crate::text::TERM_BYTES_MAX;

const GROUP: usize = 16;
const GROUP_BYTES: usize = 16;

/// A term of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::text) struct Word {
    /// Its place in the order of the terms.
    pub(in crate::text) number: u32,
    /// Rows that have it.
    pub(in crate::text) rows: usize,
    /// Where its list lies among the postings.
    pub(in crate::text) list: Range<usize>,
}

/// A dictionary where it lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Words<'a> {
    words: &'a [u8],
    groups: &'a [u8],
    /// Rows that there are at all.
    rows: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [u8], groups: &'a [u8], rows: usize) -> Self {
        Self { words, groups, rows }
    }

    fn group(&self, group: usize) -> Walk<'a> {
        let entry = &self.groups[group * GROUP_BYTES..(group + 1) * GROUP_BYTES];
        let start = usize::try_from(u64_at(entry, 0)).unwrap_or(usize::MAX);
        let list = usize::try_from(u64_at(entry, 1)).unwrap_or(usize::MAX);
        Walk {
            rest: self.words.get(start..).unwrap_or_default(),
            left: GROUP,
            number: (group * GROUP) as u32,
            list,
            rows: self.rows,
            term: Vec::new(),
        }
    }

    fn groups(&self) -> usize {
        self.groups.len() / GROUP_BYTES
    }

    /// The word of a term.
    pub(in crate::text) fn find(&self, term: &[u8]) -> Option<Word> {
        let (mut low, mut high) = (0, self.groups());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.group(middle).first() <= term { low = middle + 1 } else { high = middle }
        }
        let mut walk = self.group(low.checked_sub(1)?);
        while let Some(word) = walk.next() {
            match walk.term.as_slice().cmp(term) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(word),
                std::cmp::Ordering::Greater => return None,
            }
        }
        None
    }

    /// All words in the order of their terms.
    pub(in crate::text) fn walk(&self) -> Walk<'a> {
        match self.groups() {
            0 => Walk { rest: &[], left: 0, number: 0, list: 0, rows: 0, term: Vec::new() },
            groups => Walk { left: groups * GROUP, ..self.group(0) },
        }
    }
}

/// Goes through words.
#[derive(Debug)]
pub(in crate::text) struct Walk<'a> {
    rest: &'a [u8],
    left: usize,
    number: u32,
    list: usize,
    rows: usize,
    term: Vec<u8>,
}

impl<'a> Walk<'a> {
    /// The term of the last word.
    pub(in crate::text) fn term(&self) -> &[u8] {
        &self.term
    }

    /// The first term of a group; empty if there is none.
    fn first(mut self) -> &'a [u8] {
        let rest = match (self.varint(), self.varint()) {
            (Some(0), Some(rest)) => rest,
            _ => return &[],
        };
        self.rest.get(..rest).unwrap_or_default()
    }

    /// The next word.
    pub(in crate::text) fn next(&mut self) -> Option<Word> {
        self.left = self.left.checked_sub(1)?;
        let shared = self.varint()?;
        let rest = self.varint()?;
        if shared > self.term.len() || shared.saturating_add(rest) > TERM_BYTES_MAX {
            return None;
        }
        let (rest, after) = self.rest.split_at_checked(rest)?;
        self.rest = after;
        self.term.truncate(shared);
        self.term.extend_from_slice(rest);
        let (rows, length) = (self.varint()?, self.varint()?);
        let list = self.list..self.list.checked_add(length)?;
        self.list = list.end;
        let number = self.number;
        self.number += 1;
        (rows <= self.rows).then_some(Word { number, rows, list })
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Writes a dictionary; terms come in their order.
#[derive(Debug, Default)]
pub(super) struct WordsWriter {
    pub(super) words: Vec<u8>,
    pub(super) groups: Vec<u8>,
    count: usize,
    last: Vec<u8>,
    list: u64,
}

impl WordsWriter {
    /// Adds a term with so many rows, whose list has so many bytes.
    pub(super) fn add(&mut self, term: &[u8], rows: usize, list_bytes: usize) {
        if self.count.is_multiple_of(GROUP) {
            self.groups.extend((self.words.len() as u64).to_le_bytes());
            self.groups.extend(self.list.to_le_bytes());
            self.last.clear();
        }
        let shared = self.last.iter().zip(term).take_while(|(last, new)| last == new).count();
        self.varint(shared);
        self.varint(term.len() - shared);
        self.words.extend_from_slice(&term[shared..]);
        self.varint(rows);
        self.varint(list_bytes);
        self.last.clear();
        self.last.extend_from_slice(term);
        self.list += list_bytes as u64;
        self.count += 1;
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.words.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.words.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_an_ordered_map_finds(
            terms in prop::collection::btree_map("[a-c]{0,6}", 0usize..1000, 0..200),
            asked in prop::collection::vec("[a-d]{0,6}", 30),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let terms: BTreeMap<Vec<u8>, usize> =
                terms.into_iter().map(|(term, rows)| (term.into_bytes(), rows)).collect();
            let mut writer = WordsWriter::default();
            terms.iter().for_each(|(term, rows)| writer.add(term, *rows, rows * 2));
            let words = Words::new(&writer.words, &writer.groups, 1000);
            let mut walk = words.walk();
            let mut end = 0;
            for (number, (term, rows)) in (0..).zip(&terms) {
                let word = walk.next().unwrap();
                prop_assert_eq!(walk.term(), &term[..]);
                prop_assert_eq!(&word, &Word { number, rows: *rows, list: end..end + rows * 2 });
                end += rows * 2;
                prop_assert_eq!(words.find(term), Some(word));
            }
            prop_assert_eq!(walk.next(), None);
            for term in asked {
                let found = words.find(term.as_bytes()).map(|word| word.rows);
                prop_assert_eq!(found, terms.get(term.as_bytes()).copied());
            }
            // Damage gives other words or none, and no panic.
            for (at, byte) in damage {
                for bytes in [&mut writer.words, &mut writer.groups] {
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] = byte;
                    }
                }
                let words = Words::new(&writer.words, &writer.groups, 1000);
                let mut walk = words.walk();
                while walk.next().is_some() {}
                terms.keys().for_each(|term| assert!(words.find(term).is_none_or(|word| word.rows <= 1000)));
            }
        }
    }
}
