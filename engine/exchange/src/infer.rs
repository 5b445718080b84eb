//! What a column of somebody else's file can be.
//!
//! | column | becomes |
//! |---|---|
//! | bool | bool |
//! | int8 … int64, uint8 … uint64 | int; what is above 2^63 is an error of its row |
//! | float16, float32, float64 | float |
//! | utf8, large and view ones | string; JSON with the extension `arrow.json`, or as a column that Parquet calls JSON (`read/json.rs`) |
//! | date32, date64, timestamps of any unit and zone | timestamp; those without a zone are UTC; nanoseconds are rounded down |
//! | lists of floats, of fixed length or not | a dense vector, stored as 16-bit floats if they are; float64 is rounded |
//! | lists of lists of floats | a multi-vector |
//! | struct of `indices` and `values`, lists of integers and floats | a sparse vector |
//! | lists of strings | strings |
//! | struct of `lat` and `lon`, floats | geo |
//! | dictionaries of anything but lists and structs | what their values are by themselves |
//! | null | left out, and told |
//!
//! Anything else is refused, with all columns that are, before anything is written.

use arrow_schema::{DataType, Field};
use ragstone::limits::{LIST_STRINGS_MAX, MULTI_VECTORS_MAX, SPARSE_ENTRIES_MAX};
use ragstone::{ElementType, FieldType, VectorKind};

use crate::layout::Role;
use crate::types::{EXTENSION, JSON};

/// What a column can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inferred {
    /// Components, if the type says it.
    Dense(Option<usize>, ElementType),
    Multi(Option<usize>, ElementType),
    Sparse,
    Field(FieldType),
    /// It has no values.
    Nothing,
}

/// What a column can be, by its type; an error says why nothing.
pub(crate) fn infer(column: &Field) -> Result<Inferred, String> {
    use DataType::*;
    let data_type = column.data_type();
    Ok(Inferred::Field(match data_type {
        Null => return Ok(Inferred::Nothing),
        Boolean => FieldType::Bool,
        data_type if data_type.is_integer() => FieldType::Int,
        Float16 | Float32 | Float64 => FieldType::Float,
        data_type if is_text(data_type) => {
            match column.metadata().get(EXTENSION).map(|name| name.to_string()) {
                Some(name) if name == JSON => FieldType::Json,
                _ => FieldType::String,
            }
        }
        Date32 | Date64 | Timestamp(..) => FieldType::Timestamp,
        Dictionary(_, values) if values.is_nested() => {
            return Err("a dictionary is of single values, and not of lists or structs".to_owned());
        }
        Dictionary(_, values) => return infer(&Field::new(column.name(), values.as_ref().clone(), true)),
        Struct(parts) => {
            let part = |name: &str| parts.find(name).map(|(_, part)| part.data_type());
            match (parts.len(), part("lat"), part("lon"), part("indices"), part("values")) {
                (2, Some(lat), Some(lon), ..) if lat.is_numeric() && lon.is_numeric() => FieldType::Geo,
                (2, _, _, Some(indices), Some(values))
                    if has_items(indices, DataType::is_integer)
                        && has_items(values, DataType::is_numeric) =>
                {
                    for part in [indices, values] {
                        within(items(part).and_then(|(_, length)| length), SPARSE_ENTRIES_MAX)?;
                    }
                    return Ok(Inferred::Sparse);
                }
                _ => {
                    return Err(
                        "of structs, those of `lat` and `lon` and of `indices`, whole numbers, and `values` are known"
                            .to_owned(),
                    );
                }
            }
        }
        data_type => return list(data_type),
    }))
}

fn list(data_type: &DataType) -> Result<Inferred, String> {
    let Some((item, length)) = items(data_type) else {
        let hint = if data_type.is_decimal() { ": make it a float or a string" } else { "" };
        return Err(format!("there is no field of this type{hint}"));
    };
    if let Some(element) = element(item) {
        return Ok(Inferred::Dense(length, element));
    }
    if is_text(item) || matches!(item, DataType::Dictionary(_, values) if is_text(values)) {
        within(length, LIST_STRINGS_MAX)?;
        return Ok(Inferred::Field(FieldType::Strings));
    }
    match items(item).and_then(|(item, components)| Some((element(item)?, components))) {
        Some((element, components)) => {
            within(length, MULTI_VECTORS_MAX)?;
            Ok(Inferred::Multi(components, element))
        }
        None => {
            Err("lists are of floats (a vector), of lists of floats (a multi-vector) or of strings"
                .to_owned())
        }
    }
}

/// Checks the length that all lists of a column have, if there is one. A reader makes room for that many items of a row that has none,
/// before anybody sees the row.
fn within(length: Option<usize>, max: usize) -> Result<(), String> {
    match length {
        Some(length) if length > max => {
            Err(format!("each of its lists has {length} items, and {max} are the most"))
        }
        _ => Ok(()),
    }
}

/// What a list is of, and its length if that is fixed.
pub(crate) fn items(data_type: &DataType) -> Option<(&DataType, Option<usize>)> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) => Some((item.data_type(), None)),
        DataType::FixedSizeList(item, length) => Some((item.data_type(), usize::try_from(*length).ok())),
        _ => None,
    }
}

fn has_items(data_type: &DataType, are_they: fn(&DataType) -> bool) -> bool {
    items(data_type).is_some_and(|(item, _)| are_they(item))
}

