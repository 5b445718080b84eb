//! Typed payload fields and the filters over them.
//!
//! Values reach this module with a point (`value.rs`; `geo.rs` and `json.rs` have types of their own), get the number of
//! their field (`fields.rs`), and lie in rows while a segment grows and in columns of an Arrow file once it is sealed
//! (`column.rs`, `arrow.rs`). A [`Filter`] is compiled once per request against the fields of the view (`compile.rs`), where
//! its types and limits are checked, and then run over each segment to a bitmap with an exact count, or to a list where few
//! rows pass (`passing.rs`), or, for a search by vector, to a test of the rows that it comes to (`screen.rs`; of one row, also one that is not stored, `matching.rs` says whether it passes; in sealed segments through
//! `field_index.rs`: `index.rs`, for lists `elements.rs`, for places `places.rs`, put into their order by `sorting.rs`; `cache.rs` keeps
//! their answers). People write filters as text, and read them so (`parse/`).

mod arrow;
mod ascending;
mod cache;
mod column;
mod compile;
mod condition;
mod elements;
mod encoded;
mod field_index;
mod fields;
mod filter;
mod geo;
mod index;
mod json;
mod matching;
mod parse;
mod passing;
mod places;
mod screen;
mod sorting;
mod time;
mod value;
mod value_ref;

pub(crate) use arrow::{ArrowColumns, Layout, layout};
pub(crate) use cache::FilterCache;
pub(crate) use column::{Column, ColumnEntry, buffers_of};
pub(crate) use compile::{CompiledFilter, FieldSource, Screened};
pub(crate) use condition::Test;
pub(crate) use elements::ListedColumn;
pub(crate) use encoded::{decode_value, encode_value};
pub(crate) use field_index::{FieldIndex, Indexed, Sorted};
pub(crate) use fields::{FieldId, FieldTable};
pub use filter::{Filter, Range};
pub use geo::GeoPoint;
pub(crate) use index::{ColumnIndex, SortedColumn};
pub use json::Json;
pub use parse::ParseError;
pub(crate) use passing::Passing;
pub(crate) use screen::Screen;
pub use value::{FieldType, Payload, Value};
pub(crate) use value_ref::{ListRef, ValueRef};
