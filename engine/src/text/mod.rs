//! Search by word: which rows' texts, or sparse vectors, have a query's terms, and which match best.
//!
//! ```text
//! analysis/   which terms does a text have?
//! index/      which rows have a term? (immutable bytes, built from rows or merged)
//! runs.rs     which indexes has a segment in memory?
//! bm25.rs     what is a term worth?
//! search/     which rows score best? (exact; passes over what cannot)
//! ```
//!
//! **Exact.** A search returns the best rows of all, and their scores are those of the formula: what is passed over is proved to
//! score less. This goes for sparse vectors, too, which are searched *exactly, through an index*.
//!
//! **At once.** Rows in memory are indexed when they are written, before the write is acknowledged, so there is nothing that a
//! search does not see.
//!
//! **Not here.** Positions, and so phrases: a term is in a text or not. Prefixes and misspelled words.

mod alone;
mod analysis;
mod bm25;
mod hash;
mod index;
mod query;
mod runs;
mod search;
mod share;
#[cfg(test)]
mod tests;
mod whole;

pub use alone::TextIndex;
pub(crate) use analysis::{ANALYSIS_VERSION, Analyses, Analysis, QueryTerms};
pub use analysis::{Analyzer, UnknownAnalyzer};
pub(crate) use index::{
    Flavour, Gone, Index, IndexInfo, MergeSource, NOWHERE, Sections, SparseBuilder, Written, merge,
    merge_in_memory,
};
pub(crate) use query::{
    Answer, FieldQuery, Part, PartRead, Scored, SparseSearch, TextSearch, having_all, having_all_among,
};
pub(crate) use runs::{IndexOf, Run, Runs};
pub(crate) use share::Share;
pub(crate) use whole::{BUILDER_BYTES_MAX, PiecesOf, index_texts, index_texts_by};

/// Bytes of a term at most.
const TERM_BYTES_MAX: usize = 128;
