//! The arguments of `rerank` and `count-tokens`.

use clap::Args;

use super::OnOverflow;

#[derive(Debug, Args)]
pub(crate) struct RerankArgs {
    /// The query.
    #[arg(value_name = "QUERY")]
    pub(crate) query: String,
    /// The passages.
    #[arg(required = true, value_name = "PASSAGE")]
    pub(crate) passages: Vec<String>,
    /// The re-ranker: an org/name of the Hugging Face hub such as cross-encoder/ms-marco-MiniLM-L6-v2, or a directory.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: String,
    /// Print only this many, the best ones; all of them if left out.
    #[arg(long, value_name = "N")]
    pub(crate) top_k: Option<usize>,
    /// What to do with a passage over the model's token limit.
    #[arg(long, value_enum, default_value = "error")]
    pub(crate) on_overflow: OnOverflow,
}

#[derive(Debug, Args)]
pub(crate) struct CountTokensArgs {
    /// The texts.
    #[arg(required = true, value_name = "TEXT")]
    pub(crate) texts: Vec<String>,
    /// The model: one of OpenAI's such as gpt-4o, an org/name of the Hugging Face hub, a directory with a tokenizer.json;
    /// the default embedding model otherwise.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
}
