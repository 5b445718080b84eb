//! How fast the default model embeds on this machine. Prints JSON lines `{"runtime", "batch", "tokens", "ms",
//! "tokens_per_s", "ms_best"}`, so that they stand beside those of other runtimes: the median over repeated calls, and
//! the best one, which says more on a machine that is busy with other things.
//!
//! Usage: `embed [--model NAME] [--precision half|single] [--threads N]`. Unlike a bare network run, a call here
//! includes tokenisation and pooling.

use std::num::NonZero;
use std::time::Instant;

use ragstone_kernels::matrix::Precision;
use ragstone_rag::embed::{
    DEFAULT_MODEL, Embedder, LoadOptions, LocalEmbedder, ModelOptions, Models, Overflow, Role,
};

/// Texts of a call, and tokens of each.
const SHAPES: [(usize, usize); 5] = [(1, 16), (1, 64), (8, 64), (32, 64), (8, 256)];
/// Tokens that are embedded for one figure, at least.
const TOKENS_MIN: usize = 8_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut model = DEFAULT_MODEL.to_owned();
    let mut precisions = vec![Precision::Single, Precision::Half];
    let mut threads = 0;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match (argument.as_str(), value.as_str()) {
            ("--model", _) => model = value,
            ("--precision", "single") => precisions = vec![Precision::Single],
            ("--precision", "half") => precisions = vec![Precision::Half],
            ("--threads", _) => threads = value.parse()?,
            _ => return Err(format!("{argument} {value} is not understood").into()),
        }
    }
    let directory = Models::new(ModelOptions::default()).pull(&model)?.path;
    for precision in precisions {
        let load = LoadOptions { precision, threads: NonZero::new(threads), ..LoadOptions::default() };
        let embedder = LocalEmbedder::load(&directory, &model, load)?;
        for (batch, tokens) in SHAPES {
            measure(&embedder, precision, batch, tokens)?;
        }
    }
    Ok(())
}

fn measure(
    embedder: &LocalEmbedder,
    precision: Precision,
    batch: usize,
    tokens: usize,
) -> Result<(), Failure> {
    let words = tokens - embedder.overhead_tokens(Role::Plain);
    let text = "one ".repeat(words);
    let texts = vec![text.as_str(); batch];
    let counted = embedder.embed(&texts, Role::Plain, Overflow::Error)?.token_counts;
    if counted != vec![tokens; batch] {
        return Err(format!("the model makes {} tokens of {words} words", counted[0]).into());
    }
    let repetitions = (TOKENS_MIN / (batch * tokens)).max(9);
    let mut milliseconds = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let start = Instant::now();
        embedder.embed(&texts, Role::Plain, Overflow::Error)?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
    }
    milliseconds.sort_by(f64::total_cmp);
    let median = milliseconds[repetitions / 2];
    let line = serde_json::json!({
        "runtime": format!("ragstone-{precision:?}").to_lowercase(),
        "batch": batch,
        "tokens": tokens,
        "ms": (median * 100.0).round() / 100.0,
        "ms_best": (milliseconds[0] * 100.0).round() / 100.0,
        "tokens_per_s": ((batch * tokens) as f64 / median * 1e3).round(),
    });
    println!("{line}");
    Ok(())
}
