//! A value of the user's type taken apart into a point.
//!
//! serde tells a value step by step. Two things take it: [`RowWriter`] the whole, which has to be a struct or a map, and
//! [`CellWriter`](cell) what stands in one field, and each number of a vector. What stands in the field of the named vectors is taken
//! by a writer of its own (`write/vectors.rs`), as its lists are no payload. What is nested becomes JSON, whose numbers are finite (`write/finite.rs`).

mod cell;
mod finite;
mod vectors;

use std::collections::BTreeMap;

use serde_core::Serialize;
use serde_core::ser::{Impossible, SerializeMap, SerializeStruct, Serializer};

use self::cell::{Cell, CellWriter, Written};
use super::{Fault, ID, VECTOR, VECTORS};
use crate::payload::Payload;
use crate::point::{Point, PointId, Vector};

/// Takes a row.
pub(super) struct RowWriter;

fn no_row(what: &str) -> Fault {
    Fault::new(format!("a row is a struct or a map; this is {what}"))
}

/// Methods for what is no row.
macro_rules! refuse_rows {
    ($($method:ident($($argument:ty),*) -> $output:ty: $what:literal;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Written<$output> {
            Err(no_row($what))
        })*
    };
}

impl Serializer for RowWriter {
    type Ok = Point;
    type Error = Fault;
    type SerializeSeq = Impossible<Point, Fault>;
    type SerializeTuple = Impossible<Point, Fault>;
    type SerializeTupleStruct = Impossible<Point, Fault>;
    type SerializeTupleVariant = Impossible<Point, Fault>;
    type SerializeMap = FieldsWriter;
    type SerializeStruct = FieldsWriter;
    type SerializeStructVariant = Impossible<Point, Fault>;

    refuse_rows! {
        serialize_bool(bool) -> Point: "a bool";
        serialize_i8(i8) -> Point: "a number";
        serialize_i16(i16) -> Point: "a number";
        serialize_i32(i32) -> Point: "a number";
        serialize_i64(i64) -> Point: "a number";
        serialize_u8(u8) -> Point: "a number";
        serialize_u16(u16) -> Point: "a number";
        serialize_u32(u32) -> Point: "a number";
        serialize_u64(u64) -> Point: "a number";
        serialize_f32(f32) -> Point: "a number";
        serialize_f64(f64) -> Point: "a number";
        serialize_char(char) -> Point: "a character";
        serialize_str(&str) -> Point: "a string";
        serialize_bytes(&[u8]) -> Point: "bytes";
        serialize_none() -> Point: "nothing";
        serialize_unit() -> Point: "nothing";
        serialize_unit_struct(&'static str) -> Point: "a struct without fields";
        serialize_unit_variant(&'static str, u32, &'static str) -> Point: "an enum's variant";
        serialize_seq(Option<usize>) -> Impossible<Point, Fault>: "a list";
        serialize_tuple(usize) -> Impossible<Point, Fault>: "a tuple";
        serialize_tuple_struct(&'static str, usize) -> Impossible<Point, Fault>: "a tuple";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<Point, Fault>: "an enum's variant";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<Point, Fault>: "an enum's variant";
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<Point> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<Point> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written<Point> {
        Err(no_row("an enum's variant"))
    }

    fn serialize_map(self, _: Option<usize>) -> Written<FieldsWriter> {
        Ok(FieldsWriter::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Written<FieldsWriter> {
        Ok(FieldsWriter::default())
    }
}

/// Takes the fields of a row.
#[derive(Default)]
pub(super) struct FieldsWriter {
    id: Option<PointId>,
    vector: Option<Vec<f32>>,
    vectors: BTreeMap<String, Vector>,
    payload: Payload,
    /// Of a map, the name whose value comes next.
    name: String,
}

impl FieldsWriter {
    fn take<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Written<()> {
        if name == VECTORS {
            self.vectors = vectors::named(value)?;
            return Ok(());
        }
        let cell = Cell::of(value, name)?;
        match name {
            ID => self.id = Some(cell.into_id()?),
            VECTOR => self.vector = cell.into_vector()?,
            _ => {
                if let Some(value) = cell.into_value(name)? {
                    self.payload.insert(name.to_owned(), value);
                }
            }
        }
        Ok(())
    }

    fn into_point(self) -> Written<Point> {
        let id = self.id.ok_or_else(|| Fault::new("a row has a field of this name").of(ID))?;
        let Self { vector, vectors, .. } = self;
        Ok(Point { vector, vectors, payload: self.payload, ..Point::without_vector(id) })
    }
}

impl SerializeStruct for FieldsWriter {
    type Ok = Point;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        self.take(name, value)
    }

    fn end(self) -> Written<Point> {
        self.into_point()
    }
}

impl SerializeMap for FieldsWriter {
    type Ok = Point;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Written<()> {
        match name.serialize(CellWriter)? {
            Cell::Text(name) => self.name = name,
            _ => return Err(Fault::new("the name of a field is a string")),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        let name = std::mem::take(&mut self.name);
        self.take(&name, value)
    }

    fn end(self) -> Written<Point> {
        self.into_point()
    }
}
