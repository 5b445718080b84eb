//! Loads a server: callers in a closed loop, or calls that are due at a rate; what it adds to the engine; what badly behaved clients do to others.
//!
//! - `calls.rs`: connections to a server, and the calls that are measured;
//! - `workload.rs`: which call comes next, and with what;
//! - `vectors.rs`: vectors of rows and of queries;
//! - `words.rs`: texts, and an embedding model that costs nearly nothing, so that servers are measured and not models;
//! - `place.rs`: the server that is loaded, its own or another, with a collection that is filled;
//! - `drive.rs`: the loops;
//! - `compare.rs`, `noop.rs`: a service that does nothing, the server and the engine in turn;
//! - `noisy.rs`: a server among clients that misbehave;
//! - `process.rs`: a process for each of these two.

mod calls;
mod compare;
mod drive;
mod noisy;
mod noop;
mod place;
mod process;
mod vectors;
mod words;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ragstone_benches::index::rounded;
use ragstone_benches::{Failure, arguments};
use ragstone_server::{LogFormat, init_logs};
use serde_json::json;

use self::drive::Measured;
use self::place::Place;
use self::workload::{Load, Mix};

/// That of the server's own program: whatever is compared has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls a server as many callers would and says how many calls it answers and how long each takes, as a histogram of high dynamic range.
///
/// By default a closed loop: each of `--concurrency` callers makes its next call when the last one is answered. With `--rate`, calls are
/// due at even times, answered or not, and a latency counts from when its call was due: a server that stalls is not excused for the calls
/// that had to wait.
///
/// Prints for people, and JSON lines: `load` for each kind of call; with `--compare`, `compare` for each place and concurrency and
/// `overhead` for what the server adds; with `--noisy`, `noisy` for each kind of misbehaviour.
#[derive(Clone, Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The server: http://HOST:PORT, or https://… if the system trusts its certificate (SSL_CERT_FILE names other authorities). Without it one is started in this process, over a scratch directory.
    #[arg(long, value_name = "URL", conflicts_with_all = ["compare", "noisy"])]
    url: Option<String>,
    /// Sent with each call, such as `authorization=Bearer KEY`; the variable keeps it out of the list of processes.
    #[arg(long = "header", env = "RAGSTONE_LOAD_HEADER", hide_env_values = true, value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// The collection. It is made and filled if it is not there, and then removed in the end; of one that is there, only upserts of the mix
    /// change rows: those with ids that begin with `load-`.
    #[arg(long, default_value = "load", value_name = "NAME")]
    collection: String,
    /// Keeps the database here, and takes the collection that an earlier run filled with as many points as it is: a million take minutes to link.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "url")]
    directory: Option<PathBuf>,
    /// Points of a collection that is made.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    rows: usize,
    /// Components of their vectors; of another server's model, that has its own.
    #[arg(long, default_value_t = 384, value_name = "N")]
    dimension: usize,
    /// Centres that they lie around, and queries too; with 0 they have nothing to do with each other, which no embeddings are like, and no index
    /// finds the nearest of.
    #[arg(long, default_value_t = 200, value_name = "N")]
    centres: usize,
    /// Vectors of the points, of which the first are taken, instead of random ones: a .npy array of float32 or float16.
    #[arg(long, value_name = "FILE", requires = "query", conflicts_with_all = ["centres", "noisy"])]
    base: Option<PathBuf>,
    /// Vectors that are searched with, then: another.
    #[arg(long, value_name = "FILE", requires = "base")]
    query: Option<PathBuf>,
    /// Documents of it, where the mix retrieves.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    documents: usize,
    /// The embedding model of a collection that is made on another server and that the mix retrieves from; empty for the server's default.
    #[arg(long, default_value = "", value_name = "NAME")]
    model: String,
    /// Kinds of calls and their shares, of `search`, `retrieve` (by meaning and by word) and `upsert`.
    #[arg(long, default_value = "search", value_name = "KIND=SHARE,...")]
    mix: Mix,
    /// What a search, or a retrieval, returns.
    #[arg(long, default_value_t = 10, value_name = "K")]
    k: u32,
    /// The width of the walk of a search; derived from `--k` unless given.
    #[arg(long, value_name = "EF")]
    ef: Option<u32>,
    /// Points of an upsert.
    #[arg(long, default_value_t = 10, value_name = "N")]
    batch: usize,
    /// Callers of a closed loop, each with one call at a time.
    #[arg(long, default_value_t = 16, value_name = "N")]
    concurrency: usize,
    /// Calls a second, evenly, instead of a closed loop.
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Connections that calls are spread over.
    #[arg(long, default_value_t = 4, value_name = "N")]
    connections: usize,
    /// Seconds of a measurement.
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    seconds: f64,
    /// Seconds before the first one.
    #[arg(long, default_value_t = 2.0, value_name = "S")]
    warm_up: f64,
    /// Measures a service that does nothing, with the same messages, the server and the engine in turn, by searches of one caller and of
    /// `--concurrency`.
    #[arg(long, conflicts_with = "noisy")]
    compare: bool,
    /// Measures calls at a rate (200 a second unless `--rate` says otherwise) while clients misbehave, beside the same without these; server and
    /// clients that misbehave each have a process of their own.
    #[arg(long)]
    noisy: bool,
    /// Has clients that misbehave compete for the processors as others do; otherwise they have of these what nobody else wants.
    #[arg(long, requires = "noisy")]
    compete: bool,
    /// Turns of each place, or of each misbehaviour.
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// Has a server that is started here write its log to standard error, as `ragstone serve` does.
    #[arg(long)]
    logs: bool,
    /// Where the database is made and removed again; the system's temporary directory by default.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Starts a server, tells its addresses on standard output and serves until standard input ends.
    #[arg(long, hide = true)]
    serve: bool,
    /// Misbehaves as an object says until standard input ends, and tells how often.
    #[arg(long, hide = true, value_name = "JSON")]
    misbehave: Option<String>,
}

