//! How near a walk comes to what its distances cost alone.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ragstone_benches::Failure;
use ragstone_benches::arguments::{self, DataArguments, EFS, IndexArguments};
use ragstone_benches::data::Data;
use ragstone_benches::encoding::Encoding;
use ragstone_benches::index::{Index, at_recall, rounded};
use ragstone_benches::npy::Matrix;
use ragstone_benches::random::{Random, hash};
use ragstone_kernels::{
    BIT1_BLOCK, DistanceF32, INT4_BLOCK, KernelBit1, KernelF16, KernelF32, KernelInt4, KernelInt8,
    pack_planes, prefetch,
};
use serde_json::json;

/// Rows scored with one call, as many as a node has links.
const BLOCK: usize = 32;

/// Compares a search with its physical limit: the time of its distances alone, one thread.
///
/// First an index is made and measured: speed and distances per query at a recall, interpolated. Then as many distances
/// are computed with the same kernel on rows drawn at random from the same data, in blocks as a walk has them, while the
/// next block is on its way to the cache. Prints a JSON line: nanoseconds a distance, microseconds of a search and of
/// its distances alone, and the ratio of these, which is 1 where nothing but distances takes time. With --distances and
/// --qps an index measured elsewhere is compared, and none is made.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    index: IndexArguments,
    /// Distances of a query, measured elsewhere.
    #[arg(long, value_name = "N", requires = "qps")]
    distances: Option<f64>,
    /// Queries per second of one thread, measured elsewhere.
    #[arg(long, value_name = "N", requires = "distances")]
    qps: Option<f64>,
    /// The recall to read speed and distances at.
    #[arg(long, default_value_t = 0.95, value_name = "R")]
    recall: f64,
    /// Widths of the walk (`ef`) to measure.
    #[arg(long, num_args = 1.., value_name = "N", default_values_t = EFS)]
    ef: Vec<usize>,
    /// Times that the distances of all queries are computed; the fastest counts.
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.index.start_threads()?;
    let data = Data::read(&arguments.data)?;
    for encoding in &arguments.index.encoding {
        let (qps, distances) = measured(arguments, *encoding, &data)?;
        if !(qps > 0.0 && (1.0..=1e9).contains(&distances)) {
            return Err(
                format!("{distances} distances a query at {qps} queries a second make no sense").into()
            );
        }
        let picks = Picks::new(data.base.len(), data.query.len(), distances.round() as usize);
        let seconds = (0..arguments.rounds.max(1))
            .map(|_| distances_alone(*encoding, &data, &picks))
            .fold(f64::INFINITY, f64::min);
        let (search_us, alone_us) = (1e6 / qps, seconds / data.query.len() as f64 * 1e6);
        let line = json!({
            "index": encoding.index_name(),
            "rows": data.base.len(),
            "at_recall": arguments.recall,
            "qps": qps.round(),
            "distances_per_query": rounded(distances, 1),
            "row_bytes": encoding.row_bytes(data.base.columns),
            "ns_per_distance": rounded(alone_us * 1e3 / picks.per_query as f64, 2),
            "search_us": rounded(search_us, 2),
            "distances_alone_us": rounded(alone_us, 2),
            "ratio_to_limit": rounded(alone_us / search_us, 3),
        });
        println!("{line}");
    }
    Ok(())
}

/// Queries per second and distances per query: as given, or of an index made now.
fn measured(arguments: &Arguments, encoding: Encoding, data: &Data) -> Result<(f64, f64), Failure> {
    if let (Some(qps), Some(distances)) = (arguments.qps, arguments.distances) {
        return Ok((qps, distances));
    }
    let index = Index::build(&arguments.index, encoding, &data.base)?;
    let settings = index.sweep(data, &arguments.ef, 1, |setting| eprintln!("{}", setting.line()))?;
    let recall = arguments.recall;
    at_recall(&settings, recall)
        .ok_or_else(|| format!("{} does not reach a recall of {recall}", encoding.index_name()).into())
}

/// The rows that stand for those of a walk, drawn beforehand.
struct Picks {
    per_query: usize,
    rows: Vec<u32>,
}

impl Picks {
    fn new(rows: usize, queries: usize, per_query: usize) -> Self {
        // Of a long walk, the same picks serve several queries: memory is bounded, and each row still comes at random.
        let kept = (queries * per_query).min(1 << 24).max(per_query);
        let mut random = Random::new(hash(1, rows as u64));
        Self { per_query, rows: (0..kept).map(|_| random.below(rows) as u32).collect() }
    }

    fn of_query(&self, query: usize) -> &[u32] {
        let starts = self.rows.len() / self.per_query;
        &self.rows[query % starts * self.per_query..][..self.per_query]
    }
}

