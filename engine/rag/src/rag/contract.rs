//! The contract between a collection and its embedding model.
//!
//! Vectors of two models do not compare, nor do those of one model read in two ways. So a collection keeps what its
//! vectors were made with, as JSON in a schema attribute, and a model that differs in anything but its name is refused:
//! by the hash of its weights it is the same model wherever its files lie. A remote model has no hash; there the name
//! must be the same, but for what it says of how requests are sent.

use ragstone::{Analyzer, CollectionInfo, Schema};

use crate::embed::{Embedder, ModelInfo, same_model};
use crate::error::{Error, Result};

use crate::ingest::ChunkOptions;
pub(super) use crate::reserved::MODEL_ATTRIBUTE as ATTRIBUTE;
use crate::reserved::{CHUNKS_ATTRIBUTE, TEXT};

/// The contract kept in a schema.
pub(super) fn read(collection: &str, schema: &Schema) -> Result<Option<ModelInfo>> {
    schema.attributes().get(ATTRIBUTE).map(|json| serde_json::from_str(json)).transpose().map_err(|error| {
        Error::Invalid {
            field: format!("collection `{collection}`, attribute `{ATTRIBUTE}`"),
            reason: format!("it is not a model's contract: {error}"),
        }
    })
}

/// How the documents of a collection are to be split; by default where nothing is said. A collection may come out of a file of somebody's, so
/// what it says is looked at like what is asked for.
pub(super) fn chunking(collection: &str, schema: &Schema) -> Result<ChunkOptions> {
    let chunks = kept_chunking(collection, schema)?;
    chunks.validate(&chunks_attribute(collection)).map(|()| chunks)
}

fn kept_chunking(collection: &str, schema: &Schema) -> Result<ChunkOptions> {
    let kept = schema.attributes().get(CHUNKS_ATTRIBUTE).map(|json| serde_json::from_str(json)).transpose();
    kept.map(Option::unwrap_or_default).map_err(|error| Error::Invalid {
        field: chunks_attribute(collection),
        reason: format!("it does not say how documents are split: {error}"),
    })
}

fn chunks_attribute(collection: &str) -> String {
    format!("collection `{collection}`, attribute `{CHUNKS_ATTRIBUTE}`")
}

/// How a collection with a model makes chunks of documents, and words of chunks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextOptions {
    /// How documents are split.
    pub chunks: ChunkOptions,
    /// How the texts and headings of chunks become words.
    pub analyzer: Analyzer,
}

impl TextOptions {
    /// Those of the collection with this schema; `None` where it has no model.
    ///
    /// # Errors
    /// [`Error::Invalid`] if what is kept there was written by other means.
    pub fn of(info: &CollectionInfo) -> Result<Option<TextOptions>> {
        if !info.schema.attributes().contains_key(ATTRIBUTE) {
            return Ok(None);
        }
        let chunks = kept_chunking(&info.name, &info.schema)?;
        Ok(info.schema.texts().get(TEXT).map(|analyzer| TextOptions { chunks, analyzer: *analyzer }))
    }
}

/// How documents are split, as it is kept.
pub(super) fn write_chunking(chunking: &ChunkOptions) -> Result<String> {
    serde_json::to_string(chunking)
        .map_err(|error| Error::Invalid { field: "chunks".to_owned(), reason: error.to_string() })
}

/// The contract as it is kept.
pub(super) fn write(info: &ModelInfo) -> Result<String> {
    serde_json::to_string(info)
        .map_err(|error| Error::Invalid { field: "model".to_owned(), reason: error.to_string() })
}

/// Refuses a model that is not the contract's.
pub(super) fn check(collection: &str, contract: &ModelInfo, embedder: &dyn Embedder) -> Result<()> {
    let offered = embedder.info();
    let same_weights = match (&contract.sha256, &offered.sha256) {
        (Some(a), Some(b)) => a == b,
        (None, None) => same_model(&contract.name, &offered.name),
        _ => false,
    };
    let read_alike = ModelInfo { name: String::new(), sha256: None, ..contract.clone() }
        == ModelInfo { name: String::new(), sha256: None, ..offered.clone() };
    if same_weights && read_alike {
        return Ok(());
    }
    Err(Error::ModelMismatch {
        collection: collection.to_owned(),
        expected: described(contract),
        actual: described(offered),
    })
}

