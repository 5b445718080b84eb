//! What a schema is checked for.

use super::*;
use crate::limits::{ATTRIBUTE_BYTES_MAX, DIMENSION_MAX, EF_MAX, GRAPH_DEGREE_MAX, VECTORS_MAX};

#[test]
fn every_part_is_checked_and_named() {
    let long = "x".repeat(FIELD_NAME_BYTES_MAX + 1);
    let graph = |degree, ef_construction| GraphOptions { degree, ef_construction };
    let cases = [
        (Schema::builder(0), "schema.dimension"),
        (Schema::builder(DIMENSION_MAX + 1), "schema.dimension"),
        (Schema::builder(4).walk_dimension(0), "schema.walk_dimension"),
        (Schema::builder(4).walk_dimension(5), "schema.walk_dimension"),
        (Schema::builder(4).graph(graph(3, 100)), "schema.graph.degree"),
        (Schema::builder(4).graph(graph(GRAPH_DEGREE_MAX + 1, 100)), "schema.graph.degree"),
        (Schema::builder(4).graph(graph(16, 0)), "schema.graph.ef_construction"),
        (Schema::builder(4).graph(graph(16, EF_MAX + 1)), "schema.graph.ef_construction"),
        (Schema::builder(4).field("", FieldType::Int), "schema.fields."),
        (Schema::builder(4).text("a", Analyzer::Code).field("a", FieldType::Int), "schema.fields.a"),
        (Schema::builder(4).field("a", FieldType::Float).tenant("a"), "schema.tenant"),
        (Schema::builder(4).tenant(""), "schema.fields."),
        (Schema::builder(4).field(long, FieldType::Int), "schema.fields.xxx"),
        (
            Schema::builder(4).attribute("model", "y".repeat(ATTRIBUTE_BYTES_MAX + 1)),
            "schema.attributes.model",
        ),
    ];
    let named = |name: &str, dimension| {
        (
            Schema::without_vector().vector(name, DenseOptions::new(dimension)),
            format!("schema.vectors.{name}"),
        )
    };
    let l2 = MultiOptions::new(2).metric(Metric::L2);
    let many = (0..=VECTORS_MAX).fold(Schema::builder(4), |schema, n| schema.sparse(format!("v{n}")));
    let others = [
        named("a\n", 4),
        named("image", 0),
        (Schema::without_vector().sparse(""), "schema.vectors.".into()),
        (Schema::builder(4).multi("m", l2), "schema.vectors.m.metric".into()),
        (many, "schema.vectors".into()),
        (Schema::without_vector().metric(Metric::L2), "schema.vectors: metric".into()),
    ];
    for (builder, path) in others {
        let message = builder.build().unwrap_err().to_string();
        assert!(message.starts_with(&path.escape_default().to_string()), "{message}");
    }
    for (builder, path) in cases {
        let message = builder.build().unwrap_err().to_string();
        assert!(message.starts_with(path), "{message}");
    }
    assert!(Schema::builder(DIMENSION_MAX).graph(graph(4, 1)).build().is_ok());
}

/// The last of them was taken, and the first one gone without a word.
#[test]
fn what_is_declared_twice_is_refused() {
    let three = || Schema::builder(3);
    let vector = |dimension| DenseOptions::new(dimension);
    let cases = [
        (
            three().vector("a", vector(3)).sparse("a"),
            "schema.vectors.a: two vectors have this name: one is dense, one is sparse",
        ),
        (three().vector("a", vector(3)).vector("a", vector(4)), "schema.vectors.a: two"),
        (three().sparse("a").multi("a", MultiOptions::new(2)), "schema.vectors.a: two"),
        (three().vector(DEFAULT_VECTOR, vector(4)), "schema.vectors.: two"),
        (
            three().field("f", FieldType::Int).field("f", FieldType::Float),
            "schema.fields.f: it is declared twice: as int and as float",
        ),
        (three().field("f", FieldType::Int).field("f", FieldType::Int), "schema.fields.f: it is"),
        (
            three().text("t", Analyzer::Code).text("t", Analyzer::English),
            "schema.fields.t: it is declared twice: searched by word as code and as english",
        ),
        (
            three().field("t", FieldType::Int).text("t", Analyzer::Code),
            "schema.fields.t: a field that is searched by word is of type string",
        ),
        (
            three().field("f", FieldType::Int).build().unwrap().to_builder().field("f", FieldType::Int),
            "schema.fields.f: it",
        ),
    ];
    for (builder, expected) in cases {
        let message = builder.build().unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let (before, after) = (
        three().field("t", FieldType::String).text("t", Analyzer::Code),
        three().text("t", Analyzer::Code).field("t", FieldType::String),
    );
    assert_eq!(before.build().unwrap(), after.build().unwrap());
}

#[test]
fn vectors_are_found_by_name_and_the_default_one_comes_first() {
    let schema = Schema::builder(4).sparse("a").vector("b", DenseOptions::new(2)).build().unwrap();
    assert_eq!(schema.dense_place("p", DEFAULT_VECTOR).unwrap(), 0);
    assert_eq!(schema.dense_place("p", "b").unwrap(), 1);
    assert_eq!(schema.vector("p", "b").unwrap().0, 2);
    let error = schema.dense_place("p", "a").unwrap_err().to_string();
    assert_eq!(error, "p: the vector `a` is sparse, this is for dense ones");
    let error = schema.dense_place("p", "c").unwrap_err().to_string();
    assert_eq!(error, "p: the collection has no vector `c`, only ``, `a`, `b`");
    let without = Schema::without_vector().build().unwrap();
    assert_eq!((without.dimension(), without.dense().count()), (0, 0));
    let error = without.vector("p", DEFAULT_VECTOR).unwrap_err().to_string();
    assert_eq!(error, "p: the collection has no vectors");
}
