//! Errors of the engine under the names that requests have for what they are about.

use ragstone::Error;

/// The error with another path.
pub(super) fn renamed(error: Error, path: impl FnOnce(&str) -> String) -> Error {
    match error {
        Error::Invalid { field, reason } => Error::Invalid { field: path(&field), reason },
        Error::Limit { field, limit, max, actual } => {
            Error::Limit { field: path(&field), limit, max, actual }
        }
        Error::UnknownField { field } => Error::UnknownField { field: path(&field) },
        Error::FieldType { field, expected, actual } => {
            Error::FieldType { field: path(&field), expected, actual }
        }
        other => other,
    }
}

/// The engine names an item by its place in the slice that it got; the request has it `first` places further.
pub(super) fn in_slice(error: Error, list: &str, first: usize) -> Error {
    renamed(error, |field| {
        let place = field.strip_prefix(list).and_then(|rest| rest.strip_prefix('['));
        let place = place.and_then(|rest| rest.split_once(']'));
        match place.and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest))) {
            Some((index, rest)) => format!("{list}[{}]{rest}", first + index),
            None => field.to_owned(),
        }
    })
}

/// The engine names what it removes as the points of a batch; the request has them in `ids`.
pub(super) fn in_ids(error: Error) -> Error {
    renamed(error, |field| match field.strip_prefix("points") {
        Some(rest) => format!("ids{}", rest.strip_suffix(".id").unwrap_or(rest)),
        None => field.to_owned(),
    })
}

/// The engine pages by a limit and a cursor.
pub(super) fn in_page(error: Error) -> Error {
    renamed(error, |field| match field {
        "limit" => "page_size".to_owned(),
        "after" => "page_token".to_owned(),
        _ => match field.strip_prefix("order.") {
            Some(rest) => format!("order_by.{rest}"),
            None => field.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_request() {
        let invalid = |field: &str| Error::Invalid { field: field.to_owned(), reason: "wrong".to_owned() };
        let told = |error: Error| error.to_string();
        assert_eq!(told(in_slice(invalid("ids[7]"), "ids", 200)), "ids[207]: wrong");
        assert_eq!(told(in_slice(invalid("queries[1].k"), "queries", 3)), "queries[4].k: wrong");
        assert_eq!(told(in_slice(invalid("k"), "queries", 3)), "k: wrong");
        assert_eq!(told(in_ids(invalid("points[3].id"))), "ids[3]: wrong");
        assert_eq!(told(in_page(invalid("after"))), "page_token: wrong");
        assert_eq!(told(in_page(invalid("order.year"))), "order_by.year: wrong");
    }
}
