//! What is refused, with which field named, and that nothing of it is stored.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::embed::{Embedder, Embeddings, ModelInfo};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, EMBED_TEXTS_MAX, TEXT_BYTES_MAX};

pub(super) fn field_of(error: &Error) -> &str {
    match error {
        Error::Invalid { field, .. } | Error::Limit { field, .. } | Error::TokenLimit { field, .. } => field,
        Error::Engine(ragstone::Error::Invalid { field, .. } | ragstone::Error::Limit { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_collection_without_a_model_has_no_text() {
    let Fixture { rag, folder: _folder } = fixture();
    let spec = CollectionSpec { dimension: Some(3), ..CollectionSpec::default() };
    let info = rag.create_collection("vectors", spec).unwrap();
    assert_eq!(info.schema.dimension(), 3);
    assert!(rag.collection_model("vectors").unwrap().is_none());
    assert_eq!(rag.collection_model(C).unwrap().unwrap().dimension, DIMENSION);
    let refused = [
        rag.search("vectors", &TextQuery::new("x", 1)).err(),
        rag.enrich("vectors", &EnrichRequest::new("x")).err(),
        rag.ingest("vectors", document("a.md", "x")).err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::NoModel { .. })), "{error:?}");
    }
    assert!(rag.documents("vectors", None, None, 10).unwrap().documents.is_empty());
    assert!(!rag.delete_document("vectors", "a.md").unwrap());
    let unknown = rag.search("nowhere", &TextQuery::new("x", 1)).unwrap_err();
    assert!(matches!(unknown, Error::Engine(ragstone::Error::CollectionNotFound { .. })));
}

#[test]
fn a_collection_is_made_of_a_model_or_a_dimension_not_both() {
    let Fixture { rag, folder: _folder } = fixture();
    let with = |spec: CollectionSpec| field_of(&rag.create_collection("c", spec).unwrap_err()).to_owned();
    let model = || CollectionSpec { model: Some("words".into()), ..CollectionSpec::default() };
    assert_eq!(with(CollectionSpec { dimension: Some(3), ..model() }), "dimension");
    assert_eq!(with(CollectionSpec { metric: Metric::L2, ..model() }), "metric");
    assert_eq!(
        with(CollectionSpec { fields: vec![("_x".into(), FieldType::Int)], ..model() }),
        "fields[0]._x"
    );
    let chunks = "64/8".parse().unwrap();
    assert_eq!(with(CollectionSpec { chunks, ..CollectionSpec::with_dimension(3) }), "chunks");
    let analyzer = ragstone::Analyzer::Code;
    assert_eq!(with(CollectionSpec { analyzer, ..CollectionSpec::default() }), "analyzer");
    let info = rag.create_collection("code", CollectionSpec { chunks, analyzer, ..model() }).unwrap();
    assert_eq!(crate::TextOptions::of(&info).unwrap(), Some(crate::TextOptions { chunks, analyzer }));
    let bare = rag.create_collection("bare", CollectionSpec::default()).unwrap();
    assert!(bare.schema.vectors().is_empty(), "with neither, rows are found by their fields alone");
    let unknown =
        rag.create_collection("c", CollectionSpec { model: Some("/no/such/model".into()), ..model() });
    assert!(unknown.is_err());
    assert!(rag.db().collection("c").is_err(), "nothing is made");
    rag.create_collection("dot", CollectionSpec { metric: Metric::Dot, strict: true, ..model() }).unwrap();
    rag.ingest("dot", document("a.md", "strict collections hold documents too")).unwrap();
}

/// Counts the calls of its embedder.
struct Counted(BagOfWords, Arc<AtomicUsize>);

impl Embedder for Counted {
    fn info(&self) -> &ModelInfo {
        self.0.info()
    }
    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.embed(texts, role, overflow)
    }
    fn count_tokens(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }
    fn overhead_tokens(&self, role: Role) -> usize {
        self.0.overhead_tokens(role)
    }
}

#[test]
fn several_queries_are_one_call_and_are_refused_by_their_own_names() {
    let Fixture { rag, folder: _folder } = fixture();
    let calls = Arc::new(AtomicUsize::new(0));
    rag.models().insert(Arc::new(Counted(BagOfWords::new("counted", 8), calls.clone())));
    rag.create_collection("counted", CollectionSpec::with_model("counted")).unwrap();
    let texts = [("query.text", "one"), ("query.fuse[1].text", "two words"), ("other", "three of them")];
    let together = rag.embed_queries(&rag.db().collection("counted").unwrap(), &texts).unwrap();
    assert_eq!((together.len(), calls.load(Ordering::SeqCst)), (3, 1));
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(
            &rag.embed_queries(&rag.db().collection("counted").unwrap(), &[*text]).unwrap()[0],
            vector
        );
    }
    let long = "word ".repeat(7);
    let refused = rag
        .embed_queries(&rag.db().collection("counted").unwrap(), &[("first", "short"), ("second", &long)])
        .unwrap_err();
    assert!(matches!(refused, Error::TokenLimit { tokens: 9, max: 8, .. }), "{refused}");
    assert_eq!(field_of(&refused), "second");
}

