//! Columns of points, read where Python has them: the tables of NumPy and of whatever else lends its memory.
//!
//! The interpreter's lock is held while they are copied, as it is while an answer is: for some milliseconds at the largest request. So no code of
//! Python's changes an array meanwhile, and none has to be kept from it afterwards; nor does a thread of the engine ever have a buffer to give
//! back to an interpreter, which may be about to end.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use ragstone_server::in_process::Columns;

/// The columns as `ragstone._columns.Columns` has them: bytes in one piece, little-endian.
#[derive(FromPyObject)]
pub(crate) struct Lent {
    /// 32-bit floats, row by row.
    vectors: PyBuffer<u8>,
    dimension: usize,
    /// Numbers of 64 bits.
    ids: Option<PyBuffer<u8>>,
    ids_are_signed: bool,
}

impl Lent {
    /// The columns, for as long as the interpreter's lock is held.
    ///
    /// # Errors
    /// `ValueError` for an id that is negative, `BufferError` for memory that is not in one piece or no numbers.
    pub(crate) fn columns<'a>(&'a self, attached: Python<'a>) -> PyResult<Columns<'a>> {
        let ids = self.ids.as_ref().map(|ids| numbers(bytes(ids, attached)?, self.ids_are_signed));
        let vectors = bytes(&self.vectors, attached)?;
        Ok(Columns { ids: ids.transpose()?, vectors, dimension: self.dimension })
    }
}

/// The bytes of a buffer, which must not be had while the interpreter's lock is given up.
fn bytes<'a>(buffer: &'a PyBuffer<u8>, _attached: Python<'a>) -> PyResult<&'a [u8]> {
    let bytes =
        buffer.as_slice_ptr().ok_or_else(|| PyBufferError::new_err("a column does not lie in one piece"))?;
    // SAFETY: Who lends a buffer keeps its memory, initialised, where it is and as long as it is until the buffer is given back, or breaks Python's
    // buffer protocol; `buffer`, which is borrowed for as long as the slice, does that when it is dropped. Bytes have no alignment. Nobody writes to
    // them meanwhile: `_attached` is the interpreter's lock, without which no code of Python's runs, and the only one who has the slice, `InProcess`,
    // runs none and copies from it before it returns. What a call on another thread writes without the lock (a NumPy operation into this array, under
    // way) the caller keeps from it, as from any reader: `upsert_columns` of the client says so.
    #[expect(unsafe_code, reason = "a buffer is a pointer")]
    let bytes = unsafe { bytes.as_ref() };
    Ok(bytes)
}

/// Ids of 64 bits each.
fn numbers(bytes: &[u8], are_signed: bool) -> PyResult<Vec<u64>> {
    let (numbers, []) = bytes.as_chunks::<8>() else {
        return Err(PyBufferError::new_err("a column of ids is not of 64-bit numbers"));
    };
    let id = |(index, number): (usize, &[u8; 8])| {
        let number = u64::from_le_bytes(*number);
        if are_signed && number.cast_signed() < 0 {
            return Err(PyValueError::new_err(format!(
                "points[{index}]: an id that is a number is not negative, and this one is {}",
                number.cast_signed()
            )));
        }
        Ok(number)
    };
    numbers.iter().enumerate().map(id).collect()
}
