//! Registered templates: names, versions, and how they lie among a database's attributes.
//!
//! A template is registered under a name and gets the next version of it, which never changes: whoever names `answer@3` gets the same text for as
//! long as it is there, and `answer` is the newest. A number is never given twice, also not after its version was deleted: of the highest
//! one a tombstone stays. Of too many tombstones ([`TEMPLATE_NUMBERS_REMEMBERED`](crate::limits::TEMPLATE_NUMBERS_REMEMBERED)) the oldest are dropped. In
//! their place stands the highest number of theirs, the floor: from then on only numbers above it are given, whatever the name.
//!
//! | attribute | value |
//! |---|---|
//! | `ragstone.template/<name>@<version, ten digits>` | a byte 1, when it was registered as microseconds since 1970 (`i64`, little-endian), the source (UTF-8); or a byte 0, the tombstone |
//! | `ragstone.template-floor` | the floor (`u32`, little-endian); absent while no tombstone was dropped |
//!
//! Pure: keys and bytes in, templates out.

use crate::error::{Error, Result};
use crate::limits::{TEMPLATE_NAME_BYTES_MAX, TEMPLATES_MAX};
use crate::prompt::check_max;

/// What the keys of all templates begin with.
pub(crate) const PREFIX: &str = "ragstone.template/";
/// The key of the floor.
pub(crate) const FLOOR: &str = "ragstone.template-floor";
const TOMBSTONE: u8 = 0;
const SOURCE: u8 = 1;
/// Digits of a version in a key, so that keys sort as versions do.
const VERSION_DIGITS: usize = 10;

/// Which template a prompt is rendered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TemplateChoice {
    /// The built-in one: [`default_template`](super::default_template).
    #[default]
    BuiltIn,
    /// This source.
    Source(String),
    /// A registered one, by its name or as `name@version`.
    Registered(TemplateName),
}

/// The name of a registered template, and a version of it; the newest one when `None`. It is parsed from `name` or `name@version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateName {
    /// Letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// From 1.
    pub version: Option<u32>,
}

impl std::str::FromStr for TemplateName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        check_name(name)?;
        let number = |version: &str| match version.parse::<u32>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(invalid(&format!("`{version}` is no version: versions are numbers from 1"))),
        };
        Ok(Self { name: name.to_owned(), version: version.map(number).transpose()? })
    }
}

impl std::fmt::Display for TemplateName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A version of a registered template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredTemplate {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// When it was registered, in microseconds since 1970.
    pub registered_at: i64,
    /// Its text.
    pub source: String,
}

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Template(RegisteredTemplate),
    /// Of the highest version of a name, after it was deleted.
    Tombstone {
        name: String,
        version: u32,
    },
}

impl Record {
    /// What an attribute says; none if it is not of this form.
    pub(crate) fn of(key: &str, value: &[u8]) -> Option<Record> {
        let (name, version) = key.strip_prefix(PREFIX)?.split_once('@')?;
        let (name, version) = (name.to_owned(), version.parse().ok()?);
        match value.split_first()? {
            (&TOMBSTONE, []) => Some(Record::Tombstone { name, version }),
            (&SOURCE, rest) => {
                let (time, source) = rest.split_first_chunk::<8>()?;
                let source = String::from_utf8(source.to_vec()).ok()?;
                let registered_at = i64::from_le_bytes(*time);
                Some(Record::Template(RegisteredTemplate { name, version, registered_at, source }))
            }
            _ => None,
        }
    }

    /// What is kept of it.
    pub(crate) fn value(&self) -> Vec<u8> {
        match self {
            Record::Tombstone { .. } => vec![TOMBSTONE],
            Record::Template(template) => {
                let mut bytes = vec![SOURCE];
                bytes.extend(template.registered_at.to_le_bytes());
                bytes.extend(template.source.as_bytes());
                bytes
            }
        }
    }

    pub(crate) fn version(&self) -> u32 {
        match self {
            Record::Template(template) => template.version,
            Record::Tombstone { version, .. } => *version,
        }
    }

    pub(crate) fn template(self) -> Option<RegisteredTemplate> {
        match self {
            Record::Template(template) => Some(template),
            Record::Tombstone { .. } => None,
        }
    }
}

/// The key of a version.
pub(crate) fn key(name: &str, version: u32) -> String {
    format!("{PREFIX}{name}@{version:0VERSION_DIGITS$}")
}

/// What the keys of a name's versions begin with.
pub(crate) fn prefix(name: &str) -> String {
    format!("{PREFIX}{name}@")
}

/// Refuses what is no name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    check_max("name", name.len(), "TEMPLATE_NAME_BYTES_MAX", TEMPLATE_NAME_BYTES_MAX)?;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_allowed) {
        return Err(invalid("a template's name has letters, digits, `_`, `-` and `.`, one at least"));
    }
    Ok(())
}

/// Refuses one version more where there are so many already.
pub(crate) fn check_room(registered: usize) -> Result<()> {
    check_max("templates", registered + 1, "TEMPLATES_MAX", TEMPLATES_MAX)
}

fn invalid(reason: &str) -> Error {
    Error::Invalid { field: "name".to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_shown() {
        for (text, name, version) in [("answer", "answer", None), ("a-b_c.1@12", "a-b_c.1", Some(12))] {
            let parsed: TemplateName = text.parse().unwrap();
            assert_eq!((parsed.name.as_str(), parsed.version), (name, version));
            assert_eq!(parsed.to_string(), text);
        }
        let long = "x".repeat(TEMPLATE_NAME_BYTES_MAX + 1);
        for text in ["", "@1", "a b", "a@", "a@0", "a@x", "a@1@2", "a/b", "é", &long] {
            assert!(text.parse::<TemplateName>().is_err(), "{text}");
        }
        "x".repeat(TEMPLATE_NAME_BYTES_MAX).parse::<TemplateName>().unwrap();
    }

    #[test]
    fn there_is_room_for_so_many_versions() {
        check_room(0).unwrap();
        check_room(TEMPLATES_MAX - 1).unwrap();
        let error = check_room(TEMPLATES_MAX).unwrap_err();
        assert!(matches!(error, Error::Limit { limit: "TEMPLATES_MAX", .. }), "{error}");
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let template = RegisteredTemplate {
            name: "answer".to_owned(),
            version: 7,
            registered_at: -1,
            source: "{{ question }} ü".to_owned(),
        };
        for record in
            [Record::Template(template), Record::Tombstone { name: "answer".to_owned(), version: u32::MAX }]
        {
            let key = key("answer", record.version());
            assert!(key.starts_with(&prefix("answer")));
            assert_eq!(Record::of(&key, &record.value()), Some(record));
        }
        assert!(key("a", 9) < key("a", 10), "keys sort as versions do");
        let bytes = Record::Tombstone { name: "a".to_owned(), version: 1 }.value();
        assert_eq!(bytes, [0]);
        for (key, value) in [
            ("other/a@1", &[0_u8][..]),
            ("ragstone.template/a", &[0]),
            ("ragstone.template/a@x", &[0]),
            ("ragstone.template/a@1", &[]),
            ("ragstone.template/a@1", &[2]),
            ("ragstone.template/a@1", &[0, 0]),
            ("ragstone.template/a@1", &[1, 0, 0]),
            ("ragstone.template/a@1", &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff]),
        ] {
            assert_eq!(Record::of(key, value), None, "{key} {value:?}");
        }
    }
}
