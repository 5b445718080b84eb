use ragstone::{Analyzer, FieldType, GraphOptions};

use super::*;
use crate::layout;
use crate::options::ColumnNames;
use crate::seam::IdKinds;

fn schema() -> Schema {
    let dense = DenseOptions::new(8)
        .metric(Metric::Dot)
        .element(ElementType::F16)
        .encoding(EncodingKind::Bit1)
        .walk_dimension(4)
        .graph(GraphOptions { degree: 48, ef_construction: 200 });
    let builder = Schema::builder(384).vector("title", dense).sparse("words");
    let builder =
        builder.multi("tokens", MultiOptions::new(128).metric(Metric::Dot).element(ElementType::F16));
    let named = |builder: ragstone::SchemaBuilder, field_type: &FieldType| {
        builder.field(format!("a {field_type}"), *field_type)
    };
    let builder = FieldType::ALL.iter().fold(builder, named);
    builder
        .text("body", Analyzer::German)
        .tenant("a int")
        .strict(true)
        .attribute("model", "{\"x\": 1}")
        .build()
        .unwrap()
}

#[test]
fn a_schema_comes_back_whole() {
    for ids in [(true, false), (false, true), (true, true)] {
        let ids = IdKinds { numbers: ids.0, texts: ids.1 };
        let columns = layout::of(&schema(), ids, &ColumnNames::default());
        let stored = Stored::read(&write(&schema(), &columns)).unwrap();
        assert_eq!(stored, Stored { schema: schema(), columns });
    }
}

#[test]
fn what_is_not_known_is_an_error_and_never_a_default() {
    let text = write(&schema(), &layout::of(&schema(), IdKinds::default(), &ColumnNames::default()));
    let cases = [
        ("\"version\":1", "\"version\":2", "version 2, this program reads 1"),
        ("\"bit1\"", "\"bit0\"", "vector `title`: the encoding \"bit0\" is not known"),
        ("\"f16\"", "\"f8\"", "the element type `f8` is not known"),
        ("\"sparse\"", "\"graph\"", "vector `words`: the kind `graph` is not known"),
        ("\"geo\"", "\"plane\"", "field `a geo`: `plane` is not known"),
        ("\"german\"", "\"klingon\"", "text `body`: "),
        ("\"tenant\":\"a int\"", "\"tenant\":\"a geo\"", "a tenant key is a string or an int"),
        ("\"strict\":true", "\"strict\":1", "`strict` is neither"),
        ("\"dimension\":384", "\"dimension\":0", "a vector has at least one component"),
        ("\"field\":\"body\"", "\"field\":\"nobody\"", "there is no field `nobody`"),
        ("\"id\":\"number\"", "\"id\":\"colour\"", "column `id` is neither"),
    ];
    for (known, unknown, expected) in cases {
        assert!(text.contains(known), "{known} in {text}");
        let error = Stored::read(&text.replace(known, unknown)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        assert!(Stored::read(&text[..end]).is_err());
    }
}
