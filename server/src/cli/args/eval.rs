//! The arguments of `ragstone eval`.

use std::path::PathBuf;

use clap::Args;
use ragstone::Analyzer;
use ragstone_rag::embed::DEFAULT_MODEL;
use ragstone_rag::ingest::ChunkOptions;
use ragstone_rag::retrieve::RetrievalMode;

const EXAMPLES: &str = "\
Documents are lines of {\"id\", \"title\", \"text\"}, questions of {\"id\", \"text\"}, judgements of question, document and gain with tabs between
them, as BEIR has them. They are split, embedded and asked for in memory, as `ingest` and `ask` do it, and nothing is kept.
Examples:
  ragstone eval --docs docs.jsonl --queries queries.jsonl --qrels qrels.tsv
  ragstone eval --docs docs.jsonl --queries queries.jsonl --qrels qrels.tsv --mode dense,text,hybrid --chunk 128/16 --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvalArgs {
    /// The documents, as JSON Lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) docs: PathBuf,
    /// The questions, as JSON Lines; those that no document is judged to answer are skipped.
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: PathBuf,
    /// Which documents answer which questions, as tab-separated values.
    #[arg(long, value_name = "FILE")]
    pub(crate) qrels: PathBuf,
    /// How chunks are found: dense (by meaning), text (by word) or hybrid (by both). Several, with commas between them, are each measured,
    /// and each is a line of its own with --json.
    #[arg(long, default_value = "hybrid", value_delimiter = ',', value_name = "MODE")]
    pub(crate) mode: Vec<RetrievalMode>,
    /// How many chunks users ask for: the search that is timed finds this many, and recall is also counted among this many documents.
    #[arg(short, default_value_t = 10)]
    pub(crate) k: usize,
    /// Rank the best candidates again with this re-ranker: a name, an org/name of the Hugging Face hub, a directory. Figures are then of
    /// the chunks that it ranks.
    #[arg(long, value_name = "MODEL")]
    pub(crate) rerank: Option<String>,
    /// How many candidates are ranked again.
    #[arg(long, value_name = "CHUNKS", default_value_t = 100, requires = "rerank")]
    pub(crate) rerank_candidates: usize,
    /// The most tokens of a chunk, and the tokens that neighbours share.
    #[arg(long, default_value = "240/30", value_name = "TOKENS[/OVERLAP]")]
    pub(crate) chunk: ChunkOptions,
    /// How texts become words.
    #[arg(long, default_value_t, value_name = "ANALYSER")]
    pub(crate) analyzer: Analyzer,
    /// The embedding model: a name, an org/name of the Hugging Face hub, a directory, or https://host/v1#name.
    #[arg(long, value_name = "MODEL", default_value = DEFAULT_MODEL)]
    pub(crate) model: String,
}
