//! Between wire and engine: the only place where their types meet.
//!
//! What comes in is checked for what only the wire can get wrong (a oneof that is not set, an enum value that does not
//! exist, a reserved name) and named by its path in the request, `points[3].vector`; everything else is the engine's to
//! check, so that a library and a server refuse the same things. What goes out cannot fail.

use std::collections::BTreeMap;

use ragstone::{
    CollectionInfo, FieldType, Filter, Hit, Metric, Payload, Point, PointId, Range, SearchRequest,
    SearchStats, Value,
};
use ragstone_proto::v1;
use ragstone_rag::embed::{Embeddings, ModelEntry, ModelInfo, Overflow, Pooling, Role};
use ragstone_rag::ingest::{Chunk, Document, DocumentInput, IngestReport, IngestStatus, MediaType};
use ragstone_rag::prompt::{Citation, DropReason, Dropped, EnrichRequest, Enriched};
use ragstone_rag::{CollectionSpec, TextQuery, reserved};
use tonic::Status;

use crate::limits::{
    BATCH_OPS_MAX, EMBED_TEXTS_MAX, FIELDS_MAX, FILTER_DEPTH_MAX, FILTER_TERMS_MAX, GET_IDS_MAX, check_count,
};
use crate::status;

/// Milliseconds of each stage.
type Timings = Vec<(&'static str, f64)>;

/// A number of things as the wire counts them; every one is bounded far below the type's end.
pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn unknown_enum(field: &str, number: i32) -> Status {
    status::invalid(field, &format!("{number} is not a value of this enum"))
}

// ---- Values, payloads, ids, points -------------------------------------------------------------------------------------

fn value_in(wire: Option<v1::Value>, path: &str) -> Result<Value, Status> {
    match wire.and_then(|wire| wire.kind) {
        Some(v1::value::Kind::BoolValue(value)) => Ok(Value::Bool(value)),
        Some(v1::value::Kind::IntValue(value)) => Ok(Value::Int(value)),
        Some(v1::value::Kind::FloatValue(value)) => Ok(Value::Float(value)),
        Some(v1::value::Kind::StringValue(value)) => Ok(Value::String(value)),
        None => Err(status::invalid(path, "no value is set; set one of bool, int, float and string")),
    }
}

fn value_out(value: Value) -> v1::Value {
    let kind = match value {
        Value::Bool(value) => v1::value::Kind::BoolValue(value),
        Value::Int(value) => v1::value::Kind::IntValue(value),
        Value::Float(value) => v1::value::Kind::FloatValue(value),
        Value::String(value) => v1::value::Kind::StringValue(value),
    };
    v1::Value { kind: Some(kind) }
}

/// Fields; `path` is that of the map.
fn payload_in(wire: BTreeMap<String, v1::Value>, path: &str) -> Result<Payload, Status> {
    let field = |(name, value)| {
        let value = value_in(Some(value), &format!("{path}.{name}"))?;
        Ok((name, value))
    };
    wire.into_iter().map(field).collect()
}

fn payload_out(payload: Payload) -> BTreeMap<String, v1::Value> {
    payload.into_iter().map(|(name, value)| (name, value_out(value))).collect()
}

fn id_in(wire: Option<v1::PointId>, path: &str) -> Result<PointId, Status> {
    match wire.and_then(|wire| wire.id) {
        Some(v1::point_id::Id::Number(number)) => Ok(PointId::Num(number)),
        Some(v1::point_id::Id::Text(text)) => Ok(PointId::Str(text)),
        None => Err(status::invalid(path, "no id is set; set number or text")),
    }
}

fn id_out(id: PointId) -> v1::PointId {
    let id = match id {
        PointId::Num(number) => v1::point_id::Id::Number(number),
        PointId::Str(text) => v1::point_id::Id::Text(text),
    };
    v1::PointId { id: Some(id) }
}

/// Documents and their chunks are points too, and DocumentsService's alone to write.
pub(crate) fn points_to_write(wire: Vec<v1::Point>) -> Result<Vec<Point>, Status> {
    check_count("points", wire.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    wire.into_iter()
        .enumerate()
        .map(|(index, point)| {
            let path = format!("points[{index}]");
            let point = Point {
                id: id_in(point.id, &format!("{path}.id"))?,
                vector: point.vector.map(|vector| vector.values),
                payload: payload_in(point.payload, &format!("{path}.payload"))?,
            };
            reserved::check_point(&path, &point).map_err(status::reserved)?;
            Ok(point)
        })
        .collect()
}

pub(crate) fn ids_to_write(wire: Vec<v1::PointId>) -> Result<Vec<PointId>, Status> {
    check_count("ids", wire.len(), ("BATCH_OPS_MAX", BATCH_OPS_MAX))?;
    let own = |(index, id)| {
        let path = format!("ids[{index}]");
        let id = id_in(Some(id), &path)?;
        reserved::check_id(&path, &id).map_err(status::reserved)?;
        Ok(id)
    };
    wire.into_iter().enumerate().map(own).collect()
}

pub(crate) fn ids_to_read(wire: Vec<v1::PointId>) -> Result<Vec<PointId>, Status> {
    check_count("ids", wire.len(), ("GET_IDS_MAX", GET_IDS_MAX))?;
    wire.into_iter().enumerate().map(|(index, id)| id_in(Some(id), &format!("ids[{index}]"))).collect()
}

pub(crate) fn point(point: Point, with_vector: bool) -> v1::Point {
    v1::Point {
        id: Some(id_out(point.id)),
        vector: point.vector.filter(|_| with_vector).map(|values| v1::Vector { values }),
        payload: payload_out(point.payload),
    }
}

// ---- Filters -----------------------------------------------------------------------------------------------------------

fn filter_in(wire: Option<v1::Filter>) -> Result<Option<Filter>, Status> {
    wire.map(|wire| filter_at(wire, "filter", 1)).transpose()
}

fn filter_at(wire: v1::Filter, path: &str, depth: usize) -> Result<Filter, Status> {
    use v1::filter::Condition;
    if depth > FILTER_DEPTH_MAX {
        return Err(status::beyond_limit(path, "FILTER_DEPTH_MAX", FILTER_DEPTH_MAX as u64, depth as u64));
    }
    let unset = || status::invalid(path, "no condition is set; set one of eq, in, range, and, or, not");
    let terms = |count: usize| check_count(path, count, ("FILTER_TERMS_MAX", FILTER_TERMS_MAX));
    let many = |filters: Vec<v1::Filter>, name: &str| -> Result<Vec<Filter>, Status> {
        terms(filters.len())?;
        filters
            .into_iter()
            .enumerate()
            .map(|(index, filter)| filter_at(filter, &format!("{path}.{name}[{index}]"), depth + 1))
            .collect()
    };
    Ok(match wire.condition.ok_or_else(unset)? {
        Condition::Eq(eq) => Filter::Eq(eq.field, value_in(eq.value, &format!("{path}.eq.value"))?),
        Condition::In(set) => {
            terms(set.values.len())?;
            let values = set.values.into_iter().enumerate();
            let values =
                values.map(|(index, value)| value_in(Some(value), &format!("{path}.in.values[{index}]")));
            Filter::In(set.field, values.collect::<Result<_, _>>()?)
        }
        Condition::Range(range) => {
            let bound = |value: Option<v1::Value>, name: &str| {
                value.map(|value| value_in(Some(value), &format!("{path}.range.{name}"))).transpose()
            };
            let bounds = Range {
                gt: bound(range.gt, "gt")?,
                gte: bound(range.gte, "gte")?,
                lt: bound(range.lt, "lt")?,
                lte: bound(range.lte, "lte")?,
            };
            Filter::Range(range.field, bounds)
        }
        Condition::And(and) => Filter::And(many(and.filters, "and")?),
        Condition::Or(or) => Filter::Or(many(or.filters, "or")?),
        Condition::Not(not) => {
            let path = format!("{path}.not");
            let inner = not.filter.ok_or_else(|| status::invalid(&path, "no filter is set"))?;
            Filter::Not(Box::new(filter_at(*inner, &path, depth + 1)?))
        }
    })
}

// ---- Collections -------------------------------------------------------------------------------------------------------

fn metric_out(metric: Metric) -> v1::Metric {
    match metric {
        Metric::Cosine => v1::Metric::Cosine,
        Metric::Dot => v1::Metric::Dot,
        Metric::L2 => v1::Metric::L2,
    }
}

fn metric_in(wire: i32) -> Result<Metric, Status> {
    match v1::Metric::try_from(wire) {
        Ok(v1::Metric::Unspecified) => Ok(Metric::default()),
        Ok(v1::Metric::Cosine) => Ok(Metric::Cosine),
        Ok(v1::Metric::Dot) => Ok(Metric::Dot),
        Ok(v1::Metric::L2) => Ok(Metric::L2),
        Err(_) => Err(unknown_enum("metric", wire)),
    }
}

fn field_type_out(field_type: FieldType) -> v1::FieldType {
    match field_type {
        FieldType::Bool => v1::FieldType::Bool,
        FieldType::Int => v1::FieldType::Int,
        FieldType::Float => v1::FieldType::Float,
        FieldType::String => v1::FieldType::String,
    }
}

fn field_type_in(wire: i32, path: &str) -> Result<FieldType, Status> {
    match v1::FieldType::try_from(wire) {
        Ok(v1::FieldType::Bool) => Ok(FieldType::Bool),
        Ok(v1::FieldType::Int) => Ok(FieldType::Int),
        Ok(v1::FieldType::Float) => Ok(FieldType::Float),
        Ok(v1::FieldType::String) => Ok(FieldType::String),
        Ok(v1::FieldType::Unspecified) => Err(status::invalid(path, "no type is set")),
        Err(_) => Err(unknown_enum(path, wire)),
    }
}

/// The name and what the collection is to hold; an empty model's name stands for the default one.
pub(crate) fn collection_spec(wire: v1::CreateCollectionRequest) -> Result<(String, CollectionSpec), Status> {
    use v1::create_collection_request::Vectors;
    let unset = || status::invalid("vectors", "neither model nor dimension is set");
    let (model, dimension) = match wire.vectors.ok_or_else(unset)? {
        Vectors::Model(model) => (Some(model), None),
        Vectors::Dimension(dimension) => (None, Some(dimension as usize)),
    };
    check_count("fields", wire.fields.len(), ("FIELDS_MAX", FIELDS_MAX))?;
    let fields = wire.fields.into_iter().map(|(name, field_type)| {
        reserved::check_field("fields", &name).map_err(status::reserved)?;
        let field_type = field_type_in(field_type, &format!("fields.{name}"))?;
        Ok::<_, Status>((name, field_type))
    });
    let spec = CollectionSpec {
        model,
        dimension,
        metric: metric_in(wire.metric)?,
        fields: fields.collect::<Result<_, _>>()?,
        strict: wire.strict,
    };
    Ok((wire.name, spec))
}

pub(crate) fn collection((info, model): (CollectionInfo, Option<ModelInfo>)) -> v1::Collection {
    let fields = info.schema.fields().iter();
    v1::Collection {
        metric: metric_out(info.schema.metric()).into(),
        dimension: count(info.schema.dimension()),
        model: model.map(model_info),
        fields: fields.map(|(name, kind)| (name.clone(), field_type_out(*kind).into())).collect(),
        strict: info.schema.strict(),
        name: info.name,
        points: info.points,
        vectors: info.vectors,
        segments: count(info.segments),
        seq: info.seq,
    }
}

// ---- Search ------------------------------------------------------------------------------------------------------------

/// What to look for.
pub(crate) enum Query {
    /// A vector.
    Vector(SearchRequest),
    /// A text.
    Text { query: TextQuery, with_payload: bool },
}

pub(crate) fn query(wire: v1::QueryRequest) -> Result<(String, Query), Status> {
    let filter = filter_in(wire.filter)?;
    let (k, ef, exact) = (wire.k as usize, wire.ef.map(|ef| ef as usize), wire.exact);
    let with_payload = !wire.without_payload;
    let query = match wire.query {
        Some(v1::query_request::Query::Vector(vector)) => {
            let request = SearchRequest::new(vector.values, k);
            Query::Vector(SearchRequest { filter, ef, exact, with_payload, ..request })
        }
        Some(v1::query_request::Query::Text(text)) => {
            Query::Text { query: TextQuery { text, k, filter, ef, exact }, with_payload }
        }
        None => return Err(status::invalid("query", "neither vector nor text is set")),
    };
    Ok((wire.collection, query))
}

pub(crate) fn hit(hit: Hit, with_payload: bool) -> v1::Hit {
    v1::Hit {
        id: Some(id_out(hit.id)),
        score: hit.score,
        payload: if with_payload { payload_out(hit.payload) } else { BTreeMap::new() },
    }
}

pub(crate) fn query_response(hits: Vec<v1::Hit>, stats: SearchStats, timings: Timings) -> v1::QueryResponse {
    v1::QueryResponse {
        hits,
        stats: Some(v1::QueryStats {
            segments: count(stats.segments),
            distances: stats.distances,
            exact: stats.exact,
        }),
        timings: timings_out(timings),
    }
}

fn timings_out(timings: Timings) -> Vec<v1::StageTiming> {
    timings
        .into_iter()
        .map(|(stage, milliseconds)| v1::StageTiming { stage: stage.to_owned(), milliseconds })
        .collect()
}

// ---- Documents ---------------------------------------------------------------------------------------------------------

pub(crate) fn document_input(wire: v1::IngestDocumentRequest) -> Result<(String, DocumentInput), Status> {
    let media_type = match v1::MediaType::try_from(wire.media_type) {
        Ok(v1::MediaType::Unspecified) => None,
        Ok(v1::MediaType::Text) => Some(MediaType::Text),
        Ok(v1::MediaType::Markdown) => Some(MediaType::Markdown),
        Ok(v1::MediaType::Html) => Some(MediaType::Html),
        Err(_) => return Err(unknown_enum("media_type", wire.media_type)),
    };
    let metadata = payload_in(wire.metadata, "metadata")?;
    reserved::check_payload("metadata", &metadata).map_err(status::reserved)?;
    let document = DocumentInput {
        id: wire.id,
        source: wire.source,
        media_type,
        content: wire.content.into(),
        metadata,
    };
    Ok((wire.collection, document))
}

pub(crate) fn ingest_report(report: IngestReport) -> v1::IngestDocumentResponse {
    let status = match report.status {
        IngestStatus::Added => v1::IngestStatus::Added,
        IngestStatus::Replaced => v1::IngestStatus::Replaced,
        IngestStatus::Unchanged => v1::IngestStatus::Unchanged,
    };
    v1::IngestDocumentResponse {
        status: status.into(),
        chunks: count(report.chunks),
        tokens: report.tokens as u64,
        timings: timings_out(report.timings_ms),
    }
}

pub(crate) fn document(document: Document) -> v1::Document {
    let media_type = match document.media_type {
        MediaType::Text => v1::MediaType::Text,
        MediaType::Markdown => v1::MediaType::Markdown,
        MediaType::Html => v1::MediaType::Html,
    };
    v1::Document {
        id: document.id,
        source: document.source,
        media_type: media_type.into(),
        content_sha256: document.content_sha256,
        text: document.text,
        chunks: count(document.chunks),
        metadata: payload_out(document.metadata),
    }
}

pub(crate) fn chunk(chunk: Chunk) -> v1::Chunk {
    v1::Chunk {
        document: chunk.document,
        ordinal: count(chunk.ordinal),
        heading: chunk.heading,
        start: chunk.start as u64,
        end: chunk.end as u64,
        text: chunk.text,
        tokens: count(chunk.tokens),
    }
}

// ---- Enrichment --------------------------------------------------------------------------------------------------------

pub(crate) fn enrich_request(wire: v1::EnrichRequest) -> Result<(String, EnrichRequest), Status> {
    let mut request = EnrichRequest::new(wire.question);
    request.filter = filter_in(wire.filter)?;
    request.template = wire.template;
    request.k = wire.k.map_or(request.k, |k| k as usize);
    request.token_budget = wire.token_budget.map_or(request.token_budget, |tokens| tokens as usize);
    Ok((wire.collection, request))
}

pub(crate) fn enriched(enriched: Enriched) -> v1::EnrichResponse {
    v1::EnrichResponse {
        prompt: enriched.prompt,
        citations: enriched.citations.into_iter().map(citation).collect(),
        dropped: enriched.dropped.into_iter().map(dropped).collect(),
        prompt_tokens: count(enriched.prompt_tokens),
        timings: timings_out(enriched.timings_ms),
    }
}

fn citation(citation: Citation) -> v1::Citation {
    v1::Citation {
        index: count(citation.index),
        document: citation.document,
        heading: citation.heading,
        start: citation.start as u64,
        end: citation.end as u64,
        score: citation.score,
        text: citation.text,
    }
}

fn dropped(dropped: Dropped) -> v1::DroppedChunk {
    let reason = match dropped.reason {
        DropReason::Budget => v1::DropReason::Budget,
        DropReason::Duplicate => v1::DropReason::Duplicate,
    };
    v1::DroppedChunk {
        document: dropped.document,
        start: dropped.start as u64,
        end: dropped.end as u64,
        score: dropped.score,
        tokens: count(dropped.tokens),
        reason: reason.into(),
    }
}

// ---- Models ------------------------------------------------------------------------------------------------------------

pub(crate) fn embed_options(wire: &v1::EmbedRequest) -> Result<(Role, Overflow), Status> {
    check_count("texts", wire.texts.len(), ("EMBED_TEXTS_MAX", EMBED_TEXTS_MAX))?;
    let role = match v1::TextRole::try_from(wire.role) {
        Ok(v1::TextRole::Query) => Role::Query,
        Ok(v1::TextRole::Passage) => Role::Passage,
        Ok(v1::TextRole::Plain | v1::TextRole::Unspecified) => Role::Plain,
        Err(_) => return Err(unknown_enum("role", wire.role)),
    };
    let overflow = match v1::OnOverflow::try_from(wire.on_overflow) {
        Ok(v1::OnOverflow::Error | v1::OnOverflow::Unspecified) => Overflow::Error,
        Ok(v1::OnOverflow::Truncate) => Overflow::Truncate,
        Err(_) => return Err(unknown_enum("on_overflow", wire.on_overflow)),
    };
    Ok((role, overflow))
}

pub(crate) fn embed_response(embeddings: Embeddings, model: ModelInfo) -> v1::EmbedResponse {
    let counts = embeddings.token_counts.into_iter().zip(embeddings.truncated);
    let embedding = |(values, (tokens, truncated))| v1::Embedding {
        vector: Some(v1::Vector { values }),
        tokens: count(tokens),
        truncated,
    };
    v1::EmbedResponse {
        embeddings: embeddings.vectors.into_iter().zip(counts).map(embedding).collect(),
        model: Some(model_info(model)),
    }
}

/// `default` is the server's default model, which need not be the library's.
pub(crate) fn model(entry: ModelEntry, default: &str) -> v1::Model {
    v1::Model {
        default: entry.name == default || entry.info.as_ref().is_some_and(|info| info.name == default),
        loaded: entry.loaded,
        info: entry.info.map(model_info),
        name: entry.name,
    }
}

fn model_info(info: ModelInfo) -> v1::ModelInfo {
    let pooling = match info.pooling {
        Pooling::Cls => v1::Pooling::Cls,
        Pooling::Mean => v1::Pooling::Mean,
        Pooling::Max => v1::Pooling::Max,
        Pooling::MeanSqrtLen => v1::Pooling::MeanSqrtLen,
        Pooling::LastToken => v1::Pooling::LastToken,
        Pooling::WeightedMean => v1::Pooling::WeightedMean,
        Pooling::Remote => v1::Pooling::Remote,
    };
    v1::ModelInfo {
        name: info.name,
        sha256: info.sha256.unwrap_or_default(),
        dimension: count(info.dimension),
        max_tokens: count(info.max_tokens),
        pooling: pooling.into(),
        normalize: info.normalize,
        query_prefix: info.query_prefix,
        passage_prefix: info.passage_prefix,
    }
}
