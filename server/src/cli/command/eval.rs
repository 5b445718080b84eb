//! `ragstone eval`.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use ragstone::Db;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_rag::evaluate::{self, Ingested, JudgedSet, Measure, Measured};
use ragstone_rag::progress::Progress;
use ragstone_rag::retrieve::Rerank;
use ragstone_rag::{CollectionSpec, Rag};
use serde_json::{Value, json};

use crate::cli::args::{EvalArgs, Place};
use crate::cli::output;

const COLLECTION: &str = "eval";

pub(super) fn run(place: &Place, args: &EvalArgs, progress: Arc<dyn Progress>, json: bool) -> Result<()> {
    let set = JudgedSet::read(&args.docs, &args.queries, &args.qrels)?;
    if set.queries_skipped > 0 {
        progress.note(&format!(
            "{} questions that no document is judged to answer are skipped",
            set.queries_skipped
        ));
    }
    if set.documents_missing > 0 {
        progress.note(&format!(
            "{} judged documents are not in {}",
            set.documents_missing,
            args.docs.display()
        ));
    }
    let options =
        ModelOptions { offline: place.offline, progress: progress.clone(), ..ModelOptions::default() };
    let rag = Rag::new(Db::in_memory()?, Models::new(options));
    let spec = CollectionSpec {
        chunks: args.chunk,
        analyzer: args.analyzer,
        ..CollectionSpec::with_model(args.model.as_str())
    };
    rag.create_collection(COLLECTION, spec).context("--model")?;
    let ingested = evaluate::ingest(&rag, COLLECTION, &set, progress.as_ref())?;
    // What a measurement finds must not depend on what the database is at meanwhile.
    rag.db().flush()?;
    if !json {
        show_set(args, &set, &ingested)?;
    }
    let candidates = args.rerank_candidates;
    let rerank = args.rerank.as_ref().map(|model| Rerank { candidates, ..Rerank::new(model.as_str()) });
    for mode in &args.mode {
        let measure = Measure { mode: *mode, k: args.k, rerank: rerank.clone() };
        let measured = evaluate::measure(&rag, COLLECTION, &set, &measure, progress.as_ref())?;
        if json {
            output::json(&object(args, (&set, &ingested), &measured))?;
        } else {
            show(&measured)?;
        }
    }
    Ok(())
}

/// What `--json` prints of a mode.
fn object(args: &EvalArgs, (set, ingested): (&JudgedSet, &Ingested), measured: &Measured) -> Value {
    let Measured { queries, queries_truncated, ndcg_at_10, recall_at_k, recall_at_10, .. } = measured;
    json!({
        "mode": measured.mode.as_str(),
        "model": args.model,
        "rerank": args.rerank,
        "chunk": { "tokens": args.chunk.tokens, "overlap": args.chunk.overlap },
        "analyzer": args.analyzer.name(),
        "documents": ingested.documents,
        "documents_missing": set.documents_missing,
        "chunks": ingested.chunks,
        "tokens": ingested.tokens,
        "ingest_s": ingested.seconds,
        "queries": queries,
        "queries_skipped": set.queries_skipped,
        "queries_truncated": queries_truncated,
        "ndcg_at_10": ndcg_at_10,
        "k": measured.k,
        "recall_at_k": recall_at_k,
        "recall_at_10": recall_at_10,
        "recall_at_100": measured.recall_at_100,
        "mrr_at_10": measured.mrr_at_10,
        "latency_ms": {
            "p50": measured.latency_ms(0.5),
            "p95": measured.latency_ms(0.95),
            "p99": measured.latency_ms(0.99),
        },
    })
}

fn show_set(args: &EvalArgs, set: &JudgedSet, ingested: &Ingested) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let Ingested { documents, chunks, tokens, seconds } = ingested;
    writeln!(out, "{documents} documents in {chunks} chunks of {tokens} tokens, ingested in {seconds:.1} s")?;
    writeln!(out, "{} questions\n", set.queries.len())?;
    writeln!(
        out,
        "mode     nDCG@10  {:>9}  recall@100   MRR@10    p50 ms    p95 ms    p99 ms",
        format!("recall@{}", args.k)
    )?;
    Ok(())
}

fn show(measured: &Measured) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let Measured { mode, ndcg_at_10, recall_at_k, recall_at_100, mrr_at_10, .. } = measured;
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|part| measured.latency_ms(part));
    writeln!(
        out,
        "{mode:<8} {ndcg_at_10:>7.4} {recall_at_k:>10.4} {recall_at_100:>11.4} {mrr_at_10:>8.4} {p50:>9.2} {p95:>9.2} {p99:>9.2}"
    )?;
    let cut = measured.queries_truncated;
    if cut > 0 {
        writeln!(out, "         {cut} questions were cut at the model's token limit")?;
    }
    Ok(())
}
