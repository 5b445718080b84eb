//! The backend over a server.

use std::future::Future;

use anyhow::{Context, Result, bail};
use ragstone::{FieldType, Filter, Metric, Range, Value};
use ragstone_client as client;
use ragstone_client::{Client, Code};
use ragstone_rag::embed::{Overflow, Role};
use ragstone_rag::ingest::{DocumentInput, IngestStatus, MediaType};
use ragstone_rag::prompt::EnrichRequest;
use ragstone_rag::{CollectionSpec, TextQuery};
use serde_json::json;
use tokio::runtime::Runtime;

use super::{
    Backend, CitationView, CollectionView, DroppedView, EmbeddingsView, EnrichedView, HitView, Ingested,
    ModelView, PulledView, SearchView, StoredDocument, Timings,
};

/// Documents that one page of a listing has.
const PAGE_DOCUMENTS: u32 = 1_000;

/// A server, and the runtime that calls to it run on.
pub(super) struct Remote {
    url: String,
    client: Client,
    runtime: Runtime,
}

impl Remote {
    pub(super) fn connect(url: &str) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime")?;
        let client = runtime.block_on(Client::connect(url)).context("--url")?;
        Ok(Self { url: url.to_owned(), client, runtime })
    }

    fn call<T>(&self, call: impl Future<Output = client::Result<T>>) -> Result<T> {
        self.runtime.block_on(call).map_err(|error| {
            let is_away = error.code() == Code::Unavailable;
            let error = anyhow::Error::new(error);
            // Of a server that is away, the message knows only the connection.
            if is_away { error.context(format!("--url {}", self.url)) } else { error }
        })
    }
}

impl Backend for Remote {
    fn place(&self) -> String {
        self.url.clone()
    }

    fn create_collection(&self, name: &str, spec: CollectionSpec) -> Result<CollectionView> {
        let mut request = match (spec.model, spec.dimension) {
            (Some(model), None) => client::CreateCollection::with_model(name, model),
            (None, Some(dimension)) => client::CreateCollection::with_dimension(name, wire_size(dimension)),
            _ => bail!("a collection has a model or a dimension"),
        };
        for (name, kind) in spec.fields {
            request = request.field(name, field_type(kind));
        }
        let request = request.metric(metric(spec.metric)).strict(spec.strict);
        self.call(self.client.create_collection(request)).map(collection)
    }

    fn collections(&self) -> Result<Vec<CollectionView>> {
        Ok(self.call(self.client.list_collections())?.into_iter().map(collection).collect())
    }

    fn collection(&self, name: &str) -> Result<Option<CollectionView>> {
        match self.runtime.block_on(self.client.get_collection(name)) {
            Ok(found) => Ok(Some(collection(found))),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn delete_collection(&self, name: &str) -> Result<()> {
        self.call(self.client.delete_collection(name))
    }

    fn ingest(&self, collection: &str, document: DocumentInput) -> Result<Ingested> {
        let mut request =
            client::IngestDocument::new(collection, document.id, document.content).source(document.source);
        if let Some(media_type) = document.media_type {
            request = request.media_type(match media_type {
                MediaType::Text => client::MediaType::Text,
                MediaType::Markdown => client::MediaType::Markdown,
                MediaType::Html => client::MediaType::Html,
            });
        }
        for (name, field) in document.metadata {
            request = request.metadata(name, value(field));
        }
        let report = self.call(self.client.ingest_document(request))?;
        let status = match report.status {
            client::IngestStatus::Added => IngestStatus::Added,
            client::IngestStatus::Unchanged => IngestStatus::Unchanged,
            _ => IngestStatus::Replaced,
        };
        Ok(Ingested { status, chunks: report.chunks as u64, tokens: report.tokens as u64 })
    }

    fn is_about_document(&self, error: &anyhow::Error) -> bool {
        let error = error.downcast_ref::<client::Error>();
        error.is_some_and(|error| {
            matches!(
                error.reason(),
                Some("NOT_TEXT" | "LIMIT_EXCEEDED" | "TOKEN_LIMIT" | "REQUEST_TOO_LARGE")
            )
        })
    }

    fn documents(&self, collection: &str) -> Result<Vec<StoredDocument>> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let request = client::ListDocuments::new(collection).page_size(PAGE_DOCUMENTS).page_token(token);
            let page = self.call(self.client.list_documents(request))?;
            let stored =
                |document: client::Document| StoredDocument { id: document.id, source: document.source };
            all.extend(page.items.into_iter().map(stored));
            match page.next_page_token {
                Some(next) => token = next,
                None => return Ok(all),
            }
        }
    }

