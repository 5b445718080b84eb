//! What stands for a schema's choices on disk. A code is given once and never again for anything else.

use crate::codec::{Decoded, Decoder};
use crate::payload::FieldType;
use crate::schema::{EncodingKind, Metric};

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
