//! An embedder without a model: texts that share words are near each other.

use std::hash::{DefaultHasher, Hash, Hasher};

use ragstone_rag::Result;
use ragstone_rag::embed::{Arithmetic, Embedder, Embeddings, ModelInfo, Overflow, Pooling, Role};

/// The name under which it is known.
pub(crate) const NAME: &str = "words";
const DIMENSION: usize = 256;

/// Counts the words of a text, each in the component that its hash picks.
pub(crate) struct Words(ModelInfo);

impl Words {
    pub(crate) fn new() -> Self {
        Self(ModelInfo {
            name: NAME.into(),
            sha256: None,
            dimension: DIMENSION,
            max_tokens: 256,
            pooling: Pooling::Mean,
            normalize: false,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            arithmetic: Arithmetic::Float,
        })
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

impl Embedder for Words {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn embed(&self, texts: &[&str], role: Role, _: Overflow) -> Result<Embeddings> {
        let mut embeddings = Embeddings::default();
        for text in texts {
            // A text without words has a direction too.
            let mut vector = vec![0.01; DIMENSION];
            for word in words(text).take(self.0.max_tokens) {
                let mut hasher = DefaultHasher::new();
                word.hash(&mut hasher);
                vector[hasher.finish() as usize % DIMENSION] += 1.0;
            }
            let tokens = self.count_tokens(text) + self.overhead_tokens(role);
            embeddings.vectors.push(vector);
            embeddings.token_counts.push(tokens.min(self.0.max_tokens));
            embeddings.truncated.push(tokens > self.0.max_tokens);
        }
        Ok(embeddings)
    }

    fn count_tokens(&self, text: &str) -> usize {
        words(text).count()
    }

    fn overhead_tokens(&self, _: Role) -> usize {
        0
    }
}
