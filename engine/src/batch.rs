//! A batch on its way: checked, then logged, then applied.
//!
//! [`PreparedBatch`] is what the log carries: ids, vectors as they are stored (unit length under cosine) and payload
//! values, with the batch's own list of field names and types. Applying one needs nothing but the rows before it.
//!
//! ```text
//! batch  = 2 u8 | time i64 | request str | count u16 (name str | type u8)* | count u32 | change*
//!        | 3 u8 | time i64 | request str | count u16 (name str | type u8 | analyzer u8)* | count u32 | change*
//! change = 1 u8 | id | expiry i64 | count u8 (vector u8 | components)* | count u16 (field u16 | value)*
//!        | 2 u8 | id
//!        | 3 u8 | id | 0 u8  or  1 u8 | expiry i64 | count u16 (field u16 | value)* | count u16 (name str)*
//!        | 4 u8 | id | expiry i64 | count u8 (vector u8 | components)* | count u16 (field u16 | value)*
//! id     = 0 u8 | u64  |  1 u8 | str
//! components = dense: f32 * dimension  |  sparse: count u32 | index u32 * count | f32 * count
//!        | multi: count u16 | f32 * dimension * count
//! str    = length u32 | UTF-8
//! ```
//! `time` is when the batch was queued, by which rows are there for it or have expired: microseconds since 1970. `expiry` is when a row expires,
//! 2^63 - 1 if it does not. `vector` is the number of a vector of the collection, ascending; indices ascend. `field` is an index into the
//! batch's list; `payload/encoded.rs` says what a value is. A batch of kind 3 makes fields searched by word; `analyzer` is 255 of one that it does
//! not. A batch that is no request of its own has an empty `request`. A
//! change of kind 4 is a row that was there, as an update leaves it.

use crate::codec::{Decoded, Decoder, Encoder};
use crate::payload::{FieldType, Value, decode_value, encode_value};
use crate::point::{PointId, SparseVector, Vector};
use crate::schema::{Schema, VectorId, VectorKind};
use crate::schema_codes::{decode_analyzer, decode_field_type, encode_analyzer};
use crate::text::Analyzer;

const KIND_BATCH: u8 = 2;
/// Of a batch after which some of its fields are searched by word.
const KIND_TEXTS: u8 = 3;
const TIME_OFFSET: usize = 1;
const CHANGE_UPSERT: u8 = 1;
const CHANGE_DELETE: u8 = 2;
const CHANGE_UPDATE: u8 = 3;
const CHANGE_REWRITE: u8 = 4;

/// A field that a batch uses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchField {
    pub(crate) name: String,
    pub(crate) field_type: FieldType,
    /// How its texts become terms, if the batch makes it a field that is searched by word.
    pub(crate) text: Option<Analyzer>,
    /// The first operation that uses it, for messages; not logged.
    pub(crate) first: usize,
}

/// A point as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: PointId,
    /// By the numbers of the vectors, ascending.
    pub(crate) vectors: Vec<(VectorId, Vector)>,
    /// [`NEVER`](crate::clock::NEVER) if it does not.
    pub(crate) expires_at: i64,
    /// Values, each with the index of its field in the batch.
    pub(crate) values: Vec<(u16, Value)>,
}

/// A change of some fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldChanges {
    pub(crate) id: PointId,
    /// Values, each with the index of its field in the batch.
    pub(crate) set: Vec<(u16, Value)>,
    /// Names of fields, which the collection may not have.
    pub(crate) unset: Vec<String>,
    /// When the row expires from now on, if that is changed.
    pub(crate) expires_at: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Upsert(Row),
    Update(FieldChanges),
    /// A row that was there, as an update of a text left it. Earlier versions wrote these, and logs may have them.
    Rewrite(Row),
    Delete(PointId),
}

impl BatchField {
    /// A field that some operation uses.
    pub(crate) fn new(name: &str, field_type: FieldType) -> Self {
        Self { name: name.to_owned(), field_type, text: None, first: 0 }
    }
}

impl Change {
    pub(crate) fn id(&self) -> &PointId {
        match self {
            Change::Upsert(row) | Change::Rewrite(row) => &row.id,
            Change::Update(changes) => &changes.id,
            Change::Delete(id) => id,
        }
    }
}

/// A batch that can be applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PreparedBatch {
    /// When it was queued; rows that expire by then are not there for it.
    pub(crate) time_us: i64,
    /// Of the request that it is.
    pub(crate) request_id: Option<String>,
    pub(crate) fields: Vec<BatchField>,
    pub(crate) changes: Vec<Change>,
    /// Updates that were asked for and are not among the changes, as they are of rows that are not shown; not logged.
    pub(crate) passed_over: usize,
    /// The places of the changes among those that were asked for, if some of these are not among them; for messages, not logged.
    pub(crate) places: Vec<usize>,
}

impl PreparedBatch {
    /// The place of a change among those that were asked for.
    pub(crate) fn place(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or(index)
    }

