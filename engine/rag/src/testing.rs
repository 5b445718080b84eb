//! A small deterministic embedder for tests: a hashed bag of words, so that texts that share words are near.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use crate::embed::{Arithmetic, Embedder, Embeddings, ModelInfo, Overflow, Pooling, Role};
use crate::error::{Error, Result};

pub(crate) const DIMENSION: usize = 256;

/// Words (runs of letters and digits) and every other visible character are a token each.
pub(crate) struct BagOfWords {
    info: ModelInfo,
    /// How the texts were that it embedded, in their order, call by call.
    pub(crate) calls: Arc<Mutex<Vec<Vec<String>>>>,
}

impl BagOfWords {
    pub(crate) fn new(name: &str, max_tokens: usize) -> BagOfWords {
        BagOfWords::with_info(ModelInfo {
            name: name.to_owned(),
            sha256: Some("00".repeat(32)),
            dimension: DIMENSION,
            max_tokens,
            pooling: Pooling::Mean,
            normalize: true,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            arithmetic: Arithmetic::Float,
        })
    }

    /// Another model: it has as many components, and other vectors for the same words.
    pub(crate) fn other(name: &str, max_tokens: usize, dimension: usize) -> BagOfWords {
        let info = BagOfWords::new(name, max_tokens).info;
        BagOfWords::with_info(ModelInfo { sha256: Some(format!("{dimension:064x}")), dimension, ..info })
    }

    pub(crate) fn with_info(info: ModelInfo) -> BagOfWords {
        BagOfWords { info, calls: Arc::default() }
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.chars() {
        if c.is_alphanumeric() {
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        } else {
            if !c.is_whitespace() {
                words.push(c.to_string());
            }
            words.push(String::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

impl Embedder for BagOfWords {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
        self.calls.lock().unwrap().push(texts.iter().map(|text| (*text).to_owned()).collect());
        let mut embeddings = Embeddings::default();
        for (at, text) in texts.iter().enumerate() {
            let words = words(text);
            let tokens = words.len() + self.overhead_tokens(role);
            if tokens > self.info.max_tokens && overflow == Overflow::Error {
                return Err(Error::TokenLimit {
                    field: format!("texts[{at}]"),
                    model: self.info.name.clone(),
                    tokens,
                    max: self.info.max_tokens,
                });
            }
            let dimension = self.info.dimension;
            let mut vector = vec![0.0f32; dimension];
            vector[0] = 0.01;
            for word in words.iter().take(self.info.max_tokens) {
                let mut hasher = DefaultHasher::new();
                word.hash(&mut hasher);
                if dimension != DIMENSION {
                    dimension.hash(&mut hasher);
                }
                vector[1 + hasher.finish() as usize % (dimension - 1)] += 1.0;
            }
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.iter_mut().for_each(|x| *x /= length);
            embeddings.vectors.push(vector);
            embeddings.token_counts.push(tokens.min(self.info.max_tokens));
            embeddings.truncated.push(tokens > self.info.max_tokens);
        }
        Ok(embeddings)
    }

    fn count_tokens(&self, text: &str) -> usize {
        words(text).len()
    }

    fn overhead_tokens(&self, role: Role) -> usize {
        let prefix = match role {
            Role::Query => &self.info.query_prefix,
            Role::Passage => &self.info.passage_prefix,
            Role::Plain => "",
        };
        2 + words(prefix).len()
    }
}