fn element(item: &DataType) -> Option<ElementType> {
    match item {
        DataType::Float16 => Some(ElementType::F16),
        DataType::Float32 | DataType::Float64 => Some(ElementType::F32),
        _ => None,
    }
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether a column can be what it is to be: an error says why not.
pub(crate) fn check(column: &Field, role: &Role) -> Result<(), String> {
    let inferred = infer(column);
    let can = match (role, inferred.as_ref()) {
        (_, Ok(Inferred::Nothing)) => true,
        (Role::NumberId, _) => column.data_type().is_integer(),
        (Role::Expiry, Ok(Inferred::Field(found))) => *found == FieldType::Timestamp,
        (Role::TextId, Ok(Inferred::Field(found))) => *found == FieldType::String,
        // Vectors of whole numbers are vectors where it is known that they are.
        (Role::Vector(_, VectorKind::Dense(options)), _) => match items(column.data_type()) {
            Some((item, length)) if item.is_numeric() => {
                return fits(length, options.dimension);
            }
            _ => false,
        },
        (Role::Vector(_, VectorKind::Multi(options)), Ok(Inferred::Multi(length, _))) => {
            return fits(*length, options.dimension);
        }
        (Role::Vector(_, VectorKind::Sparse(_)), Ok(found)) => *found == Inferred::Sparse,
        // Lists that are all empty have no type of their own.
        (Role::Field(_, FieldType::Strings), Err(_)) => {
            matches!(items(column.data_type()), Some((DataType::Null, None)))
        }
        (Role::Field(_, wanted), Ok(Inferred::Field(found))) => {
            wanted == found
                || matches!(
                    (wanted, found),
                    (FieldType::Float, FieldType::Int)
                        | (FieldType::Int, FieldType::Float)
                        | (FieldType::Json, FieldType::String)
                        | (FieldType::String, FieldType::Json)
                )
        }
        _ => false,
    };
    if can {
        return Ok(());
    }
    Err(match (role, inferred) {
        (Role::NumberId | Role::TextId, _) => "an id is an integer or a string".to_owned(),
        (Role::Expiry, _) => "the moment when a row expires is a timestamp".to_owned(),
        (Role::Vector(name, kind), _) if name.is_empty() => {
            format!("it does not fit the default vector, {}", named(kind))
        }
        (Role::Vector(name, kind), _) => format!("it does not fit the vector `{name}`, {}", named(kind)),
        (Role::Field(name, wanted), Ok(Inferred::Field(found))) => {
            format!("the field `{name}` is {wanted}, this would be {found}")
        }
        (Role::Field(name, wanted), _) => format!("it does not fit the field `{name}`, which is {wanted}"),
    })
}

fn fits(length: Option<usize>, dimension: usize) -> Result<(), String> {
    match length {
        Some(length) if length != dimension => {
            Err(format!("the collection has vectors of {dimension} components, this has {length}"))
        }
        _ => Ok(()),
    }
}

fn named(kind: &VectorKind) -> String {
    match kind {
        VectorKind::Dense(options) => format!("a list of {} floats", options.dimension),
        VectorKind::Multi(options) => format!("a list of lists of {} floats", options.dimension),
        _ => "a struct of `indices` and `values`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn lists(item: DataType, length: usize) -> DataType {
        DataType::FixedSizeList(Arc::new(Field::new("item", item, true)), length as i32)
    }

    fn sparse(length: usize) -> DataType {
        let part = |name, item| Field::new(name, lists(item, length), true);
        DataType::Struct(vec![part("indices", DataType::UInt32), part("values", DataType::Float32)].into())
    }

    /// A file of a kilobyte said that its lists have two billion items, and a row without one took as many before it was looked at.
    #[test]
    fn lists_of_a_length_that_no_row_can_have_are_refused() {
        let of = |data_type| infer(&Field::new("column", data_type, true));
        let pairs = || lists(DataType::Float32, 2);
        assert_eq!(of(lists(DataType::Utf8, LIST_STRINGS_MAX)), Ok(Inferred::Field(FieldType::Strings)));
        let multi = Inferred::Multi(Some(2), ElementType::F32);
        assert_eq!(of(lists(pairs(), MULTI_VECTORS_MAX)), Ok(multi));
        assert_eq!(of(sparse(SPARSE_ENTRIES_MAX)), Ok(Inferred::Sparse));
        for wrong in [
            lists(DataType::Utf8, LIST_STRINGS_MAX + 1),
            lists(pairs(), MULTI_VECTORS_MAX + 1),
            lists(pairs(), i32::MAX as usize),
            sparse(SPARSE_ENTRIES_MAX + 1),
        ] {
            let error = of(wrong).unwrap_err();
            assert!(error.starts_with("each of its lists has "), "{error}");
        }
    }

    /// Indices that were floats lost what is behind the point.
    #[test]
    fn indices_are_whole_numbers() {
        let part = |name, item| Field::new(name, lists(item, 2), true);
        let of = |indices: DataType| {
            let parts = vec![part("indices", indices), part("values", DataType::Float64)];
            infer(&Field::new("column", DataType::Struct(parts.into()), true))
        };
        assert_eq!(of(DataType::Int64), Ok(Inferred::Sparse));
        assert!(of(DataType::Float32).unwrap_err().contains("`indices`, whole numbers, and `values`"));
    }

    /// Structs that stood in a dictionary were taken for places, and ended the import in a panic.
    #[test]
    fn a_dictionary_of_lists_or_structs_is_refused() {
        let degrees = |name| Field::new(name, DataType::Float64, true);
        let place = DataType::Struct(vec![degrees("lat"), degrees("lon")].into());
        let of = |values: DataType| {
            let data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
            infer(&Field::new("column", data_type, true))
        };
        for nested in [place, sparse(2), lists(DataType::Float32, 2)] {
            assert!(of(nested).unwrap_err().starts_with("a dictionary is of single values"));
        }
        assert_eq!(of(DataType::Int64), Ok(Inferred::Field(FieldType::Int)));
        assert_eq!(of(DataType::Null), Ok(Inferred::Nothing));
    }
}
