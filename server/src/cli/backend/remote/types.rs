//! The engine's types, which commands speak in, as the client's, and back.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ragstone::query::{OrderBy, QueryHit};
use ragstone::{
    Batch, ElementType, EncodingKind, Expect, FieldType, Filter, GeoPoint, Json, Metric, Op, Payload, Point,
    PointId, Range, SparseVector, Update, Value, Vector, VectorKind,
};
use ragstone_client as client;
use ragstone_rag::retrieve::RetrievalMode;

use super::wire_size;

pub(super) fn mode(mode: RetrievalMode) -> client::RetrievalMode {
    match mode {
        RetrievalMode::Dense => client::RetrievalMode::Dense,
        RetrievalMode::Text => client::RetrievalMode::Text,
        RetrievalMode::Hybrid => client::RetrievalMode::Hybrid,
    }
}

pub(super) fn id_out(id: PointId) -> client::PointId {
    match id {
        PointId::Num(number) => client::PointId::Num(number),
        PointId::Str(text) => client::PointId::Str(text),
    }
}

fn id_in(id: client::PointId) -> PointId {
    match id {
        client::PointId::Num(number) => PointId::Num(number),
        client::PointId::Str(text) => PointId::Str(text),
    }
}

pub(super) fn value_out(value: Value) -> client::Value {
    match value {
        Value::Bool(value) => client::Value::Bool(value),
        Value::Int(value) => client::Value::Int(value),
        Value::Float(value) => client::Value::Float(value),
        Value::String(value) => client::Value::String(value),
        Value::Timestamp(micros) => client::Value::Timestamp(micros),
        Value::Strings(values) => client::Value::Strings(values),
        Value::Geo(GeoPoint { lat, lon }) => client::Value::Geo(client::GeoPoint { lat, lon }),
        Value::Json(json) => client::Value::Json(json.into_string()),
    }
}

pub(super) fn value_in(value: client::Value) -> Result<Value> {
    Ok(match value {
        client::Value::Bool(value) => Value::Bool(value),
        client::Value::Int(value) => Value::Int(value),
        client::Value::Float(value) => Value::Float(value),
        client::Value::String(value) => Value::String(value),
        client::Value::Timestamp(micros) => Value::Timestamp(micros),
        client::Value::Strings(values) => Value::Strings(values),
        client::Value::Geo(client::GeoPoint { lat, lon }) => Value::Geo(GeoPoint { lat, lon }),
        client::Value::Json(text) => Value::Json(Json::new(text)?),
        _ => bail!("the server's answer has a value of a type that this program does not know"),
    })
}

pub(super) fn payload_in(payload: client::Payload) -> Result<Payload> {
    payload.into_iter().map(|(name, value)| Ok((name, value_in(value)?))).collect()
}

pub(super) fn point_out(point: Point) -> client::Point {
    let mut wire = client::Point::without_vector(id_out(point.id));
    wire.vector = point.vector;
    wire.expires_at = point.expires_at;
    wire.vectors = point.vectors.into_iter().map(|(name, vector)| (name, vector_out(vector))).collect();
    wire.payload = point.payload.into_iter().map(|(name, value)| (name, value_out(value))).collect();
    wire
}

fn update(update: Update) -> client::Update {
    let wire = client::Update::new(id_out(update.id));
    let wire = match update.expires_at {
        None => wire,
        Some(None) => wire.never_expires(),
        Some(Some(time_us)) => wire.expires_at(time_us),
    };
    let wire = update.set.into_iter().fold(wire, |wire, (name, value)| wire.set(name, value_out(value)));
    update.unset.into_iter().fold(wire, client::Update::unset)
}

pub(super) fn write(collection: &str, batch: Batch) -> client::Write {
    let mut write = client::Write::new(collection);
    for op in batch.ops {
        write = match op {
            Op::Upsert(point) => write.upsert(point_out(point)),
            Op::Update(change) => write.update(update(change)),
            Op::Delete(id) => write.delete(id_out(id)),
        };
    }
    for condition in batch.preconditions {
        let id = id_out(condition.id);
        write = match condition.expect {
            Expect::Absent => write.expect_absent(id),
            Expect::Present => write.expect_present(id),
            Expect::Etag(etag) => write.expect_etag(id, etag),
        };
    }
    match batch.request_id {
        Some(request_id) => write.request_id(request_id),
        None => write,
    }
}

pub(super) fn point_in(point: client::Point) -> Result<Point> {
    let mut read = Point::without_vector(id_in(point.id));
    read.vector = point.vector;
    read.vectors = vectors_in(point.vectors)?;
    read.payload = payload_in(point.payload)?;
    (read.expires_at, read.etag) = (point.expires_at, point.etag);
    Ok(read)
}

