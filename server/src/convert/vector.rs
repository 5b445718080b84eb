//! Vectors of every kind, and what a collection sets of them.

use std::collections::BTreeMap;

use ragstone::{
    DenseOptions, ElementType, EncodingKind, GraphOptions, Metric, MultiOptions, SparseVector, Vector,
    VectorKind,
};
use ragstone_proto::v1;
use ragstone_proto::v1::{any_vector, vector_options};
use tonic::Status;

use super::{count, unknown_enum};
use crate::limits::{MULTI_VECTORS_MAX, SPARSE_ENTRIES_MAX, VECTORS_MAX, check_count};
use crate::status;

/// The named vectors of a point; `path` is that of the map.
pub(super) fn vectors_in(
    wire: BTreeMap<String, v1::AnyVector>,
    path: &str,
) -> Result<BTreeMap<String, Vector>, Status> {
    let vector = |(name, wire): (String, v1::AnyVector)| {
        let path = format!("{path}.{name}");
        let vector = match wire.kind {
            Some(any_vector::Kind::Dense(vector)) => Vector::Dense(vector.values),
            Some(any_vector::Kind::Sparse(vector)) => Vector::Sparse(sparse_in(vector, &path)?),
            Some(any_vector::Kind::Multi(vectors)) => Vector::Multi(multi_in(vectors, &path)?),
            None => {
                return Err(status::invalid(&path, "no vector is set; set one of dense, sparse and multi"));
            }
        };
        Ok((name, vector))
    };
    check_count(path, wire.len(), ("VECTORS_MAX", VECTORS_MAX))?;
    wire.into_iter().map(vector).collect()
}

pub(super) fn sparse_in(wire: v1::SparseVector, path: &str) -> Result<SparseVector, Status> {
    check_count(path, wire.indices.len(), ("SPARSE_ENTRIES_MAX", SPARSE_ENTRIES_MAX))?;
    Ok(SparseVector { indices: wire.indices, values: wire.values })
}

pub(super) fn multi_in(wire: v1::MultiVector, path: &str) -> Result<Vec<Vec<f32>>, Status> {
    check_count(path, wire.vectors.len(), ("MULTI_VECTORS_MAX", MULTI_VECTORS_MAX))?;
    Ok(wire.vectors.into_iter().map(|vector| vector.values).collect())
}

/// The named vectors of a point.
pub(super) fn vectors_out(vectors: BTreeMap<String, Vector>) -> BTreeMap<String, v1::AnyVector> {
    let dense = |values| v1::Vector { values };
    let kind = |vector| match vector {
        Vector::Dense(values) => Some(any_vector::Kind::Dense(dense(values))),
        Vector::Sparse(SparseVector { indices, values }) => {
            Some(any_vector::Kind::Sparse(v1::SparseVector { indices, values }))
        }
        Vector::Multi(vectors) => {
            let vectors = vectors.into_iter().map(dense).collect();
            Some(any_vector::Kind::Multi(v1::MultiVector { vectors }))
        }
        _ => None,
    };
    vectors.into_iter().map(|(name, vector)| (name, v1::AnyVector { kind: kind(vector) })).collect()
}

pub(super) fn metric_out(metric: Metric) -> v1::Metric {
    match metric {
        Metric::Cosine => v1::Metric::Cosine,
        Metric::Dot => v1::Metric::Dot,
        Metric::L2 => v1::Metric::L2,
    }
}

pub(super) fn metric_in(wire: i32, path: &str) -> Result<Metric, Status> {
    match v1::Metric::try_from(wire) {
        Ok(v1::Metric::Unspecified) => Ok(Metric::default()),
        Ok(v1::Metric::Cosine) => Ok(Metric::Cosine),
        Ok(v1::Metric::Dot) => Ok(Metric::Dot),
        Ok(v1::Metric::L2) => Ok(Metric::L2),
        Err(_) => Err(unknown_enum(path, wire)),
    }
}

pub(super) fn element_in(wire: i32, path: &str) -> Result<ElementType, Status> {
    match v1::ElementType::try_from(wire) {
        Ok(v1::ElementType::Unspecified) => Ok(ElementType::default()),
        Ok(v1::ElementType::F32) => Ok(ElementType::F32),
        Ok(v1::ElementType::F16) => Ok(ElementType::F16),
        Err(_) => Err(unknown_enum(path, wire)),
    }
}

