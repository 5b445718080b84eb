mod crash;
mod enrichment;
mod expiring;
mod ingest;
#[cfg(unix)]
mod pdfs;
mod per_document;
mod refusals;
mod requests;
mod reranking;
mod retrieval;
mod templates;
mod within;

use std::sync::atomic::{AtomicBool, Ordering};

use ragstone::limits::K_MAX;
use ragstone::{Payload, Point, Value};

use self::refusals::field_of;
use super::*;
use crate::embed::{Overflow, Role};
use crate::ingest::{ChunkPage, DocumentInput, IngestStatus, MediaType};
use crate::prompt::{ChatRole, EnrichRequest, TemplateChoice};
use crate::retrieve::DropReason;
use crate::testing::{BagOfWords, DIMENSION};

const C: &str = "default";

struct Fixture {
    rag: Rag,
    folder: tempfile::TempDir,
}

/// A model by name, offline: nothing but what is inserted is found.
fn models(folder: &Path, embedders: impl IntoIterator<Item = BagOfWords>) -> Models {
    let cache_dir = folder.join("models");
    let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
    embedders.into_iter().for_each(|embedder| models.insert(Arc::new(embedder)));
    models
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path().join("data")).unwrap();
    let rag = Rag::new(db, models(folder.path(), [BagOfWords::new("words", 256)]));
    let spec = CollectionSpec { model: Some("words".into()), ..CollectionSpec::default() };
    rag.create_collection(C, spec).unwrap();
    Fixture { rag, folder }
}

fn document(id: &str, content: &str) -> DocumentInput {
    DocumentInput {
        id: id.to_owned(),
        title: String::new(),
        source: "docs".to_owned(),
        media_type: None,
        content: content.as_bytes().to_vec(),
        metadata: Payload::new(),
        request_id: None,
    }
}

fn long(topic: &str, sections: usize) -> String {
    let body = |at| {
        format!("## Part {at}\n\n{}\n\n", format!("The {topic} of part {at} is described here. ").repeat(20))
    };
    format!("# {topic}\n\n{}", (0..sections).map(body).collect::<String>())
}

/// Every chunk is the slice of the stored text that it says.
fn check_slices(rag: &Rag, id: &str) {
    let text: Vec<char> = rag.document(C, id).unwrap().text.chars().collect();
    let chunks = rag.chunks(C, id).unwrap();
    assert_eq!(chunks.len(), rag.document(C, id).unwrap().chunks);
    for (ordinal, chunk) in chunks.iter().enumerate() {
        assert_eq!((chunk.document.as_str(), chunk.ordinal), (id, ordinal));
        assert_eq!(chunk.text, text[chunk.start..chunk.end].iter().collect::<String>());
    }
    let (mut paged, mut next) = (Vec::new(), Some(0));
    while let Some(first) = next {
        let page = rag.chunk_page(C, id, first, 2).unwrap();
        assert!(page.chunks.len() == 2 || page.next.is_none(), "{page:?}");
        (paged, next) = ([paged, page.chunks].concat(), page.next);
    }
    assert_eq!(paged, chunks);
}

#[test]
fn a_document_is_added_left_alone_replaced_and_removed() {
    let Fixture { rag, folder: _folder } = fixture();
    let added = rag.ingest(C, document("a.md", &long("alpha", 5))).unwrap();
    assert_eq!(added.status, IngestStatus::Added);
    assert!(added.chunks >= 5 && added.tokens > 0, "{added:?}");
    let stages: Vec<_> = added.timings_ms.iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages, ["extract", "split", "embed", "store"]);
    check_slices(&rag, "a.md");

    let again = rag.ingest(C, document("a.md", &long("alpha", 5))).unwrap();
    assert_eq!((again.status, again.chunks, again.tokens), (IngestStatus::Unchanged, added.chunks, 0));

    let replaced = rag.ingest(C, document("a.md", &long("beta", 2))).unwrap();
    assert_eq!(replaced.status, IngestStatus::Replaced);
    assert!(replaced.chunks < added.chunks);
    check_slices(&rag, "a.md");
    assert_eq!(
        rag.db().collection(C).unwrap().info().points as usize,
        replaced.chunks + 1,
        "no row is left over"
    );
    assert_eq!(rag.document(C, "a.md").unwrap().text, long("beta", 2));

    assert!(rag.delete_document(C, "a.md").unwrap());
    assert!(!rag.delete_document(C, "a.md").unwrap());
    assert_eq!(rag.db().collection(C).unwrap().info().points, 0);
    assert!(matches!(rag.document(C, "a.md"), Err(Error::DocumentNotFound { .. })));
    assert!(matches!(rag.chunks(C, "a.md"), Err(Error::DocumentNotFound { .. })));
    assert!(matches!(rag.chunk_page(C, "a.md", 0, 2), Err(Error::DocumentNotFound { .. })));
}

