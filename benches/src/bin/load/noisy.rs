//! What clients that misbehave do to others: the same calls at the same rate, with and without them, in turn.
//!
//! **What is measured.** The server has a process of its own, as have the clients that misbehave, so that neither its threads nor its memory are theirs. A machine
//! of few processors would tell their work from the server's no better: making eight megabytes of noise, or a thousand streams, takes them as long
//! as it takes the server to refuse it, and elsewhere that is other machines' time. So they have of the processors what nobody else wants (the idle class
//! of Linux's scheduler), unless they are to `--compete`.
//!
//! **That they are not starved** is to be seen: with each kind stand its bouts a second, for how long it computed, and for how long it was ready to and
//! had no processor. Beside `idle`, when nobody misbehaves, stands `busy`: processes that only compute, in the same class, on every processor. What they do to
//! others is the machine's, and a processor that never sleeps answers sooner than one that has to wake up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ragstone_abuse::{Abuse, Target};
use ragstone_benches::Failure;
use ragstone_benches::index::rounded;
use ragstone_benches::latencies::Latencies;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::Arguments;
use super::drive::{self, Measured};
use super::place::connections;
use super::process::Process;
use super::workload::{Load, Mix, Workload};

/// Calls a second unless a rate is given: few enough for a machine of two cores to answer each at once.
const RATE: f64 = 200.0;
/// Clients that misbehave at a time.
const CLIENTS: usize = 2;

/// What goes on beside a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noise {
    Idle,
    /// Every processor computes.
    Busy,
    Abuse(Abuse),
}

impl Noise {
    fn all() -> impl Iterator<Item = Noise> {
        [Noise::Idle, Noise::Busy].into_iter().chain(Abuse::ALL.map(Noise::Abuse))
    }

    fn name(self) -> &'static str {
        match self {
            Noise::Idle => "idle",
            Noise::Busy => "busy",
            Noise::Abuse(abuse) => abuse.name(),
        }
    }
}

/// The server of its own process.
struct Server {
    process: Process,
    url: String,
    http_address: String,
}

impl Server {
    /// Starts this program anew, as a server.
    async fn start(arguments: &Arguments) -> Result<Server, Failure> {
        let mut words: Vec<String> =
            ["--serve", "--mix", "search", "--collection"].map(str::to_owned).to_vec();
        words.push(arguments.collection.clone());
        words.extend(["--rows".to_owned(), arguments.rows.to_string()]);
        words.extend(["--dimension".to_owned(), arguments.dimension.to_string()]);
        words.extend(["--centres".to_owned(), arguments.centres.to_string()]);
        if let Some(directory) = &arguments.directory {
            words.extend(["--directory".to_owned(), directory.display().to_string()]);
        }
        if arguments.logs {
            words.push("--logs".to_owned());
        }
        if let Some(scratch) = &arguments.scratch {
            words.extend(["--scratch".to_owned(), scratch.display().to_string()]);
        }
        let (process, told) = Process::start(&words, false).await?;
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let url = text("url").ok_or("the server does not tell where it is")?;
        let http_address = text("http_address").ok_or("the server does not tell where its HTTP port is")?;
        Ok(Server { process, url, http_address })
    }

    /// Whom a kind of noise is about.
    fn order(&self, noise: Noise, arguments: &Arguments) -> String {
        let order = json!({
            "noise": noise.name(),
            "grpc": self.url.trim_start_matches("http://"),
            "http": self.http_address,
            "collection": arguments.collection,
            "dimension": arguments.dimension,
        });
        order.to_string()
    }
}

/// Misbehaves as a line of JSON says, until standard input ends; then tells how many bouts have ended.
pub(crate) async fn misbehave(order: &str) -> Result<(), Failure> {
    let order: Value = serde_json::from_str(order)?;
    let text = |name: &str| order[name].as_str().ok_or_else(|| Failure::from(format!("no {name}")));
    let address = |name: &str| Ok::<SocketAddr, Failure>(text(name)?.parse()?);
    let target = Target {
        grpc: address("grpc")?,
        http: Some(address("http")?),
        collection: text("collection")?.to_owned(),
        dimension: order["dimension"].as_u64().ok_or("no dimension")? as usize,
    };
    let (noise, bouts) = (text("noise")?, Arc::new(AtomicU64::new(0)));
    let noise = Noise::all().find(|other| other.name() == noise).ok_or("no such noise")?;
    println!("{}", json!({ "ready": true }));
    let noises = async {
        match noise {
            Noise::Idle => std::future::pending().await,
            Noise::Busy => compute().await,
            Noise::Abuse(abuse) => abuse.go_on(&target, CLIENTS, &bouts).await,
        }
    };
    let (mut input, mut nothing) = (tokio::io::stdin(), Vec::new());
    tokio::select! {
        read = input.read_to_end(&mut nothing) => {
            read?;
        }
        () = noises => return Err("the clients that misbehave have ended".into()),
    }
    println!("{}", json!({ "bouts": bouts.load(Ordering::Relaxed) }));
    Ok(())
}

