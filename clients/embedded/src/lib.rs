//! Ragstone's engine as a module of Python: what `ragstone.open` runs.
//!
//! **Problem.** A notebook, a script or a test wants the database without a server beside it, and the same classes as with one.
//! **Idea.** The client for Python makes its calls over a seam, as bytes to a path. Here is the other side of that seam: the server's services in the
//! process ([`ragstone_server::in_process`]). So whatever the API can do is there, and one suite of tests runs against both.
//!
//! - `capsule.rs`: collections to and from Arrow streams;
//! - `columns.rs`: tables of vectors, read where they lie;
//! - `engine.rs`: opening, and calls;
//! - `stream.rs`: calls that stream;
//! - `waiting.rs`: how a call's outcome comes to Python, to one who waits or to one who awaits;
//! - `options.rs`: from the arguments of `open` to a database and its models.
//!
//! Invariants:
//! * no call holds the interpreter's lock while it works or waits, and Ctrl-C ends one that is waited for;
//! * what is awaited is told by the engine's own threads: none of Python's waits for it;
//! * a request is read where Python has it; columns that go beside one are copied once, into the engine's own rows; an answer is copied once.
//!
//! The module itself, `_engine`, is private; `python/ragstone_embedded` is what users import.

mod capsule;
mod columns;
mod engine;
mod options;
mod stream;
mod waiting;

use pyo3::prelude::*;

/// The module. An interpreter built to do without its lock takes it nevertheless: it is what keeps arrays still while they are copied (`columns.rs`).
#[pymodule(gil_used = true)]
#[pyo3(name = "_engine")]
fn engine_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::Engine>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<waiting::Call>()?;
    module.add_class::<capsule::ArrowStream>()?;
    module.add("Failure", module.py().get_type::<waiting::Failure>())?;
    module.add("VERSION", env!("CARGO_PKG_VERSION"))
}
