//! Texts of made-up words, and an embedding model that hashes words: servers are to be measured, and a real model would take most of the time.

use ragstone_benches::random::{Random, hash};
use ragstone_rag::embed::{Arithmetic, Embedder, Embeddings, ModelInfo, Overflow, Pooling, Role};

/// What the model is asked for as.
pub(crate) const MODEL: &str = "load/hashed-words";
/// Tokens that it reads.
const TOKENS_MAX: usize = 512;
/// Different words.
const WORDS: usize = 4_000;
const SYLLABLES: [&str; 16] =
    ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "za"];

/// A text of so many words, rare ones rarer.
pub(crate) fn text(random: &mut Random, words: usize) -> String {
    let mut text = String::new();
    for number in 0..words {
        if number > 0 {
            text.push_str(if number % 12 == 0 { ". " } else { " " });
        }
        // The cube of a uniform share: half of all words are among an eighth of the vocabulary.
        let share = random.unit();
        let mut word = (share * share * share * WORDS as f32) as usize;
        for _ in 0..3 {
            text.push_str(SYLLABLES[word % SYLLABLES.len()]);
            word /= SYLLABLES.len();
        }
    }
    text
}

/// The model: each word adds to the components that it hashes to.
pub(crate) struct HashedWords {
    info: ModelInfo,
}

impl HashedWords {
    pub(crate) fn new(dimension: usize) -> Self {
        let info = ModelInfo {
            name: MODEL.to_owned(),
            sha256: Some("0".repeat(64)),
            dimension,
            max_tokens: TOKENS_MAX,
            pooling: Pooling::Mean,
            normalize: true,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            arithmetic: Arithmetic::Float,
        };
        Self { info }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0_f32; self.info.dimension];
        // No text is the zero vector.
        vector[0] = 1e-3;
        for word in words(text).take(TOKENS_MAX) {
            let seed = word.bytes().fold(0, |seed, byte| hash(seed, u64::from(byte)));
            for place in 0..8 {
                let bits = hash(seed, place);
                let sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
                vector[(bits >> 1) as usize % self.info.dimension] += sign;
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

impl Embedder for HashedWords {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], _: Role, overflow: Overflow) -> ragstone_rag::Result<Embeddings> {
        let mut embeddings = Embeddings::default();
        for (index, text) in texts.iter().enumerate() {
            let tokens = words(text).count();
            if tokens > TOKENS_MAX && overflow == Overflow::Error {
                return Err(ragstone_rag::Error::TokenLimit {
                    field: format!("texts[{index}]"),
                    model: self.info.name.clone(),
                    tokens,
                    max: TOKENS_MAX,
                });
            }
            embeddings.vectors.push(self.vector(text));
            embeddings.token_counts.push(tokens.min(TOKENS_MAX));
            embeddings.truncated.push(tokens > TOKENS_MAX);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_share_words_are_nearer_than_others() {
        let model = HashedWords::new(64);
        let dot =
            |a: &str, b: &str| model.vector(a).iter().zip(model.vector(b)).map(|(a, b)| a * b).sum::<f32>();
        assert!(dot("bade figo huka", "bade figo lemi") > dot("bade figo huka", "nopu rase tivo"));
        assert!((dot("bade", "bade") - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_text_has_so_many_words_of_the_vocabulary() {
        let text = text(&mut Random::new(1), 100);
        assert_eq!(words(&text).count(), 100, "{text}");
        assert!(words(&text).all(|word| word.len() == 6), "{text}");
    }
}