#[test]
fn another_model_is_refused() {
    let Fixture { rag, folder } = fixture();
    rag.ingest(C, document("a.md", "text")).unwrap();
    let contract = rag.collection_model(C).unwrap().unwrap();
    let other = ModelInfo { sha256: Some("ff".repeat(32)), ..contract.clone() };
    let rag = Rag::new(rag.db().clone(), models(folder.path(), [BagOfWords::with_info(other)]));
    let refused = [
        rag.search(C, &TextQuery::new("x", 1)).err(),
        rag.enrich(C, &EnrichRequest::new("x")).err(),
        rag.ingest(C, document("a.md", "changed")).err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::ModelMismatch { .. })), "{error:?}");
    }
    assert_eq!(rag.document(C, "a.md").unwrap().text, "text", "reading needs no model");
    let missing = Rag::new(rag.db().clone(), models(folder.path(), []));
    assert!(missing.search(C, &TextQuery::new("x", 1)).is_err());
}

#[test]
fn bad_input_names_the_field_and_stores_nothing() {
    let Fixture { rag, folder: _folder } = fixture();
    let base = document("a.md", "text");
    let cases: Vec<(&str, DocumentInput)> = vec![
        ("id", DocumentInput { id: String::new(), ..base.clone() }),
        ("id", DocumentInput { id: "x".repeat(DOCUMENT_ID_BYTES_MAX + 1), ..base.clone() }),
        ("id", DocumentInput { id: "a\nb.md".into(), ..base.clone() }),
        ("source", DocumentInput { source: "x".repeat(DOCUMENT_ID_BYTES_MAX + 1), ..base.clone() }),
        ("content", DocumentInput { content: vec![b'x'; DOCUMENT_BYTES_MAX + 1], ..base.clone() }),
        (
            "metadata._text",
            DocumentInput { metadata: [("_text".into(), Value::from("x"))].into(), ..base.clone() },
        ),
    ];
    for (field, input) in cases {
        assert_eq!(field_of(&rag.ingest(C, input).unwrap_err()), field);
    }
    for (id, content) in
        [("a.pdf", b"x".as_slice()), ("a.md", b"\xff\xfe"), ("a.txt", b"a\0b"), ("a.txt", b"\xc3(")]
    {
        let error =
            rag.ingest(C, DocumentInput { content: content.to_vec(), ..document(id, "") }).unwrap_err();
        assert!(matches!(&error, Error::NotText { document, .. } if document == id), "{error:?}");
    }
    assert_eq!(rag.db().collection(C).unwrap().info().points, 0);

    let ask = |question: &str| EnrichRequest::new(question);
    let requests = [
        ("question", ask("")),
        ("question", ask(" \n")),
        ("question", ask(&"x".repeat(TEXT_BYTES_MAX + 1))),
        ("question", ask(&"word ".repeat(300))),
        ("k", EnrichRequest { k: 0, ..ask("q") }),
        ("k", EnrichRequest { k: K_MAX + 1, ..ask("q") }),
        ("token_budget", EnrichRequest { token_budget: 0, ..ask("q") }),
        ("token_budget", EnrichRequest { token_budget: usize::MAX, ..ask("q") }),
        (
            "template_source",
            EnrichRequest { template: TemplateChoice::Source(" ".repeat(1 << 20)), ..ask("q") },
        ),
    ];
    for (field, request) in requests {
        assert_eq!(field_of(&rag.enrich(C, &request).unwrap_err()), field);
    }
    let template = TemplateChoice::Source("{{ nothing }}".into());
    let template = EnrichRequest { template, ..ask("q") };
    assert!(matches!(rag.enrich(C, &template), Err(Error::Template { .. })));
    for text in ["", "\t"] {
        assert_eq!(field_of(&rag.search(C, &TextQuery::new(text, 1)).unwrap_err()), "text");
    }
    assert_eq!(field_of(&rag.search(C, &TextQuery::new("word ".repeat(300), 1)).unwrap_err()), "text");
    assert!(rag.search(C, &TextQuery::new("x", 0)).is_err());
    let many = vec!["x"; EMBED_TEXTS_MAX + 1];
    assert_eq!(
        field_of(&rag.embed(Some("words"), &many, Role::Plain, Overflow::Error).unwrap_err()),
        "texts"
    );
    let large = "x".repeat(TEXT_BYTES_MAX + 1);
    let error = rag.embed(Some("words"), &["x", &large], Role::Plain, Overflow::Error).unwrap_err();
    assert_eq!(field_of(&error), "texts[1]");
}
