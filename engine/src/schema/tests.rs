//! What a schema is checked for.

use super::*;
use crate::limits::{DIMENSION_MAX, EF_MAX, GRAPH_DEGREE_MAX};

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
