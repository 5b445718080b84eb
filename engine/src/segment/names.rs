//! The names of a segment's files.

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Rows,
    Tombstones,
    Patches,
}

const ROWS: &str = "segment-";
const TOMBSTONES: &str = "dead-";
const PATCHES: &str = "patch-";

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

/// What a file name of ours stands for: of which segment, and what.
pub(crate) fn parse_file(name: &str) -> Option<(u64, FileKind)> {
    let number = |digits: &str| (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    if let Some(digits) = name.strip_prefix(ROWS) {
        return Some((number(digits)?, FileKind::Rows));
    }
    let kinds = [(TOMBSTONES, FileKind::Tombstones), (PATCHES, FileKind::Patches)];
    kinds.into_iter().find_map(|(prefix, kind)| {
        let (segment, generation) = name.strip_prefix(prefix)?.split_once('-')?;
        number(generation)?;
        Some((number(segment)?, kind))
    })
}
