//! Points with random vectors, as they come back, and what their scores are.

use std::collections::BTreeMap;

use ragstone::{
    DEFAULT_VECTOR, DenseOptions, ElementType, Metric, Point, Schema, SparseVector, Vector, VectorKind,
};

use super::support::{Random, unit};

impl Random {
    /// With each vector of the schema, or without.
    pub(crate) fn point(&mut self, schema: &Schema) -> Point {
        let mut point = Point::without_vector(self.id()).with("group", self.below(5) as i64);
        for (name, options) in dense(schema) {
            // Some vectors are rare.
            if self.below(10) < 9 - 3 * (name.len() as u64 % 3) {
                let components = self.components(options.dimension);
                match name {
                    DEFAULT_VECTOR => point.vector = Some(components),
                    name => point = point.with_vector(name, components),
                }
            }
        }
        for (name, kind) in schema.vectors() {
            let is_there = self.below(3) > 0;
            point = match kind {
                VectorKind::Sparse(_) if is_there => point.with_vector(name, self.sparse()),
                VectorKind::Multi(options) if is_there => {
                    let count = 1 + self.below(5);
                    let vectors: Vec<_> = (0..count).map(|_| self.components(options.dimension)).collect();
                    point.with_vector(name, vectors)
                }
                _ => point,
            };
        }
        point
    }

    pub(crate) fn sparse(&mut self) -> SparseVector {
        let entries: BTreeMap<u32, f32> =
            (0..self.below(12)).map(|_| (self.below(1 << 32) as u32, self.components(1)[0])).collect();
        SparseVector { indices: entries.keys().copied().collect(), values: entries.into_values().collect() }
    }
}

pub(crate) fn dense(schema: &Schema) -> Vec<(&str, DenseOptions)> {
    let mut found = Vec::new();
    for (name, kind) in schema.vectors() {
        if let VectorKind::Dense(options) = kind {
            found.push((name.as_str(), *options));
        }
    }
    found
}

pub(crate) fn stored_components(components: &[f32], options: &DenseOptions) -> Vec<f32> {
    let components = match options.metric {
        Metric::Cosine => unit(components),
        _ => components.to_vec(),
    };
    match options.element {
        ElementType::F16 => components.into_iter().map(half).collect(),
        _ => components,
    }
}

/// Rounded to a 16-bit float, to even where two are as near.
pub(crate) fn half(x: f32) -> f32 {
    if x.abs() < 2f32.powi(-14) {
        return (x * 2f32.powi(24)).round_ties_even() / 2f32.powi(24);
    }
    let bits = x.to_bits();
    f32::from_bits((bits + 0xFFF + (bits >> 13 & 1)) & !0x1FFF)
}

/// As it comes back.
pub(crate) fn stored(mut point: Point, schema: &Schema) -> Point {
    for (name, options) in dense(schema) {
        if name == DEFAULT_VECTOR {
            point.vector = point.vector.map(|components| stored_components(&components, &options));
        } else if let Some(Vector::Dense(components)) = point.vectors.get_mut(name) {
            *components = stored_components(components, &options);
        }
    }
    for (name, kind) in schema.vectors() {
        if let (VectorKind::Multi(options), Some(Vector::Multi(vectors))) =
            (kind, point.vectors.get_mut(name))
        {
            let each = DenseOptions::new(options.dimension).metric(options.metric).element(options.element);
            vectors.iter_mut().for_each(|components| *components = stored_components(components, &each));
        }
    }
    point
}

pub(crate) fn vector_of<'a>(point: &'a Point, name: &str) -> Option<&'a [f32]> {
    match (name, point.vectors.get(name)) {
        (DEFAULT_VECTOR, _) => point.vector.as_deref(),
        (_, Some(Vector::Dense(components))) => Some(components),
        _ => None,
    }
}

pub(crate) fn score(metric: Metric, query: &[f32], row: &[f32]) -> f32 {
    let pairs = |f: fn(f64, f64) -> f64, query: &[f32]| -> f64 {
        query.iter().zip(row).map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum()
    };
    match metric {
        Metric::Cosine => pairs(|a, b| a * b, &unit(query)) as f32,
        Metric::Dot => pairs(|a, b| a * b, query) as f32,
        Metric::L2 => pairs(|a, b| (a - b).powi(2), query).sqrt() as f32,
    }
}
