//! How the outcome of a call comes to Python: to a thread that waits for it, or to a function that is told.
//!
//! Who waits has given up the interpreter's lock, and looks every [`SIGNALS`] whether there is a signal: Ctrl-C raises out of the wait, and what is
//! waited for is dropped, which gives the call up. Who awaits has handed over a function, which a thread of the engine calls exactly once, with the
//! answer or the failure; it passes that on to its event loop.

use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ragstone_server::in_process::Failed;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// How often a thread that waits looks for signals.
const SIGNALS: Duration = Duration::from_millis(100);

/// What a call comes to: an answer, none where there is none (any more), or a failure.
pub(crate) type Outcome = Result<Option<Bytes>, Failed>;

pyo3::create_exception!(
    ragstone_embedded,
    Failure,
    PyException,
    "Why a call failed: the code's name, a message, and the bytes of a google.rpc.Status."
);

/// The exception of a failure.
pub(crate) fn raised(failed: Failed) -> PyErr {
    Failure::new_err((failed.code, failed.message, failed.details.to_vec()))
}

/// Ends a task with whoever waits for it.
struct EndOnDrop(AbortHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for the outcome without the interpreter's lock; raises at once where there are no threads that would work.
pub(crate) fn wait(
    py: Python<'_>,
    threads: Result<&Handle, Failed>,
    work: impl Future<Output = Outcome> + Send + 'static,
) -> PyResult<Option<Py<PyBytes>>> {
    let threads = threads.map_err(raised)?;
    let (tell, mut told) = mpsc::sync_channel(1);
    let task = threads.spawn(async move {
        let outcome = work.await;
        // An error means that nobody waits any more.
        let _ = tell.send(outcome);
    });
    let _end = EndOnDrop(task.abort_handle());
    loop {
        let told = &mut told;
        match py.detach(move || told.recv_timeout(SIGNALS)) {
            Ok(outcome) => return outcome.map(|answer| python_bytes(py, answer)).map_err(raised),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            // The engine was closed, and its threads with it.
            Err(RecvTimeoutError::Disconnected) => return Err(raised(Failed::closed())),
        }
    }
}

/// Has the function told of the outcome; raises, and tells nothing, where there are no threads that would work.
pub(crate) fn begin(
    threads: Result<&Handle, Failed>,
    work: impl Future<Output = Outcome> + Send + 'static,
    told: Py<PyAny>,
) -> PyResult<Call> {
    let threads = threads.map_err(raised)?;
    let told = Told::new(told);
    Ok(Call(threads.spawn(async move { told.tell(work.await) }).abort_handle()))
}

/// A call under way that somebody awaits.
#[pyclass(frozen, module = "ragstone_embedded._engine")]
pub(crate) struct Call(AbortHandle);

#[pymethods]
impl Call {
    /// Gives it up, if it has not ended.
    fn cancel(&self) {
        self.0.abort();
    }
}

/// A function that is called once, at the latest when the call is given up.
pub(crate) struct Told(Option<Py<PyAny>>);

impl Told {
    pub(crate) fn new(told: Py<PyAny>) -> Told {
        Told(Some(told))
    }

    pub(crate) fn tell(mut self, outcome: Outcome) {
        self.once(outcome);
    }

    fn once(&mut self, outcome: Outcome) {
        let Some(told) = self.0.take() else { return };
        // None comes of it when the interpreter is about to end: then nobody waits.
        Python::try_attach(|py| {
            let called = match outcome {
                Ok(answer) => told.call1(py, (python_bytes(py, answer), py.None())),
                Err(Failed { code, message, details, .. }) => {
                    told.call1(py, (py.None(), (code, message, PyBytes::new(py, &details))))
                }
            };
            if let Err(error) = called {
                error.write_unraisable(py, None);
            }
        });
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.once(Err(Failed::cancelled()));
    }
}

fn python_bytes(py: Python<'_>, answer: Option<Bytes>) -> Option<Py<PyBytes>> {
    answer.map(|answer| PyBytes::new(py, &answer).unbind())
}
