//! The named vectors of a user's type: a struct or a map, in which the shape of each tells its kind.

use std::collections::BTreeMap;

use serde_core::Serialize;
use serde_core::ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct};
use serde_core::ser::{SerializeTuple, SerializeTupleStruct, Serializer};

use super::super::vectors::ENTRIES;
use super::super::{Fault, VECTORS};
use super::cell::{Cell, CellWriter, Written};
use crate::limits::DIMENSION_MAX;
use crate::point::{SparseVector, Vector};

/// The named vectors that stand in the field.
pub(super) fn named<T: Serialize + ?Sized>(value: &T) -> Written<BTreeMap<String, Vector>> {
    let fields = match value.serialize(ShapeWriter).map_err(|fault| fault.within(VECTORS))? {
        Shape::Absent => return Ok(BTreeMap::new()),
        Shape::Fields(fields) => fields,
        Shape::List(_) => return Err(Fault::new("named vectors are a struct or a map").of(VECTORS)),
    };
    let mut vectors = BTreeMap::new();
    for (name, shape) in fields {
        let vector = shape.into_vector().map_err(|fault| fault.within(&name).within(VECTORS))?;
        vectors.extend(vector.map(|vector| (name, vector)));
    }
    Ok(vectors)
}

/// What a value looks like.
enum Shape {
    Absent,
    List(List),
    Fields(Vec<(String, Shape)>),
}

/// A list of numbers or of lists.
struct List {
    numbers: Vec<f32>,
    /// The numbers exactly, if they can be indices.
    indices: Option<Vec<u32>>,
    lists: Vec<Vec<f32>>,
}

fn no_vector(what: &str) -> Fault {
    Fault::new(format!(
        "a vector is a list of numbers, a list of such lists, or `indices` and `values`; this is {what}"
    ))
}

impl Shape {
    fn into_vector(self) -> Written<Option<Vector>> {
        match self {
            Shape::Absent => Ok(None),
            Shape::List(List { lists, .. }) if !lists.is_empty() => Ok(Some(Vector::Multi(lists))),
            Shape::List(List { numbers, .. }) if numbers.is_empty() => {
                Err(no_vector("an empty list, which is left out as `None`"))
            }
            Shape::List(List { numbers, .. }) => Ok(Some(Vector::Dense(numbers))),
            Shape::Fields(fields) => into_sparse(fields).map(|vector| Some(Vector::Sparse(vector))),
        }
    }
}

fn into_sparse(fields: Vec<(String, Shape)>) -> Written<SparseVector> {
    let (mut indices, mut values) = (None, None);
    for (name, shape) in fields {
        match (ENTRIES.iter().position(|entry| *entry == name), shape) {
            (Some(0), Shape::List(List { indices: found @ Some(_), lists, .. })) if lists.is_empty() => {
                indices = found;
            }
            (Some(0), _) => return Err(Fault::new("indices are a list of integers up to 2^32 - 1").of(&name)),
            (Some(_), Shape::List(List { numbers, lists, .. })) if lists.is_empty() => values = Some(numbers),
            (Some(_), _) => return Err(Fault::new("values are a list of numbers").of(&name)),
            (None, _) => return Err(no_vector("a map with other fields")),
        }
    }
    match (indices, values) {
        (Some(indices), Some(values)) => Ok(SparseVector { indices, values }),
        _ => Err(no_vector("a map without them")),
    }
}

/// Takes a vector, or all of them.
struct ShapeWriter;

/// Methods for what is no vector.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $output:ty: $what:literal;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Written<$output> {
            Err(no_vector($what))
        })*
    };
}

impl Serializer for ShapeWriter {
    type Ok = Shape;
    type Error = Fault;
    type SerializeSeq = ListWriter;
    type SerializeTuple = ListWriter;
    type SerializeTupleStruct = ListWriter;
    type SerializeTupleVariant = Impossible<Shape, Fault>;
    type SerializeMap = FieldsWriter;
    type SerializeStruct = FieldsWriter;
    type SerializeStructVariant = Impossible<Shape, Fault>;