pub(super) fn hit(hit: client::Hit) -> Result<QueryHit> {
    let mut point = Point::without_vector(id_in(hit.id));
    point.vector = hit.vector;
    point.vectors = vectors_in(hit.vectors)?;
    point.payload = payload_in(hit.payload)?;
    (point.expires_at, point.etag) = (hit.expires_at, hit.etag);
    Ok(QueryHit { score: hit.score, point })
}

pub(super) fn vector_out(vector: Vector) -> client::Vector {
    match vector {
        Vector::Sparse(SparseVector { indices, values }) => {
            client::Vector::Sparse(client::SparseVector { indices, values })
        }
        Vector::Multi(vectors) => client::Vector::Multi(vectors),
        Vector::Dense(vector) => client::Vector::Dense(vector),
        _ => client::Vector::Dense(Vec::new()),
    }
}

fn vectors_in(vectors: BTreeMap<String, client::Vector>) -> Result<BTreeMap<String, Vector>> {
    let vector = |vector| {
        Ok(match vector {
            client::Vector::Dense(vector) => Vector::Dense(vector),
            client::Vector::Sparse(client::SparseVector { indices, values }) => {
                Vector::Sparse(SparseVector { indices, values })
            }
            client::Vector::Multi(vectors) => Vector::Multi(vectors),
            _ => bail!("the server's answer has a vector of a kind that this program does not know"),
        })
    };
    vectors.into_iter().map(|(name, wire)| Ok((name, vector(wire)?))).collect()
}

pub(super) fn metric(metric: Metric) -> client::Metric {
    match metric {
        Metric::Cosine => client::Metric::Cosine,
        Metric::Dot => client::Metric::Dot,
        Metric::L2 => client::Metric::L2,
    }
}

pub(super) fn element(element: ElementType) -> client::ElementType {
    match element {
        ElementType::F16 => client::ElementType::F16,
        _ => client::ElementType::F32,
    }
}

pub(super) fn encoding(encoding: EncodingKind) -> client::Encoding {
    match encoding {
        EncodingKind::F32 => client::Encoding::F32,
        EncodingKind::F16 => client::Encoding::F16,
        EncodingKind::Int8 => client::Encoding::Int8,
        EncodingKind::Bit1 => client::Encoding::Bit1,
        _ => client::Encoding::Int4,
    }
}

pub(super) fn vector_options(kind: &VectorKind) -> client::VectorOptions {
    match kind {
        VectorKind::Dense(dense) => {
            let options = client::VectorOptions::dense(wire_size(dense.dimension))
                .metric(metric(dense.metric))
                .element(element(dense.element))
                .encoding(encoding(dense.encoding))
                .graph(wire_size(dense.graph.degree), wire_size(dense.graph.ef_construction));
            match dense.walk_dimension {
                Some(components) => options.walk_dimension(wire_size(components)),
                None => options,
            }
        }
        VectorKind::Multi(multi) => client::VectorOptions::multi(wire_size(multi.dimension))
            .metric(metric(multi.metric))
            .element(element(multi.element)),
        _ => client::VectorOptions::sparse(),
    }
}

pub(super) fn filter(conditions: &Filter) -> client::Filter {
    let all = |filters: &[Filter]| filters.iter().map(filter).collect();
    match conditions {
        Filter::Eq(field, wanted) => client::Filter::Eq(field.clone(), value_out(wanted.clone())),
        Filter::In(field, values) => {
            client::Filter::any_of(field.clone(), values.iter().cloned().map(value_out))
        }
        Filter::Range(field, bounds) => client::Filter::range(field.clone(), range(bounds)),
        Filter::Prefix(field, prefix) => client::Filter::Prefix(field.clone(), prefix.clone()),
        Filter::Contains(field, values) => client::Filter::Contains(field.clone(), values.clone()),
        Filter::Exists(field) => client::Filter::Exists(field.clone()),
        Filter::GeoRadius(field, GeoPoint { lat, lon }, metres) => {
            client::Filter::GeoRadius(field.clone(), client::GeoPoint { lat: *lat, lon: *lon }, *metres)
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
        range = range.gt(value_out(bound.clone()));
    }
    if let Some(bound) = &bounds.gte {
        range = range.gte(value_out(bound.clone()));
    }
    if let Some(bound) = &bounds.lt {
        range = range.lt(value_out(bound.clone()));
    }
    if let Some(bound) = &bounds.lte {
        range = range.lte(value_out(bound.clone()));
    }
    range
}

pub(super) fn order(order: &OrderBy) -> client::OrderBy {
    match order.descending {
        true => client::OrderBy::descending(order.field.as_str()),
        false => client::OrderBy::ascending(order.field.as_str()),
    }
}

pub(super) fn field_type(kind: FieldType) -> client::FieldType {
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
