//! The torture: a process writes, is killed with SIGKILL where it hurts, and nothing that it acknowledged may be missing.
//!
//! - `rows.rs`: what the rows of each thread are;
//! - `workload.rs`: what each thread of the writer does, a pure function of a seed and a number;
//! - `archive.rs`: the part of it that is done to an archive beside the database, through a store with fail points;
//! - `writer.rs`: the process that does it, tells what it is about to do and what was acknowledged, and stops at the fail
//!   point that it was given, to be killed there;
//! - `perform.rs`: how it does that, and reads back what it wrote; `replace.rs`: collections that take the place of others;
//! - `model.rs`: what must be in the store, from what was told;
//! - `compare.rs`: what is in the store against that: by id, in pages, counted, and searched;
//! - `copies.rs`: what must be in the archive, and what each copy that comes out of it may hold;
//! - `restored.rs`: what is in the archive, and in databases restored from it, against that;
//! - `mistake.rs`: stores that are wrong on purpose;
//! - `run.rs`: the cycles of killing, opening and comparing.
//!
//! Threads write to their own ids in collections that all share, and to collections of their own, which they also make and
//! remove, and in whose place others come with the same rows. Each process has a clock that stands still, and the next one's is
//! later, so rows expire between two. So what each thread did last decides what must be there, however the threads took turns; and what it was doing
//! when the process was killed may be there or not, but wholly or not at all. A write under conditions that do not hold leaves
//! nothing, and a request is done once however often it is sent. Of a copy that was taken meanwhile the call
//! and the answer decide: it has what was acknowledged before the one and nothing that was submitted after the other.

mod archive;
mod compare;
mod copies;
mod mistake;
mod model;
mod perform;
mod replace;
mod restored;
mod rows;
mod run;
mod workload;
mod writer;

pub use compare::Findings;
pub use mistake::Mistake;
pub use run::{Report, Torture};
pub use writer::{Stop, Writer};

/// Threads that write at once.
pub const THREADS: u64 = 3;
