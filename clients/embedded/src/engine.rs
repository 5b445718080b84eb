//! An open database, and the calls over it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyCapsule};
use ragstone_exchange::Imported;
use ragstone_server::InProcess;
use tokio::runtime::Handle;

use crate::capsule::{ArrowStream, batches};
use crate::columns::Lent;
use crate::options::{ImportArguments, Options};
use crate::stream::Stream;
use crate::waiting::{Call, Outcome, Told, begin, raised, wait};

/// A database that this process has open. Every method may be called from any thread, and raises `Failure`.
#[pyclass(frozen, module = "ragstone_embedded._engine")]
pub(crate) struct Engine(Arc<InProcess>);

#[pymethods]
impl Engine {
    /// Opens a directory, made if absent; without one, a database in memory.
    #[staticmethod]
    fn open(py: Python<'_>, path: Option<PathBuf>, options: Options) -> PyResult<Engine> {
        let opened = py.detach(move || options.open(path.as_deref()));
        opened.map(|engine| Engine(Arc::new(engine))).map_err(raised)
    }

    /// One answer to one request, within so many seconds.
    fn unary(
        &self,
        py: Python<'_>,
        path: &str,
        request: PyBackedBytes,
        timeout: Option<f64>,
    ) -> PyResult<Option<Py<PyBytes>>> {
        wait(py, self.0.handle(), self.call(path, request, timeout))
    }

    /// The same for one who awaits: `told` is called with the answer and None, or with None and the failure.
    fn begin_unary(
        &self,
        path: &str,
        request: PyBackedBytes,
        timeout: Option<f64>,
        told: Py<PyAny>,
    ) -> PyResult<Call> {
        begin(self.0.handle(), self.call(path, request, timeout), told)
    }

    /// Upserts points of which columns come beside the request. These may be changed again when this returns, whatever comes of the call.
    fn upsert_columns(
        &self,
        py: Python<'_>,
        columns: Lent,
        request: PyBackedBytes,
        timeout: Option<f64>,
    ) -> PyResult<Option<Py<PyBytes>>> {
        let upserting = self.upserting(py, columns, request, timeout)?;
        wait(py, self.0.handle(), upserting)
    }

    /// The same for one who awaits: the columns may be changed again once this returns, while the call is under way.
    fn begin_upsert_columns(
        &self,
        py: Python<'_>,
        columns: Lent,
        request: PyBackedBytes,
        timeout: Option<f64>,
        told: Py<PyAny>,
    ) -> PyResult<Call> {
        begin(self.0.handle(), self.upserting(py, columns, request, timeout)?, told)
    }

    /// Answers to one request. The call is under way when this returns.
    fn stream(&self, path: &str, request: PyBackedBytes, timeout: Option<f64>) -> PyResult<Stream> {
        let answers = self.0.stream(path, Bytes::from_owner(request), seconds(timeout)).map_err(raised)?;
        Ok(Stream::new(Arc::clone(&self.0), answers, None))
    }

    /// A stream both ways, likewise.
    fn duplex(&self, path: &str, timeout: Option<f64>) -> PyResult<Stream> {
        let (messages, answers) = self.0.duplex(path, seconds(timeout)).map_err(raised)?;
        Ok(Stream::new(Arc::clone(&self.0), answers, Some(messages)))
    }

    /// A collection, as it is now, as an Arrow stream; of an encoded filter, the rows that pass.
    fn export_arrow(
        &self,
        py: Python<'_>,
        collection: &str,
        filter: Option<PyBackedBytes>,
    ) -> PyResult<ArrowStream> {
        let filter = filter.map(Bytes::from_owner);
        let stream = py.detach(|| self.0.export(collection, filter));
        stream.map(ArrowStream::new).map_err(raised)
    }

    /// Writes the batches of a capsule to a collection; answers what was done, line by line: rows, whether the collection was made, notes.
    fn import_arrow(
        &self,
        py: Python<'_>,
        collection: &str,
        capsule: &Bound<'_, PyCapsule>,
        options: ImportArguments,
    ) -> PyResult<Option<Py<PyBytes>>> {
        let importing = self.importing(collection, capsule, options)?;
        wait(py, self.0.handle(), importing)
    }

    /// The same for one who awaits.
    fn begin_import_arrow(
        &self,
        collection: &str,
        capsule: &Bound<'_, PyCapsule>,
        options: ImportArguments,
        told: Py<PyAny>,
    ) -> PyResult<Call> {
        begin(self.0.handle(), self.importing(collection, capsule, options)?, told)
    }

    /// Whether this thread is one of an engine's: they run finalizers, too, as the interpreter collects wherever it is, and cannot wait for
    /// an engine to close.
    #[staticmethod]
    fn is_own_thread() -> bool {
        Handle::try_current().is_ok()
    }

    /// Closes the database, and calls under way are given up; `told` is called when it is done, with None and the failure, if there is one.
    fn begin_close(&self, told: Py<PyAny>) {
        let (engine, told) = (Arc::clone(&self.0), Told::new(told));
        // Closing waits for the engine's threads, so it is none of them that does.
        std::thread::spawn(move || told.tell(engine.close().map(|()| None)));
    }
}

impl Drop for Engine {
    /// Whoever drops it has the interpreter's lock, which threads of the engine may be waiting for.
    fn drop(&mut self) {
        let engine = Arc::clone(&self.0);
        // What it fails with stands in no log that anybody asked for, and loses nothing that was acknowledged.
        if Engine::is_own_thread() {
            std::thread::spawn(move || drop(engine.close()));
        } else {
            Python::try_attach(|py| py.detach(|| drop(engine.close())));
        }
    }
}

impl Engine {
    fn importing(
        &self,
        collection: &str,
        capsule: &Bound<'_, PyCapsule>,
        options: ImportArguments,
    ) -> PyResult<impl Future<Output = Outcome> + Send + use<>> {
        let done = self.0.import(collection, batches(capsule)?, options.into());
        Ok(async move { done.await.map(|done| Some(lines(done))) })
    }

    fn call(
        &self,
        path: &str,
        request: PyBackedBytes,
        timeout: Option<f64>,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        // The bytes stay where Python has them, for as long as they are wanted.
        let answer = self.0.unary(path, Bytes::from_owner(request), seconds(timeout));
        async move { answer.await.map(Some) }
    }

    /// Takes the columns, and has given them back when it returns.
    fn upserting(
        &self,
        py: Python<'_>,
        columns: Lent,
        request: PyBackedBytes,
        timeout: Option<f64>,
    ) -> PyResult<impl Future<Output = Outcome> + Send + use<>> {
        let request = Bytes::from_owner(request);
        let answer = self.0.upsert_columns(request, columns.columns(py)?, seconds(timeout));
        Ok(async move { answer.await.map(Some) })
    }
}

/// What an import did, as text.
fn lines(done: Imported) -> Bytes {
    let notes = done.notes.iter().map(|note| note.replace('\n', " "));
    let lines = [done.rows.to_string(), u8::from(done.created).to_string()].into_iter().chain(notes);
    lines.collect::<Vec<_>>().join("\n").into()
}

/// A time-out as Python has it. One that is beyond what clocks count is none.
fn seconds(timeout: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(timeout?.max(0.0)).ok()
}
