//! Columns of vectors.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use ragstone::{SparseVector, Vector, VectorKind};

use super::lists::Lists;
use super::{Read, wrong};

/// Calls `set` with the vector of each row that has one.
pub(super) fn read(array: &ArrayRef, kind: &VectorKind, set: &mut dyn FnMut(usize, Vector)) -> Read<()> {
    if *array.data_type() == DataType::Null {
        return Ok(());
    }
    match kind {
        VectorKind::Dense(_) => dense(array, set),
        VectorKind::Multi(_) => multi(array, set),
        _ => sparse(array, set),
    }
}

fn dense(array: &ArrayRef, set: &mut dyn FnMut(usize, Vector)) -> Read<()> {
    let lists = Lists::of(array)?;
    let components = numbers(&lists.items, &DataType::Float32)?;
    let values = components.as_primitive::<Float32Type>().values();
    for (at, range) in lists.each() {
        if let Some(component) = Lists::lacks(&components, &range) {
            return wrong(at, format!("component {component} is null"));
        }
        set(at, Vector::Dense(values[range].to_vec()));
    }
    Ok(())
}

fn multi(array: &ArrayRef, set: &mut dyn FnMut(usize, Vector)) -> Read<()> {
    let outer = Lists::of(array)?;
    let inner = Lists::of(&outer.items)?;
    let components = numbers(&inner.items, &DataType::Float32)?;
    let values = components.as_primitive::<Float32Type>().values();
    for (at, range) in outer.each() {
        let mut vectors = Vec::with_capacity(range.len());
        for (number, vector) in range.enumerate() {
            let Some(range) = inner.at(vector) else { return wrong(at, format!("vector {number} is null")) };
            if let Some(component) = Lists::lacks(&components, &range) {
                return wrong(at, format!("component {component} of vector {number} is null"));
            }
            vectors.push(values[range].to_vec());
        }
        set(at, Vector::Multi(vectors));
    }
    Ok(())
}

fn sparse(array: &ArrayRef, set: &mut dyn FnMut(usize, Vector)) -> Read<()> {
    let parts = array.as_struct();
    let part = |name: &str| match parts.column_by_name(name) {
        Some(part) => Lists::of(part),
        None => wrong(0, format!("it has no `{name}`")),
    };
    let (indices, values) = (part("indices")?, part("values")?);
    let which = numbers(&indices.items, &DataType::UInt32)?;
    let how_much = numbers(&values.items, &DataType::Float32)?;
    for at in (0..parts.len()).filter(|at| parts.is_valid(*at)) {
        let (Some(of_indices), Some(of_values)) = (indices.at(at), values.at(at)) else {
            return wrong(at, "its `indices` or `values` are null");
        };
        if Lists::lacks(&which, &of_indices).is_some() {
            return wrong(at, "an index is null, or no whole number from 0 to 4294967295");
        }
        if let Some(place) = Lists::lacks(&how_much, &of_values) {
            return wrong(at, format!("value {place} is null"));
        }
        let indices = which.as_primitive::<UInt32Type>().values()[of_indices].to_vec();
        let values = how_much.as_primitive::<Float32Type>().values()[of_values].to_vec();
        set(at, Vector::Sparse(SparseVector { indices, values }));
    }
    Ok(())
}

/// Numbers of another type; those that do not fit are null, and whoever needs them says so. What no row refers to does not matter.
fn numbers(items: &ArrayRef, to: &DataType) -> Read<ArrayRef> {
    if items.data_type() == to {
        return Ok(items.clone());
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    cast_with_options(items, to, &options).or_else(|error| wrong(0, error.to_string()))
}
