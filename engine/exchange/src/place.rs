//! Which row of a file an error of a write is about.
//!
//! The engine names what it refuses as `points[3].payload.year: …`, a server's error says it in the same words.

use std::error::Error as _;

use crate::decode::Wrong;
use crate::error::Error;
use crate::layout::{Column, Role};

/// The row of the batch, and its column, that an error is about; none if it is about no row.
pub(crate) fn of(error: &Error, columns: &[Column]) -> Option<Wrong> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(error.to_string());
        source = error.source();
    }
    texts.iter().find_map(|text| in_text(text, columns))
}

fn in_text(text: &str, columns: &[Column]) -> Option<Wrong> {
    let (_, rest) = text.split_once("points[")?;
    let (number, rest) = rest.split_once(']')?;
    let at = number.parse().ok()?;
    // The longest path wins: a field's name may go on as another one does.
    let found = columns.iter().filter_map(|column| {
        let rest = rest.strip_prefix(&path(&column.role))?;
        rest.starts_with([':', '.', '[']).then_some((rest, column))
    });
    let found = found.min_by_key(|(rest, _)| rest.len());
    let (column, reason) = match found {
        Some((reason, column)) => (Some(column.name.clone()), reason),
        None => (None, rest),
    };
    Some(Wrong { at, column, reason: reason.trim_start_matches([':', ' ', '.']).to_owned() })
}

fn path(role: &Role) -> String {
    match role {
        Role::NumberId | Role::TextId => ".id".to_owned(),
        Role::Expiry => ".expires_at".to_owned(),
        Role::Vector(name, _) if name.is_empty() => ".vector".to_owned(),
        Role::Vector(name, _) => format!(".vectors.{name}"),
        Role::Field(name, _) => format!(".payload.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ragstone::{FieldType, VectorKind};

    #[test]
    fn errors_name_the_row_and_the_column() {
        let column = |name: &str, role| Column { name: name.into(), role };
        let field = |name: &str| Role::Field(name.into(), FieldType::Int);
        let vector = |name: &str| Role::Vector(name.into(), VectorKind::Sparse(Default::default()));
        let columns = [
            column("id", Role::NumberId),
            column("embedding", vector("")),
            column("words", vector("words")),
            column("year", field("year")),
            column("year: of print", field("year: of print")),
        ];
        let cases = [
            ("points[0].id: an id is not empty", 0, Some("id"), "an id is not empty"),
            ("points[12].vector: no", 12, Some("embedding"), "no"),
            ("a server: points[3].vectors.words.indices[2]: no", 3, Some("words"), "indices[2]: no"),
            ("points[3].payload.year: no", 3, Some("year"), "no"),
            ("points[3].payload.year: of print: no", 3, Some("year: of print"), "no"),
            ("points[3].payload: too large", 3, None, "payload: too large"),
        ];
        for (text, at, column, reason) in cases {
            let wrong = of(&Error::rows(text), &columns).unwrap();
            assert_eq!(
                (wrong.at, wrong.column.as_deref(), wrong.reason.as_str()),
                (at, column, reason),
                "{text}"
            );
        }
        for text in ["the disk is full", "points: too many", "points[x].id: no"] {
            assert!(of(&Error::rows(text), &columns).is_none(), "{text}");
        }
    }
}
