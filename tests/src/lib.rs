//! Tests across the crates of Ragstone; the crate itself holds what they share.
//!
//! - `src/bin/crash_writer.rs`, `tests/crash.rs`: a process that writes and is killed, again and again.
//! - `src/torture/`, `src/bin/torture.rs`: the same with every operation at once, killed where it hurts most.
//! - `src/bin/full_disk.rs`: a store on a small disk that runs full, by hand.
//! - `src/chat.rs`: a service that speaks the OpenAI chat protocol; `tests/generate.rs` asks it through the library.
//! - `src/certificates.rs`: authorities and certificates, made for one test.
//! - `tests/server/`: the server through a real client over a real socket; its HTTP port also through OpenAI's own client.
//! - `tests/cli/`, `tests/demo.rs`: the command line as a process, and the README's first command.
//! - `tests/tidy.rs`: the checks of shape.

pub mod certificates;
pub mod chat;
pub mod crash;
pub mod torture;

/// The examples of the README compile, and those that need no server and no model run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
