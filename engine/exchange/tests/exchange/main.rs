//! Collections through files and back, files of others, and files that are damaged.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damaged;
mod foreign;
mod properties;
mod refused;
mod round_trip;
mod streams;
mod support;
