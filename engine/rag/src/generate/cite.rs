//! Which passages an answer cites: its `[n]` compared with what the prompt had under `[n]` (pure).
//!
//! Read are `[1]`, `[1, 2]`, `[1; 2]`, `[2-4]` and `[^1]`; not what stands in code (between backquotes), where brackets mean
//! something else. A model that cites what it was not given is told from one that cites rightly here, so that a reader need not
//! follow every number.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::limits::CITATION_USES_MAX;

/// Numbers that one bracket may stand for: `[1-9999]` is no citation.
const BRACKET_NUMBERS_MAX: usize = 32;
/// Characters of code that stands in a line; a backquote that nothing closes within them is a quotation mark.
const INLINE_CODE_CHARACTERS_MAX: usize = 2_000;
/// Backquotes that begin a block of code rather than a piece of a line.
const FENCE_BACKQUOTES: usize = 3;
/// Characters of a number.
const NUMBER_CHARACTERS_MAX: usize = 4;

/// A place of the answer that cites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CitationUse {
    /// The number that stands there; [`Citation::index`](crate::prompt::Citation::index) of a passage unless it is among
    /// [`unknown`](CheckedCitations::unknown).
    pub index: usize,
    /// The bracket's first code point in the answer.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
}

/// What an answer cites, compared with what it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedCitations {
    /// Every place that cites, in the order of the answer; a bracket of several numbers once for each. Those beyond
    /// [`CITATION_USES_MAX`] are not read.
    pub uses: Vec<CitationUse>,
    /// Numbers of passages that are cited, in the order of their first use.
    pub cited: Vec<usize>,
    /// Numbers that the answer cites and that no passage has, in the order of their first use.
    pub unknown: Vec<usize>,
    /// Numbers of passages that the answer does not cite, in order.
    pub unused: Vec<usize>,
}

impl CheckedCitations {
    /// Compares the citations of an answer with the numbers of the passages that it was given.
    ///
    /// ```
    /// use ragstone_rag::generate::CheckedCitations;
    ///
    /// let checked = CheckedCitations::of("It ends on 31 May [2], they say [7].", &[1, 2]);
    /// assert_eq!((checked.cited, checked.unknown, checked.unused), (vec![2], vec![7], vec![1]));
    /// let place = &checked.uses[0];
    /// assert_eq!((place.index, place.start, place.end), (2, 18, 21));
    /// ```
    pub fn of(answer: &str, given: &[usize]) -> CheckedCitations {
        let mut checked = CheckedCitations { uses: uses(answer), ..CheckedCitations::default() };
        let (known, mut seen) = (given.iter().copied().collect::<HashSet<_>>(), HashSet::new());
        for CitationUse { index, .. } in &checked.uses {
            if seen.insert(*index) {
                let list = if known.contains(index) { &mut checked.cited } else { &mut checked.unknown };
                list.push(*index);
            }
        }
        checked.unused = given.iter().copied().filter(|index| !seen.contains(index)).collect();
        checked
    }
}

/// Every place that cites.
fn uses(answer: &str) -> Vec<CitationUse> {
    let characters: Vec<char> = answer.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < characters.len() && found.len() < CITATION_USES_MAX {
        at = match characters[at] {
            '`' => end_of_code(&characters, at),
            '[' => match bracket(&characters[at + 1..]) {
                Some((numbers, len)) => {
                    let end = at + 1 + len;
                    found.extend(numbers.into_iter().map(|index| CitationUse { index, start: at, end }));
                    end
                }
                None => at + 1,
            },
            _ => at + 1,
        };
    }
    found.truncate(CITATION_USES_MAX);
    found
}

/// Where code that begins with these backquotes has ended. A block that nothing closes goes on to the end; a piece of a line
/// ends at an empty line at the latest, and is none then: the place just behind the backquotes.
fn end_of_code(characters: &[char], start: usize) -> usize {
    let run = |from: usize| characters[from..].iter().take_while(|character| **character == '`').count();
    let opening = run(start);
    let inside = start + opening;
    let is_block = opening >= FENCE_BACKQUOTES;
    let end =
        if is_block { characters.len() } else { characters.len().min(inside + INLINE_CODE_CHARACTERS_MAX) };
    let mut at = inside;
    while at < end {
        if !is_block && characters[at] == '\n' && characters.get(at + 1) == Some(&'\n') {
            break;
        }
        match run(at) {
            0 => at += 1,
            closing if closing == opening => return at + closing,
            other => at += other,
        }
    }
    if is_block { characters.len() } else { inside }
}

