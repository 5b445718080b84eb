//! Segments do not depend on the processor: a build by one thread writes the same bytes on every instruction set.
//!
//! A process decides once which instructions it uses, so each build is a process of its own: this test's program, asked
//! for the one test that builds.
//!
//! Encodings of integers and bits only. Of 32-bit floats the graph is built on sums whose order is that of the
//! instruction set, so it may differ in a link.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use ragstone::{Db, DbOptions, EncodingKind, GraphOptions, Metric, Point, Schema};
use ragstone_kernels::{ISA_VARIABLE, Isa};

/// Where the building process puts its databases.
const DIRECTORY_VARIABLE: &str = "RAGSTONE_DETERMINISM_DIRECTORY";
const ROWS: u64 = 700;
const DIMENSION: usize = 67;
const ENCODINGS: [EncodingKind; 4] =
    [EncodingKind::F16, EncodingKind::Int8, EncodingKind::Int4, EncodingKind::Bit1];
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

/// Lengths differ and no row is at unit length, so that they have to be computed.
fn row(id: u64) -> Vec<f32> {
    let mut state = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut component = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..DIMENSION).map(|_| (0.2 + (id % 7) as f32) * component()).collect()
}

fn build(directory: &Path, encoding: EncodingKind, metric: Metric) {
    let mut options = DbOptions::default();
    (options.background, options.threads) = (false, NonZero::new(1));
    let db = Db::open_with(directory, options).unwrap();
    let graph = GraphOptions { degree: 16, ef_construction: 60 };
    let schema = Schema::builder(DIMENSION).metric(metric).encoding(encoding).graph(graph).build().unwrap();
    let collection = db.create_collection("rows", schema).unwrap();
    collection.upsert((0..ROWS).map(|id| Point::new(id, row(id))).collect()).unwrap();
    db.flush().unwrap();
}

#[test]
#[ignore = "run by the other test, in processes of their own"]
fn builds_where_it_is_told_to() {
    let directory = std::env::var(DIRECTORY_VARIABLE).unwrap();
    for encoding in ENCODINGS {
        for metric in METRICS {
            build(&Path::new(&directory).join(format!("{encoding:?}-{metric}")), encoding, metric);
        }
    }
}

/// The segments of all databases in a directory.
fn segments(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut segments = BTreeMap::new();
    for database in std::fs::read_dir(directory).unwrap() {
        let database = database.unwrap();
        for file in std::fs::read_dir(database.path()).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            if name.starts_with("segment-") {
                let name = format!("{}/{name}", database.file_name().into_string().unwrap());
                segments.insert(name, std::fs::read(file.path()).unwrap());
            }
        }
    }
    segments
}

#[test]
fn segments_are_the_same_on_every_instruction_set() {
    let built = |isa: Isa| {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "builds_where_it_is_told_to", "--ignored"]);
        child.env(DIRECTORY_VARIABLE, directory.path()).env(ISA_VARIABLE, isa.name());
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}: {}", isa.name(), String::from_utf8_lossy(&output.stdout));
        segments(directory.path())
    };
    let reference = built(Isa::Scalar);
    assert_eq!(reference.len(), ENCODINGS.len() * METRICS.len());
    for isa in Isa::available().filter(|isa| *isa != Isa::Scalar) {
        let segments = built(isa);
        assert!(segments.keys().eq(reference.keys()), "{}", isa.name());
        for (name, bytes) in &reference {
            let differing = bytes.iter().zip(&segments[name]).position(|(a, b)| a != b);
            assert_eq!(differing, None, "{name} on {} differs at this byte", isa.name());
            assert_eq!(segments[name].len(), bytes.len(), "{name} on {}", isa.name());
        }
    }
}
