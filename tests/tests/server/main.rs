//! The server, from outside: a real socket, the Rust client, and a generated client for what the Rust client hides.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod by_hand;
mod calls;
mod cancel;
mod circle;
mod compression;
mod documents;
mod enrichment;
mod errors;
mod fields;
mod fixture;
mod generate;
mod health;
mod http;
mod inference;
mod ingest;
mod limits;
mod load;
mod models;
mod openai;
mod operations;
mod pages;
mod python;
mod queries;
mod reads;
mod reflection;
mod retries;
mod retrieval;
mod shutdown;
mod streams;
mod templates;
mod tenants;
mod tokens;
mod vectors;
mod words;
mod writes;
