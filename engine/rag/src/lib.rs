//! Text in, grounded prompt out.
//!
//! This crate is the whole path of retrieval-augmented generation, embedded in your process:
//!
//! 1. It stores documents as chunks, each with the vector of an embedding model.
//! 2. It finds the chunks that a question is about.
//! 3. It makes a prompt of them. Each passage is cited by document, heading and place.
//!
//! The server offers the same over the network. The database below, for vectors of your own, is the crate [`ragstone`].
//!
//! It takes ten lines with the default model, all-MiniLM-L6-v2, which is fetched once and kept in a cache:
//!
//! ```no_run
//! use ragstone_rag::embed::DEFAULT_MODEL;
//! use ragstone_rag::ingest::folder;
//! use ragstone_rag::progress::Silent;
//! use ragstone_rag::prompt::EnrichRequest;
//! use ragstone_rag::{CollectionSpec, Rag};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let rag = Rag::open("my-data")?;
//!     rag.ensure_collection("default", CollectionSpec::with_model(DEFAULT_MODEL))?;
//!     for file in folder::scan(&["docs".into()], &Silent)?.files {
//!         for loaded in file.documents(&Default::default())? {
//!             rag.ingest("default", loaded.document?)?;
//!         }
//!     }
//!     let enriched = rag.enrich("default", &EnrichRequest::new("How do I install it?"))?;
//!     println!("{}", enriched.prompt());
//!     Ok(())
//! }
//! ```
//!
//! Any [`embed::Embedder`] will do. This one counts letters, which is enough to show the whole path:
//!
//! ```
//! use std::sync::Arc;
//!
//! use ragstone_rag::embed::{
//!     Arithmetic, Embedder, Embeddings, ModelInfo, ModelOptions, Models, Overflow, Pooling, Role,
//! };
//! use ragstone_rag::ingest::{DocumentInput, IngestStatus};
//! use ragstone_rag::prompt::EnrichRequest;
//! use ragstone_rag::{CollectionSpec, Rag, Result};
//!
//! struct Letters(ModelInfo);
//!
//! impl Embedder for Letters {
//!     fn info(&self) -> &ModelInfo {
//!         &self.0
//!     }
//!     fn embed(&self, texts: &[&str], role: Role, _: Overflow) -> Result<Embeddings> {
//!         let mut embeddings = Embeddings::default();
//!         for text in texts {
//!             let mut vector = vec![0.01; 26];
//!             for letter in text.bytes().filter(u8::is_ascii_alphabetic) {
//!                 vector[usize::from(letter.to_ascii_lowercase() - b'a')] += 1.0;
//!             }
//!             embeddings.vectors.push(vector);
//!             embeddings.token_counts.push(self.count_tokens(text) + self.overhead_tokens(role));
//!             embeddings.truncated.push(false);
//!         }
//!         Ok(embeddings)
//!     }
//!     fn count_tokens(&self, text: &str) -> usize {
//!         text.split_whitespace().count()
//!     }
//!     fn overhead_tokens(&self, _: Role) -> usize {
//!         0
//!     }
//! }
//!
//! let model = Letters(ModelInfo {
//!     name: "letters".into(),
//!     sha256: None,
//!     dimension: 26,
//!     max_tokens: 256,
//!     pooling: Pooling::Mean,
//!     normalize: false,
//!     query_prefix: String::new(),
//!     passage_prefix: String::new(),
//!     arithmetic: Arithmetic::Float,
//! });
//! # let folder = tempfile::tempdir()?;
//! # let directory = folder.path();
//! let options = ModelOptions { cache_dir: directory.join("models"), offline: true, ..ModelOptions::default() };
//! let models = Models::new(options);
//! models.insert(Arc::new(model));
//!
//! let rag = Rag::new(ragstone::Db::open(directory.join("data"))?, models);
//! rag.create_collection("default", CollectionSpec::with_model("letters"))?;
//! let guide = |text: &str| DocumentInput::new("guide.md", text);
//! rag.ingest("default", guide("# Ports\n\nThe server listens on port 6733."))?;
//!
//! // The same bytes again are recognised; other bytes replace the document in one atomic step.
//! let again = rag.ingest("default", guide("# Ports\n\nThe server listens on port 6733."))?;
//! assert_eq!(again.status, IngestStatus::Unchanged);
//!
//! let enriched = rag.enrich("default", &EnrichRequest::new("Which port does the server use?"))?;
//! let citation = &enriched.citations[0];
//! assert_eq!((citation.document.as_str(), citation.heading.as_str()), ("guide.md", "Ports"));
//! assert!(enriched.prompt().contains("[1] guide.md > "), "and the headings, marked as quoted like the text");
//! // `start` and `end` count code points of the stored text.
//! let text = rag.document("default", "guide.md")?.text;
//! let slice: String = text.chars().skip(citation.start).take(citation.end - citation.start).collect();
//! assert_eq!(citation.text, slice);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//! [`Rag`] is the facade over a database and its models. Behind it:
//!
//! | module | what it does |
//! |---|---|
//! | [`ingest`] | turns documents into chunks |
//! | [`embed`] | turns texts into vectors |
//! | [`retrieve`] | finds the chunks that a question is about |
//! | [`rerank`] | says which of them answer it best |
//! | [`prompt`] | makes a prompt of them |
//! | [`tokens`] | counts the tokens of the prompt, for the model that it is for |
//! | [`generate`] | has a language model answer |
//! | [`answers`] | keeps answers, to give them again |
//! | [`evaluate`] | measures how well questions find their documents |
//! | [`reserved`] | says how documents lie in a collection |
//! | [`limits`] | lists what is refused for its size |

pub mod answers;
pub mod embed;
mod error;
pub mod evaluate;
pub mod generate;
pub mod ingest;
pub mod limits;
pub mod progress;
pub mod prompt;
mod rag;
pub mod rerank;
pub mod reserved;
pub mod retrieve;
#[cfg(test)]
mod testing;
pub mod tokens;
mod waiting;

pub use error::{Error, GenerateFailure, Result, SourceFailure};
pub use rag::{
    CollectionSpec, Ended, IngestOptions, Rag, ReembedOptions, ReembedReport, Reembedding, TextOptions,
    TextQuery, Watch,
};
