//! Every limit of the server, by name. Those of the engine and of text are the same whether embedded or served, and are
//! here again so that there is one table. A request beyond a limit gets an error with the limit's name, its largest value
//! and the value given (`google.rpc.ErrorInfo`, metadata `limit`, `max`, `actual`); nothing of it is stored.
//!
//! | limit | value | error |
//! |---|---|---|
//! | [`REQUEST_BYTES_MAX`] | 32 MiB (by default) | RESOURCE_EXHAUSTED |
//! | [`RESPONSE_BYTES_MAX`] | 64 MiB (by default) | RESOURCE_EXHAUSTED |
//! | [`MESSAGE_BYTES_MAX`] | 1,024 MiB of all messages together (by default) | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`UNPLACED_REQUEST_BYTES_MAX`] | 4 KiB of a request for health or reflection | RESOURCE_EXHAUSTED |
//! | [`REFLECTION_CALLS_MAX`] | 16 calls of reflection | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`METRICS_ANSWERS_MAX`] | 16 answers of `/metrics` | 429, with Retry-After |
//! | [`HEALTH_CALLS_PER_CONNECTION_MAX`] | 64 calls for health of a connection | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`CONCURRENT_REQUESTS_MAX`] | 256 of a kind (by default) | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`CONCURRENT_STREAMS_MAX`] | 256 of a kind (by default) | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`SHORT_READ_ROWS_MAX`] | 100 rows; reads of more, and of groups, batches and ranges, are worked on one fewer at a time than there are processors (by default, `large_requests_max`), callers one after the other | it waits |
//! | [`SHORT_MESSAGE_BYTES_MAX`] | 1 MiB; longer requests are read, and longer answers written, in the same turns | it waits |
//! | [`CONCURRENT_GENERATIONS_MAX`] | 64 answers (by default) | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`CALLER_SHARE_MAX`] | 0.5 of the places of a kind, and of those of streams, for a caller who is known (by default); and of [`MESSAGE_BYTES_MAX`], for the messages of a caller, or of a connection | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`BEYOND_SHARE_MAX`] | 0.875 of [`MESSAGE_BYTES_MAX`] for all messages together, up to which those of one may have more than that share | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`UNSHARED_BYTES_MAX`] | 64 KiB of a call's messages, which count for no such share | none |
//! | [`CALLER_PLACES_MIN`] | 8 of a kind, however small that share is | none |
//! | [`ANSWER_STALL_SECONDS_MAX`] | 60 s (by default) | the answer is given up |
//! | [`GRPC_CONNECTIONS_MAX`] | 1,024 of the gRPC port (by default) | that which has rested longest is closed; where none rests, the connection waits |
//! | [`HTTP_CONNECTIONS_MAX`] | 1,024 of the HTTP port (by default) | that which has rested longest is closed; where none rests, the connection waits |
//! | [`HTTP_HEADER_SECONDS_MAX`] | 20 s (by default), of the gRPC port what HTTP/2 begins with | the connection is closed |
//! | [`TLS_HANDSHAKES_MAX`] | 1,024 under way to the gRPC port | that which has lasted the longest is closed; where none has for a second, the connection waits |
//! | [`TLS_HANDSHAKE_SECONDS_MAX`] | 10 s | the connection is closed |
//! | [`REQUEST_SECONDS_MAX`] | 1,800 s (by default) | DEADLINE_EXCEEDED |
//! | [`STREAM_SECONDS_MAX`] | 86,400 s (by default) | DEADLINE_EXCEEDED |
//! | [`BODY_IDLE_SECONDS_MAX`] | 20 s in which nothing comes of a request's message | DEADLINE_EXCEEDED |
//! | [`BODY_BYTES_PER_SECOND_MIN`] | 16,384 bytes, of a message that is waited for longer than that, and of all answers that a connection takes while one of one message, or of the HTTP port, waits | DEADLINE_EXCEEDED; of the HTTP port the connection is closed |
//! | [`STREAM_IDLE_SECONDS_MAX`] | 300 s between two messages of a stream | DEADLINE_EXCEEDED |
//! | [`READ_WAIT_SECONDS_MAX`] | 5 s (by default) | UNAVAILABLE, with RetryInfo |
//! | [`INGEST_REFUSED_MAX`] | 1,000 points of a message of a stream | INVALID_ARGUMENT |
//! | [`INGEST_AHEAD_MAX`] | 1 message of a stream of points | the client waits |
//! | [`INGEST_DOCUMENTS_MAX`] | 64 documents of a stream at a time, and 64 ahead | the client waits |
//! | [`INGEST_DOCUMENTS_TOGETHER_BYTES`] | 128 KiB of these at a time, or one document | the others are stored after them |
//! | [`INGEST_DOCUMENTS_BYTES_MAX`] | 16 MiB of these, or one document | the client waits |
//! | [`HEADER_BYTES_MAX`] | 16 KiB | the HTTP/2 stream is refused |
//! | [`STREAMS_PER_CONNECTION_MAX`] | 256 | the client waits |
//! | [`PAGE_SIZE_DEFAULT`] | 100 where none is asked for | none |
//! | [`PAGE_SIZE_MAX`] | 1,000 | INVALID_ARGUMENT |
//! | [`CALLERS_REMEMBERED_MAX`] | 100,000 whose calls are counted | those who called the longest ago begin anew |
//! | [`KEYS_MAX`] | 1,000 API keys | RESOURCE_EXHAUSTED |
//! | [`KEY_NAME_BYTES_MAX`] | 128 bytes | INVALID_ARGUMENT |
//! | [`GRANTS_MAX`] | 32 of a key | INVALID_ARGUMENT |
//! | [`GRANT_BYTES_MAX`] | 1,024 bytes | INVALID_ARGUMENT |
//! | `GRANT_NAMES_MAX` | the `max` of a grant to manage: collections and aliases whose names it fits (by default not bounded) | RESOURCE_EXHAUSTED |
//! | [`CLAIMS_BYTES_MAX`] | 16 KiB of a key | INVALID_ARGUMENT |
//! | [`TOKEN_BYTES_MAX`] | 8 KiB | UNAUTHENTICATED |
//! | [`KEY_SET_BYTES_MAX`] | 1 MiB of an identity provider | its tokens are refused |
//! | [`GET_IDS_MAX`] | 10,000 | INVALID_ARGUMENT |
//! | [`COLLECTION_NAME_BYTES_MAX`] | 128 bytes | INVALID_ARGUMENT |
//! | [`COLLECTIONS_MAX`] | 10,000 | RESOURCE_EXHAUSTED |
//! | [`ALIASES_MAX`] | 10,000 | RESOURCE_EXHAUSTED |
//! | [`FILE_NAME_BYTES_MAX`] | 255 bytes | INVALID_ARGUMENT |
//! | [`OPERATIONS_RUNNING_MAX`] | 8 | RESOURCE_EXHAUSTED |
//! | [`OPERATIONS_KEPT_MAX`] | 256 that have ended | those that ended before them are forgotten |
//! | [`DIMENSION_MAX`] | 8,192 components | INVALID_ARGUMENT |
//! | [`VECTORS_MAX`] | 16 in a collection | INVALID_ARGUMENT |
//! | [`MULTI_VECTORS_MAX`] | 1,024 of a row | INVALID_ARGUMENT |
//! | [`SPARSE_ENTRIES_MAX`] | 16,384 of a row | INVALID_ARGUMENT |
//! | [`ID_BYTES_MAX`] | 512 bytes | INVALID_ARGUMENT |
//! | [`BATCH_OPS_MAX`] | 100,000 points or ids; no field of a request has more items, which is found while it arrives, and told by the field's own limit where it has one | INVALID_ARGUMENT |
//! | [`BATCH_BYTES_MAX`] | 256 MiB | INVALID_ARGUMENT |
//! | [`PAYLOAD_BYTES_MAX`] | 32 MiB | INVALID_ARGUMENT |
//! | [`LIST_STRINGS_MAX`] | 10,000 of a value | INVALID_ARGUMENT |
//! | [`FIELD_NAME_BYTES_MAX`] | 128 bytes | INVALID_ARGUMENT |
//! | [`FIELDS_MAX`] | 256 in a collection | INVALID_ARGUMENT |
//! | [`REQUEST_ID_BYTES_MAX`] | 128 bytes | INVALID_ARGUMENT |
//! | [`K_MAX`] | 10,000 | INVALID_ARGUMENT |
//! | [`RANGE_ROWS_MAX`] | 100,000 | INVALID_ARGUMENT |
//! | [`EF_MAX`] | 100,000 | INVALID_ARGUMENT |
//! | [`QUERY_TERMS_MAX`] | 1,024 words, also of a filter's `match` | INVALID_ARGUMENT |
//! | [`QUERY_DEPTH_MAX`] | 8 levels | INVALID_ARGUMENT |
//! | [`QUERY_SOURCES_MAX`] | 64 in a query | INVALID_ARGUMENT |
//! | [`FUSE_SOURCES_MAX`] | 16 in a fusion | INVALID_ARGUMENT |
//! | [`CANDIDATES_MAX`] | 10,000 of a source | INVALID_ARGUMENT |
//! | [`EXAMPLES_MAX`] | 256 | INVALID_ARGUMENT |
//! | [`GROUPS_MAX`] | 1,000 | INVALID_ARGUMENT |
//! | [`GROUP_ROWS_MAX`] | 1,000 of a group | INVALID_ARGUMENT |
//! | [`GROUP_BYTES_MAX`] | 64 MiB of the values of a query's groups together | INVALID_ARGUMENT |
//! | [`FACET_VALUES_DEFAULT`] | 10 where no number is asked for | none |
//! | [`FACET_VALUES_MAX`] | 10,000 | INVALID_ARGUMENT |
//! | [`FACET_BYTES_MAX`] | 64 MiB of these values together | INVALID_ARGUMENT |
//! | [`SEARCH_BATCH_MAX`] | 10,000 queries | INVALID_ARGUMENT |
//! | [`SEARCH_BATCH_ROWS_MAX`] | 1,000,000 of a batch | INVALID_ARGUMENT |
//! | [`FILTER_DEPTH_MAX`] | 32 levels | INVALID_ARGUMENT |
//! | [`JSON_DEPTH_MAX`] | 127 lists and objects within each other in a JSON value | INVALID_ARGUMENT |
//! | [`FILTER_TERMS_MAX`] | 10,000 nodes and values, the terms of its texts among these | INVALID_ARGUMENT |
//! | [`FILTER_TEXT_BYTES_MAX`] | 1 MiB of the texts of all its `match` together | INVALID_ARGUMENT |
//! | [`DOCUMENT_BYTES_MAX`] | 16 MiB | INVALID_ARGUMENT |
//! | [`HTML_NODES_MAX`] | 1,000,000 elements, texts and attributes of a page, which take about 200 MiB while it is read | INVALID_ARGUMENT |
//! | [`PDF_PROCESSES_MAX`] | 2 PDFs read at a time, each in a process of its own | it waits |
//! | [`PDF_PLACE_SECONDS_MAX`] | 120 s that one waits for its turn among these, and no longer than its call lasts | RESOURCE_EXHAUSTED, with RetryInfo; of a stream of documents this one is refused, and the others go on |
//! | [`PDF_PROCESS_BYTES_MAX`] | 512 MiB of memory of such a process | INVALID_ARGUMENT |
//! | [`PDF_PROCESS_SECONDS_MAX`] | 45 s of a processor's time for a PDF; 30 s altogether | INVALID_ARGUMENT |
//! | [`DOCUMENT_ID_BYTES_MAX`] | 400 bytes | INVALID_ARGUMENT |
//! | [`TEXT_BYTES_MAX`] | 1 MiB | INVALID_ARGUMENT |
//! | [`RECALL_COLLECTIONS_MAX`] | 64 with figures of their own | the others are counted together |
//! | [`MODEL_LOADS_MAX`] | 2 loads and fetches of models at a time | the others wait |
//! | [`EMBED_TEXTS_MAX`] | 2,048 texts | INVALID_ARGUMENT |
//! | [`RERANK_PASSAGES_MAX`] | 1,000 passages | INVALID_ARGUMENT |
//! | [`METADATA_BYTES_MAX`] | 16 KiB | INVALID_ARGUMENT |
//! | [`DOCUMENT_CHUNKS_MAX`] | 49,999 | INVALID_ARGUMENT |
//! | [`CHUNK_TOKENS_MAX`] | 65,536 tokens | INVALID_ARGUMENT |
//! | [`INGEST_AHEAD_BYTES_DEFAULT`] | 64 MiB under way, of a file of records or of a stream of documents | it waits |
//! | [`INGEST_AHEAD_BYTES_MAX`] | 16384 MiB under way, of a library's call | none: the wire does not offer it |
//! | [`RECORD_FAILURES_MAX`] | 100 records left out that an answer lists | the others are counted |
//! | [`RECORD_NAMES_MAX`] | 4,096 fields of a record, or columns of a file in CSV | the record is left out, or the file |
//! | [`RECORD_FIELDS_MAX`] | 64 of a record's text | INVALID_ARGUMENT |
//! | [`TEMPLATE_BYTES_MAX`] | 32 KiB | INVALID_ARGUMENT |
//! | [`TEMPLATE_OPERATORS_MAX`] | 64 of a tag | INVALID_ARGUMENT |
//! | [`TEMPLATE_NESTING_MAX`] | 64 statements inside one another, each `elif` a level more | INVALID_ARGUMENT |
//! | [`TEMPLATE_NAME_BYTES_MAX`] | 128 bytes | INVALID_ARGUMENT |
//! | [`TEMPLATES_MAX`] | 1,000 versions | INVALID_ARGUMENT |
//! | [`TEMPLATE_NUMBERS_REMEMBERED`] | 1,000 of deleted templates | new ones of all names are above the highest of older ones |
//! | [`PREVIEW_PASSAGES_MAX`] | 100 | INVALID_ARGUMENT |
//! | [`TEMPLATE_FUEL_MAX`] | 200,000 instructions | INVALID_ARGUMENT |
//! | [`TEMPLATE_FILTER_BYTES_MAX`] | 256 MiB | INVALID_ARGUMENT |
//! | [`PROMPT_BYTES_MAX`] | 32 MiB | INVALID_ARGUMENT |
//! | [`PROMPT_TOKENS_MAX`] | 1,000,000 tokens | INVALID_ARGUMENT |
//! | [`CHAT_MESSAGES_MAX`] | 1,000 | INVALID_ARGUMENT |
//! | [`MMR_CHUNKS_MAX`] | 500 | INVALID_ARGUMENT |
//! | [`MMR_POOL_MAX`] | 4,000 that are chosen from | further ones are not compared |
//! | [`NEIGHBOURS_MAX`] | 32 on either side | INVALID_ARGUMENT |
//! | [`PARENTS_MAX`] | 16 levels | INVALID_ARGUMENT |
//! | [`EXPANSION_CHUNKS_MAX`] | 10,000 for all that is found | INVALID_ARGUMENT |
//! | [`GENERATE_MODELS_MAX`] | 64 listed | the server does not start |
//! | [`GENERATE_MODEL_NAME_BYTES_MAX`] | 128 bytes | the server does not start |
//! | [`GENERATE_REQUESTS_MAX`] | 512 of a model whose answers have not begun | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`EMBED_REQUESTS_MAX`] | 256 of a remote model | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`REMOTE_LOADS_MAX`] | 64 of remote models under way | RESOURCE_EXHAUSTED, with RetryInfo |
//! | [`GENERATE_SECONDS_MAX`] | 86,400 s | the server does not start |
//! | [`ANSWER_TOKENS_MAX`] | 1,000,000 tokens | INVALID_ARGUMENT |
//! | [`ANSWER_BYTES_MAX`] | 4 MiB | UNAVAILABLE |
//! | [`RESPONSE_FORMAT_BYTES_MAX`] | 64 KiB | INVALID_ARGUMENT |
//! | [`CITATION_USES_MAX`] | 10,000 of an answer | further ones are not read |
//! | [`STOPS_MAX`] | 4 texts | INVALID_ARGUMENT |
//! | [`STOP_BYTES_MAX`] | 256 bytes | INVALID_ARGUMENT |
//! | [`STREAM_EVENT_BYTES_MAX`] | 1 MiB | UNAVAILABLE |
//! | [`STREAM_BYTES_MAX`] | 64 MiB | UNAVAILABLE |
//! | tokens of a text | the model's own | INVALID_ARGUMENT |
//!
//! # Memory
//! Beside what the database and the models take, which their own options bound, what callers can make a server take is at most
//! **twice [`MESSAGE_BYTES_MAX`] + 1.5 MiB for each place + 1 MiB for each connection of the gRPC port + 256 KiB for each of the HTTP port** (by default 2 GiB +
//! 2.4 GiB + 1 GiB + 256 MiB):
//!
//! - a message is there twice while it is read or written. A part of it counts for 256 bytes beside its own, since an empty one takes two on the wire. A
//!   compressed message counts for what it comes as and for what it becomes, parts included, while it does; what decompresses it keeps no more than that, of zstd 8 MiB
//!   at most;
//! - places are those of [`CONCURRENT_REQUESTS_MAX`] and [`CONCURRENT_STREAMS_MAX`] for reads, writes and fetches each, [`CONCURRENT_GENERATIONS_MAX`],
//!   [`REFLECTION_CALLS_MAX`] and [`METRICS_ANSWERS_MAX`]. What has come of a call and was not asked for yet fills its window of flow control (1 MiB; 4 MiB of a connection, whatever
//!   its calls are); its headers take four times [`HEADER_BYTES_MAX`] once they are taken apart; and the transport has up to 400 KiB of an answer, which nobody
//!   took;
//! - what has no place is answered at once, and what comes behind such a call is thrown away. Its answer waits for a caller who takes nothing: some three kilobytes for each of
//!   [`STREAMS_PER_CONNECTION_MAX`]. Beside these a connection has buffers, and so has a TLS handshake, of which there may be [`TLS_HANDSHAKES_MAX`] beside the
//!   connections. Calls for health are begun without their headers, and have some kilobytes each.
//!
//! PDFs are read in processes of their own, which take at most [`PDF_PROCESSES_MAX`] times [`PDF_PROCESS_BYTES_MAX`] (1 GiB) beside that, and
//! end alone where a file was made to exhaust memory or stack. The server's program on Linux has this, which needs `/proc` to bound it and reads no PDF where
//! it cannot (INTERNAL); on other systems the process is ended after its
//! time, its memory is not bounded. A server that another program has in itself, as Python has, reads PDFs on a thread unless it is given a
//! [`PdfProgram`](ragstone_rag::ingest::PdfProgram): what a file's streams hold is measured before as far as that can be known, but a file that was made
//! for it can end that process. Such a server takes PDFs from those alone whom it trusts.

