//! Columns of vectors.

use std::sync::Arc;

use arrow_array::types::{Float16Type, Float32Type, UInt32Type};
use arrow_array::{ArrayRef, ArrowPrimitiveType, FixedSizeListArray, ListArray, PrimitiveArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use half::f16;
use ragstone::{DEFAULT_VECTOR, ElementType, Point, Vector, VectorKind};

use crate::error::{Error, Result};
use crate::types;

/// A vector of each row, null where it has none.
pub(super) fn array(points: &[Point], name: &str, kind: &VectorKind) -> Result<ArrayRef> {
    match kind {
        VectorKind::Dense(options) => {
            let rows: Vec<Option<&[f32]>> = points.iter().map(|point| dense(point, name)).collect();
            vectors(&rows, options.dimension, options.element)
        }
        VectorKind::Multi(options) => {
            let rows = points.iter().map(|point| match point.vectors.get(name) {
                Some(Vector::Multi(vectors)) => Some(vectors.as_slice()),
                _ => None,
            });
            let rows: Vec<Option<&[Vec<f32>]>> = rows.collect();
            let all: Vec<Option<&[f32]>> = rows
                .iter()
                .flatten()
                .flat_map(|vectors| vectors.iter().map(|vector| Some(vector.as_slice())))
                .collect();
            let values = vectors(&all, options.dimension, options.element)?;
            let item = types::item(types::components(options.dimension, options.element));
            let lengths = rows.iter().map(|row| row.map_or(0, <[_]>::len));
            let list = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, nulls(&rows));
            Ok(Arc::new(list.map_err(Error::rows)?))
        }
        _ => sparse(points, name),
    }
}

fn dense<'a>(point: &'a Point, name: &str) -> Option<&'a [f32]> {
    match point.vectors.get(name) {
        _ if name == DEFAULT_VECTOR => point.vector.as_deref(),
        Some(Vector::Dense(components)) => Some(components),
        _ => None,
    }
}

fn nulls<T>(rows: &[Option<T>]) -> Option<NullBuffer> {
    let is_there: NullBuffer = rows.iter().map(Option::is_some).collect::<Vec<_>>().into();
    Some(is_there).filter(|nulls| nulls.null_count() > 0)
}

fn vectors(rows: &[Option<&[f32]>], dimension: usize, element: ElementType) -> Result<ArrayRef> {
    let values: ArrayRef = match element {
        ElementType::F16 => components::<Float16Type>(rows, dimension, f16::from_f32)?,
        _ => components::<Float32Type>(rows, dimension, |x| x)?,
    };
    let size = i32::try_from(dimension).map_err(Error::rows)?;
    let item = types::item(types::component(element));
    // The length is given, as that of no values could be any.
    let list = FixedSizeListArray::try_new_with_length(item, size, values, nulls(rows), rows.len());
    Ok(Arc::new(list.map_err(Error::rows)?))
}

fn components<T: ArrowPrimitiveType>(
    rows: &[Option<&[f32]>],
    dimension: usize,
    convert: impl Fn(f32) -> T::Native,
) -> Result<ArrayRef> {
    let mut values: Vec<T::Native> = Vec::with_capacity(rows.len() * dimension);
    for row in rows {
        match row {
            Some(row) if row.len() != dimension => {
                return Err(Error::rows(format!(
                    "a vector of {} components among those of {dimension}",
                    row.len()
                )));
            }
            Some(row) => values.extend(row.iter().map(|x| convert(*x))),
            None => values.resize(values.len() + dimension, T::Native::default()),
        }
    }
    Ok(Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), None)))
}

fn sparse(points: &[Point], name: &str) -> Result<ArrayRef> {
    let rows = points.iter().map(|point| match point.vectors.get(name) {
        Some(Vector::Sparse(vector)) => Some(vector),
        _ => None,
    });
    let rows: Vec<_> = rows.collect();
    let lengths =
        || OffsetBuffer::from_lengths(rows.iter().map(|row| row.map_or(0, |row| row.indices.len())));
    let indices = rows.iter().flatten().flat_map(|row| row.indices.iter().copied());
    let values = rows.iter().flatten().flat_map(|row| row.values.iter().copied());
    let indices = PrimitiveArray::<UInt32Type>::from_iter_values(indices);
    let values = PrimitiveArray::<Float32Type>::from_iter_values(values);
    let list = |values: ArrayRef| -> Result<ArrayRef> {
        let item = types::item(values.data_type().clone());
        Ok(Arc::new(ListArray::try_new(item, lengths(), values, None).map_err(Error::rows)?))
    };
    let parts = vec![list(Arc::new(indices))?, list(Arc::new(values))?];
    Ok(Arc::new(StructArray::try_new(types::sparse(), parts, nulls(&rows)).map_err(Error::rows)?))
}
