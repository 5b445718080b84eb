//! The names of a segment's files.

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Rows,
    Tombstones,
    Patches,
    /// The words of a field, by its number.
    Words(u16),
}

const ROWS: &str = "segment-";
const TOMBSTONES: &str = "dead-";
const PATCHES: &str = "patch-";
const WORDS: &str = "words-";

/// The name of a segment file.
pub(crate) fn segment_file(id: u64) -> String {
    format!("{ROWS}{id:016x}")
}

/// The name of a tombstone file.
pub(crate) fn tombstone_file(segment: u64, generation: u64) -> String {
    format!("{TOMBSTONES}{segment:016x}-{generation:016x}")
}

/// The name of a patch file.
pub(crate) fn patch_file(segment: u64, generation: u64) -> String {
    format!("{PATCHES}{segment:016x}-{generation:016x}")
}

/// The name of a file with the words of a field.
pub(crate) fn words_file(segment: u64, field: u16) -> String {
    format!("{WORDS}{segment:016x}-{field:016x}")
}

/// Whether a file with words was on its way to this name: one that ends otherwise than [`words_file`].
pub(crate) fn is_unfinished_words(name: &str) -> bool {
    name.split_once('.').is_some_and(|(name, _)| matches!(parse_file(name), Some((_, FileKind::Words(_)))))
}

/// What a file name of ours stands for: of which segment, and what.
pub(crate) fn parse_file(name: &str) -> Option<(u64, FileKind)> {
    let number = |digits: &str| (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    if let Some(digits) = name.strip_prefix(ROWS) {
        return Some((number(digits)?, FileKind::Rows));
    }
    [TOMBSTONES, PATCHES, WORDS].into_iter().find_map(|prefix| {
        let (segment, last) = name.strip_prefix(prefix)?.split_once('-')?;
        let last = number(last)?;
        let kind = match prefix {
            TOMBSTONES => FileKind::Tombstones,
            PATCHES => FileKind::Patches,
            _ => FileKind::Words(u16::try_from(last).ok()?),
        };
        Some((number(segment)?, kind))
    })
}
