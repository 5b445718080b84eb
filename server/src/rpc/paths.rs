//! Errors of the engine under the names that requests have for what they are about.

use ragstone::{Batch, Error, Op};

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
        // It may be about a collection, which has one name.
        Error::OutOfScope { field } if field.starts_with("points") => {
            Error::OutOfScope { field: path(&field) }
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

/// The engine names a point by its place in the batch that it got; the request has others before it.
pub(super) fn at_places(error: Error, places: &[usize]) -> Error {
    renamed(error, |field| {
        let place = field.strip_prefix("points[").and_then(|rest| rest.split_once(']'));
        match place.and_then(|(index, rest)| Some((places.get(index.parse::<usize>().ok()?)?, rest))) {
            Some((place, rest)) => format!("points[{place}]{rest}"),
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

/// The engine names every change as a point; the request has it in `updates`.
pub(super) fn in_updates(error: Error) -> Error {
    renamed(error, |field| match field.strip_prefix("points") {
        Some(rest) => format!("updates{}", rest.replacen("].payload", "].set", 1)),
        None => field.to_owned(),
    })
}

/// What the operations of a batch are; the engine names them all as points.
pub(super) struct OperationKinds(Vec<&'static str>);

impl OperationKinds {
    pub(super) fn of(batch: &Batch) -> Self {
        let kind = |op: &Op| match op {
            Op::Upsert(_) => "upsert",
            Op::Update(_) => "update",
            Op::Delete(_) => "delete",
        };
        Self(batch.ops.iter().map(kind).collect())
    }

    /// The error under the names of the request.
    pub(super) fn name(&self, error: Error) -> Error {
        renamed(error, |field| {
            let place = field.strip_prefix("points[").and_then(|rest| rest.split_once(']'));
            let known = place
                .and_then(|(index, rest)| Some((index, self.0.get(index.parse::<usize>().ok()?)?, rest)));
            match known {
                Some((index, kind @ &"delete", rest)) => {
                    format!("operations[{index}].{kind}{}", rest.strip_suffix(".id").unwrap_or(rest))
                }
                Some((index, kind @ &"update", rest)) => {
                    format!("operations[{index}].{kind}{}", rest.replacen(".payload", ".set", 1))
                }
                Some((index, kind, rest)) => format!("operations[{index}].{kind}{rest}"),
                None => field.replacen("points", "operations", 1),
            }
        })
    }
}

/// The engine pages by a limit and a cursor, which the field `begins_behind` of the request gave it.
pub(super) fn in_page(error: Error, begins_behind: &str) -> Error {
    renamed(error, |field| match field {
        "limit" => "page_size".to_owned(),
        "after" => begins_behind.to_owned(),
        _ => match field.strip_prefix("order.") {
            Some(rest) => format!("order_by.{rest}"),
            None => field.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use ragstone::{Point, Update};

    use super::*;

    #[test]
    fn paths_are_those_of_the_request() {
        let invalid = |field: &str| Error::Invalid { field: field.to_owned(), reason: "wrong".to_owned() };
        let told = |error: Error| error.to_string();
        assert_eq!(told(in_slice(invalid("ids[7]"), "ids", 200)), "ids[207]: wrong");
        assert_eq!(told(in_slice(invalid("queries[1].k"), "queries", 3)), "queries[4].k: wrong");
        assert_eq!(told(in_slice(invalid("k"), "queries", 3)), "k: wrong");
        assert_eq!(told(in_ids(invalid("points[3].id"))), "ids[3]: wrong");
        assert_eq!(told(in_updates(invalid("points[3].payload.year"))), "updates[3].set.year: wrong");
        let batch = Batch::new().upsert(Point::without_vector(1)).update(Update::new(2)).delete(3);
        let kinds = OperationKinds::of(&batch);
        assert_eq!(told(kinds.name(invalid("points[0].payload.a"))), "operations[0].upsert.payload.a: wrong");
        assert_eq!(told(kinds.name(invalid("points[1].payload.a"))), "operations[1].update.set.a: wrong");
        assert_eq!(told(kinds.name(invalid("points[2].id"))), "operations[2].delete: wrong");
        assert_eq!(told(kinds.name(invalid("points"))), "operations: wrong");
        for begins_behind in ["page_token", "after_id"] {
            assert_eq!(told(in_page(invalid("after"), begins_behind)), format!("{begins_behind}: wrong"));
        }
        assert_eq!(told(in_page(invalid("order.year"), "page_token")), "order_by.year: wrong");
        assert_eq!(told(at_places(invalid("points[1].vector"), &[0, 4])), "points[4].vector: wrong");
        assert_eq!(told(at_places(invalid("points"), &[0, 4])), "points: wrong");
    }

    /// Of an update that was refused, as its row is not the caller's, a point was named, which the request has none of.
    #[test]
    fn what_is_not_the_callers_is_named_as_the_request_has_it() {
        let field = |error: Error| match error {
            Error::OutOfScope { field } => field,
            other => panic!("{other}"),
        };
        let refused = |field: &str| Error::OutOfScope { field: field.to_owned() };
        assert_eq!(field(in_updates(refused("points[3]"))), "updates[3]");
        let kinds = OperationKinds::of(&Batch::new().update(Update::new(2)).upsert(Point::without_vector(1)));
        assert_eq!(field(kinds.name(refused("points[0]"))), "operations[0].update");
        assert_eq!(field(kinds.name(refused("points[1]"))), "operations[1].upsert");
        assert_eq!(field(at_places(refused("points[0]"), &[2])), "points[2]");
        let collection = "collection `points[0]`";
        assert_eq!(field(kinds.name(refused(collection))), collection);
    }
}