use std::time::Duration;

use tonic::Status;

pub use ragstone::limits::*;
pub use ragstone_rag::limits::*;

use crate::status;

/// Bytes of one request's message, by default.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;
/// Bytes of one response's message, by default.
pub const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Bytes of memory of the messages of all calls together, by default.
pub const MESSAGE_BYTES_MAX: usize = 1_024 << 20;
/// Bytes of a request that takes no place: for health, or reflection.
pub const UNPLACED_REQUEST_BYTES_MAX: usize = 4 << 10;
/// Calls of reflection at a time.
pub const REFLECTION_CALLS_MAX: usize = 16;
/// Answers of `/metrics` at a time, until they have gone.
pub const METRICS_ANSWERS_MAX: usize = 16;
/// Calls for health of one connection at a time.
pub const HEALTH_CALLS_PER_CONNECTION_MAX: usize = 64;
/// Requests of a kind (reads, writes, fetches of models) that arrive, wait for a thread or are being worked on, by default;
/// one more is refused before its body is read.
pub const CONCURRENT_REQUESTS_MAX: usize = 256;
/// Calls of a kind that stream, by default; they have places of their own.
pub const CONCURRENT_STREAMS_MAX: usize = 256;
/// Rows that a query may ask for without waiting for others that ask for much; those of groups, batches and ranges always do.
pub const SHORT_READ_ROWS_MAX: usize = 100;
/// Bytes that a request's message may have without waiting for other long ones to be read.
pub const SHORT_MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Operations that run at a time.
pub const OPERATIONS_RUNNING_MAX: usize = 8;
/// Bytes of the name of a file that a collection is exported to or imported from.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Operations that have ended and are kept; those that ended before them are forgotten.
pub const OPERATIONS_KEPT_MAX: usize = 256;
/// Answers of language models that are under way, by default; one more is refused.
pub const CONCURRENT_GENERATIONS_MAX: usize = 64;
/// The part of the places of a kind that one caller may have at a time, by default; of those of streams, likewise; and of the memory of messages, where
/// less is free of it than [`BEYOND_SHARE_MAX`] leaves.
pub const CALLER_SHARE_MAX: f64 = 0.5;
/// The part of the memory of messages up to which a caller may have more than the share of it: what is left is for others, who are answered meanwhile.
pub const BEYOND_SHARE_MAX: f64 = 0.875;
/// Bytes of the messages of a call that count for no caller's share of their memory: as many as there are places take little of it.
pub const UNSHARED_BYTES_MAX: usize = 64 << 10;
/// Places of a kind that one caller may have at a time, however small their share is.
pub const CALLER_PLACES_MIN: usize = 8;
/// Seconds for which a caller may take nothing of an answer, by default.
pub const ANSWER_STALL_SECONDS_MAX: u64 = 60;
/// Connections to the gRPC port at a time, by default; for one more that which has rested longest is closed, and where none rests it waits.
pub const GRPC_CONNECTIONS_MAX: usize = 1_024;
/// Connections to the HTTP port at a time, by default; for one more that which has rested longest is closed, and where none rests it waits.
pub const HTTP_CONNECTIONS_MAX: usize = 1_024;
/// Seconds that the headers of a request to the HTTP port may take, by default, and that what HTTP/2 begins with may take on the gRPC port.
pub const HTTP_HEADER_SECONDS_MAX: u64 = 20;
/// TLS handshakes with the gRPC port that are under way, or over and wait for a place among the connections; those of the HTTP port have the places of their connections.
pub const TLS_HANDSHAKES_MAX: usize = 1_024;
/// Seconds that a TLS handshake may take.
pub const TLS_HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Seconds after which a request is given up, by default, whatever deadline its caller set.
pub const REQUEST_SECONDS_MAX: u64 = 1_800;
/// The same, of a call that streams.
pub const STREAM_SECONDS_MAX: u64 = 86_400;
/// Seconds for which the body of a request may rest while it arrives; that of a stream, within a message or before the first.
pub const BODY_IDLE_SECONDS_MAX: u64 = 20;
/// Bytes that a message must bring for each second that it is waited for beyond [`BODY_IDLE_SECONDS_MAX`], and that a connection must take, of all its
/// answers together, for each second that one of one message over gRPC, or any of the HTTP port, waits beyond [`ANSWER_STALL_SECONDS_MAX`].
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 16_384;
/// Seconds for which a stream may rest between messages, while it is owed no acknowledgement.
pub const STREAM_IDLE_SECONDS_MAX: u64 = 300;
/// Seconds for which a read waits, by default, for the server to come to the write that it is to find.
pub const READ_WAIT_SECONDS_MAX: u64 = 5;
/// Points of a message of a stream that are refused one by one; if there are more, the message is, and the stream ends.
pub const INGEST_REFUSED_MAX: usize = 1_000;
/// Messages of a stream of points that are read ahead of the one that is being stored.
pub const INGEST_AHEAD_MAX: usize = 1;
/// Documents of a stream that are stored together, at most, and as many that are read ahead of these.
pub const INGEST_DOCUMENTS_MAX: usize = 64;
/// Bytes of documents of a stream that are as many as are stored together: enough to keep a model busy for seconds, after which others that wait to
/// write have a turn.
pub const INGEST_DOCUMENTS_TOGETHER_BYTES: usize = 128 << 10;
/// Bytes of the documents of a stream that are read and not acknowledged, unless a single one has more.
pub const INGEST_DOCUMENTS_BYTES_MAX: usize = 16 << 20;
/// Bytes of one request's headers.
pub const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Requests of one connection at a time; a client keeps the others back.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Callers whose calls are counted for their limits; beyond, some are forgotten, and begin anew.
pub const CALLERS_REMEMBERED_MAX: usize = 100_000;
/// API keys of a database.
pub const KEYS_MAX: usize = 1_000;
/// Bytes of what a key says that it is for.
pub const KEY_NAME_BYTES_MAX: usize = 128;
/// Grants of a key.
pub const GRANTS_MAX: usize = 32;
/// Bytes of a grant as it is written.
pub const GRANT_BYTES_MAX: usize = 1_024;
/// Bytes of a key's claims, as JSON.
pub const CLAIMS_BYTES_MAX: usize = 16 << 10;
/// Bytes of a token of an identity provider.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Bytes of the public keys of an identity provider.
pub const KEY_SET_BYTES_MAX: usize = 1 << 20;
/// Items of a page where none is asked for.
pub const PAGE_SIZE_DEFAULT: usize = 100;
/// Items of a page.
pub const PAGE_SIZE_MAX: usize = 1_000;
/// Values that a facet lists where no number is asked for.
pub const FACET_VALUES_DEFAULT: usize = 10;
/// Fields of a record that are its text together.
pub const RECORD_FIELDS_MAX: usize = 64;
/// Records left out that an answer lists; the others are counted.
pub const RECORD_FAILURES_MAX: usize = 100;
/// Ids of one look-up.
pub const GET_IDS_MAX: usize = K_MAX;

