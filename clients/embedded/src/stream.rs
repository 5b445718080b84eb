//! A call that streams, one way or both.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use ragstone_server::InProcess;
use ragstone_server::in_process::{Answers, Messages};
use tokio::task::AbortHandle;

use crate::waiting::{Call, Outcome, begin, wait};

/// A call's answers, and where its messages go.
#[pyclass(frozen, module = "ragstone_embedded._engine")]
pub(crate) struct Stream {
    engine: Arc<InProcess>,
    /// Held by whoever waits for the next answer.
    answers: Arc<tokio::sync::Mutex<Answers>>,
    give_up: AbortHandle,
    /// None once there are no more. Locked for a look.
    messages: Mutex<Option<Messages>>,
}

#[pymethods]
impl Stream {
    /// The next answer; None after the last.
    fn read(&self, py: Python<'_>) -> PyResult<Option<Py<PyBytes>>> {
        wait(py, self.engine.handle(), self.next())
    }

    /// The same for one who awaits: `told` is called with the answer and None, or with None and the failure.
    fn begin_read(&self, told: Py<PyAny>) -> PyResult<Call> {
        begin(self.engine.handle(), self.next(), told)
    }

    /// Sends a message, once there is room. Of a call that has ended nothing comes of it: reading tells why.
    fn write(&self, py: Python<'_>, message: PyBackedBytes) -> PyResult<()> {
        wait(py, self.engine.handle(), self.send(message)).map(drop)
    }

    /// The same for one who awaits.
    fn begin_write(&self, message: PyBackedBytes, told: Py<PyAny>) -> PyResult<Call> {
        begin(self.engine.handle(), self.send(message), told)
    }

    /// There are no more messages.
    fn done_writing(&self) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether reading does not wait: an answer is there, or the call has ended. Not while somebody waits for one.
    fn has_come(&self) -> bool {
        self.answers.try_lock().is_ok_and(|answers| answers.has_come())
    }

    /// Wants no more answers.
    fn cancel(&self) {
        self.done_writing();
        self.give_up.abort();
    }
}

impl Stream {
    pub(crate) fn new(engine: Arc<InProcess>, answers: Answers, messages: Option<Messages>) -> Stream {
        let give_up = answers.give_up();
        let answers = Arc::new(tokio::sync::Mutex::new(answers));
        Stream { engine, answers, give_up, messages: Mutex::new(messages) }
    }

    fn next(&self) -> impl Future<Output = Outcome> + Send + use<> {
        let answers = Arc::clone(&self.answers);
        async move { answers.lock_owned().await.next().await }
    }

    fn send(&self, message: PyBackedBytes) -> impl Future<Output = Outcome> + Send + use<> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            if let Some(messages) = messages {
                messages.send(Bytes::from_owner(message)).await;
            }
            Ok(None)
        }
    }
}
