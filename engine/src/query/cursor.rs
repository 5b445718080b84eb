//! Where a scroll goes on.
//!
//! **Problem.** Pages are asked for one by one, while rows come and go. A cursor that counts rows, or names a segment and
//! a slot, means something else after the next write: rows would come twice, or never.
//!
//! **Idea.** A cursor is the place of the last row in the order: its value and its id. The next page begins behind that
//! place, whether the row is there any more or not. So a row that stays where it is in the order, and is neither written nor
//! deleted, comes exactly once, whatever else is written between pages, and however segments are sealed and merged; a row whose
//! value changes comes at its new place, if that is still ahead.
//!
//! As text it is a token of hexadecimal digits, which means nothing to anybody else:
//! ```text
//! token  = version u8 | order u8 | (field text | has value u8 | value)? | id | checksum u32
//! order  = 0 by id | 1 ascending | 2 descending
//! value  = 0 u8 bool | 1 i64 | 2 f64 | 3 text          text and id as `codec.rs` has them
//! ```

use std::str::FromStr;

use super::source::OrderBy;
use crate::codec::{Decoded, Decoder, Encoder};
use crate::error::{Error, Result};
use crate::payload::Value;
use crate::point::PointId;

const VERSION: u8 = 1;

/// A place in the order of a scroll: [`Page::next`](crate::Page::next). The id of a row makes the place behind it in the
/// order of ids.
///
/// ```
/// use ragstone::query::{Cursor, OrderBy};
/// use ragstone::{Db, Point, Schema, ScrollRequest};
///
/// let db = Db::in_memory()?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// let note = |id: u64, year: i64| Point::new(id, [1.0, 0.0]).with("year", year);
/// notes.upsert(vec![note(1, 2020), note(2, 2024), note(3, 2022)])?;
/// let newest = ScrollRequest { order: Some(OrderBy::descending("year")), limit: 1, ..ScrollRequest::default() };
/// let first = notes.scroll(&newest)?;
/// assert_eq!(first.points[0].id, 2.into());
/// // The token goes to whoever asks for the next page, and comes back.
/// let token = first.next.expect("there are more rows").to_string();
/// notes.upsert(vec![note(4, 2025)])?;
/// let after: Cursor = token.parse()?;
/// let next = notes.scroll(&ScrollRequest { after: Some(after), ..newest })?;
/// assert_eq!(next.points[0].id, 3.into());
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The order that it is a place in, and the value there; that of the ids where there is none.
    order: Option<(OrderBy, Option<Value>)>,
    id: PointId,
}

impl From<PointId> for Cursor {
    fn from(id: PointId) -> Self {
        Self { order: None, id }
    }
}

impl Cursor {
    /// The place of a row in the order of a field.
    pub(crate) fn ordered(by: OrderBy, value: Option<Value>, id: PointId) -> Self {
        Self { order: Some((by, value)), id }
    }

    /// The id of the row that it is the place of.
    pub fn id(&self) -> &PointId {
        &self.id
    }

    /// The value at its place, of a scroll in this order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor of another order.
    pub(crate) fn value(&self, order: Option<&OrderBy>) -> Result<Option<&Value>> {
        let of = self.order.as_ref().map(|(of, _)| of);
        if of != order {
            let told = |order: Option<&OrderBy>| match order {
                None => "ids".to_owned(),
                Some(by) if by.descending => format!("{} descending", by.field),
                Some(by) => format!("{} ascending", by.field),
            };
            let reason = format!("a place in the order of {} is none in that of {}", told(of), told(order));
            return Err(Error::invalid("after", reason));
        }
        Ok(self.order.as_ref().and_then(|(_, value)| value.as_ref()))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u8(VERSION);
        match &self.order {
            None => out.u8(0),
            Some((by, value)) => {
                out.u8(if by.descending { 2 } else { 1 });
                out.str(&by.field);
                out.u8(u8::from(value.is_some()));
                if let Some(value) = value {
                    encode_value(value, &mut out);
                }
            }
        }
        out.id(&self.id);
        let mut bytes = out.into_bytes();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Decoded<Self> {
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
            return Decoder::new(bytes).error("it is too short");
        };
        let mut decoder = Decoder::new(body);
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return decoder.error("its checksum does not hold");
        }
        match decoder.u8()? {
            VERSION => {}
            other => return decoder.error(format!("it is of version {other}")),
        }
        let order = match decoder.u8()? {
            0 => None,
            order @ (1 | 2) => {
                let by = OrderBy { field: decoder.str()?.to_owned(), descending: order == 2 };
                Some((by, if decoder.bool()? { Some(decode_value(&mut decoder)?) } else { None }))
            }
            other => return decoder.error(format!("it is of an unknown order, {other}")),
        };
        let id = decoder.id()?;
        decoder.finish()?;
        Ok(Self { order, id })
    }
}

