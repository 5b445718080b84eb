//! Points that come beside their message, as columns.
//!
//! **Problem.** Who calls in the process has a table of vectors in memory. As a message it would be written row by row, copied by the codec, and
//! decoded into the rows that are to be stored: of megabytes of numbers, which mean the same here as there.
//! **Idea.** The message has everything but the columns, and these go beside it as an extension of the request, which passes the layer and the
//! codec untouched. The handler fills the points from them. No network can bring such an extension.
//!
//! Each vector is copied once, from where the caller has it into a row of its own, which then moves on into the engine. It is copied before the
//! call is made: the caller's memory is free when the call is under way, and nobody has to keep it, or to keep off it, until its work is done.
//!
//! Columns count as their message does: their bytes towards the limit of a request and the memory of all calls, and a row as a part
//! ([`memory`](crate::memory)).

use ragstone_proto::v1;
use tonic::Status;

use crate::limits::{BATCH_OPS_MAX, check_count};
use crate::memory::PART_BYTES;
use crate::status;

/// Bytes of a component of a vector.
const COMPONENT_BYTES: usize = size_of::<f32>();

/// Points of one write, column by column, where its caller has them.
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    /// The points' ids, if these are numbers; then the message has no points. Without them it has as many points as there are rows, each of which
    /// lacks its vector.
    pub ids: Option<Vec<u64>>,
    /// The vectors, one behind the other: 32-bit floats, little-endian, wherever they lie.
    pub vectors: &'a [u8],
    /// Components of each of them, at least one.
    pub dimension: usize,
}

/// The same, copied: the extension of a request.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    ids: Option<Vec<u64>>,
    vectors: Vec<Vec<f32>>,
}

impl Columns<'_> {
    /// Copies them, to go beside a message of so many bytes.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED where both together are larger than a request may be; INVALID_ARGUMENT for too many rows, for columns of different
    /// lengths, and for bytes that are no rows.
    pub(crate) fn beside(self, message_bytes: usize, request_bytes_max: usize) -> Result<Beside, Status> {
        let Columns { ids, vectors, dimension } = self;
        let id_bytes = ids.as_ref().map_or(0, |ids| size_of_val(ids.as_slice()));
        let bytes = message_bytes.saturating_add(id_bytes).saturating_add(vectors.len());
        if bytes > request_bytes_max {
            return Err(status::request_too_large(request_bytes_max, bytes as u64));
        }
        let width = dimension.saturating_mul(COMPONENT_BYTES);
        if width == 0 || !vectors.len().is_multiple_of(width) {
            return Err(status::invalid(
                "vectors",
                &format!("{} bytes are no rows of {dimension} components", vectors.len()),
            ));
        }
        let rows = vectors.len() / width;
        check_count("points", rows, ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
        if let Some(ids) = &ids
            && ids.len() != rows
        {
            return Err(of_different_lengths(ids.len(), "ids", rows));
        }
        Ok(Beside { ids, vectors: vectors.chunks_exact(width).map(components).collect() })
    }
}

impl Beside {
    /// What is counted for them of the memory of all calls.
    pub(crate) fn bytes(&self) -> usize {
        let ids = self.ids.as_ref().map_or(0, |ids| size_of_val(ids.as_slice()));
        let vectors: usize = self.vectors.iter().map(|vector| size_of_val(vector.as_slice())).sum();
        ids + vectors + self.vectors.len() * PART_BYTES
    }

    /// The points, of which the message has what does not come beside it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT where the message has other points than there are rows, or one of them a vector.
    pub(crate) fn points(self, mut points: Vec<v1::Point>) -> Result<Vec<v1::Point>, Status> {
        let rows = self.vectors.len();
        if let Some(ids) = self.ids {
            if !points.is_empty() {
                return Err(status::invalid(
                    "points",
                    "their ids come beside the message, which has none then",
                ));
            }
            points = ids.into_iter().map(numbered).collect();
        }
        if points.len() != rows {
            return Err(of_different_lengths(points.len(), "points", rows));
        }
        for (index, (point, values)) in points.iter_mut().zip(self.vectors).enumerate() {
            if point.vector.replace(v1::Vector { values }).is_some() {
                return Err(status::invalid(
                    &format!("points[{index}].vector"),
                    "it comes beside the message, too",
                ));
            }
        }
        Ok(points)
    }
}

/// A vector, copied from wherever it lies.
fn components(bytes: &[u8]) -> Vec<f32> {
    let (components, _) = bytes.as_chunks::<COMPONENT_BYTES>();
    components.iter().map(|component| f32::from_le_bytes(*component)).collect()
}

