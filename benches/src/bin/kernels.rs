//! Kernels against simsimd: nanoseconds for a row, of rows that the second-level cache holds and of rows in memory drawn
//! at random.
//!
//! Both compare one query with many rows, as a walk does. Ours gets them in blocks of 32, with what the block brings
//! (four rows at a time, prefetching); simsimd has a call for each pair.

use std::hint::black_box;
use std::time::Instant;

use clap::Parser;
use half::f16;
use ragstone_kernels::{
    DistanceF32, Isa, KernelBit1, KernelF16, KernelF32, KernelInt4, KernelInt8, pack_f16, pack_int4,
    pack_planes, pack_signs,
};
use serde_json::json;
use simsimd::{BinarySimilarity, SpatialSimilarity};

/// Rows of a block: neighbours of a node.
const BLOCK: usize = 32;
/// Measurements of a case, of which the least counts: others only add what else the machine does.
const ROUNDS: usize = 5;

/// Measures kernels; prints a JSON line for each: `kernel`, `by`, `dimension`, `rows` (`cache` or `memory`), `ns` for a
/// row.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Components of rows.
    #[arg(long, num_args = 1.., value_name = "N", default_values_t = [384, 768, 1536])]
    dimension: Vec<usize>,
    /// Bytes of the rows in cache.
    #[arg(long, default_value_t = 256 << 10, value_name = "BYTES")]
    cache_bytes: usize,
    /// Bytes of the rows in memory.
    #[arg(long, default_value_t = 384 << 20, value_name = "BYTES")]
    memory_bytes: usize,
    /// Rows compared in a measurement.
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    compared: usize,
}

/// xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn component(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Rows of one kind in one allocation, and the order in which they are visited.
struct Rows<T> {
    elements: Vec<T>,
    width: usize,
    order: Vec<usize>,
}

impl<T: Copy> Rows<T> {
    /// Copies of a row, as many as fill `bytes`.
    fn new(row: &[T], bytes: usize, compared: usize) -> Self {
        let count = (bytes / size_of_val(row)).max(BLOCK);
        let mut random = Random(0x9e37_79b9);
        let order = (0..compared.next_multiple_of(BLOCK)).map(|_| random.next() as usize % count).collect();
        Self { elements: row.repeat(count), width: row.len(), order }
    }

    /// Calls `compare` with block after block; nanoseconds for a row.
    fn time(&self, mut compare: impl FnMut(&[&[T]])) -> f64 {
        let mut least = f64::INFINITY;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for block in self.order.as_chunks::<BLOCK>().0 {
                compare(&block.map(|row| &self.elements[row * self.width..][..self.width]));
            }
            least = least.min(start.elapsed().as_secs_f64());
        }
        least / self.order.len() as f64 * 1e9
    }
}

struct Bench<'a> {
    arguments: &'a Arguments,
    dimension: usize,
    random: Random,
}

