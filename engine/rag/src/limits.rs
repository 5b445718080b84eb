//! Every limit of ingestion, embedding and enrichment, by name; those of the engine are in [`ragstone::limits`].

/// Bytes of one document as it is given, and of its text.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Elements, texts and attributes of a page of HTML. Each takes some two hundred bytes while the page is read, whatever it takes in the page.
pub const HTML_NODES_MAX: usize = 1_000_000;
/// Processes that read PDFs at a time, of a [program](crate::ingest::PdfProgram); further files wait.
pub const PDF_PROCESSES_MAX: usize = 2;
/// Seconds that a file waits for one of these, at most.
pub const PDF_PLACE_SECONDS_MAX: u64 = 120;
/// Bytes of memory that such a process of the server's program takes, its stack included.
pub const PDF_PROCESS_BYTES_MAX: usize = 512 << 20;
/// Seconds of processor time that such a process takes.
pub const PDF_PROCESS_SECONDS_MAX: u64 = 45;
/// Bytes of a document's id, and of the name of its source.
pub const DOCUMENT_ID_BYTES_MAX: usize = 400;
/// Fields of a record, those that are nothing too; columns of a file in CSV.
pub const RECORD_NAMES_MAX: usize = 4_096;
/// Bytes of the fields given with a document, names and values together: every chunk gets a copy of them.
pub const METADATA_BYTES_MAX: usize = 16 << 10;
/// Chunks of one document. A document is replaced in one atomic batch of the engine, which bounds them.
pub const DOCUMENT_CHUNKS_MAX: usize = 49_999;
/// Bytes of documents that one ingestion may have under way, unless it is told otherwise.
pub const INGEST_AHEAD_BYTES_DEFAULT: usize = 64 << 20;
/// Bytes of documents that one ingestion may be told to have under way.
pub const INGEST_AHEAD_BYTES_MAX: usize = 16384 << 20;
/// Tokens of a chunk that a collection may ask for; a model reads fewer.
pub const CHUNK_TOKENS_MAX: usize = 65_536;
/// Bytes of one text to embed, and of a question.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Texts of one embedding call.
pub const EMBED_TEXTS_MAX: usize = 2_048;
/// Tokens of one enriched prompt, all of its messages together.
pub const PROMPT_TOKENS_MAX: usize = 1_000_000;
/// Messages of a conversation.
pub const CHAT_MESSAGES_MAX: usize = 1_000;
/// Chunks that are chosen by maximal marginal relevance: each is compared with all that are left.
pub const MMR_CHUNKS_MAX: usize = 500;
/// Chunks, the best, that these are chosen from.
pub const MMR_POOL_MAX: usize = 4_000;
/// Chunks that are added before one that was found, and after it.
pub const NEIGHBOURS_MAX: usize = 32;
/// Sections around a chunk's own that are added with it.
pub const PARENTS_MAX: usize = 16;
/// Chunks that may be added beside all that were found together.
pub const EXPANSION_CHUNKS_MAX: usize = 10_000;
/// Passages of one re-ranking call.
pub const RERANK_PASSAGES_MAX: usize = 1_000;
/// Bytes of a prompt template.
pub const TEMPLATE_BYTES_MAX: usize = 32 << 10;
/// Operators of one tag of a prompt template: each is a level that its compiler recurses into. `.`, `[`, `(`, `|`, `not`, `if` and `else` count too.
pub const TEMPLATE_OPERATORS_MAX: usize = 64;
/// Statements of a prompt template inside one another, each `elif` a level more.
pub const TEMPLATE_NESTING_MAX: usize = 64;
/// Bytes of the name of a registered template.
pub const TEMPLATE_NAME_BYTES_MAX: usize = 128;
/// Versions of registered templates in one database, of all names together.
pub const TEMPLATES_MAX: usize = 1_000;
/// Numbers of deleted templates that are remembered, each for its name; the highest of older ones is remembered for all names.
pub const TEMPLATE_NUMBERS_REMEMBERED: usize = 1_000;
/// Passages that a template is tried with.
pub const PREVIEW_PASSAGES_MAX: usize = 100;
/// Instructions that rendering a prompt template may take.
pub const TEMPLATE_FUEL_MAX: u64 = 200_000;
/// Bytes that the filters of a prompt template may read.
pub const TEMPLATE_FILTER_BYTES_MAX: u64 = 256 << 20;
/// Bytes of one enriched prompt.
pub const PROMPT_BYTES_MAX: usize = 32 << 20;
/// Models that may be asked for answers.
pub const GENERATE_MODELS_MAX: usize = 64;
/// Bytes of such a model's name.
pub const GENERATE_MODEL_NAME_BYTES_MAX: usize = 128;
/// Seconds that each part of an answer may be given.
pub const GENERATE_SECONDS_MAX: u64 = 86_400;
/// Tokens of an answer that may be asked for.
pub const ANSWER_TOKENS_MAX: usize = 1_000_000;
/// Bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Bytes of what describes an answer's form.
pub const RESPONSE_FORMAT_BYTES_MAX: usize = 64 << 10;
/// Places of an answer that are read as citations; those behind them are not.
pub const CITATION_USES_MAX: usize = 10_000;
/// Texts that end an answer.
pub const STOPS_MAX: usize = 4;
/// Bytes of each of them.
pub const STOP_BYTES_MAX: usize = 256;
/// Bytes of one event of an answer's stream.
pub const STREAM_EVENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of an answer's stream: its text, and what the protocol puts around each piece.
pub const STREAM_BYTES_MAX: usize = 64 << 20;
/// Requests to one language model whose answers have not begun. A caller who leaves gives back what a server counts answers by, while the thread
/// of the request may go on for seconds with a name or a connection that is not made: those threads are counted here.
pub const GENERATE_REQUESTS_MAX: usize = 512;
/// Requests to one remote embedding model that are under way, counted for the same reason.
pub const EMBED_REQUESTS_MAX: usize = 256;
/// Loads of remote models that ask their services how long a vector is, of all models together; those too that nobody waits for any more.
pub const REMOTE_LOADS_MAX: usize = 64;
/// Requests to remove a collection that are remembered, so that each is done once.
pub const REMOVALS_REMEMBERED: usize = 256;