impl Arguments {
    fn check(&self) -> Result<(), Failure> {
        for (name, value) in [
            ("rows", self.rows),
            ("dimension", self.dimension),
            ("documents", self.documents),
            ("batch", self.batch),
            ("concurrency", self.concurrency),
            ("connections", self.connections),
            ("rounds", self.rounds),
        ] {
            if value == 0 {
                return Err(format!("--{name} is at least 1").into());
            }
        }
        let is_time = |seconds: f64| (0.0..=86_400.0).contains(&seconds);
        if !is_time(self.seconds) || self.seconds == 0.0 || !is_time(self.warm_up) {
            return Err("--seconds is more than 0, --warm-up at least 0, and both at most 86400".into());
        }
        match self.rate {
            Some(rate) if !(rate > 0.0 && rate <= 1e6) => {
                Err("--rate is more than 0 and at most 1000000".into())
            }
            _ => Ok(()),
        }
    }

    /// How long a measurement lasts.
    fn lasting(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// How long what comes before the first one lasts.
    fn warming_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }
}

fn main() -> ExitCode {
    arguments::run(run)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.check()?;
    if arguments.logs {
        init_logs(LogFormat::Json);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(order) = &arguments.misbehave {
            noisy::misbehave(order).await
        } else if arguments.serve {
            place::serve_for_parent(arguments).await
        } else if arguments.compare {
            compare::run(arguments).await
        } else if arguments.noisy {
            noisy::run(arguments).await
        } else {
            measure(arguments).await
        }
    })
}

/// One loop over one server.
async fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let place = Place::of(arguments).await?;
    // Whatever fails, what was made on the server is removed.
    let measured = async { measured(arguments, place.load(arguments).await?).await }.await;
    place.leave().await?;
    let measured = measured?;
    show(arguments, &measured);
    if measured.answered() == 0 { Err("no call was answered".into()) } else { Ok(()) }
}

async fn measured(arguments: &Arguments, load: Load) -> Result<Measured, Failure> {
    let load = Arc::new(load);
    drive::closed(&load, arguments.concurrency, arguments.warming_up()).await?;
    match arguments.rate {
        Some(rate) => drive::open(&load, rate, arguments.lasting()).await,
        None => drive::closed(&load, arguments.concurrency, arguments.lasting()).await,
    }
}

fn show(arguments: &Arguments, measured: &Measured) {
    let seconds = measured.seconds;
    for (kind, latencies) in &measured.latencies {
        let failures: serde_json::Map<String, serde_json::Value> = measured
            .failures
            .iter()
            .filter(|((failed, _), _)| failed == kind)
            .map(|((_, code), count)| (code.clone(), (*count).into()))
            .collect();
        let per_s = latencies.count() as f64 / seconds;
        println!("{}: {} answered in {seconds:.1} s, {per_s:.0} a second", kind.name(), latencies.count());
        for (code, count) in &failures {
            println!("  {count} failed with {code}");
        }
        println!("{}", latencies.text());
        let line = json!({
            "measured": "load",
            "kind": kind.name(),
            "loop": if arguments.rate.is_some() { "open" } else { "closed" },
            "rate": arguments.rate,
            "concurrency": arguments.rate.is_none().then_some(arguments.concurrency),
            "connections": arguments.connections,
            "seconds": rounded(seconds, 2),
            "per_s": per_s.round(),
            "failures": failures,
            "latency": latencies.json(),
        });
        println!("{line}");
    }
    if let Some(late) = &measured.late {
        // What the generator itself was late with is part of the latencies, and is to be told apart from the server's part.
        println!("calls were begun {:.0} us after they were due at p99", late.us(0.99));
    }
}
