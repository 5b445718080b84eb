//! Recall against queries per second, through the public interface: one `search` a query, ids and scores
//! back.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use hnsw_rs::anndists::dist::DistDot;
use hnsw_rs::hnsw::Hnsw;
use ragstone_benches::Failure;
use ragstone_benches::arguments::{self, DataArguments, EFS, IndexArguments};
use ragstone_benches::data::Data;
use ragstone_benches::index::{Index, Setting, rounded};
use ragstone_benches::measure::{self, Cost, K};
use serde_json::json;

/// Measures recall@10 and speed of approximate search under the inner product; prints JSON lines.
///
/// For each index one line with `build_s`, `resident_bytes_per_vector` (growth of the process's memory, exact
/// vectors included) and `hot_bytes_per_vector` (what a walk reads of one row and its links), then one line
/// with `recall_at_10` and `qps` for each width.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    index: IndexArguments,
    /// Which library.
    #[arg(long = "index", default_value = "ragstone", value_name = "NAME")]
    library: Library,
    /// Threads that search.
    #[arg(long, default_value_t = 1, value_name = "N")]
    search_threads: usize,
    /// Widths of the walk (`ef`) to measure.
    #[arg(long, num_args = 1.., value_name = "N", default_values_t = EFS)]
    ef: Vec<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Library {
    /// This project.
    Ragstone,
    /// The crate hnsw_rs.
    #[value(name = "hnsw_rs")]
    HnswRs,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Every thread that builds, in either library, is one of rayon's.
    arguments.index.start_threads()?;
    let data = Data::read(&arguments.data)?;
    match arguments.library {
        Library::Ragstone => ragstone(arguments, &data),
        Library::HnswRs => {
            hnsw_rs(arguments, &data);
            Ok(())
        }
    }
}

fn ragstone(arguments: &Arguments, data: &Data) -> Result<(), Failure> {
    for encoding in &arguments.index.encoding {
        let index = Index::build(&arguments.index, *encoding, &data.base)?;
        println!("{}", index.cost_line());
        let say = |setting: &Setting| println!("{}", setting.line());
        index.sweep(data, &arguments.ef, arguments.search_threads, say)?;
    }
    Ok(())
}

/// The rival. Its inner product insists on rows of unit length to the sixth digit, which half floats are not:
/// it gets normalised ones.
fn hnsw_rs(arguments: &Arguments, data: &Data) {
    let unit = |row: &[f32]| {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / length).collect::<Vec<f32>>()
    };
    let (index, cost) = measure::build(|| {
        let rows: Vec<Vec<f32>> = data.base.rows().map(unit).collect();
        // As many links on the base layer as the others have: twice its `M`.
        let (links, layers) = (arguments.index.degree / 2, 16);
        let mut index =
            Hnsw::<f32, DistDot>::new(links, rows.len(), layers, arguments.index.ef_construction, DistDot);
        index.parallel_insert(&rows.iter().zip(0..).collect::<Vec<_>>());
        index.set_searching_mode(true);
        index
    });
    print_cost("hnsw_rs", &cost, data.base.columns * 4 + arguments.index.degree * 40, data);
    let queries: Vec<Vec<f32>> = data.query.rows().map(unit).collect();
    for ef in &arguments.ef {
        let point = measure::point(&data.truth, arguments.search_threads, |query| {
            index.search(&queries[query], K, *ef).iter().map(|found| found.get_origin_id() as u64).collect()
        });
        print_point("hnsw_rs", *ef, point);
    }
}

fn print_cost(index: &str, cost: &Cost, hot_bytes: usize, data: &Data) {
    let line = json!({
        "index": index,
        "build_s": rounded(cost.build_s, 2),
        "resident_bytes_per_vector": cost.resident_bytes / data.base.len().max(1) as u64,
        "hot_bytes_per_vector": hot_bytes,
    });
    println!("{line}");
}

fn print_point(index: &str, ef: usize, point: measure::Point) {
    let line = json!({
        "index": index,
        "setting": ef.to_string(),
        "recall_at_10": rounded(point.recall, 4),
        "qps": point.qps.round(),
    });
    println!("{line}");
}