/// Has every processor compute until the process ends.
async fn compute() {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for _ in 0..processors {
        std::thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
    std::future::pending().await
}

/// What the rounds of a kind of noise found.
struct Found {
    noise: Noise,
    measured: Measured,
    bouts: u64,
    /// For how long the server computed, for how long those who misbehave did, and for how long they had no processor.
    server: Duration,
    computed: Duration,
    kept_waiting: Duration,
}

impl Found {
    fn new(noise: Noise) -> Found {
        let (measured, none) = (Measured::default(), Duration::ZERO);
        Found { noise, measured, bouts: 0, server: none, computed: none, kept_waiting: none }
    }

    /// One round more.
    async fn measure(
        &mut self,
        (server, load): (&Server, &Arc<Load>),
        (arguments, rate): (&Arguments, f64),
    ) -> Result<f64, Failure> {
        let others = match self.noise {
            Noise::Idle => None,
            noise => {
                let words = ["--misbehave".to_owned(), server.order(noise, arguments)];
                Some(Process::start(&words, !arguments.compete).await?.0)
            }
        };
        let before = server.process.computed();
        let measured = drive::open(load, rate, arguments.lasting()).await?;
        self.server += server.process.computed().saturating_sub(before);
        if let Some(others) = others {
            self.computed += others.computed();
            self.kept_waiting += others.kept_waiting();
            let told = others.end().await?.ok_or("those who misbehave do not tell how often")?;
            self.bouts += told["bouts"].as_u64().ok_or("those who misbehave do not tell how often")?;
        }
        let p99 = measured.latencies.values().next().map_or(0.0, |latencies| latencies.us(0.99));
        self.measured.add(measured)?;
        Ok(p99)
    }

    fn latencies(&self) -> Result<Latencies, Failure> {
        let mut latencies = Latencies::new()?;
        for of_kind in self.measured.latencies.values() {
            latencies.add(of_kind)?;
        }
        Ok(latencies)
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let server = Server::start(arguments).await?;
    let workload = Arc::new(Workload::new(arguments, Mix::searches(), arguments.dimension)?);
    let load = Arc::new(Load::new(connections(&server.url, arguments).await?, workload));
    let rate = arguments.rate.unwrap_or(RATE);
    drive::open(&load, rate, arguments.warming_up()).await?;
    let before_bytes = server.process.peak_bytes();
    let mut found: Vec<Found> = Noise::all().map(Found::new).collect();
    for round in 0..arguments.rounds {
        for found in &mut found {
            let p99 = found.measure((&server, &load), (arguments, rate)).await?;
            eprintln!("round {}: {}: p99 {p99:.0} us", round + 1, found.noise.name());
        }
    }
    let peak_bytes = server.process.peak_bytes();
    show(arguments, &found)?;
    println!("the server's memory: {} MiB before, {} MiB at most", before_bytes >> 20, peak_bytes >> 20);
    println!(
        "{}",
        json!({ "measured": "noisy_memory", "before_bytes": before_bytes, "peak_bytes": peak_bytes })
    );
    server.process.end().await?;
    Ok(())
}

fn show(arguments: &Arguments, found: &[Found]) -> Result<(), Failure> {
    let p99_of = |noise: Noise| match found.iter().find(|found| found.noise == noise) {
        Some(found) => Ok(found.latencies()?.us(0.99)),
        None => Err(Failure::from(format!("{} was not measured", noise.name()))),
    };
    let (idle, busy) = (p99_of(Noise::Idle)?, p99_of(Noise::Busy)?);
    for found in found {
        let latencies = found.latencies()?;
        let Found { noise, measured, bouts, server, computed, kept_waiting } = found;
        let (name, p99) = (noise.name(), latencies.us(0.99));
        let bouts_per_s = *bouts as f64 / measured.seconds;
        println!(
            "{name}: p99 {:.2} of idle, {:.2} of busy, {} calls failed; {bouts_per_s:.1} bouts a second, which computed {:.1} s and had no processor \
             for {:.1} s; the server computed {:.1} s",
            p99 / idle,
            p99 / busy,
            measured.failed(),
            computed.as_secs_f64(),
            kept_waiting.as_secs_f64(),
            server.as_secs_f64(),
        );
        println!("{}", latencies.text());
        let line = json!({
            "measured": "noisy",
            "noise": name,
            "compete": arguments.compete,
            "bouts": bouts,
            "bouts_per_s": rounded(bouts_per_s, 2),
            "computed_s": rounded(computed.as_secs_f64(), 2),
            "kept_waiting_s": rounded(kept_waiting.as_secs_f64(), 2),
            "server_s": rounded(server.as_secs_f64(), 2),
            "seconds": rounded(measured.seconds, 2),
            "answered": measured.answered(),
            "failed": measured.failed(),
            "p99_to_idle": rounded(p99 / idle, 2),
            "p99_to_busy": rounded(p99 / busy, 2),
            "latency": latencies.json(),
        });
        println!("{line}");
    }
    Ok(())
}
