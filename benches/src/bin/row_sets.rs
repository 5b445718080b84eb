//! Sets of rows: words, roaring bitmaps and lists, at what is done with the rows of a filter.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use fixedbitset::FixedBitSet;
use ragstone_benches::Failure;
use ragstone_benches::arguments;
use ragstone_benches::index::rounded;
use ragstone_benches::random::Random;
use roaring::RoaringBitmap;
use serde_json::json;

const ROUNDS: usize = 5;
/// Rows that are looked up.
const LOOKS: usize = 10_000;

/// Measures sets of rows, spread at random or one after the other, of some shares of a segment's rows: making one of the rows in order, uniting and
/// intersecting two, counting, going through, and looking rows up. Prints a JSON line for each share and kind; times are
/// microseconds, the least of five.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rows of the segment.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    rows: usize,
    /// Shares of them.
    #[arg(long, num_args = 1.., value_name = "SHARE",
        default_values_t = [0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.5])]
    share: Vec<f64>,
}

fn main() -> ExitCode {
    arguments::run(run)
}

/// What is measured of a kind of set.
struct Kind<S> {
    name: &'static str,
    make: fn(&[u32], usize) -> S,
    intersect: fn(&S, &S) -> S,
    unite: fn(&S, &S) -> S,
    count: fn(&S) -> u64,
    sum: fn(&S) -> u64,
    contains: fn(&S, u32) -> bool,
    bytes: fn(&S) -> usize,
}

const WORDS: Kind<FixedBitSet> = Kind {
    name: "words",
    make: |rows, of| {
        let mut set = FixedBitSet::with_capacity(of);
        rows.iter().for_each(|row| set.insert(*row as usize));
        set
    },
    intersect: |a, b| {
        let mut set = a.clone();
        set.intersect_with(b);
        set
    },
    unite: |a, b| {
        let mut set = a.clone();
        set.union_with(b);
        set
    },
    count: |set| set.count_ones(..) as u64,
    sum: |set| set.ones().map(|row| row as u64).sum(),
    contains: |set, row| set.contains(row as usize),
    bytes: |set| size_of_val(set.as_slice()),
};

const ROARING: Kind<RoaringBitmap> = Kind {
    name: "roaring",
    make: |rows, _| RoaringBitmap::from_sorted_iter(rows.iter().copied()).unwrap_or_default(),
    intersect: |a, b| a & b,
    unite: |a, b| a | b,
    count: RoaringBitmap::len,
    sum: |set| set.iter().map(u64::from).sum(),
    contains: |set, row| set.contains(row),
    bytes: RoaringBitmap::serialized_size,
};

const LIST: Kind<Vec<u32>> = Kind {
    name: "list",
    make: |rows, _| rows.to_vec(),
    intersect: |a, b| a.iter().copied().filter(|row| b.binary_search(row).is_ok()).collect(),
    unite: |a, b| {
        let mut set = [a.as_slice(), b.as_slice()].concat();
        set.sort_unstable();
        set.dedup();
        set
    },
    count: |set| set.len() as u64,
    sum: |set| set.iter().map(|row| u64::from(*row)).sum(),
    contains: |set, row| set.binary_search(&row).is_ok(),
    bytes: |set| size_of_val(set.as_slice()),
};

fn run(arguments: &Arguments) -> Result<(), Failure> {
    for share in &arguments.share {
        for in_one_run in [false, true] {
            let case = Case::new(arguments.rows, *share, in_one_run);
            case.measure(&WORDS);
            case.measure(&ROARING);
            case.measure(&LIST);
        }
    }
    Ok(())
}

/// Two sets of a share of the rows, and rows to look up.
struct Case {
    of: usize,
    share: f64,
    in_one_run: bool,
    a: Vec<u32>,
    b: Vec<u32>,
    looks: Vec<u32>,
}

impl Case {
    fn new(of: usize, share: f64, in_one_run: bool) -> Self {
        let mut random = Random::new(5);
        let count = (of as f64 * share) as usize;
        let mut rows = |first: usize| {
            let mut rows: Vec<u32> = match in_one_run {
                true => (first as u32..(first + count) as u32).collect(),
                false => random.permutation(of).into_iter().take(count).collect(),
            };
            rows.sort_unstable();
            rows
        };
        let (a, b) = (rows(of / 4), rows(of / 4 + count / 2));
        let looks = (0..LOOKS).map(|_| random.below(of) as u32).collect();
        Self { of, share, in_one_run, a, b, looks }
    }

    fn measure<S>(&self, kind: &Kind<S>) {
        let (a, b) = ((kind.make)(&self.a, self.of), (kind.make)(&self.b, self.of));
        let line = json!({
            "measured": "row set",
            "kind": kind.name,
            "share": self.share,
            "in_one_run": self.in_one_run,
            "bytes": (kind.bytes)(&a),
            "make_us": least(|| (kind.make)(&self.a, self.of)),
            "intersect_us": least(|| (kind.intersect)(&a, &b)),
            "unite_us": least(|| (kind.unite)(&a, &b)),
            "count_us": least(|| (kind.count)(&a)),
            "go_through_us": least(|| (kind.sum)(&a)),
            "look_up_ns": rounded(
                least(|| self.looks.iter().filter(|row| (kind.contains)(&a, **row)).count()) * 1e3 / LOOKS as f64,
                2,
            ),
        });
        println!("{line}");
    }
}

/// Microseconds, the least of some rounds.
fn least<T>(run: impl Fn() -> T) -> f64 {
    let time = |_| {
        let begun = Instant::now();
        black_box(run());
        begun.elapsed().as_secs_f64() * 1e6
    };
    rounded((0..ROUNDS).map(time).fold(f64::INFINITY, f64::min), 2)
}
