//! Rows as an application has them: a vector and three fields, which `benches/record/rival_stores.py` makes the same.

use ragstone::{Payload, Point, Value};

use crate::npy::Matrix;

/// Bytes of a row's id and fields, as a user would count them: eight, eight, eight, and the text.
pub const FIELD_BYTES: usize = 8 + 8 + 8 + 12;

/// The fields of a row: a category, a source and a weight.
pub fn payload(row: usize) -> Payload {
    Payload::from([
        ("category".to_owned(), Value::Int((row % 100) as i64)),
        ("source".to_owned(), Value::String(format!("source-{:05}", row % 1_000))),
        ("weight".to_owned(), Value::Float((row % 1_024) as f64 / 1_024.0)),
    ])
}

/// Point `id` with a row of the data.
pub fn point(base: &Matrix<f32>, id: usize, row: usize) -> Point {
    let mut point = Point::new(id as u64, base.row(row));
    point.payload = payload(id);
    point
}

/// Bytes that a user counts for so many rows.
pub fn live_bytes(rows: usize, dimension: usize) -> u64 {
    (rows * (dimension * 4 + FIELD_BYTES)) as u64
}
