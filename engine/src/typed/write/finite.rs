//! Whether all numbers of a value are finite: JSON has no others, and its writer makes `null` of them without a word.

use serde_core::Serialize;
use serde_core::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant};
use serde_core::ser::{SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer};

use super::super::Fault;
use super::cell::Written;

/// Goes through a value, whatever is nested in it; the fault is a number that is not finite.
pub(super) struct Finite;

/// Methods for what is no such number.
macro_rules! pass {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Written<()> {
            Ok(())
        })*
    };
}

/// Methods for what has parts.
macro_rules! go_through {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Written<Self> {
            Ok(self)
        })*
    };
}

impl Serializer for Finite {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    pass! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    go_through! {
        serialize_seq(Option<usize>);
        serialize_tuple(usize);
        serialize_tuple_struct(&'static str, usize);
        serialize_tuple_variant(&'static str, u32, &'static str, usize);
        serialize_map(Option<usize>);
        serialize_struct(&'static str, usize);
        serialize_struct_variant(&'static str, u32, &'static str, usize);
    }

    fn serialize_f32(self, number: f32) -> Written<()> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Written<()> {
        match number.is_finite() {
            true => Ok(()),
            false => Err(Fault::new(format!("{number} is not a finite number"))),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<()> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Written<()> {
        value.serialize(self)
    }
}

/// The parts of what serde calls so, with what comes before each part in the call.
macro_rules! parts {
    ($($kind:ident::$method:ident($($before:ty)?);)*) => {
        $(impl $kind for Finite {
            type Ok = ();
            type Error = Fault;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $before,)? part: &T) -> Written<()> {
                part.serialize(Finite)
            }

            fn end(self) -> Written<()> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(&'static str);
    SerializeStructVariant::serialize_field(&'static str);
}

impl SerializeMap for Finite {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Written<()> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        value.serialize(Finite)
    }

    fn end(self) -> Written<()> {
        Ok(())
    }
}
