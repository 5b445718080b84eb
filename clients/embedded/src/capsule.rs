//! Arrow's streams, in and out, by its PyCapsule interface: a data frame's buffers are read where they lie, and a collection is a stream that pyarrow,
//! polars, pandas and DuckDB take.
//!
//! Source: <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>.

use std::ffi::CStr;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use ragstone_exchange::{ExportStream, RecordBatchReader};

/// What the interface calls such a capsule.
const NAME: &CStr = c"arrow_array_stream";

/// A collection as a stream: one state of it, read once, batch by batch.
#[pyclass(frozen, module = "ragstone_embedded._engine")]
pub(crate) struct ArrowStream(Mutex<Option<ExportStream>>);

#[pymethods]
impl ArrowStream {
    /// The capsule; the schema that is asked for may be left out of account, says the interface.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = stream
            .ok_or_else(|| PyValueError::new_err("the stream is read once: export the collection again"))?;
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(stream)), NAME)
    }
}

impl ArrowStream {
    pub(crate) fn new(stream: ExportStream) -> ArrowStream {
        ArrowStream(Mutex::new(Some(stream)))
    }
}

/// The batches of a capsule, which has none any more. Arrow panics at a schema that is none of its C interface's; what it finds wrong with the batches is
/// found where they are read, whose panics are the import's.
pub(crate) fn batches(capsule: &Bound<'_, PyCapsule>) -> PyResult<Box<dyn RecordBatchReader + Send>> {
    let stream = capsule.pointer_checked(Some(NAME))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: A capsule of this name points to an `ArrowArrayStream` that is valid for as long as the capsule is there, which `capsule` keeps; who
    // made it keeps to that, or breaks Arrow's PyCapsule interface. The interpreter's lock is held, so nobody else takes the stream meanwhile.
    // What stays in the capsule is empty, so its destructor releases nothing.
    #[expect(unsafe_code, reason = "the interface is a pointer")]
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) };
    match catch_unwind(move || RecordBatchStreamReader::try_new(stream)) {
        Ok(Ok(reader)) => Ok(Box::new(reader)),
        Ok(Err(error)) => Err(PyValueError::new_err(error.to_string())),
        Err(_) => Err(PyValueError::new_err("the Arrow stream: its schema is none of Arrow's C interface")),
    }
}
