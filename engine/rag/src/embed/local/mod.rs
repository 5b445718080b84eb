//! Models that run in this process: any sentence-transformers directory of the BERT family.
//!
//! A model computes with threads of its own, as many as it is given and no more, and none of the process's: they are there from
//! loading to the drop of the model, and sleep between calls.

mod attention;
mod batching;
mod config;
mod directory;
mod encoder;
mod files;
mod groups;
mod network;
mod pool;
mod text;
mod weights;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ragstone_kernels::Isa;
use ragstone_kernels::matrix::{Kernels, Precision};
use rayon::prelude::*;

use super::{Arithmetic, Embedder, Embeddings, ModelInfo, Overflow, Role};
use crate::error::{Error, Result};
use crate::limits::TEXT_BYTES_MAX;
pub(crate) use config::{Architecture, Family, activation, read as read_architecture};
pub(crate) use directory::ENCODER_FILES;
use directory::{Recipe, StepSettings};
pub(crate) use encoder::Encoder;
pub(crate) use files::{invalid, read_json, read_required};
pub(crate) use network::{Head, Network, check_threads};
use pool::Pooled;
pub(crate) use text::{TextReader, Tokens};
pub(crate) use weights::Weights;

/// A model of the BERT family, loaded from a directory.
pub struct LocalEmbedder {
    info: ModelInfo,
    reader: TextReader,
    pool_prefix: bool,
    network: Network<Pooled>,
}

fn arithmetic(precision: Precision) -> Arithmetic {
    match precision {
        Precision::Single | Precision::Half => Arithmetic::Float,
        Precision::Int8 => Arithmetic::Int8,
    }
}

/// Where a directory has its tokenizer: beside the encoder, which a sentence-transformers directory may keep in a folder.
pub(crate) fn tokenizer_directory(directory: &Path) -> Result<PathBuf> {
    if directory.join("tokenizer.json").exists() {
        return Ok(directory.to_owned());
    }
    Ok(directory::read(directory)?.encoder)
}

/// How a model is loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// How the weights of the products are kept.
    pub precision: Precision,
    /// The level of vector instructions.
    pub isa: Isa,
    /// Threads that compute, at most [`THREADS_MAX`](ragstone::limits::THREADS_MAX); as many as there are processors by default.
    pub threads: Option<NonZero<usize>>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions { precision: Precision::Half, isa: Isa::current(), threads: None }
    }
}

/// A directory's settings.
struct Opened {
    architecture: Architecture,
    recipe: Recipe,
    /// Tokens that the model reads.
    max_tokens: usize,
}

impl Opened {
    fn read(directory: &Path) -> Result<Opened> {
        let recipe = directory::read(directory)?;
        let architecture = config::read(&recipe.encoder)?;
        if let Some(pooled) = recipe.pooled.filter(|pooled| *pooled != architecture.hidden) {
            let reason = format!(
                "the pooling's word_embedding_dimension is {pooled}, hidden_size is {}",
                architecture.hidden
            );
            return Err(invalid(directory, reason));
        }
        let tokens_max = architecture.tokens_max();
        let max_tokens = match recipe.max_tokens {
            Some(max) => max,
            None => tokenizer_max(&recipe.encoder)?.unwrap_or(tokens_max),
        };
        Ok(Opened { architecture, recipe, max_tokens: max_tokens.min(tokens_max) })
    }

    fn info(&self, name: &str, sha256: Option<String>, arithmetic: Arithmetic) -> ModelInfo {
        let steps = &self.recipe.steps;
        ModelInfo {
            name: name.to_owned(),
            sha256,
            dimension: steps.iter().fold(self.architecture.hidden, |width, step| step.outputs(width)),
            max_tokens: self.max_tokens,
            pooling: self.recipe.pooling,
            normalize: matches!(steps.last(), Some(StepSettings::Normalize)),
            query_prefix: self.recipe.query_prefix.clone(),
            passage_prefix: self.recipe.passage_prefix.clone(),
            arithmetic,
        }
    }
}

/// `model_max_length` of `tokenizer_config.json`; a number beyond any model stands for none.
pub(crate) fn tokenizer_max(directory: &Path) -> Result<Option<usize>> {
    #[derive(serde::Deserialize)]
    struct TokenizerFile {
        model_max_length: Option<f64>,
    }
    let file: Option<TokenizerFile> = files::read_json_optional(&directory.join("tokenizer_config.json"))?;
    let max = file.and_then(|file| file.model_max_length);
    Ok(max.filter(|max| (1.0..1e9).contains(max)).map(|max| max as usize))
}

/// The contract of the model in a directory; its large files are not read, but must be there.
pub(super) fn describe(directory: &Path, name: &str, sha256: Option<String>) -> Result<ModelInfo> {
    let opened = Opened::read(directory)?;
    let encoder = &opened.recipe.encoder;
    let weights = encoder.join("model.safetensors");
    if !encoder.join("tokenizer.json").exists() {
        return Err(files::missing(&encoder.join("tokenizer.json")));
    }
    if !weights.exists() && !encoder.join("model.safetensors.index.json").exists() {
        return Err(files::missing(&weights));
    }
    Ok(opened.info(name, sha256, Arithmetic::Float))
}

/// SHA-256 of the weights in a directory, in hex, as [`ModelInfo`] has it.
pub(super) fn weights_sha256(directory: &Path) -> Result<String> {
    Ok(Weights::read(&directory::read(directory)?.encoder)?.sha256())
}

