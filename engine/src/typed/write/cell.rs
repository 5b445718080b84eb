//! What stands in one field of a user's type.

use serde_core::Serialize;
use serde_core::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant};
use serde_core::ser::{SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer};

use super::super::values::{DEGREES, GEO, JSON, TIMESTAMP};
use super::super::{Fault, ID, VECTOR};
use super::finite::Finite;
use crate::payload::{GeoPoint, Json, Value};
use crate::point::PointId;

pub(super) type Written<T> = Result<T, Fault>;

/// What stands in a field.
pub(super) enum Cell {
    Absent,
    Bool(bool),
    Int(i64),
    /// Beyond the largest int.
    Unsigned(u64),
    Float(f64),
    Text(String),
    /// A list; the numbers of one that holds nothing else, and its strings likewise.
    List(Option<Vec<f32>>, Option<Vec<String>>),
    Timestamp(i64),
    Geo(GeoPoint),
    /// What its JSON says.
    Nested,
    Json(String),
}

impl Cell {
    fn of_unsigned(number: u64) -> Self {
        i64::try_from(number).map_or(Cell::Unsigned(number), Cell::Int)
    }

    pub(super) fn of<T: Serialize + ?Sized>(value: &T, field: &str) -> Written<Self> {
        let cell = value.serialize(CellWriter).map_err(|fault| fault.of(field))?;
        let is_nested = match &cell {
            Cell::Nested => true,
            Cell::List(_, None) => field != VECTOR,
            _ => false,
        };
        if !is_nested {
            return Ok(cell);
        }
        // What is nested is gone through once more by who writes JSON, and again where a `null` may stand for a number that is not finite.
        let text = serde_json::to_string(value).map_err(|error| Fault::new(error.to_string()).of(field))?;
        if text.contains("null") {
            value.serialize(Finite).map_err(|fault| fault.of(field))?;
        }
        match Json::written(text) {
            Ok(json) => Ok(Cell::Json(json.into_string())),
            Err(error) => Err(Fault::new(error.to_string()).of(field)),
        }
    }

    pub(super) fn into_id(self) -> Written<PointId> {
        match self {
            Cell::Int(number) if number >= 0 => Ok(PointId::Num(number.unsigned_abs())),
            Cell::Unsigned(number) => Ok(PointId::Num(number)),
            Cell::Text(text) => Ok(PointId::Str(text)),
            _ => Err(Fault::new("an id is an unsigned integer or a string").of(ID)),
        }
    }

    pub(super) fn into_vector(self) -> Written<Option<Vec<f32>>> {
        match self {
            Cell::Absent => Ok(None),
            Cell::List(Some(components), _) => Ok(Some(components)),
            _ => Err(Fault::new("a vector is a list of numbers").of(VECTOR)),
        }
    }

    pub(super) fn into_value(self, field: &str) -> Written<Option<Value>> {
        Ok(Some(match self {
            Cell::Absent => return Ok(None),
            Cell::Bool(value) => Value::Bool(value),
            Cell::Int(value) => Value::Int(value),
            Cell::Float(value) => Value::Float(value),
            Cell::Text(text) => Value::String(text),
            Cell::Unsigned(number) => {
                return Err(Fault::new(format!("{number} is beyond the largest int, 2^63 - 1")).of(field));
            }
            Cell::List(_, Some(texts)) => Value::Strings(texts),
            Cell::Timestamp(value) => Value::Timestamp(value),
            Cell::Geo(point) => Value::Geo(point),
            Cell::Json(text) => Value::Json(Json::stored(text)),
            Cell::List(_, None) | Cell::Nested => return Err(no_value("not told by itself").of(field)),
        }))
    }

    pub(super) fn into_component(self) -> Option<f32> {
        match self {
            Cell::Int(number) => Some(number as f32),
            Cell::Unsigned(number) => Some(number as f32),
            Cell::Float(number) => Some(number as f32),
            _ => None,
        }
    }
}

fn no_value(what: &str) -> Fault {
    Fault::new(format!(
        "a payload field is a bool, an int, a float, a string or what JSON holds; this is {what}"
    ))
}

