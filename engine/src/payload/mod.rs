//! Typed payload fields and the filters over them.
//!
//! Values reach this module with a point (`value.rs`), get the number of their field (`fields.rs`), and lie in rows
//! while a segment grows and in columns once it is sealed (`column.rs`). A [`Filter`] is compiled once per request
//! against the fields of the view (`compile.rs`), where its types and limits are checked, and then run over each
//! segment to a bitmap with an exact count (through `index.rs` in sealed segments; `cache.rs` keeps their answers).

mod cache;
mod column;
mod compile;
mod condition;
mod fields;
mod filter;
mod index;
mod value;

pub(crate) use cache::FilterCache;
pub(crate) use column::{Column, ColumnBuilder, ColumnEntry};
pub(crate) use compile::{CompiledFilter, FieldSource};
pub(crate) use condition::Test;
pub(crate) use fields::{FieldId, FieldTable};
pub use filter::{Filter, Range};
pub(crate) use index::{ColumnIndex, Sorted, SortedColumn};
pub(crate) use value::ValueRef;
pub use value::{FieldType, Payload, Value};
