//! How fast a model embeds on this machine, and how near its vectors are to the reference.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use ragstone_benches::Failure;
use ragstone_benches::arguments;
use ragstone_benches::index::rounded;
use ragstone_benches::npy::{self, Matrix};
use ragstone_kernels::matrix::Precision;
use ragstone_rag::embed::{
    DEFAULT_MODEL, Embedder, LoadOptions, LocalEmbedder, ModelOptions, Models, Overflow, Role,
};
use serde_json::json;

/// Texts of a call, and tokens of each.
const SHAPES: [(usize, usize); 5] = [(1, 16), (1, 64), (8, 64), (32, 64), (8, 256)];
/// The token that all texts consist of, as those of other runtimes do that these figures are set beside.
const ID: u32 = 1;
/// Callers at once, tokens of the one text of each call, and how long they call.
const CALLERS: [usize; 3] = [1, 2, 8];
const CALL_TOKENS: usize = 16;
const CALLERS_TIME: Duration = Duration::from_millis(1_500);
/// Tokens that are embedded for one figure, at least, and calls.
const TOKENS_MIN: usize = 4_000;
const CALLS_MIN: usize = 5;
/// Texts and their vectors by PyTorch in single precision, of the default model.
const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/rag/tests/data/reference-embeddings");

/// Measures embedding of texts that are given as token ids, so that no tokenizer is timed; pooling is.
///
/// Prints JSON lines {"runtime", "batch", "tokens", "ms", "tokens_per_s", "cosine_min"}: the median of repeated calls, and the lowest
/// cosine of all reference texts to their vectors. Lines with "callers" are of so many threads that embed one text a call at the same time:
/// the median of a call, and the tokens of all callers in a second.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The model: a name, or a directory.
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: String,
    /// How the weights of products are kept.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["single", "half", "int8"])]
    precision: Vec<Weights>,
    /// Threads that compute; by default as many as there are processors.
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// Texts and their vectors, `texts.json` and `vectors.f32.npy`: those in the repository are of the default model.
    #[arg(long, value_name = "DIRECTORY", default_value = REFERENCE)]
    reference: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Weights {
    Single,
    Half,
    Int8,
}

impl Weights {
    fn precision(self) -> Precision {
        match self {
            Weights::Single => Precision::Single,
            Weights::Half => Precision::Half,
            Weights::Int8 => Precision::Int8,
        }
    }
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let reference = Reference::read(&arguments.reference)?;
    let directory = Models::new(ModelOptions::default()).pull(&arguments.model)?.path;
    for precision in arguments.precision.iter().map(|weights| weights.precision()) {
        let load = LoadOptions { precision, threads: arguments.threads, ..LoadOptions::default() };
        let embedder = LocalEmbedder::load(&directory, &arguments.model, load)?;
        let cosine_min = reference.cosine_min(&embedder)?;
        for (batch, tokens) in SHAPES {
            let milliseconds = median_ms(&embedder, batch, tokens)?;
            let line = json!({
                "runtime": format!("ragstone-{precision:?}").to_lowercase(),
                "batch": batch,
                "tokens": tokens,
                "ms": rounded(milliseconds, 2),
                "tokens_per_s": rounded((batch * tokens) as f64 / milliseconds * 1e3, 0),
                "cosine_min": rounded(cosine_min, 8),
            });
            println!("{line}");
        }
        for callers in CALLERS {
            let (milliseconds, tokens_per_s) = callers_at_once(&embedder, callers)?;
            let line = json!({
                "runtime": format!("ragstone-{precision:?}").to_lowercase(),
                "callers": callers,
                "batch": 1,
                "tokens": CALL_TOKENS,
                "ms": rounded(milliseconds, 2),
                "tokens_per_s": rounded(tokens_per_s, 0),
            });
            println!("{line}");
        }
    }
    Ok(())
}

fn median_ms(embedder: &LocalEmbedder, batch: usize, tokens: usize) -> Result<f64, Failure> {
    let ids = vec![ID; tokens];
    let texts = vec![ids.as_slice(); batch];
    embedder.embed_ids(&texts)?;
    let mut milliseconds = Vec::new();
    for _ in 0..(TOKENS_MIN / (batch * tokens)).max(CALLS_MIN) {
        let start = Instant::now();
        embedder.embed_ids(&texts)?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
    }
    milliseconds.sort_by(f64::total_cmp);
    Ok(milliseconds[milliseconds.len() / 2])
}

/// The median time of a call, and the tokens of all in a second, of so many callers that embed one text a call for some seconds.
fn callers_at_once(embedder: &LocalEmbedder, callers: usize) -> Result<(f64, f64), Failure> {
    let ids = vec![ID; CALL_TOKENS];
    let start = Instant::now();
    let one_caller = || -> Result<Vec<f64>, ragstone_rag::Error> {
        let mut milliseconds = Vec::new();
        while start.elapsed() < CALLERS_TIME {
            let begun = Instant::now();
            embedder.embed_ids(&[&ids])?;
            milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(milliseconds)
    };
    let mut milliseconds = Vec::new();
    std::thread::scope(|scope| -> Result<(), Failure> {
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(one_caller)).collect();
        for caller in callers {
            milliseconds.extend(caller.join().map_err(|_| "a caller panicked".to_owned())??);
        }
        Ok(())
    })?;
    let tokens_per_s = (milliseconds.len() * CALL_TOKENS) as f64 / start.elapsed().as_secs_f64();
    milliseconds.sort_by(f64::total_cmp);
    Ok((milliseconds[milliseconds.len() / 2], tokens_per_s))
}

/// Texts and the vectors that they should have.
struct Reference {
    texts: Vec<String>,
    vectors: Matrix<f32>,
}

impl Reference {
    fn read(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join("texts.json");
        let wrong = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.display());
        let file = std::fs::read(&path).map_err(|error| wrong(&error))?;
        let mut file: serde_json::Value = serde_json::from_slice(&file).map_err(|error| wrong(&error))?;
        let texts: Vec<String> = serde_json::from_value(file["texts"].take())
            .map_err(|error| wrong(&format!("texts: {error}")))?;
        let vectors = npy::read_floats(&directory.join("vectors.f32.npy"))?;
        if texts.len() != vectors.len() {
            return Err(wrong(&format!("{} texts have {} vectors", texts.len(), vectors.len())).into());
        }
        Ok(Self { texts, vectors })
    }

    /// The lowest cosine of all texts.
    fn cosine_min(&self, embedder: &LocalEmbedder) -> Result<f64, Failure> {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let made = embedder.embed(&texts, Role::Plain, Overflow::Truncate)?.vectors;
        match made.iter().zip(self.vectors.rows()).find(|(made, wanted)| made.len() != wanted.len()) {
            None => Ok(made.iter().zip(self.vectors.rows()).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min)),
            Some((made, wanted)) => {
                let reason = format!(
                    "the model's vectors have {} components, the reference's {}",
                    made.len(),
                    wanted.len()
                );
                Err(reason.into())
            }
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
