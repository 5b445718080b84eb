//! What somebody may do, as it is written: `read on notes-*, drafts where tenant = $claims.tenant`.
//!
//! ```text
//! grant    = ("read" | "write") "on" patterns ["where" filter]
//!          | "manage" "on" patterns
//!          | "admin" | "observe"
//! patterns = pattern ("," pattern)*        pattern = the name of a collection, in which `*` stands for anything
//! ```
//! A pattern is of collections' own names: an alias gives nobody what its collection does not. Several grants add up. Whoever manages a collection has all
//! of it, so that such a grant has no filter.

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
        let named: String = words.collect::<Vec<_>>().join(" ");
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
        let rows = rows.map(RowRule::parse).transpose().map_err(invalid)?;
        Ok(Grant { action, patterns, rows, text: text.to_owned() })
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
        Some(Bound { action: self.action, patterns: self.patterns.clone(), rows })
    }
}

impl Bound {
    /// Whether it is about a collection.
    pub(super) fn is_on(&self, collection: &str) -> bool {
        !self.action.is_of_collections() || self.patterns.iter().any(|pattern| fits(pattern, collection))
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
            "admin on a",
            "observe where a = 1",
            "read on ä",
        ] {
            assert!(wrong.parse::<Grant>().is_err(), "{wrong}");
        }
        assert!(format!("read on {}", "a".repeat(GRANT_BYTES_MAX)).parse::<Grant>().is_err());
    }
}