/// Takes what stands in a field.
pub(super) struct CellWriter;

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
    type SerializeTupleVariant = NestedWriter;
    type SerializeMap = NestedWriter;
    type SerializeStruct = NestedWriter;
    type SerializeStructVariant = NestedWriter;

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
    }

    fn serialize_map(self, _: Option<usize>) -> Written<NestedWriter> {
        Ok(NestedWriter::default())
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Written<NestedWriter> {
        Ok(NestedWriter { is_geo: name == GEO, ..NestedWriter::default() })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<NestedWriter> {
        Ok(NestedWriter::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<NestedWriter> {
        Ok(NestedWriter::default())
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

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Written<Cell> {
        match (name, value.serialize(self)?) {
            (TIMESTAMP, Cell::Int(microseconds)) => Ok(Cell::Timestamp(microseconds)),
            (JSON, _) => Ok(Cell::Nested),
            (_, cell) => Ok(cell),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written<Cell> {
        Ok(Cell::Nested)
    }

    fn serialize_seq(self, length: Option<usize>) -> Written<ListWriter> {
        // A length is only a hint, and nobody's word for how much memory to take.
        let numbers = Vec::with_capacity(length.unwrap_or(0).min(crate::limits::DIMENSION_MAX));
        Ok(ListWriter { numbers: Some(numbers), texts: Some(Vec::new()) })
    }

    fn serialize_tuple(self, length: usize) -> Written<ListWriter> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Written<ListWriter> {
        self.serialize_seq(Some(length))
    }
}

/// Takes a list. Whether it may hold what it holds is known where its field is.
pub(super) struct ListWriter {
    numbers: Option<Vec<f32>>,
    texts: Option<Vec<String>>,
}

impl ListWriter {
    fn push<T: Serialize + ?Sized>(&mut self, element: &T) {
        // Whatever else is in it makes it JSON, and that is not of interest here.
        if self.numbers.is_none() && self.texts.is_none() {
            return;
        }
        match element.serialize(CellWriter) {
            Ok(Cell::Text(text)) => {
                self.numbers = None;
                self.texts.iter_mut().for_each(|texts| texts.push(text.clone()));
            }
            other => {
                self.texts = None;
                match (&mut self.numbers, other.ok().and_then(Cell::into_component)) {
                    (Some(numbers), Some(number)) => numbers.push(number),
                    _ => self.numbers = None,
                }
            }
        }
    }

    fn into_cell(self) -> Cell {
        Cell::List(self.numbers, self.texts)
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
        Ok(self.into_cell())
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
        Ok(self.into_cell())
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
        Ok(self.into_cell())
    }
}

/// Takes what is nested: a place, or what will be told as JSON.
#[derive(Default)]
pub(super) struct NestedWriter {
    is_geo: bool,
    degrees: [Option<f64>; 2],
}

impl NestedWriter {
    fn into_cell(self) -> Cell {
        match self.degrees {
            [Some(lat), Some(lon)] => Cell::Geo(GeoPoint { lat, lon }),
            _ => Cell::Nested,
        }
    }
}

impl SerializeMap for NestedWriter {
    type Ok = Cell;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Written<()> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, _: &T) -> Written<()> {
        Ok(())
    }

    fn end(self) -> Written<Cell> {
        Ok(self.into_cell())
    }
}

impl SerializeStruct for NestedWriter {
    type Ok = Cell;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        if let Some(place) = DEGREES.iter().position(|degrees| *degrees == name).filter(|_| self.is_geo)
            && let Cell::Float(degrees) = value.serialize(CellWriter)?
        {
            self.degrees[place] = Some(degrees);
        }
        Ok(())
    }

    fn end(self) -> Written<Cell> {
        Ok(self.into_cell())
    }
}

impl SerializeTupleVariant for NestedWriter {
    type Ok = Cell;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &T) -> Written<()> {
        Ok(())
    }

    fn end(self) -> Written<Cell> {
        Ok(self.into_cell())
    }
}

impl SerializeStructVariant for NestedWriter {
    type Ok = Cell;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, _: &T) -> Written<()> {
        Ok(())
    }

    fn end(self) -> Written<Cell> {
        Ok(self.into_cell())
    }
}
