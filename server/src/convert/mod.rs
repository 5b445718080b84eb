//! Between wire and engine: the only place where their types meet, a file for each subject.
//!
//! What comes in is checked for what only the wire can get wrong (a oneof that is not set, an enum value that does not
//! exist, a reserved name) and named by its path in the request, `points[3].vector`; everything else is the engine's to
//! check, so that a library and a server refuse the same things. What goes out cannot fail.

mod collection;
mod document;
mod enrich;
mod exchange;
mod filter;
mod found;
mod generate;
mod key;
mod model;
mod operation;
mod point;
mod query;
mod range;
mod records;
mod rerank;
mod retrieve;
mod scroll;
mod source;
mod stats;
mod template;
mod value;
mod vector;
mod write;

use ragstone_proto::v1;
use tonic::Status;

pub(crate) use self::collection::{collection, collection_spec, fields_to_add, texts_to_add};
pub(crate) use self::document::{chunk, document, document_input, ingest_report};
pub(crate) use self::enrich::{enrich_request, enriched, template_name};
pub(crate) use self::exchange::{exchange_field, export_options, import_options};
pub(crate) use self::filter::filter_in;
pub(crate) use self::found::{explain, facet, hit, hit_group, query_stats};
pub(crate) use self::generate::{generate_request, generated};
pub(crate) use self::key::{grace_in, key, new_key};
pub(crate) use self::model::{embed_options, embed_response, model};
pub(crate) use self::operation::{operation, state_in};
pub(crate) use self::point::{ids_to_read, point};
pub(crate) use self::query::{QueryPaths, has_text, query, query_texts};
pub(crate) use self::range::{put_range_vector, range, range_has_text, take_range_text};
pub(crate) use self::records::{RecordsFile, count_record, records_file};
pub(crate) use self::rerank::{check_texts, count_tokens_response, rerank, rerank_response};
pub(crate) use self::retrieve::{retrieve_request, retrieved};
pub(crate) use self::scroll::scroll;
pub(crate) use self::stats::{snapshot, stats};
pub(crate) use self::template::{Preview, preview, previewed, template};
pub(crate) use self::write::{
    Terms, deleted, operations, readable_upserts, removals, updated, updates, upserted, upserts, written,
};
use crate::status;

/// Milliseconds of each stage.
type Timings = Vec<(&'static str, f64)>;

/// A number of things as the wire counts them; every one is bounded far below the type's end.
pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn unknown_enum(field: &str, number: i32) -> Status {
    status::invalid(field, &format!("{number} is not a value of this enum"))
}

pub(crate) fn timings_out(timings: Timings) -> Vec<v1::StageTiming> {
    timings
        .into_iter()
        .map(|(stage, milliseconds)| v1::StageTiming { stage: stage.to_owned(), milliseconds })
        .collect()
}
