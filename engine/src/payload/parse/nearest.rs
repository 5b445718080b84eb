//! The name that somebody who mistyped one may have meant.

/// Names longer than this are not compared: nobody mistypes those.
const NAME_CHARS_MAX: usize = 64;

/// The one of the names that is written most like this one, if any is alike: a letter in three may be another.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let wanted = letters(name)?;
    let ranked = names.filter_map(|known| Some((distance(&wanted, &letters(known)?), known)));
    let (distance, known) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= wanted.len().div_ceil(3)).then_some(known)
}

fn letters(name: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = name.chars().take(NAME_CHARS_MAX + 1).flat_map(char::to_lowercase).collect();
    (letters.len() <= NAME_CHARS_MAX).then_some(letters)
}

/// Letters to add, remove, replace or swap with their neighbour (the optimal string alignment of Damerau and Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let before: &[usize] = &before_last;
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_found_and_nothing_else() {
        let names = ["language", "year", "title", "published_at"].map(str::to_owned);
        let near = |name: &str| nearest(name, names.iter());
        assert_eq!(near("yaer"), Some("year"));
        assert_eq!(near("Year"), Some("year"));
        assert_eq!(near("langauge"), Some("language"));
        assert_eq!(near("publishedAt"), Some("published_at"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
        assert_eq!(nearest("x", [].iter()), None);
    }

    #[test]
    fn distances_count_changes() {
        let apart = |a: &str, b: &str| distance(&letters(a).unwrap(), &letters(b).unwrap());
        for (a, b, expected) in
            [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 1), ("a", "a", 0)]
        {
            assert_eq!((apart(a, b), apart(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
