//! Queries against an oracle: every source, alone and in others, every kind of vector, texts, groups, facets, ranges and scrolls, under
//! filters of every kind and random writes of every kind, seals, merges, crashes and reopenings, while time passes and fields are added; of
//! collections with a tenant key and without, and of strict ones. A view that is held answers as of its time, a handle
//! that shows some rows as if there were no others.
//!
//! Half of the runs are on small whole numbers, where scores are exact and many rows have the same one: there answers
//! must be those of the oracle row by row. In the others scores must agree as far as rounding lets them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod handles;
mod kinds;
mod later;
mod leaves;
mod oracle;
mod reads;
mod scrolls;
#[path = "../support/mod.rs"]
mod support;
mod words;
mod world;
