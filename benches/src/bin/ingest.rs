//! What ingestion costs beside the embedding in it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use ragstone::Db;
use ragstone_benches::Failure;
use ragstone_benches::arguments;
use ragstone_benches::index::rounded;
use ragstone_benches::measure::Memory;
use ragstone_rag::embed::{
    DEFAULT_MODEL, Embedder, Embeddings, ModelInfo, ModelOptions, Models, Overflow, Role,
};
use ragstone_rag::ingest::{DocumentInput, MediaType, folder};
use ragstone_rag::progress::Silent;
use ragstone_rag::{CollectionSpec, IngestOptions, Rag};
use serde_json::json;

/// The name of the model that notes what it embeds.
const NOTED: &str = "noted";
/// Texts of a call of bare embedding, as ingestion has them.
const CALL: usize = 64;

/// Ingests documents into a new database on disk, and then embeds the same chunks, in the same order and calls of the same size, with
/// nothing else to do: in turn, several rounds.
///
/// Prints JSON lines, of whole files and of their paragraphs as documents of their own: tokens a second of each, the ratio of their
/// medians, and the memory that ingestion took at most, beyond what the process had.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The folder of the documents; this project by default.
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// Bytes of documents, at most.
    #[arg(long, default_value_t = 600_000, value_name = "N")]
    bytes: usize,
    /// Rounds.
    #[arg(long, default_value_t = 3, value_name = "N")]
    rounds: usize,
    /// Bytes of documents that may be under way.
    #[arg(long, default_value_t = 64 << 20, value_name = "N")]
    ahead_bytes: usize,
    /// The model: a name, or a directory.
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: String,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = arguments.docs.clone().unwrap_or(project);
    let files = documents(&docs, arguments.bytes)?;
    let model = Models::new(ModelOptions::default()).load(&arguments.model)?;
    for (of, documents) in [("files", files.clone()), ("paragraphs", paragraphs(&files))] {
        let noted =
            Arc::new(Noted { model: model.clone(), info: noted_info(&model), texts: Mutex::default() });
        let (mut ingested, mut bare, mut tokens, mut chunks) = (Vec::new(), Vec::new(), 0, 0);
        let mut memory_bytes = 0;
        for _ in 0..arguments.rounds {
            let memory = Memory::begin();
            let done = ingest(&noted, &documents, arguments.ahead_bytes)?;
            memory_bytes = memory_bytes.max(memory.end().anonymous_bytes);
            (tokens, chunks) = (done.tokens, done.chunks);
            ingested.push(done.tokens as f64 / done.seconds);
            let texts = std::mem::take(&mut *noted.texts.lock().unwrap_or_else(PoisonError::into_inner));
            bare.push(done.tokens as f64 / embed(model.as_ref(), &texts)?);
        }
        let (ingested, bare) = (median(&mut ingested), median(&mut bare));
        let line = json!({
            "of": of,
            "documents": documents.len(),
            "chunks": chunks,
            "tokens": tokens,
            "ingest_tokens_per_s": rounded(ingested, 0),
            "bare_tokens_per_s": rounded(bare, 0),
            "ratio": rounded(ingested / bare, 3),
            "memory_bytes": memory_bytes,
        });
        println!("{line}");
    }
    Ok(())
}

/// The documents of a folder up to so many bytes. What is none is skipped and told, as `ragstone ingest` does.
fn documents(folder: &Path, bytes_max: usize) -> Result<Vec<DocumentInput>, Failure> {
    let (mut documents, mut bytes) = (Vec::new(), 0);
    for file in folder::scan(&[folder.to_owned()], &Silent)?.files {
        for loaded in file.documents(&Default::default())? {
            let document = match loaded.document {
                Ok(document) => document,
                Err(reason) => {
                    eprintln!("{}: skipped: {reason}", file.id);
                    continue;
                }
            };
            if bytes + document.content.len() <= bytes_max {
                bytes += document.content.len();
                documents.push(document);
            }
        }
    }
    if documents.is_empty() {
        return Err(format!("{}: no document", folder.display()).into());
    }
    Ok(documents)
}

/// Each paragraph as a document.
fn paragraphs(files: &[DocumentInput]) -> Vec<DocumentInput> {
    let of = |file: &DocumentInput| {
        let text = String::from_utf8_lossy(&file.content).into_owned();
        let paragraphs: Vec<String> =
            text.split("\n\n").filter(|text| !text.trim().is_empty()).map(str::to_owned).collect();
        let document = |(at, text): (usize, String)| DocumentInput {
            media_type: Some(MediaType::Text),
            ..DocumentInput::new(format!("{}/{at}", file.id), text)
        };
        paragraphs.into_iter().enumerate().map(document).collect::<Vec<_>>()
    };
    files.iter().flat_map(of).collect()
}

struct Done {
    tokens: usize,
    chunks: usize,
    seconds: f64,
}

fn ingest(model: &Arc<Noted>, documents: &[DocumentInput], ahead_bytes: usize) -> Result<Done, Failure> {
    let directory = tempfile::tempdir()?;
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    models.insert(model.clone());
    let rag = Rag::new(Db::open(directory.path())?, models);
    rag.create_collection("c", CollectionSpec::with_model(NOTED))?;
    let options = IngestOptions { ahead_bytes, ..IngestOptions::default() };
    let (mut tokens, mut chunks, mut failure) = (0, 0, None);
    let begun = Instant::now();
    rag.ingest_all(
        "c",
        documents.iter().map(|document| ((), Ok(document.clone()))),
        &options,
        |(), report| match report {
            Ok(report) => (tokens, chunks) = (tokens + report.tokens, chunks + report.chunks),
            Err(error) => failure = Some(error),
        },
    )?;
    let seconds = begun.elapsed().as_secs_f64();
    failure.map_or(Ok(Done { tokens, chunks, seconds }), |error| Err(error.into()))
}

/// Seconds that embedding takes.
fn embed(model: &dyn Embedder, texts: &[String]) -> Result<f64, Failure> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let begun = Instant::now();
    for call in texts.chunks(CALL) {
        model.embed(call, Role::Passage, Overflow::Error)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A model that notes what it embeds.
struct Noted {
    model: Arc<dyn Embedder>,
    info: ModelInfo,
    texts: Mutex<Vec<String>>,
}

fn noted_info(model: &Arc<dyn Embedder>) -> ModelInfo {
    ModelInfo { name: NOTED.to_owned(), ..model.info().clone() }
}

impl Embedder for Noted {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> ragstone_rag::Result<Embeddings> {
        let mut noted = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(texts.iter().map(|text| (*text).to_owned()));
        drop(noted);
        self.model.embed(texts, role, overflow)
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.model.count_tokens(text)
    }

    fn overhead_tokens(&self, role: Role) -> usize {
        self.model.overhead_tokens(role)
    }
}
