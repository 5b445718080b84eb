//! The default model against vectors that PyTorch made of the same texts in single precision.
//!
//! `tests/data/reference-embeddings` holds some texts; `RAGSTONE_REFERENCE_EMBEDDINGS` may name a directory with more,
//! of the same two files. The model is fetched if it is not in the cache; where it is not to be had, the tests say so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ragstone_kernels::Isa;
use ragstone_kernels::matrix::Precision;
use ragstone_rag::Error;
use ragstone_rag::embed::{
    DEFAULT_MODEL, Embedder, LoadOptions, LocalEmbedder, ModelOptions, Models, Overflow, Role,
};

/// How near vectors are to the reference, in each precision.
const LEAST_COSINES: [(Precision, f64); 3] =
    [(Precision::Single, 0.9999), (Precision::Half, 0.9999), (Precision::Int8, 0.99)];

struct Reference {
    texts: Vec<String>,
    tokens: Vec<usize>,
    vectors: Vec<Vec<f32>>,
}

impl Reference {
    fn read(directory: &Path) -> Reference {
        let json = std::fs::read(directory.join("texts.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let npy = std::fs::read(directory.join("vectors.f32.npy")).unwrap();
        let header = usize::from(u16::from_le_bytes([npy[8], npy[9]])) + 10;
        let numbers: Vec<f32> =
            npy[header..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let texts: Vec<String> = serde_json::from_value(json["texts"].clone()).unwrap();
        let vectors: Vec<Vec<f32>> = numbers.chunks_exact(384).map(<[f32]>::to_vec).collect();
        assert_eq!(texts.len(), vectors.len());
        Reference { texts, tokens: serde_json::from_value(json["tokens"].clone()).unwrap(), vectors }
    }

    fn committed() -> Reference {
        Reference::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reference-embeddings"))
    }

    /// The lowest cosine of all texts.
    fn check(&self, embedder: &dyn Embedder) -> f64 {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let made = embedder.embed(&texts, Role::Plain, Overflow::Truncate).unwrap();
        assert_eq!(made.token_counts, self.tokens);
        let cosines = made.vectors.iter().zip(&self.vectors).map(|(a, b)| cosine(a, b));
        cosines.fold(1.0, f64::min)
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn models() -> Models {
    Models::new(ModelOptions::default())
}

/// The default model's directory, or a line that says why there is none.
fn model_directory() -> Option<PathBuf> {
    match models().pull(DEFAULT_MODEL) {
        Ok(pulled) => Some(pulled.path),
        Err(Error::ModelNotFound { sources, .. }) => {
            eprintln!("SKIPPED: the default model is not to be had: {sources:#?}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn vectors_and_token_counts_agree_on_every_level_of_instructions() {
    let Some(directory) = model_directory() else { return };
    let reference = Reference::committed();
    for isa in Isa::available() {
        for (precision, least) in LEAST_COSINES {
            let options = LoadOptions { precision, isa, ..LoadOptions::default() };
            let embedder = LocalEmbedder::load(&directory, DEFAULT_MODEL, options).unwrap();
            let lowest = reference.check(&embedder);
            eprintln!("{isa:?} {precision:?}: lowest cosine {lowest:.8}");
            assert!(lowest >= least, "{isa:?} {precision:?}: {lowest}");
        }
    }
}

#[test]
fn all_reference_texts_agree() {
    let Some(path) = std::env::var_os("RAGSTONE_REFERENCE_EMBEDDINGS") else {
        eprintln!(
            "SKIPPED: RAGSTONE_REFERENCE_EMBEDDINGS names no directory of texts.json and vectors.f32.npy"
        );
        return;
    };
    let Some(directory) = model_directory() else { return };
    let reference = Reference::read(Path::new(&path));
    for (precision, least) in LEAST_COSINES {
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let embedder = LocalEmbedder::load(&directory, DEFAULT_MODEL, options).unwrap();
        let lowest = reference.check(&embedder);
        eprintln!("{} texts, {precision:?}: lowest cosine {lowest:.8}", reference.texts.len());
        assert!(lowest >= least, "{precision:?}: {lowest}");
    }
}

#[test]
fn the_contract_limits_and_order_hold() {
    if model_directory().is_none() {
        return;
    }
    let models = models();
    let embedder = models.load(DEFAULT_MODEL).unwrap();
    assert!(Arc::ptr_eq(&embedder, &models.load("sentence-transformers/all-MiniLM-L6-v2").unwrap()));
    let info = embedder.info();
    assert_eq!((info.dimension, info.max_tokens, info.normalize), (384, 256, true));
    assert_eq!(info.name, DEFAULT_MODEL);

    let reference = Reference::committed();
    let texts: Vec<&str> = reference.texts.iter().map(String::as_str).collect();
    let all = embedder.embed(&texts, Role::Passage, Overflow::Truncate).unwrap();
    for (index, text) in texts.iter().enumerate() {
        let alone = embedder.embed(&[text], Role::Passage, Overflow::Truncate).unwrap();
        assert!(alone.vectors[0] == all.vectors[index], "texts[{index}] depends on the texts beside it");
        let overhead = embedder.overhead_tokens(Role::Passage);
        let counted = embedder.count_tokens(text) + overhead;
        assert_eq!(all.truncated[index], counted > 256);
        assert_eq!(all.token_counts[index], counted.min(256));
    }
    assert_eq!(embedder.embed(&[], Role::Query, Overflow::Error).unwrap().vectors.len(), 0);

    let long = "word ".repeat(300);
    let huge = "word ".repeat(200_000);
    for (text, count) in [(&long, 302), (&huge, 200_002)] {
        let error = embedder.embed(&["short", text], Role::Plain, Overflow::Error).unwrap_err();
        let Error::TokenLimit { field, tokens, max, .. } = error else { panic!("{error}") };
        assert_eq!((field.as_str(), tokens, max), ("texts[1]", count, 256));
    }
    let cut = embedder.embed(&[&long, &huge], Role::Plain, Overflow::Truncate).unwrap();
    assert!(cut.truncated.iter().all(|cut| *cut) && cut.vectors[0] == cut.vectors[1]);
    let error = embedder.embed(&[&"a".repeat((1 << 20) + 1)], Role::Plain, Overflow::Truncate).unwrap_err();
    assert!(matches!(error, Error::Limit { limit: "TEXT_BYTES_MAX", .. }), "{error}");
}
