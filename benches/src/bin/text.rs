//! Search by word: how well BM25 alone ranks, and how fast.
//!
//! `judged` takes sets in BEIR form (`docs.jsonl`, `queries.jsonl`, `qrels.tsv`) and prints nDCG@10 of each analyser; `speed` takes
//! texts and queries, one a line, and prints the time to build an index, its bytes and queries a second on one thread.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use ragstone::{Analyzer, TextIndex};
use serde_json::{Value, json};

/// Results of a query.
const K: usize = 10;

/// Measures the search by word; prints JSON lines.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// nDCG@10 over judged sets.
    Judged {
        /// Directories with docs.jsonl, queries.jsonl and qrels.tsv.
        #[arg(required = true, value_name = "DIR")]
        sets: Vec<PathBuf>,
        /// Analysers; by default the default one.
        #[arg(long, num_args = 1.., value_name = "NAME", default_values_t = [Analyzer::default()])]
        analyzer: Vec<Analyzer>,
    },
    /// Queries a second.
    Speed {
        /// Texts, one a line.
        #[arg(long, value_name = "FILE")]
        texts: PathBuf,
        /// Queries, one a line.
        #[arg(long, value_name = "FILE")]
        queries: PathBuf,
        /// How many times the texts are added.
        #[arg(long, default_value_t = 1, value_name = "N")]
        times: usize,
        /// How many times the queries are asked; the median counts.
        #[arg(long, default_value_t = 5, value_name = "N")]
        rounds: usize,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("text: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Judged { sets, analyzer } => {
            for set in sets {
                for analyzer in &analyzer {
                    let ndcg = judged(&set, *analyzer)?;
                    println!("{}", json!({ "set": set, "analyzer": analyzer.name(), "ndcg_at_10": ndcg }));
                }
            }
            Ok(())
        }
        Command::Speed { texts, queries, times, rounds } => speed(&texts, &queries, times, rounds),
    }
}

fn read(path: &Path) -> Result<String, Box<dyn Error>> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn lines(directory: &Path, name: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let text = read(&directory.join(name))?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn field<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}

/// The mean of nDCG@10 over the queries that have judgements.
fn judged(set: &Path, analyzer: Analyzer) -> Result<f64, Box<dyn Error>> {
    let documents = lines(set, "docs.jsonl")?;
    let texts: Vec<String> =
        documents.iter().map(|line| format!("{} {}", field(line, "title"), field(line, "text"))).collect();
    let index = TextIndex::build(analyzer, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut gains: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in read(&set.join("qrels.tsv"))?.lines() {
        if let [query, document, gain] = line.split('\t').collect::<Vec<_>>()[..] {
            gains.entry(query.into()).or_default().insert(document.into(), gain.parse()?);
        }
    }
    let (mut sum, mut count) = (0.0, 0);
    for query in lines(set, "queries.jsonl")? {
        let Some(gains) = gains.get(field(&query, "id")) else { continue };
        let gain_of =
            |row: &(u32, f32)| gains.get(field(&documents[row.0 as usize], "id")).copied().unwrap_or(0.0);
        let found: Vec<f64> = index.search(field(&query, "text"), K).iter().map(gain_of).collect();
        let mut best: Vec<f64> = gains.values().copied().collect();
        best.sort_by(|a, b| b.total_cmp(a));
        best.truncate(K);
        sum += discounted(&found) / discounted(&best);
        count += 1;
    }
    Ok(sum / f64::from(count.max(1)))
}

fn discounted(gains: &[f64]) -> f64 {
    (2..).zip(gains).map(|(rank, gain)| gain / f64::from(rank).log2()).sum()
}

fn speed(texts: &Path, queries: &Path, times: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    let (texts, queries) = (read(texts)?, read(queries)?);
    let texts: Vec<&str> = (0..times).flat_map(|_| texts.lines()).collect();
    let queries: Vec<&str> = queries.lines().collect();
    let begin = Instant::now();
    let index = TextIndex::build(Analyzer::default(), &texts);
    let build_s = begin.elapsed().as_secs_f64();
    let mut rates: Vec<f64> = Vec::new();
    for _ in 0..rounds.max(1) {
        let begin = Instant::now();
        let found: usize = queries.iter().map(|query| index.search(query, K).len()).sum();
        assert!(found > 0, "no query finds anything");
        rates.push(queries.len() as f64 / begin.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let line = json!({
        "texts": texts.len(),
        "build_s": build_s,
        "bytes": index.size_bytes(),
        "queries_per_s": rates[rates.len() / 2],
    });
    println!("{line}");
    Ok(())
}
