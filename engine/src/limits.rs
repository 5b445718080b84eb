//! Every limit of the engine, by name. A request beyond one gets [`Error::Limit`](crate::Error::Limit), which
//! carries the limit's name and value; nothing of it is written.

/// Bytes of a collection's name.
pub const COLLECTION_NAME_BYTES_MAX: usize = 128;
/// Collections in one database.
pub const COLLECTIONS_MAX: usize = 10_000;
/// Aliases of collections in one database; an alias is as long as a collection's name may be.
pub const ALIASES_MAX: usize = 10_000;
/// Bytes of the key of a database's attribute ([`Db::set_attribute`](crate::Db::set_attribute)).
pub const DB_ATTRIBUTE_KEY_BYTES_MAX: usize = 256;
/// Bytes of the value of a database's attribute.
pub const DB_ATTRIBUTE_BYTES_MAX: usize = 64 << 10;
/// Attributes of one database.
pub const DB_ATTRIBUTES_MAX: usize = 4_096;
/// Bytes of all attributes of a database, keys and values together: each change of the manifest writes them anew.
pub const DB_ATTRIBUTES_BYTES_MAX: usize = 4 << 20;
/// Components of a vector.
pub const DIMENSION_MAX: usize = 8_192;
/// Vectors of one collection, each with a name.
pub const VECTORS_MAX: usize = 16;
/// Vectors of one row's multi-vector.
pub const MULTI_VECTORS_MAX: usize = 1_024;
/// Entries of one row's sparse vector.
pub const SPARSE_ENTRIES_MAX: usize = 16_384;
/// Bytes of a string id.
pub const ID_BYTES_MAX: usize = 512;
/// Sealed segments of one collection that are to be merged before writers wait for it. Full ones, of a million rows and more,
/// do not count, as they are merged no more.
pub const UNMERGED_SEGMENTS_MAX: usize = 64;
/// Operations in one atomic batch.
pub const BATCH_OPS_MAX: usize = 100_000;
/// Bytes of the id of a request ([`Batch::request_id`](crate::Batch::request_id)).
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Writes of a collection for which the id of a request is remembered.
pub const REQUESTS_REMEMBERED: u64 = 4_096;
/// Bytes of one atomic batch as the log encodes it.
pub const BATCH_BYTES_MAX: usize = 256 << 20;
/// Bytes of one point's payload, names and values together.
pub const PAYLOAD_BYTES_MAX: usize = 32 << 20;
/// Strings of one value that is a list of them.
pub const LIST_STRINGS_MAX: usize = 10_000;
/// Bytes of a field's name.
pub const FIELD_NAME_BYTES_MAX: usize = 128;
/// Fields of one collection.
pub const FIELDS_MAX: usize = 256;
/// Results of one search or one page.
pub const K_MAX: usize = 10_000;
/// Rows of one range search.
pub const RANGE_ROWS_MAX: usize = 100_000;
/// Searches of one batch.
pub const SEARCH_BATCH_MAX: usize = 10_000;
/// Results that the searches of one batch ask for together.
pub const SEARCH_BATCH_ROWS_MAX: usize = 1_000_000;
/// Levels of a query's source.
pub const QUERY_DEPTH_MAX: usize = 8;
/// Sources of one query, on all levels together.
pub const QUERY_SOURCES_MAX: usize = 64;
/// Sources of one fusion.
pub const FUSE_SOURCES_MAX: usize = 16;
/// Rows that a fusion asks each of its sources for, or that a rescoring fetches, unless more are wanted of itself.
pub const CANDIDATES_MAX: usize = 10_000;
/// Examples of one recommendation.
pub const EXAMPLES_MAX: usize = 256;
/// Groups of one query.
pub const GROUPS_MAX: usize = 1_000;
/// Rows of one group.
pub const GROUP_ROWS_MAX: usize = 1_000;
/// Bytes of the values of the groups of one query, together.
pub const GROUP_BYTES_MAX: usize = 64 << 20;
/// Values that one facet lists.
pub const FACET_VALUES_MAX: usize = 10_000;
/// Bytes of the values that one facet lists, together.
pub const FACET_BYTES_MAX: usize = 64 << 20;
/// Width of a graph walk (`ef`).
pub const EF_MAX: usize = 100_000;
/// Links of a graph node on the base layer.
pub const GRAPH_DEGREE_MAX: usize = 256;
/// Levels of a filter tree.
pub const FILTER_DEPTH_MAX: usize = 32;
/// Lists and objects within each other in a JSON value. More, no reader of values takes, which is what a row of a user's own type is read with.
pub const JSON_DEPTH_MAX: usize = 127;
/// Nodes and values of a filter tree, the terms of its texts among these.
pub const FILTER_TERMS_MAX: usize = 10_000;
/// Bytes of a filter as text ([`Filter::parse`](crate::Filter::parse)), and of the texts of all its [`Filter::Match`](crate::Filter::Match) together.
pub const FILTER_TEXT_BYTES_MAX: usize = 1 << 20;
/// Distinct terms of one search by word, of all its fields together, and of one [`Filter::Match`](crate::Filter::Match).
pub const QUERY_TERMS_MAX: usize = 1_024;
/// Bytes of one schema attribute's value.
pub const ATTRIBUTE_BYTES_MAX: usize = 64 << 10;
/// Attributes of one schema.
pub const ATTRIBUTES_MAX: usize = 256;
/// Fewest links of a graph node on the base layer.
pub const GRAPH_DEGREE_MIN: usize = 4;
/// Threads of a pool ([`DbOptions::threads`](crate::DbOptions::threads)).
pub const THREADS_MAX: usize = 1_024;
/// Rows after which a growing segment is sealed at the latest ([`DbOptions::seal_rows`](crate::DbOptions::seal_rows)): a
/// segment numbers its rows in thirty bits.
pub const SEAL_ROWS_MAX: usize = 1 << 28;
/// Bytes after which a new log file is begun at the latest ([`DbOptions::log_file_bytes`](crate::DbOptions::log_file_bytes)).
/// With a last frame as long as [`LOG_QUEUE_BYTES_MAX`] a file stays below a gigabyte: whoever reads, restores or repairs a
/// log has a whole file of it in memory.
pub const LOG_FILE_BYTES_MAX: usize = 512 << 20;
/// Bytes of writes that may wait for the log ([`DbOptions::log_queue_bytes`](crate::DbOptions::log_queue_bytes)); together
/// they become one frame.
pub const LOG_QUEUE_BYTES_MAX: usize = 384 << 20;

/// Refuses what is beyond a limit; `field` is the path of the argument.
pub(crate) fn check_limit(field: &str, limit: &'static str, max: usize, actual: usize) -> crate::Result<()> {
    if actual <= max {
        return Ok(());
    }
    // A path may carry the user's own oversized name.
    let field = match field.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &field[..end]),
        None => field.to_owned(),
    };
    Err(crate::Error::Limit { field, limit, max: max as u64, actual: actual as u64 })
}