#[test]
fn metadata_is_bounded_since_every_chunk_gets_a_copy() {
    let Fixture { rag, folder: _folder } = fixture();
    let mut large = document("a.md", "# A\n\ntext");
    large.metadata.insert("note".into(), Value::from("x".repeat(crate::limits::METADATA_BYTES_MAX)));
    let error = rag.ingest(C, large).unwrap_err();
    assert!(
        matches!(&error, Error::Limit { field, limit, .. } if field == "metadata" && *limit == "METADATA_BYTES_MAX")
    );
    assert!(matches!(rag.document(C, "a.md"), Err(Error::DocumentNotFound { .. })));
}

#[test]
fn source_metadata_and_kind_count_as_content() {
    let Fixture { rag, folder: _folder } = fixture();
    let first = document("a.md", "# A\n\ntext");
    rag.ingest(C, first.clone()).unwrap();
    let mut other = first.clone();
    other.source = "elsewhere".into();
    assert_eq!(rag.ingest(C, other.clone()).unwrap().status, IngestStatus::Replaced);
    other.metadata.insert("lang".into(), Value::from("en"));
    assert_eq!(rag.ingest(C, other.clone()).unwrap().status, IngestStatus::Replaced);
    assert_eq!(rag.ingest(C, other.clone()).unwrap().status, IngestStatus::Unchanged);
    let stored = rag.document(C, "a.md").unwrap();
    assert_eq!((stored.source.as_str(), &stored.metadata), ("elsewhere", &other.metadata));
    other.media_type = Some(MediaType::Text);
    assert_eq!(rag.ingest(C, other).unwrap().status, IngestStatus::Replaced);
    assert_eq!(rag.document(C, "a.md").unwrap().media_type, MediaType::Text);
}

#[test]
fn an_empty_document_is_stored_without_chunks() {
    let Fixture { rag, folder: _folder } = fixture();
    let report = rag.ingest(C, document("empty.txt", "")).unwrap();
    assert_eq!((report.status, report.chunks), (IngestStatus::Added, 0));
    assert_eq!(rag.document(C, "empty.txt").unwrap().text, "");
    assert!(rag.chunks(C, "empty.txt").unwrap().is_empty());
    // Behind the end there is nothing, and no page is without a bound.
    let page = |first, limit| rag.chunk_page(C, "empty.txt", first, limit);
    assert_eq!(page(7, 1).unwrap(), ChunkPage { chunks: Vec::new(), next: None });
    for limit in [0, K_MAX + 1] {
        let error = page(0, limit).unwrap_err().to_string();
        assert!(error.starts_with("limit: "), "{error}");
    }
}