fn encode_value(value: &Value, out: &mut Encoder) {
    match value {
        Value::Bool(value) => {
            out.u8(0);
            out.u8(u8::from(*value));
        }
        Value::Int(value) => {
            out.u8(1);
            out.u64(value.cast_unsigned());
        }
        Value::Float(value) => {
            out.u8(2);
            out.u64(value.to_bits());
        }
        Value::String(text) => {
            out.u8(3);
            out.str(text);
        }
    }
}

fn decode_value(decoder: &mut Decoder<'_>) -> Decoded<Value> {
    Ok(match decoder.u8()? {
        0 => Value::Bool(decoder.bool()?),
        1 => Value::Int(decoder.u64()?.cast_signed()),
        2 => Value::Float(f64::from_bits(decoder.u64()?)),
        3 => Value::String(decoder.str()?.to_owned()),
        other => return decoder.error(format!("a value of an unknown type, {other}")),
    })
}

/// The token.
impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.encode().into_iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// From the token.
impl FromStr for Cursor {
    type Err = Error;

    fn from_str(token: &str) -> Result<Self> {
        let refuse = |reason: String| Error::invalid("cursor", format!("this is no cursor: {reason}"));
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
        let bytes = bytes.ok_or_else(|| refuse("it is not made of pairs of hexadecimal digits".into()))?;
        Self::decode(&bytes).map_err(|error| refuse(error.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Vec<Cursor> {
        let values = [true.into(), (-7_i64).into(), 2.5.into(), "grün".into()];
        let by = |descending| OrderBy { field: "f".into(), descending };
        let mut all = vec![PointId::Num(7).into(), PointId::from("x").into()];
        all.push(Cursor::ordered(by(true), None, 3.into()));
        all.extend(values.map(|value| Cursor::ordered(by(false), Some(value), "id".into())));
        all
    }

    #[test]
    fn tokens_come_back_and_no_other_is_one() {
        for cursor in all() {
            let token = cursor.to_string();
            assert_eq!(token.parse::<Cursor>().unwrap(), cursor);
            for at in 0..token.len() {
                assert!(token[..at].parse::<Cursor>().is_err());
                let mut other = token.clone().into_bytes();
                other[at] = if other[at] == b'0' { b'1' } else { b'0' };
                assert!(String::from_utf8(other).unwrap().parse::<Cursor>().is_err(), "{token} at {at}");
            }
        }
        for token in ["", "0", "zz", "é", "00000000"] {
            let error = token.parse::<Cursor>().unwrap_err().to_string();
            assert!(error.starts_with("cursor: this is no cursor: "), "{error}");
        }
    }

    proptest! {
        /// Whoever knows the checksum.
        #[test]
        fn no_bytes_are_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..40), order in 0_u8..4) {
            bytes.splice(0..0, [VERSION, order]);
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            let _ = Cursor::decode(&bytes);
        }
    }

    #[test]
    fn a_cursor_of_another_order_is_refused() {
        let by = OrderBy::descending("year");
        let place = Cursor::ordered(by.clone(), Some(1.into()), 1.into());
        assert_eq!(place.value(Some(&by)).unwrap(), Some(&1.into()));
        let error = place.value(Some(&OrderBy::ascending("year"))).unwrap_err().to_string();
        assert_eq!(error, "after: a place in the order of year descending is none in that of year ascending");
        let error = Cursor::from(PointId::Num(1)).value(Some(&by)).unwrap_err().to_string();
        assert_eq!(error, "after: a place in the order of ids is none in that of year descending");
    }
}