    /// The body of its log record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        let has_texts = self.fields.iter().any(|field| field.text.is_some());
        out.u8(if has_texts { KIND_TEXTS } else { KIND_BATCH });
        debug_assert_eq!(out.len(), TIME_OFFSET, "where `set_time` finds it");
        out.u64(self.time_us.cast_unsigned());
        out.str(self.request_id.as_deref().unwrap_or_default());
        out.u16(self.fields.len() as u16);
        for field in &self.fields {
            out.str(&field.name);
            out.u8(field.field_type.code());
            if has_texts {
                encode_analyzer(field.text, &mut out);
            }
        }
        out.u32(self.changes.len() as u32);
        for change in &self.changes {
            match change {
                Change::Upsert(row) => {
                    out.u8(CHANGE_UPSERT);
                    encode_row(row, &mut out);
                }
                Change::Rewrite(row) => {
                    out.u8(CHANGE_REWRITE);
                    encode_row(row, &mut out);
                }
                Change::Update(changes) => {
                    out.u8(CHANGE_UPDATE);
                    out.id(&changes.id);
                    encode_expiry(changes.expires_at, &mut out);
                    encode_values(&changes.set, &mut out);
                    out.u16(changes.unset.len() as u16);
                    changes.unset.iter().for_each(|name| out.str(name));
                }
                Change::Delete(id) => {
                    out.u8(CHANGE_DELETE);
                    out.id(id);
                }
            }
        }
        out.into_bytes()
    }

    /// Reads the body of a log record of a collection.
    pub(crate) fn decode(bytes: &[u8], schema: &Schema) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let kinds: Vec<&VectorKind> = schema.vectors.values().collect();
        let has_texts = match decoder.u8()? {
            KIND_BATCH => false,
            KIND_TEXTS => true,
            other => return decoder.error(format!("unknown kind of log record {other}")),
        };
        let time_us = decoder.u64()?.cast_signed();
        let request_id = Some(decoder.str()?.to_owned()).filter(|id| !id.is_empty());
        let count = decoder.u16()?;
        let mut fields = Vec::new();
        for _ in 0..count {
            let name = decoder.str()?.to_owned();
            let field_type = decode_field_type(&mut decoder)?;
            let text = if has_texts { decode_analyzer(&mut decoder)? } else { None };
            if text.is_some() && field_type != FieldType::String {
                return decoder.error(format!("a {field_type} that is searched by word"));
            }
            fields.push(BatchField { name, field_type, text, first: 0 });
        }
        let mut changes = Vec::new();
        for _ in 0..decoder.count(6)? {
            changes.push(match decoder.u8()? {
                CHANGE_UPSERT => Change::Upsert(decode_row(&mut decoder, &fields, &kinds)?),
                CHANGE_REWRITE => Change::Rewrite(decode_row(&mut decoder, &fields, &kinds)?),
                CHANGE_UPDATE => Change::Update(decode_changes(&mut decoder, &fields)?),
                CHANGE_DELETE => Change::Delete(decoder.id()?),
                other => return decoder.error(format!("unknown kind of change {other}")),
            });
        }
        decoder.finish()?;
        Ok(Self { time_us, request_id, fields, changes, passed_over: 0, places: Vec::new() })
    }

    /// Writes the time into a body that was encoded before it was known.
    pub(crate) fn set_time(body: &mut [u8], time_us: i64) {
        body[TIME_OFFSET..TIME_OFFSET + 8].copy_from_slice(&time_us.to_le_bytes());
    }
}

fn encode_row(row: &Row, out: &mut Encoder) {
    out.id(&row.id);
    out.u64(row.expires_at.cast_unsigned());
    out.u8(row.vectors.len() as u8);
    for (number, vector) in &row.vectors {
        out.u8(*number as u8);
        encode_vector(vector, out);
    }
    encode_values(&row.values, out);
}

fn encode_values(values: &[(u16, Value)], out: &mut Encoder) {
    out.u16(values.len() as u16);
    for (field, value) in values {
        out.u16(*field);
        encode_value(value, out);
    }
}

fn encode_vector(vector: &Vector, out: &mut Encoder) {
    match vector {
        Vector::Dense(components) => out.f32s(components),
        Vector::Sparse(SparseVector { indices, values }) => {
            out.u32(indices.len() as u32);
            indices.iter().for_each(|index| out.u32(*index));
            out.f32s(values);
        }
        Vector::Multi(vectors) => {
            out.u16(vectors.len() as u16);
            vectors.iter().for_each(|vector| out.f32s(vector));
        }
    }
}

fn decode_row(decoder: &mut Decoder<'_>, fields: &[BatchField], kinds: &[&VectorKind]) -> Decoded<Row> {
    let id = decoder.id()?;
    let expires_at = decoder.u64()?.cast_signed();
    let mut vectors: Vec<(VectorId, Vector)> = Vec::new();
    for _ in 0..decoder.u8()? {
        let number = VectorId::from(decoder.u8()?);
        let Some(kind) = kinds.get(usize::from(number)) else {
            return decoder.error(format!("vector {number} of {}", kinds.len()));
        };
        if vectors.last().is_some_and(|(last, _)| *last >= number) {
            return decoder.error(format!("vector {number} is out of order"));
        }
        vectors.push((number, decode_vector(decoder, kind)?));
    }
    Ok(Row { id, vectors, expires_at, values: decode_values(decoder, fields)? })
}

