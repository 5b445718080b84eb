//! Grows a data set from real rows, and shows that it looks like one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ragstone_benches::Failure;
use ragstone_benches::arguments;
use ragstone_benches::data::check_pair;
use ragstone_benches::exact;
use ragstone_benches::growth::{self, Recipe, SHARES, Spacing};
use ragstone_benches::index::rounded;
use ragstone_benches::npy::{Matrix, read_floats, write_floats, write_halves, write_ids};
use ragstone_benches::random::Random;
use serde_json::json;

/// Nearest rows of each query that the truth has.
const TRUTH: usize = 100;

/// Grows a data set to any number of rows by seeded interpolation between near neighbours.
///
/// Writes base.f16.npy (the real rows first), query.f32.npy (the real queries) and groundtruth100.u32.npy (the exact
/// 100 nearest rows of each query under the inner product) into a directory, and prints as JSON lines how far apart
/// the rows are, in the real set and in the grown one: quantiles of the distance to the nearest and to the tenth nearest
/// row. Rows are taken to be unit vectors, as embeddings are.
///
/// To see how near the result comes to a real set of equal size, grow a sample of the rows back to their number
/// (--real-rows 15000 --rows 60000, say) and measure recall against ef on both.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Real rows: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    base: PathBuf,
    /// Queries: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    query: PathBuf,
    /// Where the files are written; made if absent.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Rows of the grown set.
    #[arg(long, value_name = "N")]
    rows: usize,
    /// Grow from a sample of so many of the real rows; by default from all, in their order.
    #[arg(long, value_name = "N")]
    real_rows: Option<usize>,
    /// Near rows that a new row lies between.
    #[arg(long, default_value_t = 10, value_name = "N")]
    neighbours: usize,
    /// Where between two rows a new one lies: from this share of the way ...
    #[arg(long, default_value_t = 0.3, value_name = "T")]
    from: f32,
    /// ... to this one.
    #[arg(long, default_value_t = 0.7, value_name = "T")]
    to: f32,
    /// Noise, in differences between near rows.
    #[arg(long, default_value_t = 0.7, value_name = "X")]
    noise: f32,
    /// Another seed, other rows.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Rows whose neighbours are looked at for the evidence.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    sample: usize,
    /// Threads.
    #[arg(long, default_value_t = 2, value_name = "N")]
    threads: usize,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    let (all, query) = (read_floats(&arguments.base)?, read_floats(&arguments.query)?);
    check_pair(&all, &query)?;
    let real = match arguments.real_rows {
        Some(count) => sample(&all, count, arguments.seed)?,
        None => all,
    };
    let recipe = Recipe {
        rows: arguments.rows,
        neighbours: arguments.neighbours,
        between: (arguments.from, arguments.to),
        noise: arguments.noise,
        seed: arguments.seed,
    };
    let grown = growth::grow(&real, &recipe, Some("neighbours of the real rows"))?;
    let truth = exact::truth(&grown, &query, TRUTH, Some("truth"))?;
    let out = &arguments.out;
    std::fs::create_dir_all(out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    write_halves(&out.join("base.f16.npy"), &grown)?;
    write_floats(&out.join("query.f32.npy"), &query)?;
    write_ids(&out.join("groundtruth100.u32.npy"), &truth)?;
    eprintln!("spacing of the rows");
    say("real", &real, &growth::spacing(&real, 0, &query, arguments.sample));
    say("grown", &grown, &growth::spacing(&grown, 0, &query, arguments.sample));
    if grown.len() > real.len() {
        let spacing = growth::spacing(&grown, real.len(), &query, arguments.sample);
        say("grown, new rows only", &grown, &spacing);
    }
    Ok(())
}

fn sample(all: &Matrix<f32>, count: usize, seed: u64) -> Result<Matrix<f32>, Failure> {
    if count > all.len() {
        return Err(format!("there are {} real rows, not {count}", all.len()).into());
    }
    let order = Random::new(seed).permutation(all.len());
    let elements = order.iter().take(count).flat_map(|row| all.row(*row as usize).iter().copied()).collect();
    Ok(Matrix { columns: all.columns, elements })
}

fn say(set: &str, rows: &Matrix<f32>, spacing: &Spacing) {
    let quantiles =
        |distances: &[f64]| distances.iter().map(|distance| rounded(*distance, 3)).collect::<Vec<_>>();
    let line = json!({
        "set": set,
        "rows": rows.len(),
        "quantiles": SHARES,
        "distance_to_nearest": quantiles(&spacing.to_nearest),
        "distance_to_tenth": quantiles(&spacing.to_tenth),
        "distance_query_to_tenth": quantiles(&spacing.query_to_tenth),
    });
    println!("{line}");
}
