//! A value of the user's type taken apart into a point.
//!
//! serde tells a value step by step. Two things take it: [`RowWriter`] the whole, which has to be a struct or a map, and
//! [`CellWriter`] what stands in one field, and each number of a vector.

use serde_core::Serialize;
use serde_core::ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};
use serde_core::ser::{SerializeTupleStruct, Serializer};

use super::{Fault, ID, VECTOR};
use crate::payload::{Payload, Value};
use crate::point::{Point, PointId};

type Written<T> = Result<T, Fault>;

/// What stands in a field.
enum Cell {
    Absent,
    Bool(bool),
    Int(i64),
    /// Beyond the largest int.
    Unsigned(u64),
    Float(f64),
    Text(String),
    /// A list; the numbers of one that holds nothing else.
    List(Option<Vec<f32>>),
}

impl Cell {
    fn of_unsigned(number: u64) -> Self {
        i64::try_from(number).map_or(Cell::Unsigned(number), Cell::Int)
    }

    fn of<T: Serialize + ?Sized>(value: &T, field: &str) -> Written<Self> {
        value.serialize(CellWriter).map_err(|fault| fault.of(field))
    }

    fn into_id(self) -> Written<PointId> {
        match self {
            Cell::Int(number) if number >= 0 => Ok(PointId::Num(number.unsigned_abs())),
            Cell::Unsigned(number) => Ok(PointId::Num(number)),
            Cell::Text(text) => Ok(PointId::Str(text)),
            _ => Err(Fault::new("an id is an unsigned integer or a string").of(ID)),
        }
    }

    fn into_vector(self) -> Written<Option<Vec<f32>>> {
        match self {
            Cell::Absent => Ok(None),
            Cell::List(Some(components)) => Ok(Some(components)),
            _ => Err(Fault::new("a vector is a list of numbers").of(VECTOR)),
        }
    }

    fn into_value(self, field: &str) -> Written<Option<Value>> {
        Ok(Some(match self {
            Cell::Absent => return Ok(None),
            Cell::Bool(value) => Value::Bool(value),
            Cell::Int(value) => Value::Int(value),
            Cell::Float(value) => Value::Float(value),
            Cell::Text(text) => Value::String(text),
            Cell::Unsigned(number) => {
                return Err(Fault::new(format!("{number} is beyond the largest int, 2^63 - 1")).of(field));
            }
            Cell::List(_) => return Err(no_value("a list").of(field)),
        }))
    }

    fn into_component(self) -> Option<f32> {
        match self {
            Cell::Int(number) => Some(number as f32),
            Cell::Unsigned(number) => Some(number as f32),
            Cell::Float(number) => Some(number as f32),
            _ => None,
        }
    }
}

fn no_value(what: &str) -> Fault {
    Fault::new(format!("a payload field is a bool, an int, a float or a string; this is {what}"))
}

/// Takes what stands in a field.
struct CellWriter;

/// Methods for what has no place in a field.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $output:ty: $what:literal;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Written<$output> {
            Err(no_value($what))
        })*
    };
}

/// Methods for integers, by the type they are widened to.
macro_rules! integers {
    ($($method:ident($argument:ty) => $cell:expr;)*) => {
        $(fn $method(self, number: $argument) -> Written<Cell> {
            Ok($cell(number.into()))
        })*
    };
}

impl Serializer for CellWriter {
    type Ok = Cell;
    type Error = Fault;
    type SerializeSeq = ListWriter;
    type SerializeTuple = ListWriter;
    type SerializeTupleStruct = ListWriter;
    type SerializeTupleVariant = Impossible<Cell, Fault>;
    type SerializeMap = Impossible<Cell, Fault>;
    type SerializeStruct = Impossible<Cell, Fault>;
    type SerializeStructVariant = Impossible<Cell, Fault>;

    integers! {
        serialize_bool(bool) => Cell::Bool;
        serialize_i8(i8) => Cell::Int;
        serialize_i16(i16) => Cell::Int;
        serialize_i32(i32) => Cell::Int;
        serialize_i64(i64) => Cell::Int;
        serialize_u8(u8) => Cell::Int;
        serialize_u16(u16) => Cell::Int;
        serialize_u32(u32) => Cell::Int;
        serialize_u64(u64) => Cell::of_unsigned;
        serialize_f32(f32) => Cell::Float;
        serialize_f64(f64) => Cell::Float;
        serialize_char(char) => Cell::Text;
        serialize_str(&str) => Cell::Text;
    }

    refuse! {
        serialize_bytes(&[u8]) -> Cell: "bytes";
        serialize_unit_struct(&'static str) -> Cell: "a struct without fields";
        serialize_map(Option<usize>) -> Impossible<Cell, Fault>: "a map";
        serialize_struct(&'static str, usize) -> Impossible<Cell, Fault>: "a struct";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<Cell, Fault>: "an enum's variant with content";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<Cell, Fault>: "an enum's variant with content";
    }

    fn serialize_none(self) -> Written<Cell> {
        Ok(Cell::Absent)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<Cell> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written<Cell> {
        Ok(Cell::Absent)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written<Cell> {
        Ok(Cell::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<Cell> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written<Cell> {
        Err(no_value("an enum's variant with content"))
    }

    fn serialize_seq(self, length: Option<usize>) -> Written<ListWriter> {
        // A length is only a hint, and nobody's word for how much memory to take.
        Ok(ListWriter(Some(Vec::with_capacity(length.unwrap_or(0).min(crate::limits::DIMENSION_MAX)))))
    }

    fn serialize_tuple(self, length: usize) -> Written<ListWriter> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Written<ListWriter> {
        self.serialize_seq(Some(length))
    }
}

/// Takes a list. Whether it may hold what it holds is known where its field is.
struct ListWriter(Option<Vec<f32>>);

impl ListWriter {
    fn push<T: Serialize + ?Sized>(&mut self, element: &T) {
        let number = element.serialize(CellWriter).ok().and_then(Cell::into_component);
        match (&mut self.0, number) {
            (Some(numbers), Some(number)) => numbers.push(number),
            _ => self.0 = None,
        }
    }
}

impl SerializeSeq for ListWriter {
    type Ok = Cell;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, number: &T) -> Written<()> {
        self.push(number);
        Ok(())
    }

    fn end(self) -> Written<Cell> {
        Ok(Cell::List(self.0))
    }
}

impl SerializeTuple for ListWriter {
    type Ok = Cell;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, number: &T) -> Written<()> {
        self.push(number);
        Ok(())
    }

    fn end(self) -> Written<Cell> {
        Ok(Cell::List(self.0))
    }
}

impl SerializeTupleStruct for ListWriter {
    type Ok = Cell;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, number: &T) -> Written<()> {
        self.push(number);
        Ok(())
    }

    fn end(self) -> Written<Cell> {
        Ok(Cell::List(self.0))
    }
}

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
    payload: Payload,
    /// Of a map, the name whose value comes next.
    name: String,
}

impl FieldsWriter {
    fn take<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Written<()> {
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
        Ok(Point { id, vector: self.vector, payload: self.payload })
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
