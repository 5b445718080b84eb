//! The schema of a server's collection as the engine's, and back.

use anyhow::{Context, Result, bail};
use ragstone::{
    DEFAULT_VECTOR, DenseOptions, ElementType, EncodingKind, GraphOptions, Metric, MultiOptions, Schema,
    SchemaBuilder, VectorKind,
};
use ragstone_client as client;
use ragstone_rag::embed::{Arithmetic, ModelInfo, Pooling};
use ragstone_rag::reserved::{CHUNKS_ATTRIBUTE, MODEL_ATTRIBUTE, REQUEST_ATTRIBUTE};

use super::{field_type, types, wire_size};

/// The schema, with the contract of the model as the attribute that keeps it.
pub(super) fn of(collection: &client::Collection) -> Result<Schema> {
    let mut builder = Schema::without_vector();
    for (name, kind) in &collection.vector_options {
        builder = with_vector(builder, name, kind)?;
    }
    for (name, kind) in &collection.fields {
        let found = ragstone::FieldType::ALL.into_iter().find(|known| field_type(*known) == *kind);
        let found =
            found.with_context(|| format!("field `{name}` is of a type that this program does not know"))?;
        builder = builder.field(name, found);
    }
    for (field, analyzer) in &collection.texts {
        builder = builder.text(field, analyzer.parse().with_context(|| format!("text `{field}`"))?);
    }
    if let Some(tenant) = &collection.tenant {
        builder = builder.tenant(tenant);
    }
    if let Some(model) = &collection.model {
        builder = builder.attribute(MODEL_ATTRIBUTE, serde_json::to_string(&contract(model)?)?);
    }
    Ok(builder.strict(collection.strict).build()?)
}

fn with_vector(builder: SchemaBuilder, name: &str, kind: &client::VectorKind) -> Result<SchemaBuilder> {
    Ok(match kind {
        client::VectorKind::Dense {
            dimension,
            metric: of,
            element: stored_as,
            encoding: walked_as,
            walk_dimension,
            degree,
            ef_construction,
        } => {
            let graph = GraphOptions { degree: *degree, ef_construction: *ef_construction };
            let options = DenseOptions::new(*dimension)
                .metric(metric(*of)?)
                .element(element(*stored_as)?)
                .encoding(encoding(*walked_as)?)
                .graph(graph);
            builder
                .vector(name, walk_dimension.map_or(options, |components| options.walk_dimension(components)))
        }
        client::VectorKind::Multi { dimension, metric: of, element: stored_as } => builder
            .multi(name, MultiOptions::new(*dimension).metric(metric(*of)?).element(element(*stored_as)?)),
        client::VectorKind::Sparse => builder.sparse(name),
        _ => bail!("vector `{name}` is of a kind that this program does not know"),
    })
}

fn metric(wire: client::Metric) -> Result<Metric> {
    let found =
        [Metric::Cosine, Metric::Dot, Metric::L2].into_iter().find(|known| types::metric(*known) == wire);
    found.with_context(|| format!("the metric {wire} is not known"))
}

fn element(wire: client::ElementType) -> Result<ElementType> {
    let found = [ElementType::F32, ElementType::F16].into_iter().find(|known| types::element(*known) == wire);
    found.with_context(|| format!("the element type {wire} is not known"))
}

fn encoding(wire: client::Encoding) -> Result<EncodingKind> {
    let all =
        [EncodingKind::F32, EncodingKind::F16, EncodingKind::Int8, EncodingKind::Int4, EncodingKind::Bit1];
    let found = all.into_iter().find(|known| types::encoding(*known) == wire);
    found.with_context(|| format!("the encoding {wire} is not known"))
}

fn contract(model: &client::ModelInfo) -> Result<ModelInfo> {
    Ok(ModelInfo {
        name: model.name.clone(),
        sha256: model.sha256.clone(),
        dimension: model.dimension,
        max_tokens: model.max_tokens,
        pooling: match model.pooling {
            client::Pooling::Cls => Pooling::Cls,
            client::Pooling::Mean => Pooling::Mean,
            client::Pooling::Max => Pooling::Max,
            client::Pooling::MeanSqrtLen => Pooling::MeanSqrtLen,
            client::Pooling::LastToken => Pooling::LastToken,
            client::Pooling::WeightedMean => Pooling::WeightedMean,
            client::Pooling::Remote => Pooling::Remote,
            _ => bail!("the pooling of model {} is not known", model.name),
        },
        normalize: model.normalize,
        query_prefix: model.query_prefix.clone(),
        passage_prefix: model.passage_prefix.clone(),
        arithmetic: match model.arithmetic {
            client::Arithmetic::Float => Arithmetic::Float,
            client::Arithmetic::Int8 => Arithmetic::Int8,
            _ => bail!("the arithmetic of model {} is not known", model.name),
        },
    })
}

/// What asks for a collection of this schema.
pub(super) fn create(name: &str, schema: &Schema) -> Result<client::CreateCollection> {
    for name in schema.attributes().keys() {
        match name.as_str() {
            // Of the request that the other collection was made by.
            REQUEST_ATTRIBUTE => {}
            MODEL_ATTRIBUTE | CHUNKS_ATTRIBUTE => bail!(
                "the file is of a collection with documents, which a server takes by `ingest` only: import it into a directory, \
                 with --data"
            ),
            _ => bail!(
                "the file is of a collection with the attribute `{name}`, which no server takes: import it into a directory, \
                 with --data"
            ),
        }
    }
    let mut request = match schema.default_vector() {
        Some(options) => {
            let request = client::CreateCollection::with_dimension(name, wire_size(options.dimension))
                .metric(types::metric(options.metric))
                .element(types::element(options.element))
                .encoding(types::encoding(options.encoding))
                .graph(wire_size(options.graph.degree), wire_size(options.graph.ef_construction));
            let walk = options.walk_dimension.map(wire_size);
            walk.map_or(request.clone(), |components| request.walk_dimension(components))
        }
        None => client::CreateCollection::without_vector(name),
    };
    for (vector, kind) in schema.vectors().iter().filter(|(vector, _)| *vector != DEFAULT_VECTOR) {
        if !matches!(kind, VectorKind::Dense(_) | VectorKind::Multi(_) | VectorKind::Sparse(_)) {
            bail!("vector `{vector}` is of a kind that no server takes");
        }
        request = request.vector(vector.as_str(), types::vector_options(kind));
    }
    for (field, kind) in schema.fields() {
        request = request.field(field.as_str(), field_type(*kind));
    }
    for (field, analyzer) in schema.texts() {
        request = request.text(field.as_str(), analyzer.name());
    }
    if let Some(tenant) = schema.tenant() {
        request = request.tenant(tenant);
    }
    Ok(request.strict(schema.strict()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever had been made over the wire, which names a request, was taken for a collection with documents and refused.
    #[test]
    fn a_collection_that_a_request_made_is_made_again() {
        let made = |attribute: &str| {
            let schema = Schema::builder(2).attribute(attribute, "x").attribute(REQUEST_ATTRIBUTE, "r");
            create("notes", &schema.build().unwrap()).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(made(REQUEST_ATTRIBUTE), Ok(()));
        assert!(made(MODEL_ATTRIBUTE).unwrap_err().contains("a collection with documents"));
        assert!(made("made by").unwrap_err().contains("the attribute `made by`, which no server takes"));
    }
}