fn element_out(element: ElementType) -> v1::ElementType {
    match element {
        ElementType::F32 => v1::ElementType::F32,
        ElementType::F16 => v1::ElementType::F16,
        _ => v1::ElementType::Unspecified,
    }
}

pub(super) fn encoding_in(wire: i32, path: &str) -> Result<EncodingKind, Status> {
    match v1::Encoding::try_from(wire) {
        Ok(v1::Encoding::Unspecified) => Ok(EncodingKind::default()),
        Ok(v1::Encoding::F32) => Ok(EncodingKind::F32),
        Ok(v1::Encoding::F16) => Ok(EncodingKind::F16),
        Ok(v1::Encoding::Int8) => Ok(EncodingKind::Int8),
        Ok(v1::Encoding::Int4) => Ok(EncodingKind::Int4),
        Ok(v1::Encoding::Bit1) => Ok(EncodingKind::Bit1),
        Err(_) => Err(unknown_enum(path, wire)),
    }
}

fn encoding_out(encoding: EncodingKind) -> v1::Encoding {
    match encoding {
        EncodingKind::F32 => v1::Encoding::F32,
        EncodingKind::F16 => v1::Encoding::F16,
        EncodingKind::Int8 => v1::Encoding::Int8,
        EncodingKind::Int4 => v1::Encoding::Int4,
        EncodingKind::Bit1 => v1::Encoding::Bit1,
        _ => v1::Encoding::Unspecified,
    }
}

/// The shape of a graph; what is 0 or unset is as by default.
pub(super) fn graph_in(wire: Option<v1::GraphOptions>) -> GraphOptions {
    let default = GraphOptions::default();
    let or = |number: u32, default: usize| if number == 0 { default } else { number as usize };
    wire.map_or(default, |graph| GraphOptions {
        degree: or(graph.degree, default.degree),
        ef_construction: or(graph.ef_construction, default.ef_construction),
    })
}

/// What a collection sets of a vector; `path` names it in the request.
pub(super) fn kind_in(wire: v1::VectorOptions, path: &str) -> Result<VectorKind, Status> {
    Ok(match wire.kind {
        Some(vector_options::Kind::Dense(options)) => {
            let mut dense = DenseOptions::new(options.dimension as usize)
                .metric(metric_in(options.metric, &format!("{path}.dense.metric"))?)
                .element(element_in(options.element, &format!("{path}.dense.element"))?)
                .encoding(encoding_in(options.encoding, &format!("{path}.dense.encoding"))?)
                .graph(graph_in(options.graph));
            dense.walk_dimension = options.walk_dimension.map(|components| components as usize);
            VectorKind::Dense(dense)
        }
        Some(vector_options::Kind::Sparse(_)) => VectorKind::Sparse(ragstone::SparseOptions::new()),
        Some(vector_options::Kind::Multi(options)) => VectorKind::Multi(
            MultiOptions::new(options.dimension as usize)
                .metric(metric_in(options.metric, &format!("{path}.multi.metric"))?)
                .element(element_in(options.element, &format!("{path}.multi.element"))?),
        ),
        None => return Err(status::invalid(path, "no kind is set; set one of dense, sparse and multi")),
    })
}

pub(super) fn kind_out(kind: &VectorKind) -> v1::VectorOptions {
    let kind = match kind {
        VectorKind::Dense(options) => Some(vector_options::Kind::Dense(v1::DenseVectorOptions {
            dimension: count(options.dimension),
            metric: metric_out(options.metric).into(),
            element: element_out(options.element).into(),
            encoding: encoding_out(options.encoding).into(),
            walk_dimension: options.walk_dimension.map(count),
            graph: Some(v1::GraphOptions {
                degree: count(options.graph.degree),
                ef_construction: count(options.graph.ef_construction),
            }),
        })),
        VectorKind::Sparse(_) => Some(vector_options::Kind::Sparse(v1::SparseVectorOptions {})),
        VectorKind::Multi(options) => Some(vector_options::Kind::Multi(v1::MultiVectorOptions {
            dimension: count(options.dimension),
            metric: metric_out(options.metric).into(),
            element: element_out(options.element).into(),
        })),
        _ => None,
    };
    v1::VectorOptions { kind }
}
