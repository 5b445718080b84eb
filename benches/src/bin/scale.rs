//! One point of the curve over sizes: what an index of a data set costs and how it answers.

use std::process::ExitCode;

use clap::Parser;
use ragstone_benches::Failure;
use ragstone_benches::arguments::{self, DataArguments, EFS, IndexArguments};
use ragstone_benches::data::Data;
use ragstone_benches::index::{Index, Setting, at_recall, rounded};
use serde_json::json;

/// Measures an index of one size: what it costs, recall against the width, and both speed and distances at a recall.
///
/// Prints JSON lines: the cost (`rows`, `segments`, `build_s`, `resident_bytes_per_vector`, `hot_bytes_per_vector`), a
/// line for each width (`recall_at_10`, `qps`, `distances_per_query`), and at last `qps_at` and `distances_at` the
/// recall asked for, interpolated log-linearly on the upper envelope, null where no width reaches it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    index: IndexArguments,
    /// The recall to read speed and distances at.
    #[arg(long, default_value_t = 0.95, value_name = "R")]
    recall: f64,
    /// Threads that search.
    #[arg(long, default_value_t = 1, value_name = "N")]
    search_threads: usize,
    /// Widths of the walk (`ef`) to measure.
    #[arg(long, num_args = 1.., value_name = "N", default_values_t = EFS)]
    ef: Vec<usize>,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.index.start_threads()?;
    let data = Data::read(&arguments.data)?;
    for encoding in &arguments.index.encoding {
        let index = Index::build(&arguments.index, *encoding, &data.base)?;
        println!("{}", index.cost_line());
        let say = |setting: &Setting| println!("{}", setting.line());
        let settings = index.sweep(&data, &arguments.ef, arguments.search_threads, say)?;
        let at = at_recall(&settings, arguments.recall);
        let line = json!({
            "index": encoding.index_name(),
            "rows": data.base.len(),
            "at_recall": arguments.recall,
            "qps_at": at.map(|(qps, _)| qps.round()),
            "distances_at": at.map(|(_, distances)| rounded(distances, 1)),
        });
        println!("{line}");
    }
    Ok(())
}
