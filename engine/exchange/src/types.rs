//! The Arrow type of each kind of column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use ragstone::{ElementType, FieldType, VectorKind};

use crate::layout::{Column, Role};

/// The key that names the kind of a column beyond its type (Arrow's canonical extensions).
pub(crate) const EXTENSION: &str = "ARROW:extension:name";
/// The extension of JSON texts.
pub(crate) const JSON: &str = "arrow.json";

/// The column as a field of a file's schema.
pub(crate) fn field(column: &Column, is_only_id: bool) -> Field {
    let is_nullable = !(is_only_id && matches!(column.role, Role::NumberId | Role::TextId));
    let field = Field::new(&column.name, data_type(&column.role), is_nullable);
    match column.role {
        Role::Field(_, FieldType::Json) => {
            field.with_metadata(HashMap::from([(EXTENSION.to_owned(), JSON.to_owned())]))
        }
        _ => field,
    }
}

/// The type of a column.
pub(crate) fn data_type(role: &Role) -> DataType {
    match role {
        Role::NumberId => DataType::UInt64,
        Role::TextId => DataType::Utf8,
        Role::Vector(_, VectorKind::Dense(options)) => components(options.dimension, options.element),
        Role::Vector(_, VectorKind::Multi(options)) => {
            DataType::List(item(components(options.dimension, options.element)))
        }
        Role::Vector(..) => DataType::Struct(sparse()),
        Role::Expiry => moments(),
        Role::Field(_, field_type) => match field_type {
            FieldType::Bool => DataType::Boolean,
            FieldType::Int => DataType::Int64,
            FieldType::Float => DataType::Float64,
            FieldType::String | FieldType::Json => DataType::Utf8,
            FieldType::Timestamp => moments(),
            FieldType::Strings => DataType::List(item(DataType::Utf8)),
            FieldType::Geo => DataType::Struct(geo()),
        },
    }
}

fn moments() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What a list has many of. Never null, but readers expect the name and that it may be.
pub(crate) fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

/// A vector of so many components.
pub(crate) fn components(dimension: usize, element: ElementType) -> DataType {
    // Dimensions have a limit far below.
    DataType::FixedSizeList(item(component(element)), i32::try_from(dimension).unwrap_or(i32::MAX))
}

/// A component.
pub(crate) fn component(element: ElementType) -> DataType {
    match element {
        ElementType::F16 => DataType::Float16,
        _ => DataType::Float32,
    }
}

/// The parts of a sparse vector.
pub(crate) fn sparse() -> Fields {
    let part = |name: &str, data_type| Field::new(name, DataType::List(item(data_type)), true);
    Fields::from(vec![part("indices", DataType::UInt32), part("values", DataType::Float32)])
}

/// The parts of a place.
pub(crate) fn geo() -> Fields {
    let part = |name: &str| Field::new(name, DataType::Float64, true);
    Fields::from(vec![part("lat"), part("lon")])
}
