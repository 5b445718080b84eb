//! The stages of a request, told to the metrics and, if the call is traced, to the collector.

use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use ragstone_rag::embed::Embeddings;
use ragstone_rag::ingest::IngestReport;

use super::call::{earlier, number};
use super::{Call, Finished, names};
use crate::metrics::Metrics;

/// What is done in stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    Query,
    BatchQuery,
    SearchRange,
    Retrieve,
    Enrich,
    Ingest,
    Embed,
    Rerank,
}

impl Activity {
    /// Its name, as metrics have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Activity::Query => "query",
            Activity::BatchQuery => "batch_query",
            Activity::SearchRange => "search_range",
            Activity::Retrieve => "retrieve",
            Activity::Enrich => "enrich",
            Activity::Ingest => "ingest",
            Activity::Embed => "embed",
            Activity::Rerank => "rerank",
        }
    }

    /// The span that its stages are parts of, and the first stage behind it. Without one they are parts of the call.
    fn span(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Activity::Query | Activity::BatchQuery | Activity::SearchRange | Activity::Retrieve => {
                Some(("retrieval", None))
            }
            Activity::Enrich => Some(("retrieval", Some("assemble"))),
            Activity::Ingest => Some(("ingest", None)),
            Activity::Embed | Activity::Rerank => None,
        }
    }
}

/// The sum of the others, among an answer's stages.
const TOTAL: &str = "total";

/// What an activity is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Empty where it is about none.
    pub(crate) collection: String,
    /// The model that embeds, if one may.
    pub(crate) embedder: Option<String>,
    /// The model that re-ranks, if one does.
    pub(crate) reranker: Option<String>,
    /// How many are wanted, if that was said.
    pub(crate) top_k: Option<usize>,
}

/// What came of an activity.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Hits, chunks, vectors.
    pub(crate) results: Option<usize>,
    /// Tokens that the embedding model read, where that is known.
    pub(crate) tokens: Option<usize>,
}

impl Figures {
    /// Of vectors.
    pub(crate) fn of(embeddings: &Embeddings) -> Figures {
        let tokens = embeddings.token_counts.iter().sum();
        Figures { results: Some(embeddings.vectors.len()), tokens: Some(tokens) }
    }

    /// Of a document that was stored: its chunks, and the tokens of those that were embedded.
    pub(crate) fn of_document(report: &IngestReport) -> Figures {
        Figures { results: Some(report.chunks), tokens: Some(report.tokens) }
    }
}

/// Tells the stages of an activity; made where the call is known, and used wherever the work is done.
pub(crate) struct Stages {
    metrics: Metrics,
    call: Call,
    activity: Activity,
    about: About,
}

impl Stages {
    /// Of the call that this task answers.
    pub(crate) fn of(metrics: &Metrics, activity: Activity, about: About) -> Stages {
        Stages { metrics: metrics.clone(), call: Call::current(), activity, about }
    }

    /// What counts and times.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The collection that it is about.
    pub(crate) fn collection(&self) -> &str {
        &self.about.collection
    }

    /// The stages were these, one after the other, until now; milliseconds of each.
    pub(crate) fn were(&self, timings_ms: &[(&'static str, f64)], figures: Figures) {
        let seconds = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
        let stages = timings_ms.iter().filter(|(stage, _)| *stage != TOTAL);
        let stages = stages.map(|(stage, ms)| (*stage, seconds(*ms)));
        for (stage, took) in stages.clone() {
            self.metrics.stage(self.activity, stage, took);
        }
        if self.call.is_recorded() {
            self.trace(&stages.collect::<Vec<_>>(), figures);
        }
    }

    /// The only stage took so long, until now.
    pub(crate) fn was(&self, stage: &'static str, took: Duration, figures: Figures) {
        self.were(&[(stage, took.as_secs_f64() * 1e3)], figures);
    }

    fn trace(&self, stages: &[(&'static str, Duration)], figures: Figures) {
        let sum =
            |stages: &[(&'static str, Duration)]| stages.iter().map(|(_, took)| *took).sum::<Duration>();
        let began = earlier(SystemTime::now(), sum(stages));
        let Some((name, behind)) = self.activity.span() else {
            return self.parts(&self.call, began, (stages, figures));
        };
        let inside = stages.iter().position(|(stage, _)| Some(*stage) == behind).unwrap_or(stages.len());
        let (inside, outside) = stages.split_at(inside);
        let ended = began + sum(inside);
        let mut whole = Finished::new(name, began, ended);
        whole.attributes = self.attributes(figures);
        let whole = self.call.part(whole);
        self.parts(&whole, began, (inside, figures));
        self.parts(&self.call, ended, (outside, figures));
    }

    /// Stages one after the other, as parts.
    fn parts(
        &self,
        of: &Call,
        mut began: SystemTime,
        (stages, figures): (&[(&'static str, Duration)], Figures),
    ) {
        for (stage, took) in stages {
            let ended = began + *took;
            of.part(self.stage(stage, figures, (began, ended)));
            began = ended;
        }
    }

    fn stage(
        &self,
        stage: &'static str,
        figures: Figures,
        (from, until): (SystemTime, SystemTime),
    ) -> Finished {
        let About { collection, embedder, reranker, .. } = &self.about;
        let mut finished = Finished::new(stage, from, until);
        finished.attributes.push(KeyValue::new(names::STAGE, stage));
        match (stage, embedder, reranker) {
            ("embed", Some(model), _) => {
                let provider = names::provider(model);
                if provider != names::OURSELVES {
                    finished.kind = SpanKind::Client;
                }
                finished.name = format!("embeddings {model}").into();
                finished.attributes.extend([
                    KeyValue::new(names::OPERATION, "embeddings"),
                    KeyValue::new(names::PROVIDER, provider),
                    KeyValue::new(names::MODEL, model.clone()),
                ]);
                let tokens = figures.tokens.map(|tokens| number(tokens as u64));
                finished.attributes.extend(tokens.map(|tokens| KeyValue::new(names::INPUT_TOKENS, tokens)));
            }
            ("search", ..) => finished.attributes.extend([
                KeyValue::new(names::DB_SYSTEM, names::OURSELVES),
                KeyValue::new(names::DB_COLLECTION, collection.clone()),
                KeyValue::new(names::DB_OPERATION, stage),
            ]),
            ("rerank", _, Some(model)) => {
                finished.attributes.push(KeyValue::new(names::MODEL, model.clone()));
            }
            _ => {}
        }
        finished
    }

    /// Of the span of the whole.
    fn attributes(&self, figures: Figures) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(names::DATA_SOURCE, self.about.collection.clone())];
        if self.activity != Activity::Ingest {
            attributes.push(KeyValue::new(names::OPERATION, "retrieval"));
            attributes.push(KeyValue::new(names::PROVIDER, names::OURSELVES));
        }
        let numbers = [(names::TOP_K, self.about.top_k), (names::RESULTS, figures.results)];
        let known = numbers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        attributes.extend(known.map(|(name, value)| KeyValue::new(name, number(value as u64))));
        attributes
    }
}
