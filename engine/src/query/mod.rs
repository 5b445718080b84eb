//! Queries: one question that may ask by meaning, by order and by condition at once.
//!
//! **Problem.** A search for the rows nearest to one vector is one question of many: rows like these and unlike those,
//! the newest, the best of each document, two rankings made one, a cheap ranking refined by a dear one. Each alone is easy;
//! together they must not multiply into as many code paths, and none may silently give fewer rows than there are.
//!
//! **Idea.** A [`Query`] is a tree of sources. A [`Source`] ranks rows: it gives its best `n`, in order, each with a score.
//! Leaves rank by themselves ([`Nearest`], [`TextQuery`], [`Recommend`], [`OrderBy`]); [`Fuse`] makes one ranking of several,
//! [`Rescore`] ranks the best of one source anew by another. The filter is above the tree: every source ranks the rows that
//! pass, and no others. What the root gives is cut at the threshold, put into groups, and read.
//!
//! ```
//! use ragstone::query::{Fuse, Nearest, OrderBy, Query, Source};
//! use ragstone::{Db, Filter, Point, Schema};
//!
//! let db = Db::in_memory()?;
//! let notes = db.create_collection("notes", Schema::new(2)?)?;
//! notes.upsert(vec![
//!     Point::new("tea", [1.0, 0.1]).with("year", 2021).with("language", "en"),
//!     Point::new("sun", [0.9, 0.4]).with("year", 2024).with("language", "en"),
//!     Point::new("mond", [0.9, 0.3]).with("year", 2025).with("language", "de"),
//! ])?;
//! // Near and new, of the English ones.
//! let near: Source = Nearest::new([1.0, 0.0]).into();
//! let new: Source = OrderBy::descending("year").into();
//! let query = Query::new(Fuse::reciprocal_rank([near, new]), 2).filter(Filter::eq("language", "en"));
//! let found = notes.query(&query)?;
//! let ids: Vec<_> = found.hits.iter().map(|hit| hit.point.id.to_string()).collect();
//! assert_eq!(ids, ["sun", "tea"], "each is first and second once, and equal scores are put in the order of the ids");
//! # Ok::<(), ragstone::Error>(())
//! ```
//!
//! # What matches
//! An answer has `k` rows if `k` rows match, whatever the filter and the segments are; only an interrupted one has fewer, and
//! says so. A row matches
//! - [`Nearest`] and [`Recommend`]: if it has the vector (and is none of the examples);
//! - [`TextQuery`]: if a text of it has one of the words, or all of them if that is asked;
//! - [`OrderBy`]: always; rows without the field come last;
//! - [`Fuse`]: if it matches one of the sources. Each source is asked for as many candidates as the answer has rows at least,
//!   so their union has as many as there are;
//! - [`Rescore`]: if it matches `from`, and `by` can score it. If fewer than `k` candidates can be scored, more are fetched
//!   until `k` can, or there are no more.
//!
//! The threshold cuts the answer that there is without it: it makes an answer shorter, never another one.
//!
//! # Order
//! Best first. Rows of equal scores come in the order of their ids, so an answer does not depend on which segments rows
//! lie in; which of several rows with the score of the last one are in the answer may, but for [`OrderBy`].
//!
//! # Cost
//! That of its sources: a fusion of two takes as long as both. Grouping asks leaves again, under a narrower filter, until groups
//! are full, and fetches more and more candidates of fusions and rescorings, until groups are full or have all their rows, which may be the last ones
//! of all that match.

mod answer;
mod best;
mod cursor;
mod facet;
mod fuse;
mod group;
mod known;
mod nearest;
mod node;
mod order;
mod request;
mod rescore;
mod resolve;
mod response;
mod run;
mod scored;
mod source;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use answer::{each_once, query, query_batch};
pub use cursor::Cursor;
pub(crate) use facet::facet;
pub use facet::{Facet, FacetCount};
pub(crate) use known::{score, select};
pub(crate) use order::Ordering;
pub use request::{Group, Names, Query, Select};
pub(crate) use resolve::order as resolve_order;
pub use response::{FoundGroup, QueryHit, QueryResponse};
pub use source::{Example, Fuse, Fusion, Nearest, OrderBy, Recommend, Rescore, Source, Strategy, TextQuery};

pub use crate::search::{Explain, SegmentPlan, SegmentReport, Stage};