    fn delete_document(&self, collection: &str, id: &str) -> Result<()> {
        self.call(self.client.delete_document(collection, id))?;
        Ok(())
    }

    fn search(&self, collection: &str, query: &TextQuery) -> Result<SearchView> {
        let mut request =
            client::Query::text(collection, query.text.as_str(), wire_size(query.k)).exact(query.exact);
        if let Some(conditions) = &query.filter {
            request = request.filter(filter(conditions));
        }
        if let Some(ef) = query.ef {
            request = request.ef(wire_size(ef));
        }
        let result = self.call(self.client.query(request))?;
        let hits = result.hits.into_iter();
        Ok(SearchView {
            hits: hits
                .map(|hit| HitView { id: id(hit.id), score: hit.score, payload: payload(hit.payload) })
                .collect(),
            timings_ms: timings(result.timings),
        })
    }

    fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<EnrichedView> {
        let mut wire = client::Enrich::new(collection, request.question.as_str())
            .k(wire_size(request.k))
            .token_budget(wire_size(request.token_budget));
        if let Some(conditions) = &request.filter {
            wire = wire.filter(filter(conditions));
        }
        if let Some(template) = &request.template {
            wire = wire.template(template.as_str());
        }
        let enriched = self.call(self.client.enrich(wire))?;
        let citations = enriched.citations.into_iter().map(|citation| CitationView {
            index: citation.index as u64,
            document: citation.document,
            heading: citation.heading,
            start: citation.start as u64,
            end: citation.end as u64,
            score: citation.score,
            text: citation.text,
        });
        let dropped = enriched.dropped.into_iter().map(|dropped| DroppedView {
            document: dropped.document,
            start: dropped.start as u64,
            end: dropped.end as u64,
            score: dropped.score,
            tokens: dropped.tokens as u64,
            reason: match dropped.reason {
                client::DropReason::Budget => "budget".to_owned(),
                client::DropReason::Duplicate => "duplicate".to_owned(),
                _ => "unknown".to_owned(),
            },
        });
        Ok(EnrichedView {
            prompt: enriched.prompt,
            prompt_tokens: enriched.prompt_tokens as u64,
            citations: citations.collect(),
            dropped: dropped.collect(),
            timings_ms: timings(enriched.timings),
        })
    }

    fn embed(
        &self,
        model: Option<&str>,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
    ) -> Result<EmbeddingsView> {
        let request = client::Embed::new(texts.iter().copied())
            .model(model.unwrap_or_default())
            .role(match role {
                Role::Query => client::TextRole::Query,
                Role::Passage => client::TextRole::Passage,
                Role::Plain => client::TextRole::Plain,
            })
            .on_overflow(match overflow {
                Overflow::Error => client::OnOverflow::Error,
                Overflow::Truncate => client::OnOverflow::Truncate,
            });
        let embedded = self.call(self.client.embed(request))?;
        Ok(EmbeddingsView {
            model: embedded.model.name,
            dimension: embedded.model.dimension,
            vectors: embedded.vectors,
            token_counts: embedded.token_counts.into_iter().map(|count| count as u64).collect(),
            truncated: embedded.truncated,
        })
    }

    fn models(&self) -> Result<Vec<ModelView>> {
        let models = self.call(self.client.list_models())?;
        Ok(models
            .into_iter()
            .map(|model| ModelView {
                name: model.name,
                loaded: model.loaded,
                default: model.default,
                dimension: model.info.as_ref().map(|info| info.dimension as u64),
                max_tokens: model.info.as_ref().map(|info| info.max_tokens as u64),
                sha256: model.info.and_then(|info| info.sha256),
                path: None,
            })
            .collect())
    }

    fn pull_model(&self, name: &str) -> Result<PulledView> {
        let pulled = self.call(self.client.pull_model(name))?;
        Ok(PulledView { name: pulled.name, source: pulled.source, path: None, sha256: pulled.sha256 })
    }
}

