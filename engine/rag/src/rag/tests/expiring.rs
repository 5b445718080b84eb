//! Chunks that expire while they are asked for, by a clock that jumps between two looks at it.

use std::sync::atomic::AtomicI64;

use ragstone::{Clock, DbOptions, Update};

use super::super::documents::READ_BATCH;
use super::*;
use crate::ingest::ChunkOptions;
use crate::retrieve::{Expansion, RetrievalMode, RetrieveRequest};

/// When the chunks of one document expire.
const MOMENT: i64 = 1_000;

/// Two documents, of which the chunks of `brief.md`, so many parts, expire, and how often the clock is to be looked at before they do.
fn passing(parts: usize) -> (Fixture, Arc<AtomicI64>) {
    let (folder, left) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(i64::MAX)));
    let looks = left.clone();
    let clock = Clock::new(move || if looks.fetch_sub(1, Ordering::SeqCst) > 0 { 0 } else { MOMENT });
    let mut options = DbOptions::default();
    (options.clock, options.background) = (clock, false);
    let db = Db::in_memory_with(options).unwrap();
    let rag = Rag::new(db, models(folder.path(), [BagOfWords::new("words", 256)]));
    let chunks = ChunkOptions { tokens: 48, overlap: 0 };
    rag.create_collection(C, CollectionSpec { chunks, ..CollectionSpec::with_model("words") }).unwrap();
    for (id, topic, parts) in [("brief.md", "glaciers", parts), ("lasting.md", "volcanoes", 4)] {
        rag.ingest(C, document(id, &long(topic, parts))).unwrap();
    }
    let expiring = |ordinal| Update::new(reserved::chunk_row("brief.md", ordinal)).expires_at(MOMENT);
    let brief = 0..rag.chunks(C, "brief.md").unwrap().len();
    rag.db().collection(C).unwrap().update(brief.map(expiring).collect()).unwrap();
    rag.db().compact().unwrap();
    (Fixture { rag, folder }, left)
}

/// Chunks that were found and had expired when they were read were missing, and nothing came in their place.
#[test]
fn what_is_found_and_what_is_made_of_it_are_of_one_moment() {
    let (Fixture { rag, folder: _folder }, left) = passing(4);
    let question = "the glaciers and volcanoes of part 2";
    let retrieved = |mode: RetrievalMode| -> Vec<(String, usize)> {
        let found = rag.retrieve(C, &RetrieveRequest { mode, ..RetrieveRequest::new(question) }).unwrap();
        found.chunks.into_iter().map(|found| (found.chunk.document, found.chunk.ordinal)).collect()
    };
    let cited = |mode: RetrievalMode| -> Vec<(String, usize)> {
        let expand = Expansion { before: 1, after: 1, ..Expansion::default() };
        let request = EnrichRequest { mode, expand, ..EnrichRequest::new(question) };
        let citations = rag.enrich(C, &request).unwrap().citations;
        let chunks = citations.iter().flat_map(|of| of.chunks.iter().map(move |chunk| (of, chunk.ordinal)));
        chunks.map(|(of, ordinal)| (of.document.clone(), ordinal)).collect()
    };
    let asks: [&dyn Fn(RetrievalMode) -> Vec<(String, usize)>; 2] = [&retrieved, &cited];
    for mode in RetrievalMode::ALL {
        for ask in asks {
            let after_looks = |looks: i64| {
                left.store(looks, Ordering::SeqCst);
                ask(mode)
            };
            let (before, after) = (after_looks(i64::MAX), after_looks(0));
            let has_brief = |found: &[(String, usize)]| found.iter().any(|(id, _)| id == "brief.md");
            assert!(has_brief(&before) && !has_brief(&after) && !after.is_empty(), "{before:?} {after:?}");
            for looks in 1..12 {
                let found = after_looks(looks);
                assert!(found == before || found == after, "{mode}, {looks} looks: {found:?}");
            }
        }
    }
}

/// Those of a long document are read a thousand at a time, and half of it was there.
#[test]
fn the_chunks_of_a_document_are_of_one_moment() {
    let (Fixture { rag, folder: _folder }, left) = passing(400);
    let reads: [&dyn Fn() -> usize; 2] = [&|| rag.chunks(C, "brief.md").unwrap().len(), &|| {
        rag.chunk_page(C, "brief.md", 0, K_MAX).unwrap().chunks.len()
    }];
    for read in reads {
        let count = |looks: i64| {
            left.store(looks, Ordering::SeqCst);
            read()
        };
        let (before, after) = (count(i64::MAX), count(0));
        assert!(before > READ_BATCH && after == 0, "{before} chunks, {after} later");
        for looks in 1..6 {
            let found = count(looks);
            assert!(found == before || found == after, "{looks} looks: {found} of {before}");
        }
    }
}