fn decode_vector(decoder: &mut Decoder<'_>, kind: &VectorKind) -> Decoded<Vector> {
    Ok(match kind {
        VectorKind::Dense(options) => Vector::Dense(decoder.f32s(options.dimension)?),
        VectorKind::Sparse(_) => {
            let count = decoder.count(8)?;
            let indices = (0..count).map(|_| decoder.u32()).collect::<Decoded<Vec<_>>>()?;
            if !indices.is_sorted_by(|a, b| a < b) {
                return decoder.error("the indices of a sparse vector do not ascend");
            }
            Vector::Sparse(SparseVector { indices, values: decoder.f32s(count)? })
        }
        VectorKind::Multi(options) => {
            let count = decoder.u16()?;
            if count == 0 {
                return decoder.error("a multi-vector without vectors");
            }
            Vector::Multi((0..count).map(|_| decoder.f32s(options.dimension)).collect::<Decoded<_>>()?)
        }
    })
}

fn decode_changes(decoder: &mut Decoder<'_>, fields: &[BatchField]) -> Decoded<FieldChanges> {
    let id = decoder.id()?;
    let expires_at = decode_expiry(decoder)?;
    let set = decode_values(decoder, fields)?;
    let count = decoder.u16()?;
    let unset = (0..count).map(|_| Ok(decoder.str()?.to_owned())).collect::<Decoded<_>>()?;
    Ok(FieldChanges { id, set, unset, expires_at })
}

/// Writes when a row expires, if that is changed.
pub(crate) fn encode_expiry(expires_at: Option<i64>, out: &mut Encoder) {
    out.u8(u8::from(expires_at.is_some()));
    if let Some(expires_at) = expires_at {
        out.u64(expires_at.cast_unsigned());
    }
}

/// Reads the same.
pub(crate) fn decode_expiry(decoder: &mut Decoder<'_>) -> Decoded<Option<i64>> {
    Ok(if decoder.bool()? { Some(decoder.u64()?.cast_signed()) } else { None })
}

fn decode_values(decoder: &mut Decoder<'_>, fields: &[BatchField]) -> Decoded<Vec<(u16, Value)>> {
    let count = decoder.u16()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let index = decoder.u16()?;
        let Some(field) = fields.get(usize::from(index)) else {
            return decoder.error(format!("field {index} of {}", fields.len()));
        };
        values.push((index, decode_value(decoder, field.field_type)?));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::MultiOptions;

    #[test]
    fn a_batch_comes_back_and_no_prefix_of_it_is_one() {
        let text = BatchField { text: Some(Analyzer::German), ..BatchField::new("b", FieldType::String) };
        for field in [BatchField::new("b", FieldType::String), text] {
            comes_back(vec![BatchField::new("a", FieldType::Float), field]);
        }
    }

    fn comes_back(fields: Vec<BatchField>) {
        let batch = PreparedBatch {
            time_us: 0,
            request_id: Some("r".into()),
            passed_over: 0,
            places: Vec::new(),
            fields,
            changes: vec![
                Change::Upsert(Row {
                    id: PointId::Str("x".into()),
                    vectors: vec![
                        (0, Vector::Dense(vec![1.0, 2.0])),
                        (1, Vector::Multi(vec![vec![1.0, 2.0, 3.0]; 2])),
                        (2, Vector::Sparse(SparseVector { indices: vec![3, 9], values: vec![0.5, 1.0] })),
                    ],
                    expires_at: 5,
                    values: vec![(0, Value::Float(0.5)), (1, Value::String("t".into()))],
                }),
                Change::Delete(PointId::Num(3)),
                Change::Update(FieldChanges {
                    id: PointId::Num(5),
                    set: vec![(0, Value::Float(1.5))],
                    unset: vec!["b".into(), "c".into()],
                    expires_at: Some(-3),
                }),
                Change::Upsert(Row {
                    id: PointId::Num(4),
                    vectors: vec![],
                    expires_at: i64::MAX,
                    values: vec![],
                }),
                Change::Rewrite(Row {
                    id: PointId::Num(6),
                    vectors: vec![(0, Vector::Dense(vec![3.0, 4.0]))],
                    expires_at: -1,
                    values: vec![(1, Value::String("u".into()))],
                }),
            ],
        };
        let schema = Schema::builder(2).multi("m", MultiOptions::new(3)).sparse("s").build().unwrap();
        let mut bytes = batch.encode();
        PreparedBatch::set_time(&mut bytes, 77);
        let batch = PreparedBatch { time_us: 77, ..batch };
        assert_eq!(PreparedBatch::decode(&bytes, &schema).unwrap(), batch);
        for length in 0..bytes.len() {
            assert!(PreparedBatch::decode(&bytes[..length], &schema).is_err(), "{length}");
        }
    }
}
