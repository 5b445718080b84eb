//! Vectors of a row that are not dense: where they lie in memory and in files they look the same.

use std::borrow::Cow;

use ragstone_kernels::unpack_f16;

use super::{Segment, SegmentView};
use crate::point::{SparseVector, Vector};
use crate::schema::VectorId;

/// A vector of a growing row.
#[derive(Debug)]
pub(crate) enum OtherVector {
    Sparse(SparseVector),
    /// One after the other.
    Multi(Box<[f32]>),
}

impl OtherVector {
    /// `None` of a dense one.
    pub(super) fn of(vector: Vector) -> Option<Self> {
        match vector {
            Vector::Dense(_) => None,
            Vector::Sparse(vector) => Some(Self::Sparse(vector)),
            Vector::Multi(vectors) => Some(Self::Multi(vectors.concat().into())),
        }
    }

    /// Roughly what it takes in memory.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Sparse(vector) => vector.indices.len() * 8,
                Self::Multi(vectors) => vectors.len() * 4,
            }
    }
}

/// The entries of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SparseRow<'a> {
    pub(crate) indices: &'a [u32],
    pub(crate) values: &'a [f32],
}

/// The vectors of a row, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MultiRow<'a> {
    Floats(&'a [f32]),
    Halves(&'a [u8]),
}

impl<'a> MultiRow<'a> {
    /// Each vector.
    pub(crate) fn iter(self, dimension: usize) -> Box<dyn Iterator<Item = Cow<'a, [f32]>> + 'a> {
        match self {
            Self::Floats(components) => Box::new(components.chunks_exact(dimension).map(Cow::Borrowed)),
            Self::Halves(bytes) => Box::new(bytes.chunks_exact(dimension * 2).map(move |bytes| {
                let mut row = vec![0.0; dimension];
                unpack_f16(bytes, &mut row);
                Cow::Owned(row)
            })),
        }
    }
}

impl SegmentView {
    /// The entries of a row's sparse vector, if it has it.
    pub(crate) fn sparse_row(&self, slot: u32, number: VectorId) -> Option<SparseRow<'_>> {
        match &self.segment {
            Segment::Growing(segment) => match segment.rows.get(slot)?.other(number)? {
                OtherVector::Sparse(SparseVector { indices, values }) => Some(SparseRow { indices, values }),
                OtherVector::Multi(_) => None,
            },
            Segment::Sealed(segment) => segment.sparse.get(&number)?.row(slot),
        }
    }

    /// The vectors of a row's multi-vector, if it has it.
    pub(crate) fn multi_row(&self, slot: u32, number: VectorId) -> Option<MultiRow<'_>> {
        match &self.segment {
            Segment::Growing(segment) => match segment.rows.get(slot)?.other(number)? {
                OtherVector::Multi(vectors) => Some(MultiRow::Floats(vectors)),
                OtherVector::Sparse(_) => None,
            },
            Segment::Sealed(segment) => segment.multi.get(&number)?.row(slot),
        }
    }
}
