//! A schema on disk, and what stands for its choices. A code is given once and never again for anything else.
//!
//! ```text
//! schema = dimension u32 | metric u8 | encoding u8 | walk-dimension u32 | degree u32 | ef-construction u32
//!        | strict u8 | count u32 (name str | type u8)* | count u32 (attribute str | value str)*
//! ```
//! The fields stand in the order in which they came; their index is their number in segments.

use std::collections::BTreeMap;

use crate::codec::{Decoded, Decoder, Encoder};
use crate::limits::DIMENSION_MAX;
use crate::payload::{FieldTable, FieldType};
use crate::schema::{EncodingKind, GraphOptions, Metric, Schema};

/// Writes a schema with all fields that the collection has by now.
pub(crate) fn encode_schema(schema: &Schema, fields: &FieldTable, out: &mut Encoder) {
    out.u32(schema.dimension as u32);
    out.u8(metric_code(schema.metric));
    out.u8(encoding_code(schema.encoding));
    out.u32(schema.walk_dimension() as u32);
    out.u32(schema.graph.degree as u32);
    out.u32(schema.graph.ef_construction as u32);
    out.u8(u8::from(schema.strict));
    out.u32(fields.len() as u32);
    for (name, field_type) in fields.iter() {
        out.str(name);
        out.u8(field_type.code());
    }
    out.u32(schema.attributes.len() as u32);
    for (name, value) in &schema.attributes {
        out.str(name);
        out.str(value);
    }
}

/// Reads a schema and its fields.
pub(crate) fn decode_schema(decoder: &mut Decoder<'_>) -> Decoded<(Schema, FieldTable)> {
    let dimension = decoder.u32()? as usize;
    let metric = decode_metric(decoder)?;
    let encoding = decode_encoding(decoder)?;
    let walked = decoder.u32()? as usize;
    if dimension > DIMENSION_MAX {
        return decoder.error(format!("vectors of {dimension} components, the limit is {DIMENSION_MAX}"));
    }
    if walked == 0 || walked > dimension {
        return decoder.error(format!("a walk dimension of {walked} for vectors of {dimension}"));
    }
    let walk_dimension = (walked < dimension).then_some(walked);
    let graph = GraphOptions { degree: decoder.u32()? as usize, ef_construction: decoder.u32()? as usize };
    let strict = decoder.bool()?;
    let mut table = FieldTable::default();
    for _ in 0..decoder.count(5)? {
        let field = decoder.str()?;
        let field_type = decode_field_type(decoder)?;
        table.add(field, field_type);
    }
    let mut attributes = BTreeMap::new();
    for _ in 0..decoder.count(8)? {
        attributes.insert(decoder.str()?.to_owned(), decoder.str()?.to_owned());
    }
    let fields = table.to_map();
    let schema = Schema { dimension, metric, encoding, walk_dimension, graph, fields, strict, attributes };
    Ok((schema, table))
}

pub(crate) fn metric_code(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => 0,
        Metric::Dot => 1,
        Metric::L2 => 2,
    }
}

pub(crate) fn decode_metric(decoder: &mut Decoder<'_>) -> Decoded<Metric> {
    match decoder.u8()? {
        0 => Ok(Metric::Cosine),
        1 => Ok(Metric::Dot),
        2 => Ok(Metric::L2),
        other => decoder.error(format!("unknown metric {other}")),
    }
}

pub(crate) fn encoding_code(encoding: EncodingKind) -> u8 {
    match encoding {
        EncodingKind::F32 => 0,
        EncodingKind::Int8 => 1,
        EncodingKind::Int4 => 2,
        EncodingKind::F16 => 3,
        EncodingKind::Bit1 => 4,
    }
}

pub(crate) fn decode_encoding(decoder: &mut Decoder<'_>) -> Decoded<EncodingKind> {
    match decoder.u8()? {
        0 => Ok(EncodingKind::F32),
        1 => Ok(EncodingKind::Int8),
        2 => Ok(EncodingKind::Int4),
        3 => Ok(EncodingKind::F16),
        4 => Ok(EncodingKind::Bit1),
        other => decoder.error(format!("unknown encoding {other}")),
    }
}

/// A field's type from its code.
pub(crate) fn decode_field_type(decoder: &mut Decoder<'_>) -> Decoded<FieldType> {
    let code = decoder.u8()?;
    match FieldType::from_code(code) {
        Some(field_type) => Ok(field_type),
        None => decoder.error(format!("unknown field type {code}")),
    }
}
