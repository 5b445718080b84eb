//! What a vector of each kind must satisfy, and the form in which it is stored.

use crate::error::{Error, Result};
use crate::limits::{MULTI_VECTORS_MAX, SPARSE_ENTRIES_MAX, check_limit};
use crate::point::{SparseVector, Vector};
use crate::schema::{DenseOptions, ElementType, Metric, MultiOptions, VectorKind};

/// The length of a vector that is not brought to unit length. The square of the distance of two, four times the square
/// of this at most, stays below half of the largest 32-bit float.
const LENGTH_MAX: f64 = 6e18;

/// In four sums, as one alone would wait for every step before it.
fn squared_length(vector: &[f32]) -> f64 {
    let square = |component: &f32| f64::from(*component).powi(2);
    let (blocks, rest) = vector.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, component)| *sum += square(component));
    }
    sums.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()
}

/// Checks a dense vector that is asked for, and brings it to the form that is compared: unit length under cosine.
pub(crate) fn dense(path: &str, vector: Vec<f32>, options: &DenseOptions) -> Result<Vec<f32>> {
    components(path, vector, (options.dimension, options.metric))
}

/// Checks components and brings them to unit length under cosine.
fn components(path: &str, mut vector: Vec<f32>, (dimension, metric): (usize, Metric)) -> Result<Vec<f32>> {
    if vector.len() != dimension {
        let reason =
            format!("the collection has vectors of {dimension} components, this has {}", vector.len());
        return Err(Error::invalid(path, reason));
    }
    // In 64 bits no sum of squares of 32-bit floats overflows or vanishes: the length is finite where all components are.
    let length = squared_length(&vector).sqrt();
    if !length.is_finite() {
        finite(path, &vector)?;
    }
    if metric == Metric::Cosine {
        if length == 0.0 {
            let reason = "a zero vector has no direction, which the cosine metric needs";
            return Err(Error::invalid(path, reason));
        }
        for component in &mut vector {
            *component = (f64::from(*component) / length) as f32;
        }
    } else if length > LENGTH_MAX {
        let reason = format!("a length of {length:.1e} is beyond {LENGTH_MAX:e}, where distances overflow");
        return Err(Error::invalid(path, reason));
    }
    Ok(vector)
}

fn finite(path: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => {
            let reason = format!("component {index} is {}, not a finite number", values[index]);
            Err(Error::invalid(path, reason))
        }
    }
}

/// Rounds components as they are stored.
fn rounded(path: &str, vector: Vec<f32>, element: ElementType) -> Result<Vec<f32>> {
    if element == ElementType::F32 {
        return Ok(vector);
    }
    let mut bytes = vec![0; vector.len() * element.size_bytes()];
    element.write(&vector, &mut bytes);
    let rounded = element.read(&bytes);
    match rounded.iter().position(|x| !x.is_finite()) {
        None => Ok(rounded),
        Some(index) => {
            let reason = format!(
                "component {index} is {}, and the vector is stored in 16-bit floats, which end at 65,504",
                vector[index]
            );
            Err(Error::invalid(path, reason))
        }
    }
}

/// Checks a sparse vector.
pub(crate) fn sparse(path: &str, vector: SparseVector) -> Result<SparseVector> {
    let SparseVector { indices, values } = &vector;
    if indices.len() != values.len() {
        let reason = format!("{} indices for {} values", indices.len(), values.len());
        return Err(Error::invalid(path, reason));
    }
    check_limit(path, "SPARSE_ENTRIES_MAX", SPARSE_ENTRIES_MAX, indices.len())?;
    if let Some(at) = indices.windows(2).position(|pair| pair[0] >= pair[1]) {
        let (before, after) = (indices[at], indices[at + 1]);
        let reason = format!("indices ascend, and index {after} comes after {before}");
        return Err(Error::invalid(path, reason));
    }
    finite(path, values)?;
    let length = squared_length(values).sqrt();
    if length > LENGTH_MAX {
        let reason = format!("a length of {length:.1e} is beyond {LENGTH_MAX:e}, where products overflow");
        return Err(Error::invalid(path, reason));
    }
    Ok(vector)
}

/// Checks the vectors of a multi-vector and brings each to the form that is compared.
pub(crate) fn multi(path: &str, vectors: Vec<Vec<f32>>, options: &MultiOptions) -> Result<Vec<Vec<f32>>> {
    if vectors.is_empty() {
        return Err(Error::invalid(path, "a multi-vector has at least one vector"));
    }
    check_limit(path, "MULTI_VECTORS_MAX", MULTI_VECTORS_MAX, vectors.len())?;
    let checked = |(index, vector): (usize, Vec<f32>)| {
        components(&format!("{path}[{index}]"), vector, (options.dimension, options.metric))
    };
    vectors.into_iter().enumerate().map(checked).collect()
}

/// The same of those that are asked for: their products are added up, and so no vector's length alone keeps a score finite.
pub(crate) fn multi_query(
    path: &str,
    vectors: Vec<Vec<f32>>,
    options: &MultiOptions,
) -> Result<Vec<Vec<f32>>> {
    let vectors = multi(path, vectors, options)?;
    let length: f64 = vectors.iter().map(|vector| squared_length(vector).sqrt()).sum();
    if length > LENGTH_MAX {
        let reason = format!(
            "its vectors have a length of {length:.1e} together, beyond {LENGTH_MAX:e}, where sums of products overflow"
        );
        return Err(Error::invalid(path, reason));
    }
    Ok(vectors)
}

