//! What somebody may do, as it is written: `read on notes-*, drafts where tenant = $claims.tenant`.
//!
//! ```text
//! grant    = ("read" | "write") "on" patterns ["where" filter]
//!          | "manage" "on" patterns ["max" number]
//!          | "admin" | "observe"
//! patterns = pattern ("," pattern)*        pattern = the name of a collection, in which `*` stands for anything
//! ```
//! A pattern is of collections' own names: an alias gives nobody what its collection does not. Several grants add up. Whoever manages a collection has all
//! of it, so that such a grant has no filter. It may have a number: while so many collections and aliases have names that its patterns fit, whoever made
//! them, it allows no further one. So those who share a database do not use up what it has of them for everybody.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ragstone::RowFilter;

use super::action::Action;
use super::claims::{Claims, RowRule};
use crate::limits::GRANT_BYTES_MAX;

/// A grant; it shows as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    action: Action,
    /// Of collections' names; none where all are meant.
    patterns: Vec<String>,
    rows: Option<RowRule>,
    names_max: Option<usize>,
    text: String,
}

/// A text that is no grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("grant `{text}`: {reason}")]
pub struct InvalidGrant {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A grant to a caller of whom everything is known.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) action: Action,
    patterns: Vec<String>,
    pub(super) rows: Option<Arc<RowFilter>>,
    /// How many collections and aliases there are at most of which it allows to make one more.
    names_max: Option<usize>,
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Grant, InvalidGrant> {
        let text = text.trim();
        let invalid = |reason: String| InvalidGrant { text: text.chars().take(200).collect(), reason };
        if text.len() > GRANT_BYTES_MAX {
            return Err(invalid(format!("it is beyond the limit GRANT_BYTES_MAX = {GRANT_BYTES_MAX}")));
        }
        let (head, rows) = match text.split_once(" where ") {
            Some((head, filter)) => (head, Some(filter.trim())),
            None => (text, None),
        };
        let mut words = head.split_whitespace();
        let name = words.next().unwrap_or_default();
        let Some(action) = Action::ALL.into_iter().find(|action| action.name() == name) else {
            return Err(invalid("it begins with read, write, manage, admin or observe".to_owned()));
        };
        let on = words.next();
        let named: Vec<&str> = words.collect();
        let (named, max) = match named.as_slice() {
            [named @ .., "max", max] if !named.is_empty() => (named.join(" "), Some(*max)),
            named => (named.join(" "), None),
        };
        let patterns: Vec<String> = match (on, action.is_of_collections()) {
            (None, false) => Vec::new(),
            (Some("on"), true) => named.split(',').map(|pattern| pattern.trim().to_owned()).collect(),
            (_, true) => return Err(invalid(format!("write `{name} on COLLECTION`; `*` stands for all"))),
            (Some(_), false) => return Err(invalid(format!("`{name}` is of the whole database"))),
        };
        let is_of_pattern = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '*');
        if let Some(wrong) = patterns.iter().find(|p| p.is_empty() || !p.chars().all(is_of_pattern)) {
            return Err(invalid(format!("`{wrong}` is no name of a collection, with or without `*`")));
        }
        if rows.is_some() && !matches!(action, Action::Read | Action::Write) {
            return Err(invalid(format!("`{name}` is of all rows, and takes no `where`")));
        }
        if max.is_some() && action != Action::Manage {
            return Err(invalid(format!("`{name}` makes no collections, and takes no `max`")));
        }
        let number = |max: &str| max.parse::<usize>().map_err(|_| format!("`max {max}` has no number"));
        let names_max = max.map(number).transpose().map_err(invalid)?;
        let rows = rows.map(RowRule::parse).transpose().map_err(invalid)?;
        Ok(Grant { action, patterns, rows, names_max, text: text.to_owned() })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Grant {
    /// The grant for a caller; none if its filter needs what is not known of them.
    pub(super) fn bind(&self, claims: &Claims) -> Option<Bound> {
        let rows = match &self.rows {
            Some(rule) => Some(rule.bind(claims)?),
            None => None,
        };
        let (patterns, names_max) = (self.patterns.clone(), self.names_max);
        Some(Bound { action: self.action, patterns, rows, names_max })
    }
}

impl Bound {
    /// Whether it is about a collection.
    pub(super) fn is_on(&self, collection: &str) -> bool {
        !self.action.is_of_collections() || self.patterns.iter().any(|pattern| fits(pattern, collection))
    }