/// The numbers of a bracket that is open, and its length up to and with its closing.
fn bracket(inside: &[char]) -> Option<(Vec<usize>, usize)> {
    let len = inside.iter().position(|character| matches!(character, ']' | '[' | '\n'))?;
    if inside[len] != ']' {
        return None;
    }
    let text: String = inside[..len].iter().collect();
    let text = text.strip_prefix('^').unwrap_or(&text);
    let mut numbers = Vec::new();
    for part in text.split([',', ';']) {
        numbers.extend(range(part.trim())?);
        if numbers.len() > BRACKET_NUMBERS_MAX {
            return None;
        }
    }
    Some((numbers, len + 1))
}

fn range(part: &str) -> Option<RangeInclusive<usize>> {
    let number = |text: &str| {
        let digits = text.len() <= NUMBER_CHARACTERS_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<usize>().ok() } else { None }
    };
    let (first, last) = part.split_once(['-', '–']).unwrap_or((part, part));
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    (first <= last && last - first < BRACKET_NUMBERS_MAX).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(answer: &str) -> Vec<usize> {
        uses(answer).into_iter().map(|place| place.index).collect()
    }

    #[test]
    fn what_cites_is_told_from_what_does_not() {
        let cases: &[(&str, &[usize])] = &[
            ("so [1].", &[1]),
            ("so [1][3] and [1, 2;4]", &[1, 3, 1, 2, 4]),
            ("a range [2-4], [2 – 3]", &[2, 3, 4, 2, 3]),
            ("a footnote [^2]", &[2]),
            ("[a] [] [1 2] [-1] [1-] [,1] [+1] [12345] [3-2]", &[]),
            ("[[1]]", &[1]),
            ("[1", &[]),
            ("[1\n]", &[]),
            ("[1-9999] [1-20, 1-20]", &[]),
            ("`a[0]` and ``b[`1]`` but [2]", &[2]),
            ("```\nlet x = v[1];\n```\nfirst [4]", &[4]),
            ("an open ` quote [5]", &[5]),
            ("a ` quote [1]\n\nand a ` quote [2]", &[1, 2]),
            ("```\nan open block [1]\n\nof code [2]", &[]),
            ("é [٣] [3]", &[3]),
        ];
        for (answer, expected) in cases {
            assert_eq!(numbers(answer), *expected, "{answer:?}");
        }
    }

    #[test]
    fn places_are_bounded_whatever_an_answer_says() {
        let many = CheckedCitations::of(&"[1-32]".repeat(CITATION_USES_MAX), &[1, 40]);
        assert_eq!(many.uses.len(), CITATION_USES_MAX);
        assert_eq!((many.cited, many.unknown.len(), many.unused), (vec![1], 31, vec![40]));
        assert!(numbers("[1-33]").is_empty(), "so many numbers are no citation");
    }

    #[test]
    fn each_number_is_known_unknown_or_unused() {
        let checked = CheckedCitations::of("x [3][9] y [3] z [0]", &[1, 2, 3]);
        assert_eq!(checked.uses.len(), 4);
        assert_eq!((checked.cited, checked.unknown, checked.unused), (vec![3], vec![9, 0], vec![1, 2]));
        assert_eq!(CheckedCitations::of("", &[1]).unused, [1]);
    }

    proptest! {
        #[test]
        fn places_are_brackets_and_lists_partition_the_numbers(
            parts in prop::collection::vec(
                prop::sample::select(vec!["[", "]", "1", "2", "17", ",", "-", " ", "`", "``", "é", "word", "\n", "^"]),
                0..60,
            ),
            given in prop::collection::btree_set(0usize..20, 0..6),
        ) {
            let answer = parts.concat();
            let given: Vec<usize> = given.into_iter().collect();
            let checked = CheckedCitations::of(&answer, &given);
            let characters: Vec<char> = answer.chars().collect();
            for place in &checked.uses {
                let text: String = characters[place.start..place.end].iter().collect();
                prop_assert!(text.starts_with('[') && text.ends_with(']'), "{}", text);
                prop_assert!(given.contains(&place.index) != checked.unknown.contains(&place.index));
                prop_assert!(given.contains(&place.index) == checked.cited.contains(&place.index));
            }
            prop_assert!(given.iter().all(|index| checked.cited.contains(index) != checked.unused.contains(index)));
        }
    }
}