/// Checks a vector of some kind and brings it to the form that is stored.
pub(crate) fn vector(path: &str, vector: Vector, kind: &VectorKind) -> Result<Vector> {
    Ok(match (vector, kind) {
        (Vector::Dense(vector), VectorKind::Dense(options)) => {
            Vector::Dense(rounded(path, dense(path, vector, options)?, options.element)?)
        }
        (Vector::Sparse(vector), VectorKind::Sparse(_)) => Vector::Sparse(sparse(path, vector)?),
        (Vector::Multi(vectors), VectorKind::Multi(options)) => {
            let vectors = multi(path, vectors, options)?.into_iter().enumerate();
            let stored = vectors.map(|(n, vector)| rounded(&format!("{path}[{n}]"), vector, options.element));
            Vector::Multi(stored.collect::<Result<_>>()?)
        }
        (other, kind) => {
            let reason = format!("the vector is {}, this is {}", kind.name(), other.kind());
            return Err(Error::invalid(path, reason));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Batch, Point};
    use crate::schema::Schema;
    use crate::validate::prepare;

    #[test]
    fn unit_length_at_any_magnitude() {
        let options = DenseOptions::new(2);
        for scale in [1e-44f32, 1e-20, 1.0, 1e30, 3e38] {
            let unit = dense("v", vec![scale, scale], &options).unwrap();
            assert!((unit[0] - 0.5f32.sqrt()).abs() < 1e-6, "{scale}: {unit:?}");
        }
    }

    /// Two vectors of infinite length have no distance, only a NaN, and a graph of them no order.
    #[test]
    fn a_length_whose_square_overflows_is_refused() {
        for metric in [Metric::Dot, Metric::L2] {
            let options = DenseOptions::new(2).metric(metric);
            let error = dense("query", vec![2e19, 0.0], &options).unwrap_err().to_string();
            assert!(error.starts_with("query: a length of 2.0e19 is beyond 6e18"), "{error}");
            assert!(dense("query", vec![4e18, -4e18], &options).is_ok());
        }
        assert!((4.0 * LENGTH_MAX * LENGTH_MAX) < f64::from(f32::MAX) / 2.0);
    }

    /// Two rows with infinite scores have no order, and a weighted fusion of infinite scores is no number.
    #[test]
    fn a_multi_vector_whose_sums_overflow_is_not_asked_for() {
        let options = MultiOptions::new(2).metric(Metric::Dot);
        let long = || vec![vec![4e18, 0.0], vec![0.0, 4e18]];
        assert!(multi("v", long(), &options).is_ok(), "each is compared by itself");
        let error = multi_query("query", long(), &options).unwrap_err().to_string();
        assert!(error.starts_with("query: its vectors have a length of 8.0e18 together"), "{error}");
        let unit = MultiOptions::new(2).metric(Metric::Cosine);
        assert!(multi_query("query", long(), &unit).is_ok());
        assert!(multi_query("query", vec![vec![1.0, 0.0]; MULTI_VECTORS_MAX], &options).is_ok());
    }

    #[test]
    fn errors_name_the_vector() {
        let schema = Schema::without_vector()
            .vector("image", DenseOptions::new(2))
            .sparse("words")
            .multi("late", MultiOptions::new(2))
            .build()
            .unwrap();
        let point = || Point::without_vector(1);
        let words = |indices: &[u32], values: &[f32]| {
            point().with_vector("words", SparseVector { indices: indices.into(), values: values.into() })
        };
        let cases = [
            (point().with_vector("image", [1.0]), "image: the collection has vectors of 2 components"),
            (
                point().with_vector("x", [1.0]),
                "x: the collection has no vector `x`, only `image`, `late`, `words`",
            ),
            (point().with_vector("", [1.0]), ": the default vector is the point's `vector`"),
            (point().with_vector("words", [1.0]), "words: the vector is sparse, this is dense"),
            (words(&[1, 1], &[1.0, 2.0]), "words: indices ascend, and index 1 comes after 1"),
            (words(&[1], &[]), "words: 1 indices for 0 values"),
            (words(&[1], &[f32::NAN]), "words: component 0 is NaN"),
            (point().with_vector("late", Vec::<Vec<f32>>::new()), "late: a multi-vector has at least one"),
            (
                point().with_vector("late", vec![vec![1.0, 0.0], vec![0.0, 0.0]]),
                "late[1]: a zero vector has no direction",
            ),
            (
                point().with_vector("late", vec![vec![1.0, 0.0]; MULTI_VECTORS_MAX + 1]),
                "late: 1025 is beyond the limit MULTI_VECTORS_MAX = 1024",
            ),
        ];
        for (point, expected) in cases {
            let message = prepare(Batch::new().upsert(point), &schema).unwrap_err().to_string();
            assert!(message.starts_with(&format!("points[0].vectors.{expected}")), "{message}");
        }
        let error = prepare(Batch::new().upsert(Point::new(1, [1.0])), &schema).unwrap_err().to_string();
        assert!(error.starts_with("points[0].vector: the collection has no default vector"), "{error}");
        assert!(prepare(Batch::new().upsert(words(&[], &[])), &schema).is_ok());
    }
}