    /// Whether it allows to make one more collection or alias whose name it is about, beside those that are there.
    ///
    /// # Errors
    /// It has a number, and so many are there.
    pub(super) fn check_room(&self, taken: &[&str]) -> ragstone::Result<()> {
        let Some(max) = self.names_max else { return Ok(()) };
        let there = taken.iter().filter(|name| self.is_on(name)).count();
        if there < max {
            return Ok(());
        }
        let (field, limit) = ("names".to_owned(), "GRANT_NAMES_MAX");
        Err(ragstone::Error::Limit { field, limit, max: max as u64, actual: there as u64 + 1 })
    }

    /// Whether it is about all rows of every collection, whatever it is called.
    pub(super) fn is_on_all(&self) -> bool {
        let is_all = |pattern: &String| pattern.chars().all(|c| c == '*');
        self.rows.is_none() && (!self.action.is_of_collections() || self.patterns.iter().any(is_all))
    }
}

/// Whether a name fits a pattern, in which `*` stands for anything. It takes as long as name times pattern at most.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut of) = (0, 0);
    // Where to go on if what comes behind the last `*` does not fit: it stands for one more byte.
    let mut again: Option<(usize, usize)> = None;
    while at < name.len() {
        match (pattern.get(of), again) {
            (Some(b'*'), _) => {
                again = Some((of, at));
                of += 1;
            }
            (Some(byte), _) if *byte == name[at] => (at, of) = (at + 1, of + 1),
            (_, Some((star, from))) => {
                again = Some((star, from + 1));
                (at, of) = (from + 1, star + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[of..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, expected) in [
            ("notes", "notes", true),
            ("notes", "notes-1", false),
            ("notes-*", "notes-", true),
            ("notes-*", "notes", false),
            ("*", "anything", true),
            ("*-a-*", "x-a-a-y", true),
            ("*-a-*", "x-b-y", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("**", "x", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern}, {name}");
        }
    }

    #[test]
    fn grants_are_read() {
        let claims = json!({"tenant": "a"}).as_object().unwrap().clone();
        let grant: Grant = "read on notes-*, drafts where tenant = $claims.tenant".parse().unwrap();
        assert_eq!(grant.to_string(), "read on notes-*, drafts where tenant = $claims.tenant");
        let bound = grant.bind(&claims).unwrap();
        assert!(bound.is_on("notes-1") && bound.is_on("drafts") && !bound.is_on("notes"));
        assert!(bound.rows.is_some() && !bound.is_on_all());
        assert!(grant.bind(&Claims::new()).is_none());
        let of = |text: &str| text.parse::<Grant>().unwrap().bind(&Claims::new()).unwrap();
        assert!(of("admin").is_on("x") && of("admin").is_on_all() && of("manage on *").is_on_all());
        assert!(!of("read on * where a = 1").is_on_all() && !of("write on a*").is_on_all());
        let bounded = of("manage on notes-*, max max 2");
        assert!(bounded.is_on("notes-1") && bounded.is_on("max") && !bounded.is_on("2"));
        assert!(of("manage on * max 2").is_on_all());
        // The filter may have the word itself.
        assert!("read on a where title = ' where '".parse::<Grant>().is_ok());
        for wrong in [
            "",
            "reads on a",
            "read",
            "read a",
            "read on",
            "read on a b",
            "read on a,,b",
            "read on a where",
            "read on a where b",
            "manage on a where b = 1",
            "manage on a max",
            "manage on max 1",
            "manage on a max -1",
            "manage on a max many",
            "manage on a max 1 max 2",
            "manage on a max 1, b",
            "write on a max 1",
            "admin max 1",
            "admin on a",
            "observe where a = 1",
            "read on ä",
        ] {
            assert!(wrong.parse::<Grant>().is_err(), "{wrong}");
        }
        assert!(format!("read on {}", "a".repeat(GRANT_BYTES_MAX)).parse::<Grant>().is_err());
    }

    #[test]
    fn a_grant_with_a_number_has_room_for_so_many_names_of_its_own() {
        let of = |text: &str| text.parse::<Grant>().unwrap().bind(&Claims::new()).unwrap();
        let (taken, grant) = (["a-1", "a-2", "b"], of("manage on a-*, c max 3"));
        assert!(grant.check_room(&taken).is_ok());
        let full = grant.check_room(&["a-1", "a-2", "b", "c"]).unwrap_err();
        assert_eq!(full.to_string(), "names: 4 is beyond the limit GRANT_NAMES_MAX = 3");
        assert!(of("manage on d max 0").check_room(&taken).is_err(), "what is there is theirs, and no more");
        assert!(of("manage on *").check_room(&taken).is_ok());
    }
}