    refuse! {
        serialize_bool(bool) -> Shape: "a bool";
        serialize_i8(i8) -> Shape: "a number";
        serialize_i16(i16) -> Shape: "a number";
        serialize_i32(i32) -> Shape: "a number";
        serialize_i64(i64) -> Shape: "a number";
        serialize_u8(u8) -> Shape: "a number";
        serialize_u16(u16) -> Shape: "a number";
        serialize_u32(u32) -> Shape: "a number";
        serialize_u64(u64) -> Shape: "a number";
        serialize_f32(f32) -> Shape: "a number";
        serialize_f64(f64) -> Shape: "a number";
        serialize_char(char) -> Shape: "a character";
        serialize_str(&str) -> Shape: "a string";
        serialize_bytes(&[u8]) -> Shape: "bytes";
        serialize_unit_struct(&'static str) -> Shape: "a struct without fields";
        serialize_unit_variant(&'static str, u32, &'static str) -> Shape: "an enum's variant";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<Shape, Fault>: "an enum's variant";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<Shape, Fault>: "an enum's variant";
    }

    fn serialize_none(self) -> Written<Shape> {
        Ok(Shape::Absent)
    }

    fn serialize_unit(self) -> Written<Shape> {
        Ok(Shape::Absent)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<Shape> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<Shape> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written<Shape> {
        Err(no_vector("an enum's variant"))
    }

    fn serialize_seq(self, length: Option<usize>) -> Written<ListWriter> {
        // A length is only a hint, and nobody's word for how much memory to take.
        let numbers = Vec::with_capacity(length.unwrap_or(0).min(DIMENSION_MAX));
        Ok(ListWriter(List { numbers, indices: Some(Vec::new()), lists: Vec::new() }))
    }

    fn serialize_tuple(self, length: usize) -> Written<ListWriter> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Written<ListWriter> {
        self.serialize_seq(Some(length))
    }

    fn serialize_map(self, _: Option<usize>) -> Written<FieldsWriter> {
        Ok(FieldsWriter::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Written<FieldsWriter> {
        Ok(FieldsWriter::default())
    }
}

/// Takes a list.
struct ListWriter(List);

impl ListWriter {
    fn push<T: Serialize + ?Sized>(&mut self, element: &T) -> Written<()> {
        let List { numbers, indices, lists } = &mut self.0;
        let cell = element.serialize(CellWriter)?;
        let index = if let Cell::Int(number) = cell { u32::try_from(number).ok() } else { None };
        match index {
            Some(index) => indices.iter_mut().for_each(|indices| indices.push(index)),
            None => *indices = None,
        }
        match cell {
            Cell::List(Some(list), _) => lists.push(list),
            cell => match cell.into_component() {
                Some(number) => numbers.push(number),
                None => return Err(no_vector("a list of something else")),
            },
        }
        if !numbers.is_empty() && !lists.is_empty() {
            return Err(no_vector("a list of numbers and lists"));
        }
        Ok(())
    }
}

/// The methods of a list, whatever serde calls it.
macro_rules! list {
    ($($kind:ident::$method:ident),*) => {
        $(impl $kind for ListWriter {
            type Ok = Shape;
            type Error = Fault;

            fn $method<T: Serialize + ?Sized>(&mut self, element: &T) -> Written<()> {
                self.push(element)
            }

            fn end(self) -> Written<Shape> {
                Ok(Shape::List(self.0))
            }
        })*
    };
}

list!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);

/// Takes a struct or a map.
#[derive(Default)]
struct FieldsWriter {
    fields: Vec<(String, Shape)>,
    /// Of a map, the name whose value comes next.
    name: String,
}

impl FieldsWriter {
    fn take<T: Serialize + ?Sized>(&mut self, name: String, value: &T) -> Written<()> {
        let shape = value.serialize(ShapeWriter).map_err(|fault| fault.within(&name))?;
        self.fields.push((name, shape));
        Ok(())
    }
}

impl SerializeStruct for FieldsWriter {
    type Ok = Shape;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        self.take(name.to_owned(), value)
    }

    fn end(self) -> Written<Shape> {
        Ok(Shape::Fields(self.fields))
    }
}

impl SerializeMap for FieldsWriter {
    type Ok = Shape;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Written<()> {
        match name.serialize(CellWriter)? {
            Cell::Text(name) => self.name = name,
            _ => return Err(Fault::new("the name of a vector is a string")),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        let name = std::mem::take(&mut self.name);
        self.take(name, value)
    }

    fn end(self) -> Written<Shape> {
        Ok(Shape::Fields(self.fields))
    }
}