impl Bench<'_> {
    fn row(&mut self) -> Vec<f32> {
        (0..self.dimension).map(|_| self.random.component()).collect()
    }

    /// Measures both on the rows of each size; each gets a row in its own form.
    fn both<T: Copy, U: Copy>(
        &self,
        kernel: &str,
        (own_row, mut own): (&[T], impl FnMut(&[&[T]])),
        (their_row, mut theirs): (&[U], impl FnMut(&[U])),
    ) {
        for (place, bytes) in [("cache", self.arguments.cache_bytes), ("memory", self.arguments.memory_bytes)]
        {
            let print = |by: &str, ns: f64| {
                let ns = (ns * 100.0).round() / 100.0;
                let line =
                    json!({"kernel": kernel, "by": by, "dimension": self.dimension, "rows": place, "ns": ns});
                println!("{line}");
            };
            let rows = Rows::new(own_row, bytes, self.arguments.compared);
            print("ragstone", rows.time(&mut own));
            drop(rows);
            let rows = Rows::new(their_row, bytes, self.arguments.compared);
            print("simsimd", rows.time(|block| block.iter().for_each(|row| theirs(row))));
        }
    }

    fn floats(&mut self) {
        let (query, row) = (self.row(), self.row());
        for (name, distance) in
            [("f32 dot", DistanceF32::NegatedDot), ("f32 l2", DistanceF32::SquaredEuclidean)]
        {
            let kernel = KernelF32::new(distance);
            let mut out = [0.0; BLOCK];
            self.both(
                name,
                (&row, |rows: &[&[f32]]| kernel.many(black_box(&query), rows, black_box(&mut out))),
                (&row, |row: &[f32]| {
                    black_box(match distance {
                        DistanceF32::NegatedDot => f32::dot(black_box(&query), row),
                        DistanceF32::SquaredEuclidean => f32::sqeuclidean(black_box(&query), row),
                    });
                }),
            );
        }
    }

    fn half_floats(&mut self) {
        let (query, row) = (self.row(), self.row());
        let mut code = vec![0; row.len() * 2];
        pack_f16(&row, 1.0, &mut code);
        let halves =
            |row: &[f32]| row.iter().map(|x| simsimd::f16(f16::from_f32(*x).to_bits())).collect::<Vec<_>>();
        let (their_query, their_row) = (halves(&query), halves(&row));
        for (name, distance) in
            [("f16 dot", DistanceF32::NegatedDot), ("f16 l2", DistanceF32::SquaredEuclidean)]
        {
            let kernel = KernelF16::new(distance);
            let mut out = [0.0; BLOCK];
            self.both(
                name,
                (&code, |rows: &[&[u8]]| {
                    kernel.many(black_box(&query), rows, &[1.0; BLOCK], black_box(&mut out))
                }),
                (&their_row, |row: &[simsimd::f16]| {
                    black_box(match distance {
                        DistanceF32::NegatedDot => simsimd::f16::dot(black_box(&their_query), row),
                        DistanceF32::SquaredEuclidean => {
                            simsimd::f16::sqeuclidean(black_box(&their_query), row)
                        }
                    });
                }),
            );
        }
    }

    /// simsimd has no rows of four bits: it gets those of eight.
    fn integers(&mut self) {
        let bytes: Vec<u8> = (0..self.dimension).map(|_| self.random.next() as u8).collect();
        let query: Vec<i8> = bytes.iter().rev().map(|byte| *byte as i8).collect();
        let signed: Vec<i8> = bytes.iter().map(|byte| (byte ^ 128) as i8).collect();
        let simsimd = |row: &[i8]| {
            black_box(i8::dot(black_box(&query), row));
        };
        let mut out = [0; BLOCK];
        let kernel = KernelInt8::new();
        self.both(
            "int8 dot",
            (&bytes, |rows: &[&[u8]]| kernel.many(black_box(&query), rows, black_box(&mut out))),
            (&signed, simsimd),
        );
        let mut packed = vec![0; bytes.len() / 2];
        pack_int4(&bytes, &mut packed);
        let kernel = KernelInt4::new();
        self.both(
            "int4 dot",
            (&packed, |rows: &[&[u8]]| kernel.many(black_box(&query), rows, black_box(&mut out))),
            (&signed, simsimd),
        );
    }

    /// simsimd counts differing bits of two rows: it gets a call for each of the query's four planes. Rows are those of
    /// the encoding, padded to whole cache lines.
    fn bits(&mut self) {
        let padded = self.dimension.next_multiple_of(ragstone_kernels::BIT1_BLOCK);
        let row: Vec<f32> = (0..padded).map(|_| self.random.component()).collect();
        let query: Vec<i8> = (0..padded).map(|_| (self.random.next() % 16) as i8 - 8).collect();
        let (mut planes, mut code) = (vec![0; padded / 2], vec![0; padded / 8]);
        pack_planes(&query, &mut planes);
        pack_signs(&row, &mut code);
        let mut out = [0; BLOCK];
        let kernel = KernelBit1::new();
        self.both(
            "bit1 dot",
            (&code, |rows: &[&[u8]]| kernel.many(black_box(&planes), rows, black_box(&mut out))),
            (&code, |row: &[u8]| {
                for plane in black_box(&planes).chunks_exact(row.len()) {
                    black_box(u8::hamming(plane, row));
                }
            }),
        );
    }
}

fn main() {
    let arguments = Arguments::parse();
    eprintln!("{}", Isa::current().name());
    for &dimension in &arguments.dimension {
        let dimension = dimension.next_multiple_of(ragstone_kernels::INT4_BLOCK);
        let mut bench = Bench { arguments: &arguments, dimension, random: Random(7) };
        bench.floats();
        bench.half_floats();
        bench.integers();
        bench.bits();
    }
}