#[test]
fn documents_are_listed_in_order_by_source_and_page() {
    let Fixture { rag, folder: _folder } = fixture();
    let none = rag.documents(C, None, None, 10).unwrap();
    assert!(none.documents.is_empty() && none.next.is_none());
    let ids = ["a!", "a", "a#1", "b/c.md", "é.md"];
    for (at, id) in ids.iter().enumerate() {
        let mut input = document(id, &long(id, 1 + at));
        input.media_type = Some(MediaType::Markdown);
        input.source = if at % 2 == 0 { "even" } else { "odd" }.into();
        rag.ingest(C, input).unwrap();
    }
    let (mut listed, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = rag.documents(C, None, after.as_deref(), 2).unwrap();
        assert!(page.documents.len() <= 2 && page.documents.iter().all(|document| document.text.is_empty()));
        listed.extend(page.documents.into_iter().map(|document| document.id));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut sorted = ids.map(str::to_owned);
    sorted.sort();
    assert_eq!(listed, sorted);
    let odd = rag.documents(C, Some("odd"), None, K_MAX).unwrap().documents;
    assert_eq!(odd.iter().map(|document| document.id.as_str()).collect::<Vec<_>>(), ["a", "b/c.md"]);
    // `a#1` is a document of its own, not a chunk of `a`.
    assert!(rag.delete_document(C, "a").unwrap());
    check_slices(&rag, "a#1");
    for limit in [0, K_MAX + 1] {
        assert_eq!(field_of(&rag.documents(C, None, None, limit).unwrap_err()), "limit");
    }
}

#[test]
fn text_finds_what_it_is_about_and_enriches_the_question() {
    let Fixture { rag, folder: _folder } = fixture();
    for topic in ["volcanoes", "glaciers", "deserts"] {
        let mut input = document(&format!("{topic}.md"), &long(topic, 3));
        input.metadata.insert("topic".into(), Value::from(topic));
        rag.ingest(C, input).unwrap();
    }
    let (response, timings) = rag.search(C, &TextQuery::new("glaciers", 3)).unwrap();
    assert_eq!(response.hits.len(), 3);
    for hit in &response.hits {
        assert_eq!(hit.payload["topic"], Value::from("glaciers"));
    }
    assert_eq!(timings.iter().map(|(stage, _)| *stage).collect::<Vec<_>>(), ["embed", "search"]);

    let enriched = rag.enrich(C, &EnrichRequest::new("What are glaciers?")).unwrap();
    let [told, asked] = &enriched.messages[..] else { panic!("{:?}", enriched.messages) };
    assert_eq!((told.role, asked.role), (ChatRole::System, ChatRole::User));
    assert!(asked.content.ends_with("Question: What are glaciers?"), "{}", asked.content);
    assert_eq!(enriched.citations[0].document, "glaciers.md");
    assert!(enriched.tokens.total > 100 && enriched.tokens.total <= 4_000, "{:?}", enriched.tokens);
    assert_eq!(
        (enriched.query.as_str(), enriched.tokens.counted_with.as_str()),
        ("What are glaciers?", "words")
    );
    for (at, citation) in enriched.citations.iter().enumerate() {
        assert_eq!(citation.index, at + 1);
        let text = rag.document(C, &citation.document).unwrap().text;
        let slice: String = text.chars().skip(citation.start).take(citation.end - citation.start).collect();
        assert_eq!(citation.text, slice);
        assert!(asked.content.contains(&format!("[{}] {}", citation.index, citation.document)));
    }
    let stages: Vec<_> = enriched.timings_ms.iter().map(|(stage, _)| *stage).collect();
    assert_eq!(stages, ["embed", "search", "select", "assemble", "total"]);

    let mut request = EnrichRequest::new("What are glaciers?");
    request.filter = Some(Filter::eq("topic", "deserts"));
    let filtered = rag.enrich(C, &request).unwrap();
    assert!(!filtered.citations.is_empty());
    assert!(filtered.citations.iter().all(|citation| citation.document == "deserts.md"));

    request.filter = None;
    request.token_budget = 1;
    assert_eq!(field_of(&rag.enrich(C, &request).unwrap_err()), "token_budget");
    request.token_budget = enriched.tokens.instructions + enriched.tokens.question + 20;
    let nothing = rag.enrich(C, &request).unwrap();
    assert!(nothing.citations.is_empty() && nothing.prompt().contains("No passage was found"));
    assert!(nothing.dropped.iter().all(|dropped| dropped.reason == DropReason::Budget));
    assert_eq!(nothing.dropped.len(), 8);
}

#[test]
fn points_of_the_users_own_are_searched_but_not_cited() {
    let Fixture { rag, folder: _folder } = fixture();
    rag.ingest(C, document("a.md", "about rocks")).unwrap();
    let vector =
        rag.embed(Some("words"), &["rocks"], Role::Passage, Overflow::Error).unwrap().vectors.remove(0);
    rag.db().collection(C).unwrap().upsert(vec![Point::new("mine", vector)]).unwrap();
    let (response, _) = rag.search(C, &TextQuery::new("rocks", 2)).unwrap();
    assert_eq!(response.hits[0].id, "mine".into());
    let enriched = rag.enrich(C, &EnrichRequest::new("rocks?")).unwrap();
    assert_eq!(enriched.citations.len(), 1);
    assert_eq!(enriched.citations[0].document, "a.md");
}

#[test]
fn readers_see_the_old_document_or_the_new_one_whole() {
    let Fixture { rag, folder: _folder } = fixture();
    let versions = [long("alpha", 2), long("beta", 6)];
    rag.ingest(C, document("a.md", &versions[0])).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0usize;
            while !done.load(Ordering::Relaxed) {
                let chunks = rag.chunks(C, "a.md").unwrap();
                let topic = if chunks[0].text.contains("alpha") { "alpha" } else { "beta" };
                assert!(chunks.iter().all(|chunk| chunk.text.contains(topic)), "a mixture of two versions");
                let parts = if topic == "alpha" { 2 } else { 6 };
                assert!(
                    chunks.last().is_some_and(|chunk| chunk.text.contains(&format!("part {}", parts - 1)))
                );
                seen += 1;
            }
            seen
        });
        for turn in 0..20 {
            rag.ingest(C, document("a.md", &versions[(turn + 1) % 2])).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn writers_of_one_document_leave_one_whole_version() {
    let Fixture { rag, folder: _folder } = fixture();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let rag = rag.clone();
            scope.spawn(move || {
                for turn in 0..5 {
                    let text = long(&format!("topic{writer}"), 1 + (writer + turn) % 4);
                    rag.ingest(C, document("a.md", &text)).unwrap();
                    if turn == 2 {
                        rag.delete_document(C, "a.md").unwrap();
                    }
                }
            });
        }
    });
    check_slices(&rag, "a.md");
    let chunks = rag.chunks(C, "a.md").unwrap().len();
    assert_eq!(
        rag.db().collection(C).unwrap().info().points as usize,
        chunks + 1,
        "no row of another version"
    );
}

#[test]
fn documents_outlive_the_process() {
    let Fixture { rag, folder } = fixture();
    rag.ingest(C, document("a.md", &long("alpha", 3))).unwrap();
    let before = rag.chunks(C, "a.md").unwrap();
    drop(rag);
    let db = Db::open(folder.path().join("data")).unwrap();
    let rag = Rag::new(db, models(folder.path(), [BagOfWords::new("words", 256)]));
    assert_eq!(rag.chunks(C, "a.md").unwrap(), before);
    assert_eq!(rag.ingest(C, document("a.md", &long("alpha", 3))).unwrap().status, IngestStatus::Unchanged);
}
