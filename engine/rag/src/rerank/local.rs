//! Cross-encoders that run in this process: any sequence-classification directory of the BERT family.

use std::path::Path;
use std::sync::Arc;

use ragstone_kernels::matrix::Kernels;
use rayon::prelude::*;

use super::classifier::{Classifier, Settings};
use super::{Reranker, RerankerInfo, Scores};
use crate::embed::local::{self, Architecture, Encoder, Network, TextReader, Tokens, Weights};
use crate::embed::{LoadOptions, Overflow};
use crate::error::{Error, Result};
use crate::limits::TEXT_BYTES_MAX;

/// A cross-encoder of the BERT family, loaded from a directory.
pub struct LocalReranker {
    info: RerankerInfo,
    reader: TextReader,
    network: Network<Classifier>,
}

impl LocalReranker {
    /// Loads the model of a directory; `name` is how it was asked for.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] naming the file that is missing, damaged or of an unsupported kind; [`Error::Limit`] naming
    /// `threads`; [`Error::Io`] if the system has no thread to give.
    pub fn load(directory: &Path, name: &str, options: LoadOptions) -> Result<LocalReranker> {
        let read = || read(directory, name, options);
        let ((info, reader), network) = Network::start(directory, options.threads, read)?;
        Ok(LocalReranker { info, reader, network })
    }
}

/// What there is to know of the re-ranker in a directory that says itself that it is one; none of another. No large file is read.
pub(crate) fn describe(directory: &Path, name: &str, sha256: Option<String>) -> Option<RerankerInfo> {
    let settings = Settings::read(directory).ok().filter(|settings| settings.is_stated)?;
    let max_tokens = max_tokens(directory, &local::read_architecture(directory).ok()?).ok()?;
    Some(RerankerInfo { name: name.to_owned(), sha256, max_tokens, scale: settings.scale })
}

fn max_tokens(directory: &Path, architecture: &Architecture) -> Result<usize> {
    let tokens_max = architecture.tokens_max();
    Ok(local::tokenizer_max(directory)?.map_or(tokens_max, |max| max.min(tokens_max)))
}

fn read(
    directory: &Path,
    name: &str,
    options: LoadOptions,
) -> Result<((RerankerInfo, TextReader), Encoder, Classifier)> {
    let settings = Settings::read(directory)?;
    let architecture = local::read_architecture(directory)?;
    let max_tokens = max_tokens(directory, &architecture)?;
    let weights = Weights::read(directory)?;
    let kernels = Kernels::new(options.isa);
    let classifier = Classifier::load(&architecture, &weights, kernels, &settings)?;
    let info = RerankerInfo {
        name: name.to_owned(),
        sha256: Some(weights.sha256()),
        max_tokens,
        scale: settings.scale,
    };
    let reader = TextReader::read(directory, max_tokens, false)?;
    let encoder = Encoder::load(architecture, weights, kernels, max_tokens, options.precision)?;
    Ok(((info, reader), encoder, classifier))
}

impl LocalReranker {
    fn refuse(&self, field: String) -> impl FnOnce(usize) -> Error {
        let (model, max) = (self.info.name.clone(), self.info.max_tokens);
        move |tokens| Error::TokenLimit { field, model, tokens, max }
    }
}

fn check_bytes(field: impl FnOnce() -> String, text: &str) -> Result<()> {
    if text.len() > TEXT_BYTES_MAX {
        let (field, max, actual) = (field(), TEXT_BYTES_MAX as u64, text.len() as u64);
        return Err(Error::Limit { field, limit: "TEXT_BYTES_MAX", max, actual });
    }
    Ok(())
}

impl Reranker for LocalReranker {
    fn info(&self) -> &RerankerInfo {
        &self.info
    }

    fn score_within(&self, query: &str, passages: &[&str], overflow: Overflow) -> Result<Scores> {
        check_bytes(|| "query".to_owned(), query)?;
        let pairs = self.reader.pairs_with(query, self.refuse("query".to_owned()))?;
        let read = |(index, passage): (usize, &&str)| {
            let field = || format!("passages[{index}]");
            check_bytes(field, passage)?;
            pairs.read(passage, overflow, self.refuse(field()))
        };
        let read_all = || passages.par_iter().enumerate().map(read).collect::<Result<Vec<Tokens>>>();
        let tokens: Arc<[Tokens]> = self.network.in_pool(read_all)??.into();
        Ok(Scores {
            scores: self.network.compute(&tokens)?,
            token_counts: tokens.iter().map(|tokens| tokens.ids.len()).collect(),
            truncated: tokens.iter().map(|tokens| tokens.truncated).collect(),
        })
    }
}
