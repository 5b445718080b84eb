//! Search by word, and by word and vector together: how well BM25 alone ranks, and how fast both are.
//!
//! `judged` takes sets in BEIR form (`docs.jsonl`, `queries.jsonl`, `qrels.tsv`) and prints nDCG@10 of each analyser; `speed` takes
//! texts and queries, one a line, with their vectors, writes a collection of them, and prints queries a second of a database, one call a query on
//! one thread. `benches/record/text.py` runs it, and rivals beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use ragstone::query::{Fuse, Names, Nearest, Query, QueryResponse, Select, Source, TextQuery};
use ragstone::{Analyzer, Db, Metric, Point, Schema, TextIndex};
use ragstone_benches::disk::bytes_of;
use ragstone_benches::quantiles::quantile;
use ragstone_benches::{Failure, arguments, npy};
use serde_json::{Value, json};

/// Results of a query.
const K: usize = 10;
/// Rows of a write.
const BATCH: usize = 1_000;

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
    /// Queries a second, by words and by both.
    Speed(Speed),
}

/// What `speed` takes.
#[derive(Debug, Args)]
struct Speed {
    /// Texts, one a line.
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,
    /// Queries, one a line.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// The texts' vectors, unit vectors (.npy).
    #[arg(long, value_name = "FILE")]
    base: PathBuf,
    /// The queries' vectors (.npy).
    #[arg(long, value_name = "FILE")]
    query: PathBuf,
    /// Rows that each source of a hybrid query gives.
    #[arg(long, default_value_t = 100, value_name = "N")]
    candidates: usize,
    /// How many times the queries are asked; the median counts.
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// Where the rows found by words are written, a JSON list for each query.
    #[arg(long, value_name = "FILE")]
    found: Option<PathBuf>,
}

fn main() -> ExitCode {
    arguments::run(|arguments: &Arguments| run(&arguments.command))
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Judged { sets, analyzer } => {
            for set in sets {
                for analyzer in analyzer {
                    let ndcg = judged(set, *analyzer)?;
                    println!("{}", json!({ "set": set, "analyzer": analyzer.name(), "ndcg_at_10": ndcg }));
                }
            }
            Ok(())
        }
        Command::Speed(arguments) => speed(arguments),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn lines(directory: &Path, name: &str) -> Result<Vec<Value>, Failure> {
    let text = read(&directory.join(name))?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn field<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_default()
}

/// The mean of nDCG@10 over the queries that have judgements.
fn judged(set: &Path, analyzer: Analyzer) -> Result<f64, Failure> {
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

fn speed(arguments: &Speed) -> Result<(), Failure> {
    let (texts, queries) = (read(&arguments.texts)?, read(&arguments.queries)?);
    let (texts, queries): (Vec<&str>, Vec<&str>) = (texts.lines().collect(), queries.lines().collect());
    let (base, vectors) = (npy::read_floats(&arguments.base)?, npy::read_floats(&arguments.query)?);
    if (texts.len(), queries.len()) != (base.len(), vectors.len()) {
        return Err("there is not one vector for each text and query".into());
    }
    let directory = tempfile::tempdir()?;
    let db = Db::open(directory.path())?;
    let schema =
        Schema::builder(base.columns).metric(Metric::Dot).text("text", Analyzer::default()).build()?;
    let rows = db.create_collection("passages", schema)?;
    let begin = Instant::now();
    let points = texts.iter().zip(base.rows()).zip(0_u64..);
    let points: Vec<Point> =
        points.map(|((text, row), id)| Point::new(id, row.to_vec()).with("text", *text)).collect();
    for batch in points.chunks(BATCH) {
        rows.upsert(batch.to_vec())?;
    }
    let written_s = begin.elapsed().as_secs_f64();
    db.flush()?;
    let line = json!({
        "phase": "ingest", "texts": texts.len(), "rows_per_s": (texts.len() as f64 / written_s).round(),
        "indexed_s": begin.elapsed().as_secs_f64(), "segments": rows.info().segments,
        "bytes": bytes_of(directory.path()),
    });
    println!("{line}");
    let by_words = |at: usize| TextQuery::new(queries[at]);
    let ids = Select { fields: Names::None, vectors: Names::None };
    let text = |at: usize| rows.query(&Query { select: ids.clone(), ..Query::new(by_words(at), K) });
    let hybrid = |at: usize| {
        let sources: [Source; 2] = [Nearest::new(vectors.row(at).to_vec()).into(), by_words(at).into()];
        let fuse = Fuse::reciprocal_rank(sources).candidates(arguments.candidates);
        rows.query(&Query { select: ids.clone(), ..Query::new(fuse, K) })
    };
    print_rate("text", queries.len(), arguments.rounds, &text)?;
    print_rate("hybrid", queries.len(), arguments.rounds, &hybrid)?;
    if let Some(file) = &arguments.found {
        let found = |at: usize| -> Result<Vec<u64>, Failure> {
            Ok(text(at)?.hits.iter().filter_map(|hit| hit.point.id.to_string().parse().ok()).collect())
        };
        let found = (0..queries.len()).map(found).collect::<Result<Vec<_>, _>>()?;
        std::fs::write(file, json!(found).to_string())?;
    }
    Ok(())
}

/// Asks every query in turn, and prints the median of the rounds' rates.
fn print_rate(
    phase: &str,
    queries: usize,
    rounds: usize,
    ask: &dyn Fn(usize) -> ragstone::Result<QueryResponse>,
) -> Result<(), Failure> {
    let mut rates = Vec::new();
    for _ in 0..rounds.max(1) {
        let begin = Instant::now();
        for at in 0..queries {
            ask(at)?;
        }
        rates.push(queries as f64 / begin.elapsed().as_secs_f64());
    }
    let rate = quantile(&mut rates, 0.5).unwrap_or_default();
    println!("{}", json!({ "phase": phase, "k": K, "queries_per_s": rate.round() }));
    Ok(())
}