fn described(info: &ModelInfo) -> String {
    let weights = match &info.sha256 {
        Some(sha256) => format!("weights {}…", sha256.chars().take(12).collect::<String>()),
        None => "remote".to_owned(),
    };
    format!(
        "model {} ({weights}, {} components, {:?} pooling, {}, {} tokens, prefixes {:?} and {:?}, {:?} arithmetic)",
        info.name,
        info.dimension,
        info.pooling,
        if info.normalize { "normalised" } else { "not normalised" },
        info.max_tokens,
        info.query_prefix,
        info.passage_prefix,
        info.arithmetic,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::{Arithmetic, Pooling};
    use crate::testing::BagOfWords;

    #[test]
    fn anything_but_the_name_matters() {
        let info = BagOfWords::new("m", 256).info().clone();
        let remote = ModelInfo { sha256: None, ..info.clone() };
        let service = ModelInfo { name: "https://h/v1?batch=3#m".into(), ..remote.clone() };
        let cases = [
            (&info, info.clone(), true),
            (&info, ModelInfo { name: "/elsewhere/m".into(), ..info.clone() }, true),
            (&info, ModelInfo { sha256: Some("11".repeat(32)), ..info.clone() }, false),
            (&info, ModelInfo { sha256: None, ..info.clone() }, false),
            (&info, ModelInfo { dimension: 3, ..info.clone() }, false),
            (&info, ModelInfo { pooling: Pooling::Cls, ..info.clone() }, false),
            (&info, ModelInfo { normalize: false, ..info.clone() }, false),
            (&info, ModelInfo { max_tokens: 128, ..info.clone() }, false),
            (&info, ModelInfo { query_prefix: "query: ".into(), ..info.clone() }, false),
            (&info, ModelInfo { passage_prefix: "passage: ".into(), ..info.clone() }, false),
            (&info, ModelInfo { arithmetic: Arithmetic::Int8, ..info.clone() }, false),
            (&remote, remote.clone(), true),
            (&remote, ModelInfo { name: "other".into(), ..remote.clone() }, false),
            (&service, ModelInfo { name: "https://h/v1?timeout=9#m".into(), ..remote.clone() }, true),
            (&service, ModelInfo { name: "https://h/v1#n".into(), ..remote.clone() }, false),
        ];
        for (contract, offered, fits) in cases {
            let outcome = check("c", contract, &BagOfWords::with_info(offered.clone()));
            assert_eq!(outcome.is_ok(), fits, "{offered:?}");
            assert!(fits || matches!(outcome, Err(Error::ModelMismatch { .. })));
        }
    }

    /// An overlap of an imported collection was multiplied until it was beyond all numbers.
    #[test]
    fn sizes_of_chunks_that_a_file_brings_are_looked_at() {
        let of = |json: &str| {
            let schema = Schema::builder(2).attribute(CHUNKS_ATTRIBUTE, json).build().unwrap();
            chunking("c", &schema).map_err(|error| error.to_string())
        };
        assert_eq!(of(r#"{"tokens":64,"overlap":8}"#), Ok(ChunkOptions { tokens: 64, overlap: 8 }));
        for (json, part) in [
            (r#"{"tokens":0,"overlap":0}"#, "tokens: a chunk has 16 tokens at least"),
            (r#"{"tokens":64,"overlap":18446744073709551615}"#, "overlap: 18446744073709551615 of 64 tokens"),
            (r#"{"tokens":18446744073709551615,"overlap":9000000000000000000}"#, "tokens: "),
            ("[]", " it does not say how documents are split"),
        ] {
            let error = of(json).unwrap_err();
            assert!(
                error.starts_with("collection `c`, attribute `") && error.contains(part),
                "{json}: {error}"
            );
        }
    }
}
