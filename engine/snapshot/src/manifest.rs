//! What a snapshot is: a list of files, and of what moment they are.
//!
//! ```text
//! one line of JSON: a `Snapshot` | line feed | SHA-256 of that line, in hexadecimal | line feed
//! ```
//! The hash is of the line without its end. A reader refuses another `format`, and fields that it does not know. Of a file,
//! `checksums_sha256` is there if it is a segment; without it the next snapshot reads the segment to know it again.

use chrono::{DateTime, SecondsFormat, Utc};
use ragstone::Lineage;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::names::{LogObject, object};

/// Version of the format.
const FORMAT: u32 = 1;
/// No files have so many bytes together, so whoever counts them need not look for the end of a u64.
const BYTES_MAX: u64 = 1 << 62;

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Which history the position belongs to.
    pub lineage: Lineage,
    /// The last write in it.
    pub position: u64,
    /// When that write was logged: microseconds since 1970 (UTC); 0 if there was none.
    pub time_us: u64,
    /// When it was begun, by the clock of the machine that took it: microseconds since 1970 (UTC).
    pub created_us: u64,
    /// Its collections, each with the number of its last write.
    pub collections: Vec<(String, u64)>,
    /// Its files; the first is the manifest of the database.
    pub files: Vec<SnapshotFile>,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SnapshotFile {
    /// Its name in the directory of the database.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// The object that holds it.
    pub object: String,
    pub(crate) sha256: Hash,
    /// Of a segment, the SHA-256 of the checksums that it carries ([`PinnedFile::checksums`]): by these a later snapshot knows
    /// it again without reading all of it.
    ///
    /// [`PinnedFile::checksums`]: ragstone::snapshot::PinnedFile::checksums
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksums_sha256: Option<Hash>,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    name: String,
    lineage: String,
    position: u64,
    time_us: u64,
    created_us: u64,
    collections: Vec<(String, u64)>,
    files: Vec<SnapshotFile>,
}

/// Only the version, whatever else there is.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

impl Snapshot {
    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { name, lineage, position, time_us, created_us, collections, files } = self.clone();
        let lineage = lineage.to_string();
        let stored =
            Stored { format: FORMAT, name, lineage, position, time_us, created_us, collections, files };
        let mut line = serde_json::to_vec(&stored).expect("numbers and texts can be written as JSON");
        let hash = Hash::of(&line);
        line.extend_from_slice(format!("\n{hash}\n").as_bytes());
        line
    }

    /// Reads one that is stored under a name. `object` is that of the whole, for messages.
    pub(crate) fn decode(bytes: &[u8], name: &str, place: &str) -> Result<Self> {
        let damaged = |reason: &str| Error::Damaged { object: place.to_owned(), reason: reason.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not a text"))?;
        let (line, rest) = text.split_once('\n').ok_or_else(|| damaged("it has no second line"))?;
        if rest != format!("{}\n", Hash::of(line.as_bytes())) {
            return Err(damaged("its hash does not match"));
        }
        match serde_json::from_str::<Versioned>(line) {
            Ok(Versioned { format: FORMAT }) => {}
            Ok(Versioned { format }) => {
                return Err(damaged(&format!(
                    "snapshot format version {format}, this program reads {FORMAT}"
                )));
            }
            Err(error) => return Err(damaged(&error.to_string())),
        }
        let stored: Stored = serde_json::from_str(line).map_err(|error| damaged(&error.to_string()))?;
        let lineage = stored.lineage.parse().map_err(|_| damaged("its lineage is none"))?;
        let Stored { position, time_us, created_us, collections, files, .. } = stored;
        if stored.name != name {
            return Err(damaged(&format!("it is of snapshot {:?}", stored.name)));
        }
        let is_sound = |file: &SnapshotFile| {
            let in_log = LogObject::parse(&file.object).is_some_and(|log| log.hash == file.sha256);
            in_log || file.object == object(&file.sha256)
        };
        let bytes = files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size_bytes));
        if bytes.is_none_or(|bytes| bytes > BYTES_MAX) {
            return Err(damaged("its files are larger than any can be"));
        }
        match files.iter().find(|file| !is_sound(file)) {
            Some(file) => Err(damaged(&format!("{} cannot be at {}", file.name, file.object))),
            None if files.is_empty() => Err(damaged("it has no files")),
            None => {
                Ok(Self { name: stored.name, lineage, position, time_us, created_us, collections, files })
            }
        }
    }
}

/// A time as text: RFC 3339 in UTC.
pub(crate) fn time_text(time_us: u64) -> String {
    let time = i64::try_from(time_us).ok().and_then(DateTime::<Utc>::from_timestamp_micros);
    time.map_or_else(|| format!("{time_us} us"), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Snapshot {
        let hash = Hash::of(b"content");
        let file = |name: &str, checksums_sha256| {
            let (name, size_bytes) = (name.to_owned(), 7);
            SnapshotFile { name, size_bytes, object: object(&hash), sha256: hash, checksums_sha256 }
        };
        Snapshot {
            name: "a".into(),
            lineage: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            position: 9,
            time_us: 1_700_000_000_000_000,
            created_us: 1_700_000_000_000_001,
            collections: vec![("notes".into(), 8)],
            files: vec![
                file("MANIFEST", None),
                file("segment-0000000000000001", Some(Hash::of(b"4 bytes a block"))),
            ],
        }
    }

    /// Format 1 as it is; it was not released without `checksums_sha256`.
    const GOLDEN: &str = include_str!("../tests/golden/snapshot-1");

    #[test]
    fn it_comes_back_and_stays_as_it_was() {
        assert_eq!(Snapshot::decode(&example().encode(), "a", "x").unwrap(), example());
        assert_eq!(String::from_utf8(example().encode()).unwrap(), GOLDEN);
    }

    #[test]
    fn any_changed_byte_is_seen() {
        let bytes = example().encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Snapshot::decode(&changed, "a", "x").is_err(), "{at}");
            assert!(Snapshot::decode(&bytes[..at], "a", "x").is_err(), "{at}");
        }
        assert!(Snapshot::decode(&bytes, "b", "x").unwrap_err().to_string().contains("is of snapshot"));
    }

    #[test]
    fn a_sound_hash_over_nonsense_is_refused() {
        let line = String::from_utf8(example().encode()).unwrap();
        let line = line.lines().next().unwrap().to_owned();
        for (from, to, reason) in [
            ("\"format\":1", "\"format\":2", "version 2"),
            ("objects/", "object/", "cannot be at"),
            ("\"position\"", "\"place\"", "unknown field"),
            ("0123456789abcdef", "0123456789abcdeg", "lineage"),
            // The sum of both was beyond all numbers.
            ("\"size_bytes\":7", "\"size_bytes\":18446744073709551615", "larger than any"),
        ] {
            let line = line.replacen(from, to, 1);
            let bytes = format!("{line}\n{}\n", Hash::of(line.as_bytes()));
            let error = Snapshot::decode(bytes.as_bytes(), "a", "x").unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn times_are_text() {
        assert_eq!(time_text(1_700_000_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(time_text(1_700_000_000_120_000), "2023-11-14T22:13:20.120Z");
        assert_eq!(time_text(u64::MAX), format!("{} us", u64::MAX));
    }
}