/// A size as the wire carries it; what does not fit is beyond every limit, and the server says which.
fn wire_size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn collection(collection: client::Collection) -> CollectionView {
    CollectionView {
        name: collection.name,
        points: collection.points,
        vectors: collection.vectors,
        dimension: collection.dimension as u64,
        metric: collection.metric.to_string(),
        model: collection.model.map(|model| model.name),
        fields: collection.fields.into_iter().map(|(name, kind)| (name, kind.to_string())).collect(),
    }
}

fn metric(metric: Metric) -> client::Metric {
    match metric {
        Metric::Cosine => client::Metric::Cosine,
        Metric::Dot => client::Metric::Dot,
        Metric::L2 => client::Metric::L2,
    }
}

fn field_type(kind: FieldType) -> client::FieldType {
    match kind {
        FieldType::Bool => client::FieldType::Bool,
        FieldType::Int => client::FieldType::Int,
        FieldType::Float => client::FieldType::Float,
        FieldType::String => client::FieldType::String,
        FieldType::Timestamp => client::FieldType::Timestamp,
        FieldType::Strings => client::FieldType::Strings,
        FieldType::Geo => client::FieldType::Geo,
        FieldType::Json => client::FieldType::Json,
    }
}

fn value(value: Value) -> client::Value {
    match value {
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::String(value) => value.into(),
        Value::Timestamp(value) => client::Value::Timestamp(value),
        Value::Strings(values) => values.into(),
        Value::Geo(point) => client::GeoPoint { lat: point.lat, lon: point.lon }.into(),
        Value::Json(json) => client::Value::Json(json.as_str().to_owned()),
    }
}

fn filter(conditions: &Filter) -> client::Filter {
    let all = |filters: &[Filter]| filters.iter().map(filter).collect();
    match conditions {
        Filter::Eq(field, wanted) => client::Filter::Eq(field.clone(), value(wanted.clone())),
        Filter::In(field, values) => client::Filter::any_of(field.clone(), values.iter().cloned().map(value)),
        Filter::Range(field, bounds) => client::Filter::range(field.clone(), range(bounds)),
        Filter::Prefix(field, prefix) => client::Filter::Prefix(field.clone(), prefix.clone()),
        Filter::Contains(field, values) => client::Filter::Contains(field.clone(), values.clone()),
        Filter::Exists(field) => client::Filter::Exists(field.clone()),
        Filter::GeoRadius(field, center, metres) => {
            let center = client::GeoPoint { lat: center.lat, lon: center.lon };
            client::Filter::GeoRadius(field.clone(), center, *metres)
        }
        Filter::Match(field, text) => client::Filter::Match(field.clone(), text.clone()),
        Filter::AllTenants => client::Filter::AllTenants,
        Filter::And(filters) => client::Filter::And(all(filters)),
        Filter::Or(filters) => client::Filter::Or(all(filters)),
        Filter::Not(negated) => filter(negated).not(),
    }
}

fn range(bounds: &Range) -> client::Range {
    let mut range = client::Range::new();
    if let Some(bound) = &bounds.gt {
        range = range.gt(value(bound.clone()));
    }
    if let Some(bound) = &bounds.gte {
        range = range.gte(value(bound.clone()));
    }
    if let Some(bound) = &bounds.lt {
        range = range.lt(value(bound.clone()));
    }
    if let Some(bound) = &bounds.lte {
        range = range.lte(value(bound.clone()));
    }
    range
}

fn id(id: client::PointId) -> serde_json::Value {
    match id {
        client::PointId::Num(number) => json!(number),
        client::PointId::Str(text) => json!(text),
    }
}

fn payload(payload: client::Payload) -> serde_json::Map<String, serde_json::Value> {
    let value = |value| match value {
        client::Value::Bool(value) => json!(value),
        client::Value::Int(value) => json!(value),
        client::Value::Float(value) => json!(value),
        client::Value::String(value) => json!(value),
        client::Value::Timestamp(value) => json!(value),
        client::Value::Strings(values) => json!(values),
        client::Value::Geo(point) => json!({ "lat": point.lat, "lon": point.lon }),
        client::Value::Json(text) => serde_json::from_str(&text).unwrap_or_default(),
        _ => json!(null),
    };
    payload.into_iter().map(|(name, field)| (name, value(field))).collect()
}

fn timings(timings: Vec<client::StageTiming>) -> Timings {
    timings.into_iter().map(|timing| (timing.stage, timing.milliseconds)).collect()
}