/// A point of which nothing but its id is known.
fn numbered(id: u64) -> v1::Point {
    let id = v1::PointId { id: Some(v1::point_id::Id::Number(id)) };
    v1::Point { id: Some(id), ..Default::default() }
}

fn of_different_lengths(count: usize, what: &str, rows: usize) -> Status {
    status::invalid("vectors", &format!("there are {count} {what} and {rows} vectors"))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const MAX: usize = 1_000;

    fn bytes(components: &[f32]) -> Vec<u8> {
        components.iter().flat_map(|component| component.to_le_bytes()).collect()
    }

    fn beside(ids: Option<Vec<u64>>, vectors: &[u8], dimension: usize) -> Result<Beside, Status> {
        Columns { ids, vectors, dimension }.beside(0, MAX)
    }

    /// The points' ids, and the bits of their vectors.
    fn seen(points: &[v1::Point]) -> Vec<(Option<v1::point_id::Id>, Vec<u8>)> {
        let id = |point: &v1::Point| point.id.clone().and_then(|id| id.id);
        let vector = |point: &v1::Point| bytes(&point.vector.clone().unwrap_or_default().values);
        points.iter().map(|point| (id(point), vector(point))).collect()
    }

    #[test]
    fn rows_are_read_wherever_they_lie() {
        let rows = [bytes(&[1.0, 2.0, 3.0]), bytes(&[f32::NAN, -0.0, 1e-40])];
        let number = |number| Some(v1::point_id::Id::Number(number));
        let expected = [(number(5), rows[0].clone()), (number(u64::MAX), rows[1].clone())];
        for shift in 0..8 {
            let shifted = [&vec![7; shift], &rows[0], &rows[1]].map(Vec::as_slice).concat();
            let beside = beside(Some(vec![5, u64::MAX]), &shifted[shift..], 3).unwrap();
            assert_eq!(beside.bytes(), 2 * 8 + 6 * 4 + 2 * PART_BYTES);
            assert_eq!(seen(&beside.points(Vec::new()).unwrap()), expected, "shifted by {shift}");
        }
    }

    #[test]
    fn points_of_the_message_get_their_vectors() {
        let texts = ["a", "b"].map(|text| v1::Point {
            id: Some(v1::PointId { id: Some(v1::point_id::Id::Text(text.to_owned())) }),
            expires_at: Some(9),
            ..Default::default()
        });
        let vectors = bytes(&[1.0, 2.0]);
        let points = beside(None, &vectors, 1).unwrap().points(texts.to_vec()).unwrap();
        let text = |text: &str| Some(v1::point_id::Id::Text(text.to_owned()));
        assert_eq!(seen(&points), [(text("a"), bytes(&[1.0])), (text("b"), bytes(&[2.0]))]);
        assert!(points.iter().all(|point| point.expires_at == Some(9)));
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let vectors = bytes(&[1.0, 2.0]);
        for (ids, dimension, reason) in [
            (None, 0, "8 bytes are no rows of 0 components"),
            (None, 3, "8 bytes are no rows of 3 components"),
            (None, usize::MAX, "8 bytes are no rows of"),
            (Some(vec![1]), 1, "there are 1 ids and 2 vectors"),
        ] {
            let refused = beside(ids, &vectors, dimension).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains(reason), "{}", refused.message());
        }
        let point = numbered(1);
        let with_vector = v1::Point { vector: Some(v1::Vector::default()), ..point.clone() };
        for (ids, points, reason) in [
            (Some(vec![1, 2]), vec![point.clone(), point.clone()], "points: their ids come beside"),
            (None, vec![point.clone()], "there are 1 points and 2 vectors"),
            (None, vec![point.clone(), with_vector], "points[1].vector"),
        ] {
            let refused = beside(ids, &vectors, 1).unwrap().points(points).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains(reason), "{}", refused.message());
        }
    }

    #[test]
    fn limits_are_those_of_a_message() {
        let vectors = bytes(&[1.0; 100]);
        let columns = || Columns { ids: Some(vec![0; 100]), vectors: &vectors, dimension: 1 };
        assert!(columns().beside(0, 1_200).is_ok());
        for (message_bytes, max) in [(1, 1_200), (0, 1_199), (usize::MAX, 1_200)] {
            let refused = columns().beside(message_bytes, max).unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted);
            assert!(refused.message().contains("REQUEST_BYTES_MAX"), "{}", refused.message());
        }
        let many = bytes(&vec![1.0; BATCH_OPS_MAX + 1]);
        let refused = Columns { ids: None, vectors: &many, dimension: 1 }.beside(0, usize::MAX).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("BATCH_OPS_MAX"), "{}", refused.message());
    }
}
