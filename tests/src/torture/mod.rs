//! The torture: a process writes, is killed with SIGKILL where it hurts, and nothing that it acknowledged may be missing.
//!
//! - `workload.rs`: what each thread of the writer does, a pure function of a seed and a number;
//! - `writer.rs`: the process that does it, tells what it is about to do and what was acknowledged, and stops at the fail
//!   point that it was given, to be killed there;
//! - `model.rs`: what must be in the store, from what was told;
//! - `compare.rs`: what is in the store against that: by id, in pages, counted, and searched;
//! - `run.rs`: the cycles of killing, opening and comparing.
//!
//! Threads write to their own ids in collections that all share, and to collections of their own, which they also make and
//! remove. So what each thread did last decides what must be there, however the threads took turns; and what it was doing
//! when the process was killed may be there or not, but wholly or not at all.

mod compare;
mod model;
mod run;
mod workload;
mod writer;

pub use compare::Findings;
pub use run::{Report, Torture};
pub use writer::Writer;

/// Threads that write at once.
pub const THREADS: u64 = 3;
