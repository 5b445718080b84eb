//! Documents through a handle that shows the rows of one tenant.

use ragstone::{RowFilter, Sight};

use super::*;
use crate::retrieve::{Expansion, RetrievalMode, RetrieveRequest};

/// Stands in what is another tenant's.
const HUSH: &str = "hushhush";

struct Tenant(Arc<RowFilter>);

impl Scope for Tenant {
    fn sight(&self, _: &str) -> Sight {
        Sight::Rows(Arc::clone(&self.0))
    }
}

fn of(rag: &Rag, tenant: &str) -> Rag {
    let rows = RowFilter::new(Filter::eq("tenant", tenant)).unwrap();
    rag.within(Arc::new(Tenant(Arc::new(rows))))
}

fn own(id: &str, tenant: &str, content: &str) -> DocumentInput {
    let mut own = document(id, content);
    own.metadata.insert("tenant".into(), Value::from(tenant));
    own
}

fn two_tenants() -> Fixture {
    let fixture = fixture();
    for (tenant, word) in [("a", "mild"), ("b", HUSH)] {
        let text = long(&format!("tea {word}"), 4);
        fixture.rag.ingest(C, own(&format!("{tenant}.md"), tenant, &text)).unwrap();
    }
    fixture
}

#[test]
fn evidence_is_of_what_is_shown() {
    let Fixture { rag, folder: _folder } = two_tenants();
    let a = of(&rag, "a");
    let expansions = [
        Expansion::default(),
        Expansion { before: 1, after: 1, ..Expansion::default() },
        Expansion { parents: 1, ..Expansion::default() },
    ];
    for mode in [RetrievalMode::Dense, RetrievalMode::Text, RetrievalMode::Hybrid] {
        let ask = RetrieveRequest { mode, k: 50, ..RetrieveRequest::new(format!("tea {HUSH}")) };
        let all = rag.retrieve(C, &ask).unwrap().chunks;
        assert!(all.iter().any(|found| found.chunk.document == "b.md"), "{mode:?}");
        let shown = a.retrieve(C, &ask).unwrap();
        assert!(!shown.chunks.is_empty(), "{mode:?}");
        assert!(shown.chunks.iter().all(|found| found.chunk.document == "a.md"), "{mode:?}");
        for expand in expansions {
            let request = EnrichRequest { mode, expand, ..EnrichRequest::new("What of the tea?") };
            let enriched = a.enrich(C, &request).unwrap();
            assert!(!enriched.citations.is_empty(), "{mode:?} {expand:?}");
            let told = format!("{} {:?} {:?}", enriched.prompt(), enriched.citations, enriched.dropped);
            assert!(!told.contains(HUSH) && !told.contains("b.md"), "{mode:?} {expand:?}: {told}");
        }
    }
}

#[test]
fn documents_that_are_not_shown_are_not_there_and_stay_as_they_are() {
    let Fixture { rag, folder: _folder } = two_tenants();
    let a = of(&rag, "a");
    let listed = a.documents(C, None, None, 10).unwrap().documents;
    assert_eq!(listed.iter().map(|document| document.id.as_str()).collect::<Vec<_>>(), ["a.md"]);
    assert!(matches!(a.document(C, "b.md"), Err(Error::DocumentNotFound { .. })));
    assert!(matches!(a.chunks(C, "b.md"), Err(Error::DocumentNotFound { .. })));
    assert!(!a.delete_document(C, "b.md").unwrap());
    let refused = |input: DocumentInput| {
        matches!(a.ingest(C, input), Err(Error::Engine(ragstone::Error::OutOfScope { .. })))
    };
    // As another's, without saying whose, and in the place of one that is not shown.
    assert!(refused(own("c.md", "b", "# Tea\n\nMore.")));
    assert!(refused(document("c.md", "# Tea\n\nMore.")));
    assert!(refused(own("b.md", "a", "# Tea\n\nMore.")));
    assert_eq!(rag.document(C, "b.md").unwrap().text, long(&format!("tea {HUSH}"), 4));
    check_slices(&rag, "b.md");
    assert!(a.delete_document(C, "a.md").unwrap());
    assert_eq!(a.ingest(C, own("c.md", "a", "# Tea\n\nMore.")).unwrap().status, IngestStatus::Added);
}

/// As collections do that were made before there was the field.
#[test]
fn a_field_that_a_collection_lacks_comes_with_a_row() {
    let Fixture { rag, folder: _folder } = fixture();
    let made = rag.db().collection(C).unwrap().schema();
    let attributes = made.attributes().iter();
    let lacking =
        attributes.fold(Schema::builder(DIMENSION), |schema, (name, value)| schema.attribute(name, value));
    let fields = reserved::FIELDS.iter().filter(|(field, _)| *field != reserved::REQUEST);
    let lacking = fields.fold(lacking, |schema, (field, kind)| schema.field(*field, *kind));
    let words = reserved::WORDS.iter();
    let lacking = words.fold(lacking, |schema, field| schema.text(*field, Analyzer::English));
    let old = rag.db().create_collection("old", lacking.build().unwrap()).unwrap();
    let asked = DocumentInput { request_id: Some("r".into()), ..own("a.md", "a", "# Tea\n\nMore.") };
    let a = of(&rag, "a");
    assert_eq!(a.ingest("old", asked).unwrap().status, IngestStatus::Added);
    assert!(old.schema().fields().contains_key(reserved::REQUEST));
}