/// Seconds of all the queries' distances, by the kernel of the encoding.
fn distances_alone(encoding: Encoding, data: &Data, picks: &Picks) -> f64 {
    match encoding {
        Encoding::F32 => {
            let kernel = KernelF32::new(DistanceF32::NegatedDot);
            timed(&data.base, &data.query, picks, |query, rows, out| kernel.many(query, rows, out))
        }
        Encoding::F16 => {
            let kernel = KernelF16::new(DistanceF32::NegatedDot);
            let (rows, _) = codes(data, data.base.columns.next_multiple_of(32) * 2, 1);
            let (width, scales) = (rows.columns / 2, [1.0; BLOCK]);
            let mut elements = vec![0.0_f32; data.query.len() * width];
            for (out, query) in elements.chunks_exact_mut(width).zip(data.query.rows()) {
                out[..query.len()].copy_from_slice(query);
            }
            let queries = Matrix { columns: width, elements };
            timed(&rows, &queries, picks, |query, rows, out| {
                kernel.many(query, rows, &scales[..rows.len()], out);
            })
        }
        Encoding::Bit1 => {
            let kernel = KernelBit1::new();
            let (rows, queries) = codes(data, data.base.columns.next_multiple_of(BIT1_BLOCK) / 8, 8);
            let mut planes = vec![0; queries.columns / 2];
            pack_planes(queries.row(0), &mut planes);
            timed(&rows, &queries, picks, |_, rows, out| kernel.many(&planes, rows, out))
        }
        Encoding::Int8 => {
            let kernel = KernelInt8::new();
            let (rows, queries) = codes(data, data.base.columns.next_multiple_of(64), 1);
            timed(&rows, &queries, picks, |query, rows, out| kernel.many(query, rows, out))
        }
        Encoding::Int4 => {
            let kernel = KernelInt4::new();
            let (rows, queries) = codes(data, data.base.columns.next_multiple_of(INT4_BLOCK) / 2, 2);
            timed(&rows, &queries, picks, |query, rows, out| kernel.many(query, rows, out))
        }
    }
}

/// As many rows of codes as there are rows, of any content: what a product costs does not depend on it.
fn codes(data: &Data, row_bytes: usize, components_each: usize) -> (Matrix<u8>, Matrix<i8>) {
    let bytes = |count: usize| (0..count as u64).map(|i| hash(2, i) as u8).collect::<Vec<u8>>();
    let query_bytes = row_bytes * components_each;
    let queries = bytes(data.query.len() * query_bytes).into_iter().map(|byte| byte as i8).collect();
    (
        Matrix { columns: row_bytes, elements: bytes(data.base.len() * row_bytes) },
        Matrix { columns: query_bytes, elements: queries },
    )
}

/// Seconds in which `score` compares each query with its rows, block by block.
fn timed<R, Q, D: Copy + Default>(
    rows: &Matrix<R>,
    queries: &Matrix<Q>,
    picks: &Picks,
    score: impl Fn(&[Q], &[&[R]], &mut [D]),
) -> f64 {
    let mut out = [D::default(); BLOCK];
    let start = Instant::now();
    for (number, query) in queries.rows().enumerate() {
        let mut blocks = picks.of_query(number).chunks(BLOCK).peekable();
        while let Some(block) = blocks.next() {
            if let Some(next) = blocks.peek() {
                next.iter().for_each(|row| prefetch(rows.row(*row as usize)));
            }
            let mut chosen = [rows.row(block[0] as usize); BLOCK];
            for (place, row) in chosen.iter_mut().zip(block) {
                *place = rows.row(*row as usize);
            }
            score(query, &chosen[..block.len()], &mut out[..block.len()]);
            black_box(&mut out);
        }
    }
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picked_row_is_scored() {
        let rows = Matrix { columns: 1, elements: (0..50_u16).collect() };
        let queries = Matrix { columns: 1, elements: vec![7_u16, 8] };
        let picks = Picks::new(50, 2, BLOCK * 2 + 3);
        let seen = std::cell::RefCell::new(Vec::new());
        timed(&rows, &queries, &picks, |query, rows, out: &mut [u32]| {
            assert_eq!(rows.len(), out.len());
            seen.borrow_mut().extend(rows.iter().map(|row| (query[0], u32::from(row[0]))));
        });
        let expected = [7, 8].into_iter().zip(0..).flat_map(|(query, number)| {
            picks.of_query(number).iter().map(move |row| (query, *row)).collect::<Vec<_>>()
        });
        assert_eq!(seen.into_inner(), expected.collect::<Vec<_>>());
        assert_ne!(picks.of_query(0), picks.of_query(1));
    }
}
