//! A schema on disk, and what stands for its choices. A code is given once and never again for anything else.
//!
//! ```text
//! schema = count u8 (name str | vector)* | strict u8 | tenant str | count u32 (name str | type u8 | analyzer u8)* | count u32 (attribute str | value str)*
//! vector = 1 u8 | dimension u32 | metric u8 | element u8 | encoding u8 | walk-dimension u32 | degree u32 | ef-construction u32   dense
//!        | 2 u8                                                                     sparse
//!        | 3 u8 | dimension u32 | metric u8 | element u8                            multi
//! ```
//! Vectors stand in the order of their names, which numbers them; fields in the order in which they came, likewise.
//! `analyzer` is 255 of a field that is not searched by word.

use std::collections::BTreeMap;

use crate::codec::{Decoded, Decoder, Encoder};
use crate::limits::{DIMENSION_MAX, VECTORS_MAX};
use crate::payload::{FieldTable, FieldType};
use crate::schema::{
    DenseOptions, ElementType, EncodingKind, GraphOptions, Metric, MultiOptions, Schema, SparseOptions,
    VectorKind,
};
use crate::text::Analyzer;

/// Stands for the analyser of a field that is not searched by word.
const NO_ANALYZER: u8 = u8::MAX;

const DENSE: u8 = 1;
const SPARSE: u8 = 2;
const MULTI: u8 = 3;

/// Writes a schema with all fields that the collection has by now.
pub(crate) fn encode_schema(schema: &Schema, fields: &FieldTable, out: &mut Encoder) {
    out.u8(schema.vectors.len() as u8);
    for (name, kind) in &schema.vectors {
        out.str(name);
        encode_kind(kind, out);
    }
    out.u8(u8::from(schema.strict));
    out.str(schema.tenant.as_deref().unwrap_or_default());
    out.u32(fields.len() as u32);
    for (field, (name, field_type)) in (0..).zip(fields.iter()) {
        out.str(name);
        out.u8(field_type.code());
        encode_analyzer(fields.text(field), out);
    }
    out.u32(schema.attributes.len() as u32);
    for (name, value) in &schema.attributes {
        out.str(name);
        out.str(value);
    }
}

/// Reads a schema and its fields.
pub(crate) fn decode_schema(decoder: &mut Decoder<'_>) -> Decoded<(Schema, FieldTable)> {
    let vectors = decode_vectors(decoder)?;
    let strict = decoder.bool()?;
    let tenant = Some(decoder.str()?.to_owned()).filter(|field| !field.is_empty());
    let mut table = FieldTable::default();
    let mut texts = BTreeMap::new();
    for _ in 0..decoder.count(6)? {
        let field = decoder.str()?;
        let field_type = decode_field_type(decoder)?;
        table.add(field, field_type);
        if let Some(analyzer) = decode_analyzer(decoder)? {
            texts.insert(field.to_owned(), analyzer);
        }
    }
    let table = table.with_texts(&texts);
    let mut attributes = BTreeMap::new();
    for _ in 0..decoder.count(8)? {
        attributes.insert(decoder.str()?.to_owned(), decoder.str()?.to_owned());
    }
    Ok((Schema { vectors, fields: table.to_map(), texts, tenant, strict, attributes }, table))
}

fn decode_vectors(decoder: &mut Decoder<'_>) -> Decoded<BTreeMap<String, VectorKind>> {
    let count = decoder.u8()?;
    if usize::from(count) > VECTORS_MAX {
        return decoder.error(format!("{count} vectors, the limit is {VECTORS_MAX}"));
    }
    let mut vectors = BTreeMap::new();
    for _ in 0..count {
        let name = decoder.str()?.to_owned();
        let kind = decode_kind(decoder)?;
        if vectors.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return decoder.error("the names of the vectors are out of order");
        }
        vectors.insert(name, kind);
    }
    Ok(vectors)
}

fn encode_kind(kind: &VectorKind, out: &mut Encoder) {
    match kind {
        VectorKind::Dense(options) => {
            out.u8(DENSE);
            out.u32(options.dimension as u32);
            out.u8(metric_code(options.metric));
            out.u8(element_code(options.element));
            out.u8(encoding_code(options.encoding));
            out.u32(options.walked() as u32);
            out.u32(options.graph.degree as u32);
            out.u32(options.graph.ef_construction as u32);
        }
        VectorKind::Sparse(SparseOptions {}) => out.u8(SPARSE),
        VectorKind::Multi(options) => {
            out.u8(MULTI);
            out.u32(options.dimension as u32);
            out.u8(metric_code(options.metric));
            out.u8(element_code(options.element));
        }
    }
}

fn decode_kind(decoder: &mut Decoder<'_>) -> Decoded<VectorKind> {
    match decoder.u8()? {
        DENSE => decode_dense(decoder).map(VectorKind::Dense),
        SPARSE => Ok(VectorKind::Sparse(SparseOptions::new())),
        MULTI => {
            let mut options = MultiOptions::new(decode_dimension(decoder)?);
            options.metric = decode_metric(decoder)?;
            options.element = decode_element(decoder)?;
            Ok(VectorKind::Multi(options))
        }
        other => decoder.error(format!("unknown kind of vector {other}")),
    }
}

fn decode_dense(decoder: &mut Decoder<'_>) -> Decoded<DenseOptions> {
    let mut options = DenseOptions::new(decode_dimension(decoder)?);
    options.metric = decode_metric(decoder)?;
    options.element = decode_element(decoder)?;
    options.encoding = decode_encoding(decoder)?;
    let (walked, dimension) = (decoder.u32()? as usize, options.dimension);
    if walked == 0 || walked > dimension {
        return decoder.error(format!("a walk dimension of {walked} for vectors of {dimension}"));
    }
    options.walk_dimension = (walked < dimension).then_some(walked);
    options.graph =
        GraphOptions { degree: decoder.u32()? as usize, ef_construction: decoder.u32()? as usize };
    Ok(options)
}

fn decode_dimension(decoder: &mut Decoder<'_>) -> Decoded<usize> {
    match decoder.u32()? as usize {
        dimension @ 1..=DIMENSION_MAX => Ok(dimension),
        other => decoder.error(format!("vectors of {other} components, the limit is {DIMENSION_MAX}")),
    }
}

pub(crate) fn element_code(element: ElementType) -> u8 {
    match element {
        ElementType::F32 => 0,
        ElementType::F16 => 1,
    }
}

pub(crate) fn decode_element(decoder: &mut Decoder<'_>) -> Decoded<ElementType> {
    match decoder.u8()? {
        0 => Ok(ElementType::F32),
        1 => Ok(ElementType::F16),
        other => decoder.error(format!("unknown element type {other}")),
    }
}

/// Writes an analyser's code, or that there is none.
pub(crate) fn encode_analyzer(analyzer: Option<Analyzer>, out: &mut Encoder) {
    out.u8(analyzer.map_or(NO_ANALYZER, Analyzer::code));
}

/// Reads the same.
pub(crate) fn decode_analyzer(decoder: &mut Decoder<'_>) -> Decoded<Option<Analyzer>> {
    match decoder.u8()? {
        NO_ANALYZER => Ok(None),
        code => match Analyzer::from_code(code) {
            Some(analyzer) => Ok(Some(analyzer)),
            None => decoder.error(format!("unknown analyzer {code}")),
        },
    }
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
