//! What clients that misbehave do to others: the same calls at the same rate, with and without them, in turn.
//!
//! The server is a process of its own, so that neither its threads nor its memory are those of the clients; the processors are shared, so on
//! a machine with few of them what the clients themselves compute is part of what others feel.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ragstone_abuse::{Abuse, Target};
use ragstone_benches::Failure;
use ragstone_benches::index::rounded;
use ragstone_benches::latencies::Latencies;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::Arguments;
use super::drive::{self, Measured};
use super::place::connections;
use super::workload::{Load, Mix, Workload};

/// Calls a second unless a rate is given: few enough for a machine of two cores to answer each at once.
const RATE: f64 = 200.0;
/// Clients that misbehave at a time.
const CLIENTS: usize = 2;

/// The server of its own process.
struct Server {
    child: Child,
    url: String,
    target: Target,
}

impl Server {
    /// Starts this program anew, as a server.
    async fn start(arguments: &Arguments) -> Result<Server, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", "--collection", &arguments.collection, "--mix", "search"]);
        command.args([
            "--rows",
            &arguments.rows.to_string(),
            "--dimension",
            &arguments.dimension.to_string(),
        ]);
        if arguments.logs {
            command.arg("--logs");
        }
        if let Some(scratch) = &arguments.scratch {
            command.arg("--scratch").arg(scratch);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let line = BufReader::new(output).lines().next_line().await?.ok_or("the server did not start")?;
        let told: Value = serde_json::from_str(&line)?;
        let text = |name: &str| told[name].as_str().ok_or("the server does not tell where it is");
        let url = text("url")?.to_owned();
        let grpc: SocketAddr = url.trim_start_matches("http://").parse()?;
        let target = Target {
            grpc,
            http: Some(text("http_address")?.parse()?),
            collection: arguments.collection.clone(),
            dimension: arguments.dimension,
        };
        Ok(Server { child, url, target })
    }

    /// The most memory that it had so far, in bytes (Linux; zero elsewhere).
    fn peak_bytes(&self) -> u64 {
        let status = self.child.id().map(|id| std::fs::read_to_string(format!("/proc/{id}/status")));
        let status = status.and_then(Result::ok).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    }

    /// Asks it to end, and waits for it.
    async fn stop(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        let status = self.child.wait().await?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }
}

/// Who misbehaves during a measurement; nobody, for comparison.
type Noise = Option<Abuse>;

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let server = Server::start(arguments).await?;
    let workload = Arc::new(Workload::new(arguments, Mix::searches(), arguments.dimension));
    let load = Arc::new(Load::new(connections(&server.url, arguments).await?, workload));
    let rate = arguments.rate.unwrap_or(RATE);
    drive::open(&load, rate, arguments.warming_up()).await?;
    let before_bytes = server.peak_bytes();
    let noises: Vec<Noise> = [None].into_iter().chain(Abuse::ALL.map(Some)).collect();
    let mut found: Vec<(Noise, Measured, u64)> =
        noises.into_iter().map(|noise| (noise, Measured::default(), 0)).collect();
    for round in 0..arguments.rounds {
        for (noise, all, all_bouts) in &mut found {
            let (noise, bouts) = (*noise, Arc::new(AtomicU64::new(0)));
            let others = async {
                match noise {
                    Some(abuse) => abuse.go_on(&server.target, CLIENTS, &bouts).await,
                    None => std::future::pending().await,
                }
            };
            let measured = tokio::select! {
                measured = drive::open(&load, rate, arguments.lasting()) => measured?,
                () = others => return Err("the clients that misbehave have ended".into()),
            };
            let p99 = measured.latencies.values().next().map_or(0.0, |latencies| latencies.us(0.99));
            eprintln!("round {}: {}: p99 {p99:.0} us", round + 1, name(noise));
            all.add(measured)?;
            *all_bouts += bouts.load(Ordering::Relaxed);
        }
    }
    let peak_bytes = server.peak_bytes();
    show(&found)?;
    println!("the server's memory: {} MiB before, {} MiB at most", before_bytes >> 20, peak_bytes >> 20);
    println!(
        "{}",
        json!({ "measured": "noisy_memory", "before_bytes": before_bytes, "peak_bytes": peak_bytes })
    );
    server.stop().await
}

fn name(noise: Noise) -> &'static str {
    noise.map_or("idle", Abuse::name)
}

fn show(found: &[(Noise, Measured, u64)]) -> Result<(), Failure> {
    let mut idle_p99 = None;
    for (noise, measured, bouts) in found {
        let mut latencies = Latencies::new()?;
        for of_kind in measured.latencies.values() {
            latencies.add(of_kind)?;
        }
        let p99 = latencies.us(0.99);
        let idle = *idle_p99.get_or_insert(p99);
        println!("{}: p99 {:.2} of idle, {} calls failed", name(*noise), p99 / idle, measured.failed());
        println!("{}", latencies.text());
        let line = json!({
            "measured": "noisy",
            "noise": name(*noise),
            "bouts": bouts,
            "answered": measured.answered(),
            "failed": measured.failed(),
            "p99_to_idle": rounded(p99 / idle, 2),
            "latency": latencies.json(),
        });
        println!("{line}");
    }
    Ok(())
}
