//! Names of attributes: of the semantic conventions 1.45.0, and of those for generative AI 0.1.0 (`gen_ai.*`), which are still called a
//! development; what these have no name for begins with `ragstone.`.

/// Where the schema of the attributes is described.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

pub(super) const RPC_SYSTEM: &str = "rpc.system.name";
pub(super) const RPC_METHOD: &str = "rpc.method";
pub(super) const RPC_STATUS: &str = "rpc.response.status_code";
pub(super) const HTTP_METHOD: &str = "http.request.method";
pub(super) const HTTP_ROUTE: &str = "http.route";
pub(super) const HTTP_STATUS: &str = "http.response.status_code";
pub(super) const URL_PATH: &str = "url.path";
pub(super) const URL_SCHEME: &str = "url.scheme";
pub(super) const ERROR_TYPE: &str = "error.type";

/// `embeddings`, `retrieval` or `chat`.
pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const MODEL: &str = "gen_ai.request.model";
pub(super) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Whether the service is asked for its answer piece by piece, which it always is.
pub(super) const IS_STREAMED: &str = "gen_ai.request.stream";
/// Seconds from asking the service to the first piece of its answer.
pub(super) const FIRST_TOKEN: &str = "gen_ai.response.time_to_first_chunk";
/// The collection.
pub(super) const DATA_SOURCE: &str = "gen_ai.data_source.id";
pub(super) const TOP_K: &str = "gen_ai.retrieval.top_k";

/// Of a search, which is an operation of a database in this process.
pub(super) const DB_SYSTEM: &str = "db.system.name";
pub(super) const DB_COLLECTION: &str = "db.collection.name";
pub(super) const DB_OPERATION: &str = "db.operation.name";

/// What a stage is called in answers and in metrics, too.
pub(super) const STAGE: &str = "ragstone.stage";
/// Hits, chunks, vectors: what came of it.
pub(super) const RESULTS: &str = "ragstone.results";
/// The kind of turns of which a request waits for one.
pub(super) const KIND: &str = "ragstone.kind";
/// Where the answers that are kept had one for the question: `hit`.
pub(super) const ANSWER_CACHE: &str = "ragstone.answer_cache";
/// Spans of a call that were too many.
pub(super) const LEFT_OUT: &str = "ragstone.spans_left_out";

/// The provider of what this process computes, and the database that it is.
pub(super) const OURSELVES: &str = "ragstone";
/// That of services that speak OpenAI's protocol, whoever runs them: the conventions name the protocol, not the company.
pub(super) const BY_PROTOCOL: &str = "openai";

/// Who computes an embedding model, by its name: that of a remote one is a URL.
pub(super) fn provider(model: &str) -> &'static str {
    let is_remote = model.starts_with("http://") || model.starts_with("https://");
    if is_remote { BY_PROTOCOL } else { OURSELVES }
}
