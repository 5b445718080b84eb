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
mod pool;
mod text;
mod weights;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ragstone::limits::THREADS_MAX;
use ragstone_kernels::matrix::{Kernels, Precision};
use ragstone_kernels::{Isa, Workers};
use rayon::prelude::*;

use super::{Embedder, Embeddings, ModelInfo, Overflow, Role};
use crate::error::{Error, Result};
use crate::limits::TEXT_BYTES_MAX;
use batching::Batcher;
use config::Architecture;
use directory::{Recipe, Step, StepSettings};
use encoder::{Encoder, Scratch};
pub(in crate::embed) use files::invalid;
use groups::{TASK_TOKENS_MAX, groups};
use text::{TextReader, Tokens};
use weights::Weights;

/// Tokens of a pass for each thread: long enough to be shared well. A question that comes while others are computed waits for the rest of
/// a pass and is part of the next, which is some tenth of a second each for small models.
const PASS_TOKENS_A_THREAD: usize = 2 * TASK_TOKENS_MAX;
/// A model of the BERT family, loaded from a directory.
pub struct LocalEmbedder {
    info: ModelInfo,
    directory: PathBuf,
    kernels: Kernels,
    encoder: Encoder,
    reader: TextReader,
    steps: Vec<Step>,
    pool_prefix: bool,
    /// Memory of passes that are over. The lock is held to take or give back one, never during a pass.
    scratch: Mutex<Vec<Scratch>>,
    batcher: Batcher<Tokens, Vec<f32>>,
    workers: Workers,
}

/// How a model is loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// How the weights of the products are kept.
    pub precision: Precision,
    /// The level of vector instructions.
    pub isa: Isa,
    /// Threads that compute, at most [`THREADS_MAX`]; as many as there are processors by default.
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

    fn info(&self, name: &str, sha256: Option<String>) -> ModelInfo {
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
        }
    }
}

/// `model_max_length` of `tokenizer_config.json`; a number beyond any model stands for none.
fn tokenizer_max(directory: &Path) -> Result<Option<usize>> {
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
    Ok(opened.info(name, sha256))
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
        check_threads(options.threads)?;
        let threads = options.threads.or_else(|| std::thread::available_parallelism().ok());
        let workers = Workers::new("ragstone-embed", threads.unwrap_or(NonZero::<usize>::MIN));
        let workers = workers.map_err(|source| no_threads(directory, source))?;
        // Large matrices are put in order by all threads.
        let loaded = workers.run(|| Loaded::read(directory, name, options));
        let loaded = loaded.map_err(|source| no_threads(directory, source))??;
        let Loaded { info, kernels, encoder, reader, steps, pool_prefix } = loaded;
        Ok(LocalEmbedder {
            info,
            directory: directory.to_owned(),
            kernels,
            encoder,
            reader,
            steps,
            pool_prefix,
            scratch: Mutex::new(Vec::new()),
            batcher: Batcher::new(workers.threads() * PASS_TOKENS_A_THREAD, |tokens| tokens.ids.len()),
            workers,
        })
    }
}

/// Refuses more threads than a pool may have.
pub(super) fn check_threads(threads: Option<NonZero<usize>>) -> Result<()> {
    match threads.map_or(1, NonZero::get) {
        threads if threads > THREADS_MAX => Err(Error::Limit {
            field: "threads".to_owned(),
            limit: "THREADS_MAX",
            max: THREADS_MAX as u64,
            actual: threads as u64,
        }),
        _ => Ok(()),
    }
}

fn no_threads(directory: &Path, source: std::io::Error) -> Error {
    Error::Io { operation: "start threads for", path: directory.to_owned(), source }
}

/// What a directory gives: a model but for its threads.
struct Loaded {
    info: ModelInfo,
    kernels: Kernels,
    encoder: Encoder,
    reader: TextReader,
    steps: Vec<Step>,
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
        let info = opened.info(name, Some(sha256));
        let Opened { architecture, recipe, max_tokens } = opened;
        let reader = TextReader::read(&recipe.encoder, max_tokens, recipe.lower_case)?;
        let encoder = Encoder::load(architecture, weights, kernels, max_tokens, options.precision)?;
        Ok(Loaded { info, kernels, encoder, reader, steps, pool_prefix: recipe.pool_prefix })
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

    /// The vectors of some texts, computed together.
    fn run(&self, texts: &[&Tokens], tasks: usize) -> Result<Vec<Vec<f32>>> {
        let lock = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        let width = self.encoder.hidden();
        let states = self.encoder.run(texts, tasks, &mut scratch).map_err(|id| {
            let reason = format!("the tokenizer gives token {id}, which the model has no embedding for");
            invalid(&self.directory, reason)
        })?;
        let (mut rest, mut vectors) = (states, Vec::with_capacity(texts.len()));
        for text in texts {
            let (own, behind) = rest.split_at(text.ids.len() * width);
            rest = behind;
            let pooled = pool::pool(self.info.pooling, &own[text.skip * width..], width);
            let vector =
                self.steps.iter().fold(pooled, |vector, step| pool::step(self.kernels, step, vector));
            if !vector.iter().all(|x| x.is_finite()) {
                return Err(invalid(&self.directory, "the model's output is not finite"));
            }
            vectors.push(vector);
        }
        lock().push(scratch);
        Ok(vectors)
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
            _ => self.in_pool(|| texts.par_iter().enumerate().map(read).collect::<Result<_>>())?,
        };
        self.embed_tokens(tokens?)
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.reader.count(text)
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

    /// Runs something on the model's threads: one hop, from there on tasks are cheap.
    fn in_pool<R: Send>(&self, job: impl FnOnce() -> R + Send) -> Result<R> {
        self.workers.run(job).map_err(|source| no_threads(&self.directory, source))
    }

    /// The vectors of texts, in passes with those of other calls.
    fn embed_tokens(&self, tokens: Vec<Tokens>) -> Result<Embeddings> {
        let tokens: Arc<[Tokens]> = tokens.into();
        // Whose text it is that fails is found out by computing each call's alone.
        let pass = |texts: &[&Tokens]| self.in_pool(|| self.pass(texts)).ok()?.ok();
        let vectors = match self.batcher.run(&tokens, pass) {
            Some(vectors) => vectors,
            None => self.in_pool(|| self.pass(&tokens.iter().collect::<Vec<_>>()))??,
        };
        Ok(Embeddings {
            vectors,
            token_counts: tokens.iter().map(|tokens| tokens.ids.len()).collect(),
            truncated: tokens.iter().map(|tokens| tokens.truncated).collect(),
        })
    }

    /// One vector a text, by the threads of the pool that this is called in.
    fn pass(&self, texts: &[&Tokens]) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = texts.iter().map(|tokens| tokens.ids.len()).collect();
        let threads = rayon::current_num_threads();
        let groups = groups(&lengths, threads);
        // With work for all, a group is one task; with less, its products are shared as well.
        let tasks = if groups.len() < 2 * threads { threads } else { 1 };
        let run = |group: &Vec<usize>| {
            let texts: Vec<&Tokens> = group.iter().map(|index| texts[*index]).collect();
            self.run(&texts, tasks)
        };
        let computed: Vec<Vec<Vec<f32>>> = groups.par_iter().map(run).collect::<Result<_>>()?;
        let mut vectors = vec![Vec::new(); texts.len()];
        for (index, vector) in groups.into_iter().flatten().zip(computed.into_iter().flatten()) {
            vectors[index] = vector;
        }
        Ok(vectors)
    }
}
