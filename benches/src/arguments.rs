//! The arguments that the programs share, and how each of them starts and ends.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};
use ragstone::GraphOptions;

use crate::Failure;
use crate::encoding::Encoding;

/// Widths of the walk that curves are measured at, unless others are asked for.
pub const EFS: [usize; 11] = [12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384];

/// A data set.
#[derive(Clone, Debug, Args)]
pub struct DataArguments {
    /// Rows to index: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    pub base: PathBuf,
    /// Queries: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE")]
    pub query: PathBuf,
    /// The true nearest rows of each query, nearest first: a .npy array of uint32 with ten columns or more.
    #[arg(long, value_name = "FILE")]
    pub truth: PathBuf,
}

/// How an index is made.
#[derive(Clone, Debug, Args)]
pub struct IndexArguments {
    /// Encodings of the walk, each an index of its own.
    #[arg(long, num_args = 1.., value_name = "NAME", default_values_t = [Encoding::default()])]
    pub encoding: Vec<Encoding>,
    /// Links of a node on the base layer.
    #[arg(long, default_value_t = GraphOptions::default().degree, value_name = "N")]
    pub degree: usize,
    /// Width of the walk that finds a new node's neighbours.
    #[arg(long, default_value_t = GraphOptions::default().ef_construction, value_name = "N")]
    pub ef_construction: usize,
    /// Threads that build.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub build_threads: usize,
    /// Rows of a segment, whatever they take in memory; by default the engine decides.
    #[arg(long, value_name = "N")]
    pub segment_rows: Option<usize>,
    /// Where the database is made and removed again; the system's temporary directory by default.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

impl IndexArguments {
    /// Makes every thread that builds one of rayon's. Once a process.
    ///
    /// # Errors
    /// If there are no threads to be had.
    pub fn start_threads(&self) -> Result<(), Failure> {
        Ok(rayon::ThreadPoolBuilder::new().num_threads(self.build_threads).build_global()?)
    }
}

/// Parses the arguments, runs the program and shows its error.
pub fn run<A: Parser>(program: impl FnOnce(&A) -> Result<(), Failure>) -> ExitCode {
    match program(&A::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