impl LocalEmbedder {
    /// Loads the model of a directory; `name` is how it was asked for.
    ///
    /// # Errors
    /// [`Error::ModelInvalid`] naming the file that is missing, damaged or of an unsupported kind; [`Error::Limit`] naming
    /// `threads`; [`Error::Io`] if the system has no thread to give.
    pub fn load(directory: &Path, name: &str, options: LoadOptions) -> Result<LocalEmbedder> {
        let read = || Loaded::read(directory, name, options).map(Loaded::split);
        let ((info, reader, pool_prefix), network) = Network::start(directory, options.threads, read)?;
        Ok(LocalEmbedder { info, reader, pool_prefix, network })
    }
}

/// What a directory gives: a model but for its threads.
struct Loaded {
    info: ModelInfo,
    encoder: Encoder,
    reader: TextReader,
    pooled: Pooled,
    pool_prefix: bool,
}

impl Loaded {
    fn read(directory: &Path, name: &str, options: LoadOptions) -> Result<Loaded> {
        let opened = Opened::read(directory)?;
        let weights = Weights::read(&opened.recipe.encoder)?;
        let sha256 = weights.sha256();
        let kernels = Kernels::new(options.isa);
        let (mut dimension, mut steps) = (opened.architecture.hidden, Vec::new());
        for step in &opened.recipe.steps {
            steps.push(step.load(kernels, dimension)?);
            dimension = step.outputs(dimension);
        }
        let info = opened.info(name, Some(sha256), arithmetic(options.precision));
        let Opened { architecture, recipe, max_tokens } = opened;
        let pooled = Pooled { kernels, pooling: recipe.pooling, width: architecture.hidden, steps };
        let reader = TextReader::read(&recipe.encoder, max_tokens, recipe.lower_case)?;
        let encoder = Encoder::load(architecture, weights, kernels, max_tokens, options.precision)?;
        Ok(Loaded { info, encoder, reader, pooled, pool_prefix: recipe.pool_prefix })
    }

    /// What a text is read with, what computes, and what makes a vector of that.
    fn split(self) -> ((ModelInfo, TextReader, bool), Encoder, Pooled) {
        ((self.info, self.reader, self.pool_prefix), self.encoder, self.pooled)
    }
}

impl LocalEmbedder {
    fn prefix(&self, role: Role) -> &str {
        match role {
            Role::Query => &self.info.query_prefix,
            Role::Passage => &self.info.passage_prefix,
            Role::Plain => "",
        }
    }

    fn read(&self, index: usize, text: &str, role: Role, overflow: Overflow) -> Result<Tokens> {
        let field = || format!("texts[{index}]");
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::Limit {
                field: field(),
                limit: "TEXT_BYTES_MAX",
                max: TEXT_BYTES_MAX as u64,
                actual: text.len() as u64,
            });
        }
        let prefix = self.prefix(role);
        let refuse = |tokens| Error::TokenLimit {
            field: field(),
            model: self.info.name.clone(),
            tokens,
            max: self.info.max_tokens,
        };
        let mut tokens = self.reader.read_text((prefix, text), overflow, refuse)?;
        if tokens.ids.is_empty() {
            let reason = "no token is left of it, and the model adds none of its own".to_owned();
            return Err(Error::Invalid { field: field(), reason });
        }
        if !self.pool_prefix {
            tokens.skip = self.reader.prefix_tokens(prefix).min(tokens.ids.len() - 1);
        }
        Ok(tokens)
    }
}

impl Embedder for LocalEmbedder {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
        let read = |(index, text): (usize, &&str)| self.read(index, text, role, overflow);
        let tokens = match texts {
            [] => return Ok(Embeddings::default()),
            // Not worth the way to the threads.
            [text] => Ok(vec![read((0, text))?]),
            _ => self.network.in_pool(|| texts.par_iter().enumerate().map(read).collect::<Result<_>>())?,
        };
        self.embed_tokens(tokens?)
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.reader.count(text)
    }

    fn count_tokens_as_it_stands(&self, text: &str) -> usize {
        self.reader.count_as_it_stands(text)
    }

    fn overhead_tokens(&self, role: Role) -> usize {
        let special = self.reader.special_tokens();
        match self.prefix(role) {
            "" => special,
            // A tokenizer that marks the beginnings of words may split the first one otherwise behind a prefix.
            prefix => special + self.reader.count(prefix) + 1,
        }
    }
}

impl LocalEmbedder {
    /// One vector a text, in order, of texts that are tokens already: rows of the model's vocabulary, special tokens included. What the
    /// network takes by itself is measured with it.
    ///
    /// # Errors
    /// [`Error::TokenLimit`] naming `ids[i]`, [`Error::Invalid`] if it is empty, and [`Error::ModelInvalid`] if the model has no such token.
    pub fn embed_ids(&self, ids: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let tokens =
            ids.iter().enumerate().map(|(index, ids)| self.given(index, ids)).collect::<Result<_>>()?;
        Ok(self.embed_tokens(tokens)?.vectors)
    }

    fn given(&self, index: usize, ids: &[u32]) -> Result<Tokens> {
        let field = format!("ids[{index}]");
        match ids.len() {
            0 => Err(Error::Invalid { field, reason: "a text has at least one token".to_owned() }),
            tokens if tokens > self.info.max_tokens => {
                let (model, max) = (self.info.name.clone(), self.info.max_tokens);
                Err(Error::TokenLimit { field, model, tokens, max })
            }
            tokens => Ok(Tokens { ids: ids.to_vec(), segments: vec![0; tokens], ..Tokens::default() }),
        }
    }

    fn embed_tokens(&self, tokens: Vec<Tokens>) -> Result<Embeddings> {
        let tokens: Arc<[Tokens]> = tokens.into();
        Ok(Embeddings {
            vectors: self.network.compute(&tokens)?,
            token_counts: tokens.iter().map(|tokens| tokens.ids.len()).collect(),
            truncated: tokens.iter().map(|tokens| tokens.truncated).collect(),
        })
    }
}
