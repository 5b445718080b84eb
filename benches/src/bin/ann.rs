//! Recall against queries per second, through the public interface: one `search` a query, ids and scores
//! back.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use hnsw_rs::anndists::dist::DistDot;
use hnsw_rs::hnsw::Hnsw;
use ragstone::{Collection, Db, EncodingKind, GraphOptions, Metric, Point, PointId, Schema, SearchRequest};
use ragstone_benches::measure::{self, Cost, K};
use ragstone_benches::npy::{Matrix, read_floats, read_ids};
use serde_json::json;

/// Points of one upsert.
const BATCH: usize = 5_000;

/// Measures recall@10 and speed of approximate search under the inner product; prints JSON lines.
///
/// For each index one line with `build_s`, `resident_bytes_per_vector` (growth of the process's memory, exact
/// vectors included) and `hot_bytes_per_vector` (what a walk reads of one row and its links), then one line
/// with `recall_at_10` and `qps` for each width.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rows to index: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    base: PathBuf,
    /// Queries: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    query: PathBuf,
    /// The true nearest rows of each query, nearest first: a .npy array of uint32 with ten columns or more.
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Threads that build.
    #[arg(long, default_value_t = 2, value_name = "N")]
    build_threads: usize,
    /// Threads that search.
    #[arg(long, default_value_t = 1, value_name = "N")]
    search_threads: usize,
    /// Encodings of the walk, each an index of its own.
    #[arg(long, num_args = 1.., value_name = "NAME", default_values = ["int4"])]
    encoding: Vec<Encoding>,
    /// Which library.
    #[arg(long, default_value = "ragstone", value_name = "NAME")]
    index: Index,
    /// Links of a node on the base layer.
    #[arg(long, default_value_t = GraphOptions::default().degree, value_name = "N")]
    degree: usize,
    /// Width of the walk that finds a new node's neighbours.
    #[arg(long, default_value_t = GraphOptions::default().ef_construction, value_name = "N")]
    ef_construction: usize,
    /// Widths of the walk (`ef`) to measure.
    #[arg(long, num_args = 1.., value_name = "N", default_values_t = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384])]
    ef: Vec<usize>,
    /// Where the database is made and removed again; the system's temporary directory by default.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Index {
    /// This project.
    Ragstone,
    /// The crate hnsw_rs.
    #[value(name = "hnsw_rs")]
    HnswRs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Encoding {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// A byte a component.
    Int8,
    /// Half a byte a component.
    Int4,
    /// A bit a component.
    Bit1,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Encoding::F32 => "f32",
            Encoding::F16 => "f16",
            Encoding::Int8 => "int8",
            Encoding::Int4 => "int4",
            Encoding::Bit1 => "bit1",
        }
    }

    fn kind(self) -> EncodingKind {
        match self {
            Encoding::F32 => EncodingKind::F32,
            Encoding::F16 => EncodingKind::F16,
            Encoding::Int8 => EncodingKind::Int8,
            Encoding::Int4 => EncodingKind::Int4,
            Encoding::Bit1 => EncodingKind::Bit1,
        }
    }

    /// Bytes that a walk compares of one row.
    fn row_bytes(self, dimension: usize) -> usize {
        match self {
            Encoding::F32 => dimension * 4,
            Encoding::F16 => dimension.next_multiple_of(32) * 2 + 4,
            Encoding::Int8 => dimension.next_multiple_of(64) + 12,
            Encoding::Int4 => dimension.next_multiple_of(128) / 2 + 4,
            Encoding::Bit1 => dimension.next_multiple_of(512) / 8 + 8,
        }
    }
}

struct Data {
    base: Matrix<f32>,
    query: Matrix<f32>,
    truth: Matrix<u32>,
}

