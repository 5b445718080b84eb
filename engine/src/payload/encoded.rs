//! Values as bytes, in the log and in patches. Their type is known from elsewhere.
//!
//! ```text
//! value = bool: u8;  int, timestamp: i64;  float: u64 (the bits);  string, json: str
//!       | strings: count u32 | str *;  geo: latitude u64 | longitude u64 (the bits)
//! str   = length u32 | UTF-8
//! ```

use super::{FieldType, GeoPoint, Json, Value};
use crate::codec::{Decoded, Decoder, Encoder};

/// Writes a value, without its type.
pub(crate) fn encode_value(value: &Value, out: &mut Encoder) {
    match value {
        Value::Bool(value) => out.u8(u8::from(*value)),
        Value::Int(value) | Value::Timestamp(value) => out.u64(value.cast_unsigned()),
        Value::Float(value) => out.u64(value.to_bits()),
        Value::String(text) => out.str(text),
        Value::Strings(values) => {
            out.u32(values.len() as u32);
            values.iter().for_each(|text| out.str(text));
        }
        Value::Geo(point) => {
            out.u64(point.lat.to_bits());
            out.u64(point.lon.to_bits());
        }
        Value::Json(json) => out.str(json.as_str()),
    }
}

/// Reads a value of a type.
pub(crate) fn decode_value(decoder: &mut Decoder<'_>, field_type: FieldType) -> Decoded<Value> {
    Ok(match field_type {
        FieldType::Bool => Value::Bool(decoder.bool()?),
        FieldType::Int => Value::Int(decoder.u64()?.cast_signed()),
        FieldType::Timestamp => Value::Timestamp(decoder.u64()?.cast_signed()),
        FieldType::Float => Value::Float(f64::from_bits(decoder.u64()?)),
        FieldType::String => Value::String(decoder.str()?.to_owned()),
        FieldType::Strings => {
            let count = decoder.count(4)?;
            Value::Strings((0..count).map(|_| Ok(decoder.str()?.to_owned())).collect::<Decoded<_>>()?)
        }
        FieldType::Geo => {
            let (lat, lon) = (f64::from_bits(decoder.u64()?), f64::from_bits(decoder.u64()?));
            Value::Geo(GeoPoint { lat, lon })
        }
        FieldType::Json => Value::Json(Json::stored(decoder.str()?.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_type_come_back_and_no_prefix_of_one_does() {
        let values = [
            Value::Bool(true),
            Value::Int(-3),
            Value::Float(0.5),
            Value::String("tea".into()),
            Value::Timestamp(-1),
            Value::Strings(vec!["a".into(), String::new(), "ü".into()]),
            Value::Geo(GeoPoint::new(-1.5, 179.0)),
            Value::Json(Json::new("[1, {}]").unwrap()),
        ];
        for value in values {
            let mut out = Encoder::new();
            encode_value(&value, &mut out);
            let bytes = out.into_bytes();
            assert_eq!(decode_value(&mut Decoder::new(&bytes), value.field_type()).unwrap(), value);
            for length in 0..bytes.len() {
                let mut decoder = Decoder::new(&bytes[..length]);
                assert!(decode_value(&mut decoder, value.field_type()).is_err(), "{value:?} {length}");
            }
        }
    }
}