/// Bytes of an error's message. Errors travel in headers, which clients take up to 16 KiB of, percent-encoded (three bytes
/// for one, at worst) and once more, with the details, in base64.
pub(crate) const ERROR_MESSAGE_BYTES_MAX: usize = 2_048;
/// Bytes of one text among an error's details.
pub(crate) const ERROR_DETAIL_BYTES_MAX: usize = 512;
/// How long a request waits for its model to be loaded before it is told to come back, by default.
pub(crate) const MODEL_WAIT: Duration = Duration::from_secs(5);
/// How long a call waits for the database to be opened before it is told to come back.
pub(crate) const OPEN_WAIT: Duration = Duration::from_secs(5);
/// Models loaded or fetched at the same time.
pub const MODEL_LOADS_MAX: usize = 2;
/// Collections whose measured recall has a series of metrics of its own; the names of all others are left out.
pub const RECALL_COLLECTIONS_MAX: usize = 64;

/// Refuses too many items before anything is made of them: on the wire an empty one takes two bytes.
pub(crate) fn check_count(
    field: &str,
    actual: usize,
    (limit, max): (&'static str, usize),
) -> Result<(), Status> {
    if actual > max { Err(status::beyond_limit(field, limit, max as u64, actual as u64)) } else { Ok(()) }
}