impl Data {
    fn read(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let (base, mut query) = (read_floats(&arguments.base)?, read_floats(&arguments.query)?);
        let mut truth = read_ids(&arguments.truth)?;
        if base.columns != query.columns {
            return Err(
                format!("the base has {} columns, the queries {}", base.columns, query.columns).into()
            );
        }
        if truth.columns < K {
            return Err(format!("the truth has {} columns, not {K}", truth.columns).into());
        }
        let both = query.len().min(truth.len());
        query.elements.truncate(both * query.columns);
        truth.elements.truncate(both * truth.columns);
        Ok(Self { base, query, truth })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    // Every thread that builds, in either library, is one of rayon's.
    rayon::ThreadPoolBuilder::new().num_threads(arguments.build_threads).build_global()?;
    let data = Data::read(arguments)?;
    match arguments.index {
        Index::Ragstone => {
            arguments.encoding.iter().try_for_each(|encoding| ragstone(arguments, *encoding, &data))
        }
        Index::HnswRs => {
            hnsw_rs(arguments, &data);
            Ok(())
        }
    }
}

fn ragstone(arguments: &Arguments, encoding: Encoding, data: &Data) -> Result<(), Box<dyn Error>> {
    let name = format!("ragstone-{}", encoding.name());
    let scratch = match &arguments.scratch {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let (made, cost) = measure::build(|| fill(arguments, encoding, data, scratch.path()));
    let collection = made?;
    let hot_bytes = encoding.row_bytes(data.base.columns) + arguments.degree * 4;
    print_cost(&name, &cost, hot_bytes, data);
    for ef in &arguments.ef {
        let requests: Vec<SearchRequest> = data.query.rows().map(|query| request(query, *ef)).collect();
        // The first error shows itself before the measurement, in which a query that failed would find
        // nothing.
        collection.search(requests.first().ok_or("there are no queries")?)?;
        let point = measure::point(&data.truth, arguments.search_threads, |query| {
            let response = collection.search(&requests[query]);
            response
                .map(|response| response.hits.iter().filter_map(|hit| number(&hit.id)).collect())
                .unwrap_or_default()
        });
        print_point(&name, *ef, point);
    }
    Ok(())
}

fn fill(
    arguments: &Arguments,
    encoding: Encoding,
    data: &Data,
    directory: &Path,
) -> Result<Collection, ragstone::Error> {
    let db = Db::open(directory)?;
    let graph = GraphOptions { degree: arguments.degree, ef_construction: arguments.ef_construction };
    let schema = Schema::builder(data.base.columns)
        .metric(Metric::Dot)
        .encoding(encoding.kind())
        .graph(graph)
        .build()?;
    let collection = db.create_collection("ann", schema)?;
    let mut rows = (0_u64..).zip(data.base.rows()).peekable();
    while rows.peek().is_some() {
        collection.upsert(rows.by_ref().take(BATCH).map(|(id, row)| Point::new(id, row)).collect())?;
    }
    db.flush()?;
    Ok(collection)
}

fn request(query: &[f32], ef: usize) -> SearchRequest {
    let mut request = SearchRequest::new(query, K).ef(ef);
    request.with_payload = false;
    request
}

fn number(id: &PointId) -> Option<u64> {
    match id {
        PointId::Num(number) => Some(*number),
        PointId::Str(_) => None,
    }
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
        let (links, layers) = (arguments.degree / 2, 16);
        let mut index =
            Hnsw::<f32, DistDot>::new(links, rows.len(), layers, arguments.ef_construction, DistDot);
        index.parallel_insert(&rows.iter().zip(0..).collect::<Vec<_>>());
        index.set_searching_mode(true);
        index
    });
    print_cost("hnsw_rs", &cost, data.base.columns * 4 + arguments.degree * 40, data);
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
        "build_s": (cost.build_s * 100.0).round() / 100.0,
        "resident_bytes_per_vector": cost.resident_bytes / data.base.len().max(1) as u64,
        "hot_bytes_per_vector": hot_bytes,
    });
    println!("{line}");
}

fn print_point(index: &str, ef: usize, point: measure::Point) {
    let line = json!({
        "index": index,
        "setting": ef.to_string(),
        "recall_at_10": (point.recall * 1e4).round() / 1e4,
        "qps": point.qps.round(),
    });
    println!("{line}");
}
