//! How objects are named, and what their names say.

use object_store::path::Path;
use ragstone::Lineage;

use crate::error::{Error, Result};
use crate::hash::Hash;

pub(crate) const SNAPSHOTS: &str = "snapshots";
pub(crate) const OBJECTS: &str = "objects";
pub(crate) const LOG: &str = "log";
pub(crate) const PENDING: &str = "pending";
pub(crate) const COLLECTING: &str = "collecting";
pub(crate) const DAMAGED: &str = "damaged";
const NAME_BYTES_MAX: usize = 100;

/// The object of a content.
pub(crate) fn object(hash: &Hash) -> String {
    let digits = hash.to_string();
    format!("{OBJECTS}/{}/{digits}", &digits[..2])
}

/// Where it is noted that an object is damaged.
pub(crate) fn note_of(object: &str) -> String {
    format!("{DAMAGED}/{object}")
}

/// The object that such a note is of.
pub(crate) fn noted(note: &str) -> Option<&str> {
    note.strip_prefix(DAMAGED)?.strip_prefix('/')
}

/// A file of an archived log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogObject {
    pub(crate) lineage: Lineage,
    /// The positions of its first and last write.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) hash: Hash,
}

impl LogObject {
    pub(crate) fn name(&self) -> String {
        let Self { lineage, first, last, hash } = self;
        format!("{LOG}/{lineage}/{first:016x}-{last:016x}-{hash}")
    }

    /// What a name says, if it is one of these.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (lineage, rest) = name.strip_prefix(LOG)?.strip_prefix('/')?.split_once('/')?;
        let mut parts = rest.split('-');
        let mut position = || {
            let digits = parts.next().filter(|digits| digits.len() == 16)?;
            u64::from_str_radix(digits, 16).ok()
        };
        let (first, last) = (position()?, position()?);
        let parsed = Self { lineage: lineage.parse().ok()?, first, last, hash: parts.next()?.parse().ok()? };
        (parsed.name() == name && first <= last).then_some(parsed)
    }

    /// Whether both hold writes of one position, and are not the same.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        self.lineage == other.lineage && self.first <= other.last && other.first <= self.last && self != other
    }

    /// Fails if other writes stand at its positions: a file of the log changes no more once it is closed, and within a lineage
    /// a position is of one write.
    pub(crate) fn check_is_of_one_history(&self, there: &[Self]) -> Result<()> {
        match there.iter().find(|other| self.contradicts(other)) {
            Some(other) => Err(Error::Diverged { object: other.name() }),
            None => Ok(()),
        }
    }
}

/// Of files of one lineage in the order of their positions, those of which another holds some position too.
pub(crate) fn contradicted(log: &[LogObject]) -> Vec<bool> {
    let nexts = log.iter().skip(1).map(|next| next.first).chain([u64::MAX]);
    let mut end = 0;
    let overlaps = log.iter().zip(nexts).map(|(object, next)| {
        let overlaps = object.first <= end || next <= object.last;
        end = end.max(object.last);
        overlaps
    });
    overlaps.collect()
}

/// A name that a snapshot may have: it is a part of an object's name, and typed on command lines.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let refused = |reason| Err(Error::Name { name: name.to_owned(), reason });
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name.as_bytes() {
        [] => refused("it is empty"),
        [b'.' | b'-', ..] => refused("it begins with a dot or a hyphen"),
        bytes if bytes.len() > NAME_BYTES_MAX => refused("it is longer than 100 characters"),
        bytes if !bytes.iter().all(|byte| is_plain(*byte)) => {
            refused("only letters, digits, dots, hyphens and underscores are allowed")
        }
        _ => Ok(()),
    }
}

/// The last part of an object's name.
pub(crate) fn last_part(path: &Path) -> String {
    path.filename().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_object_is_what_its_name_says() {
        let lineage = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let object = LogObject { lineage, first: 5, last: 255, hash: Hash::of(b"x") };
        let name = object.name();
        assert_eq!(LogObject::parse(&name), Some(object));
        for wrong in
            [&name[1..], &name[..name.len() - 1], &name.replace("-00", "-0"), &format!("{name}-"), "log/x/y"]
        {
            assert_eq!(LogObject::parse(wrong), None, "{wrong}");
        }
        let backwards = name.replacen("0000000000000005", "0000000000000fff", 1);
        assert_eq!(LogObject::parse(&backwards), None);
    }

    #[test]
    fn a_position_is_of_one_write() {
        let log = |first, last, content: &[u8]| {
            let lineage = "0123456789abcdef0123456789abcdef".parse().unwrap();
            LogObject { lineage, first, last, hash: Hash::of(content) }
        };
        let there = [log(1, 4, b"a"), log(5, 9, b"b")];
        for sound in [log(1, 4, b"a"), log(5, 9, b"b"), log(10, 10, b"c")] {
            assert!(sound.check_is_of_one_history(&there).is_ok(), "{sound:?}");
        }
        for wrong in [log(1, 4, b"c"), log(1, 3, b"a"), log(9, 12, b"c"), log(2, 3, b"c"), log(1, 20, b"c")] {
            let error = wrong.check_is_of_one_history(&there).unwrap_err();
            assert!(matches!(error, Error::Diverged { .. }), "{wrong:?}");
        }
        let all = [log(1, 4, b"a"), log(5, 9, b"b"), log(6, 7, b"c"), log(8, 8, b"d"), log(10, 10, b"e")];
        assert_eq!(contradicted(&all), [false, true, true, true, false]);
        assert_eq!(contradicted(&[log(1, 4, b"a"), log(1, 4, b"b")]), [true, true]);
        let other = LogObject { lineage: "f".repeat(32).parse().unwrap(), ..log(1, 4, b"c") };
        assert!(other.check_is_of_one_history(&there).is_ok());
    }

    #[test]
    fn names_are_plain() {
        ["a", "2026-11-22T10.30", "A_b-9"].iter().for_each(|name| check_name(name).unwrap());
        for wrong in ["", ".", "..", "-a", "a/b", "a b", "ä", &"a".repeat(101)] {
            assert!(matches!(check_name(wrong), Err(Error::Name { .. })), "{wrong}");
        }
    }
}
