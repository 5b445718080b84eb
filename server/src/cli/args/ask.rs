//! The arguments of `ragstone ask` and `ragstone retrieve`.

use std::path::PathBuf;

use clap::Args;
use ragstone_rag::prompt::{DataMarking, TemplateName};
use ragstone_rag::retrieve::{Rerank, RetrievalMode};

use super::{Conditions, InCollection};

/// How chunks are found, for `ask` and `retrieve` alike.
#[derive(Debug, Args)]
pub(crate) struct Finding {
    /// How many chunks to retrieve.
    #[arg(short, default_value_t = 8)]
    pub(crate) k: usize,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
    /// How chunks are found: dense (by meaning), text (by word) or hybrid (by both).
    #[arg(long, default_value_t, value_name = "MODE")]
    pub(crate) mode: RetrievalMode,
    /// Rank the best candidates again with this re-ranker: a name, an org/name of the Hugging Face hub, a directory.
    #[arg(long, value_name = "MODEL")]
    pub(crate) rerank: Option<String>,
    /// How many candidates are ranked again.
    #[arg(long, value_name = "CHUNKS", default_value_t = 50, requires = "rerank")]
    pub(crate) rerank_candidates: usize,
    /// Leave out chunks with a lower score.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(crate) min_score: Option<f32>,
    /// Choose by maximal marginal relevance: how much relevance counts, from 1 (relevance alone) to 0 (novelty alone).
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    pub(crate) mmr: Option<f32>,
    /// The most chunks of one document.
    #[arg(long, value_name = "CHUNKS")]
    pub(crate) per_document: Option<usize>,
}

impl Finding {
    /// How chunks are ranked anew, if they are.
    pub(crate) fn rerank(&self) -> Option<Rerank> {
        let candidates = self.rerank_candidates;
        self.rerank.as_ref().map(|model| Rerank { candidates, ..Rerank::new(model.as_str()) })
    }
}

#[derive(Debug, Args)]
pub(crate) struct RetrieveArgs {
    /// The question.
    #[arg(value_name = "QUESTION")]
    pub(crate) question: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) finding: Finding,
    /// Leave out chunks that repeat what a better one says.
    #[arg(long)]
    pub(crate) distinct: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The question.
    #[arg(value_name = "QUESTION", required_unless_present = "messages")]
    pub(crate) question: Option<String>,
    /// Ask at the end of this conversation: a JSON file, or JSON, of [{"role": "user", "content": "…"}, …], as chat endpoints have it. A
    /// question comes after it.
    #[arg(long, value_name = "FILE")]
    pub(crate) messages: Option<String>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) finding: Finding,
    /// Add this many chunks before and after each passage, as far as there is room: 1, or 0/2 for none before and two after.
    #[arg(long, value_name = "CHUNKS[/AFTER]", value_parser = neighbours)]
    pub(crate) neighbours: Option<(usize, usize)>,
    /// Add the section around each passage, as far as there is room: the chunks under the same headings, or below these.
    #[arg(long)]
    pub(crate) section: bool,
    /// Also add this many of the sections around that one, from the innermost up to the whole document.
    #[arg(long, value_name = "LEVELS", default_value_t = 0)]
    pub(crate) parents: usize,
    /// Tokens that the whole prompt may take: instructions, passages, history and question.
    #[arg(long, default_value_t = 4_000, value_name = "TOKENS")]
    pub(crate) budget: usize,
    /// Count tokens as this model does: gpt-4o, an org/name of the Hugging Face hub, a directory. Otherwise the embedding model's tokenizer
    /// counts, and 15 % are added.
    #[arg(long, value_name = "MODEL")]
    pub(crate) tokens_of: Option<String>,
    /// Render this registered template instead of the built-in one; the newest version unless one is named.
    #[arg(long, value_name = "NAME[@VERSION]", conflicts_with = "template_file")]
    pub(crate) template: Option<TemplateName>,
    /// Render the template in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) template_file: Option<PathBuf>,
    /// How passages are marked as quoted, so that the model can tell them from instructions: off, lines or words (the strongest).
    #[arg(long, default_value_t, value_name = "MARKING")]
    pub(crate) data_marking: DataMarking,
    /// Show what was searched for, and the chunks of each citation with the scores of every stage.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Have a language model answer, and stream its answer: NAME=URL of an OpenAI-compatible service, for instance
    /// llama3.2=http://127.0.0.1:11434/v1, as `serve --generate-model` has it; with --url the NAME of a model that the
    /// server's operator listed, or nothing for the first of them.
    #[arg(long, value_name = "MODEL", num_args = 0..=1, default_missing_value = "")]
    pub(crate) generate: Option<String>,
    /// Tokens that the answer may have.
    #[arg(long, value_name = "N", requires = "generate")]
    pub(crate) max_tokens: Option<u32>,
    /// How freely the model chooses its words, 0 to 2: 0 always takes the likeliest.
    #[arg(long, value_name = "T", requires = "generate")]
    pub(crate) temperature: Option<f32>,
    /// Choose only among the likeliest tokens that have this probability together: above 0, at most 1.
    #[arg(long, value_name = "P", requires = "generate")]
    pub(crate) top_p: Option<f32>,
    /// End the answer before this text; may be repeated.
    #[arg(long, value_name = "TEXT", requires = "generate")]
    pub(crate) stop: Vec<String>,
    /// The same seed gives the same answer, as far as the model can.
    #[arg(long, value_name = "SEED", requires = "generate", allow_negative_numbers = true)]
    pub(crate) seed: Option<i64>,
}

/// `2` for so many on either side, `0/2` for each.
fn neighbours(text: &str) -> Result<(usize, usize), String> {
    let number = |part: &str| part.parse::<usize>().map_err(|_| format!("`{part}` is no number"));
    match text.split_once('/') {
        Some((before, after)) => Ok((number(before)?, number(after)?)),
        None => number(text).map(|both| (both, both)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_given_for_both_sides_or_each() {
        assert_eq!(neighbours("2"), Ok((2, 2)));
        assert_eq!(neighbours("0/3"), Ok((0, 3)));
        assert!(neighbours("x/3").is_err_and(|error| error.contains("`x`")) && neighbours("").is_err());
    }
}
