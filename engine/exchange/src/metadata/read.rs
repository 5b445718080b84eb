//! From the text to the schema.

use ragstone::{
    DenseOptions, ElementType, FieldType, GraphOptions, Metric, MultiOptions, Schema, SchemaBuilder,
    VectorKind,
};
use serde_json::Value as Json;

use super::{ELEMENTS, ENCODINGS, METRICS, VERSION};
use crate::layout::{Column, Role};

/// What a file says of the collection that it is of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) schema: Schema,
    pub(crate) columns: Vec<Column>,
}

/// What is wrong with the text.
type Read<T> = std::result::Result<T, String>;

impl Stored {
    /// Reads the text.
    pub(crate) fn read(text: &str) -> Read<Self> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match json["version"].as_u64() {
            Some(VERSION) => {}
            Some(other) => return Err(format!("version {other}, this program reads {VERSION}")),
            None => return Err("it has no version".to_owned()),
        }
        let mut builder = Schema::without_vector();
        for (name, vector) in object(&json, "vectors")? {
            builder =
                with_vector(builder, name, vector).map_err(|error| format!("vector `{name}`: {error}"))?;
        }
        for (name, field_type) in object(&json, "fields")? {
            let field_type =
                named(&FieldType::ALL, field_type).map_err(|error| format!("field `{name}`: {error}"))?;
            builder = builder.field(name, field_type);
        }
        for (name, analyzer) in object(&json, "texts")? {
            let analyzer = string(analyzer)?.parse().map_err(|error| format!("text `{name}`: {error}"))?;
            builder = builder.text(name, analyzer);
        }
        for (name, value) in object(&json, "attributes")? {
            builder = builder.attribute(name, string(value)?);
        }
        if let Some(tenant) = Some(&json["tenant"]).filter(|tenant| !tenant.is_null()) {
            builder = builder.tenant(string(tenant)?);
        }
        let strict = json["strict"].as_bool().ok_or("`strict` is neither true nor false")?;
        let schema = builder.strict(strict).build().map_err(|error| error.to_string())?;
        let columns = json["columns"].as_array().ok_or("`columns` is no list")?;
        let columns = columns.iter().map(|json| column(json, &schema)).collect::<Read<_>>()?;
        Ok(Self { schema, columns })
    }
}

fn column(json: &Json, schema: &Schema) -> Read<Column> {
    let name = string(&json["column"])?.to_owned();
    let role = if let Some(vector) = json["vector"].as_str() {
        let kind = schema.vectors().get(vector);
        Role::Vector(vector.to_owned(), *kind.ok_or_else(|| format!("there is no vector `{vector}`"))?)
    } else if let Some(field) = json["field"].as_str() {
        let kind = schema.fields().get(field);
        Role::Field(field.to_owned(), *kind.ok_or_else(|| format!("there is no field `{field}`"))?)
    } else if json["expires_at"] == true {
        Role::Expiry
    } else {
        match json["id"].as_str() {
            Some("number") => Role::NumberId,
            Some("text") => Role::TextId,
            _ => return Err(format!("column `{name}` is neither an id, a vector nor a field")),
        }
    };
    Ok(Column { name, role })
}

fn with_vector(builder: SchemaBuilder, name: &str, json: &Json) -> Read<SchemaBuilder> {
    let kind = match string(&json["kind"])? {
        "sparse" => return Ok(builder.sparse(name)),
        "dense" => VectorKind::Dense(dense(json)?),
        "multi" => VectorKind::Multi(
            MultiOptions::new(size(json, "dimension")?).metric(metric(json)?).element(element(json)?),
        ),
        other => return Err(format!("the kind `{other}` is not known")),
    };
    Ok(match kind {
        VectorKind::Dense(options) => builder.vector(name, options),
        VectorKind::Multi(options) => builder.multi(name, options),
        _ => builder.sparse(name),
    })
}

fn dense(json: &Json) -> Read<DenseOptions> {
    let encoding = string(&json["encoding"])?;
    let encoding = ENCODINGS.iter().find(|(_, name)| *name == encoding).map(|(kind, _)| *kind);
    let graph = GraphOptions {
        degree: size(&json["graph"], "degree")?,
        ef_construction: size(&json["graph"], "ef_construction")?,
    };
    let options = DenseOptions::new(size(json, "dimension")?)
        .metric(metric(json)?)
        .element(element(json)?)
        .encoding(encoding.ok_or_else(|| format!("the encoding {} is not known", json["encoding"]))?)
        .graph(graph);
    Ok(match json["walk_dimension"].is_null() {
        true => options,
        false => options.walk_dimension(size(json, "walk_dimension")?),
    })
}

fn metric(json: &Json) -> Read<Metric> {
    named(&METRICS, &json["metric"])
}

fn element(json: &Json) -> Read<ElementType> {
    let name = string(&json["element"])?;
    let found = ELEMENTS.iter().find(|(_, known)| *known == name).map(|(element, _)| *element);
    found.ok_or_else(|| format!("the element type `{name}` is not known"))
}

/// The one of these that is called so.
fn named<T: Copy + std::fmt::Display>(all: &[T], name: &Json) -> Read<T> {
    let name = string(name)?;
    let found = all.iter().find(|known| known.to_string() == name).copied();
    found.ok_or_else(|| format!("`{name}` is not known"))
}

fn size(json: &Json, name: &str) -> Read<usize> {
    let size = json[name].as_u64().and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| format!("`{name}` is no whole number"))
}

fn string(json: &Json) -> Read<&str> {
    json.as_str().ok_or_else(|| format!("{json} is no string"))
}

fn object<'a>(json: &'a Json, name: &str) -> Read<&'a serde_json::Map<String, Json>> {
    json[name].as_object().ok_or_else(|| format!("`{name}` is no object"))
}
