//! The whole path with the default model: what its tokenizer really counts, and whether questions find their answers.
//!
//! The model is fetched if it is not in the cache; where it is not to be had, the tests say so.

use std::path::Path;

use ragstone::Db;
use ragstone_rag::embed::{DEFAULT_MODEL, ModelOptions, Models};
use ragstone_rag::ingest::{DocumentInput, IngestStatus, MediaType};
use ragstone_rag::prompt::EnrichRequest;
use ragstone_rag::{CollectionSpec, Error, Rag, Result};

const C: &str = "default";

/// A collection for the default model, unless that is not to be had.
fn text_collection(folder: &Path) -> Result<Option<Rag>> {
    let rag = Rag::new(Db::open(folder)?, Models::new(ModelOptions::default()));
    match rag.create_collection(C, CollectionSpec::with_model(DEFAULT_MODEL)) {
        Ok(_) => Ok(Some(rag)),
        Err(error @ Error::ModelNotFound { .. }) => {
            eprintln!("SKIPPED: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[test]
fn questions_find_the_section_that_answers_them() {
    let folder = tempfile::tempdir().unwrap();
    let Some(rag) = text_collection(folder.path()).unwrap() else { return };
    let manual = "# Kestrel espresso machine\n\n## Descaling\n\nRun a descaling cycle every two months: fill the tank with \
        citric acid solution, press and hold the steam button for five seconds, and let the cycle finish.\n\n\
        ## Warranty\n\nThe boiler is covered for five years, every other part for two. Keep the receipt.\n\n\
        ## Error codes\n\nE1 means that the water tank is empty. E2 means that the grinder is blocked.\n";
    let garden = "<html><title>Garden calendar</title><h2>March</h2><p>Prune the roses and sow tomatoes indoors.</p>\
        <h2>October</h2><p>Plant tulip bulbs before the first frost, three times as deep as they are high.</p></html>";
    rag.ingest(C, DocumentInput::new("manual.md", manual)).unwrap();
    rag.ingest(C, DocumentInput::new("garden.html", garden)).unwrap();
    for (question, document, answer) in [
        ("How long is the guarantee on the boiler?", "manual.md", "five years"),
        ("How do I remove limescale?", "manual.md", "citric acid"),
        ("When should I put tulips into the ground?", "garden.html", "before the first frost"),
    ] {
        let enriched = rag.enrich(C, &EnrichRequest { k: 1, ..EnrichRequest::new(question) }).unwrap();
        let best = &enriched.citations[0];
        assert_eq!(best.document, document, "{question}");
        assert!(
            best.text.contains(answer) && enriched.prompt().contains(answer),
            "{question}: {}",
            best.text
        );
    }
}

#[test]
fn no_chunk_of_any_text_has_more_tokens_than_the_model_reads() {
    let folder = tempfile::tempdir().unwrap();
    let Some(rag) = text_collection(folder.path()).unwrap() else { return };
    let texts = [
        "https://example.org/a/very/long/path?with=parameters&and=more ".repeat(40),
        "aGVsbG8gd29ybGQ+/".repeat(150),
        "x".repeat(9_000),
        "日本語の文章はここにあります。".repeat(80),
        "e\u{301}\u{1f600}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} ".repeat(150),
        "| 1,234.56 | -0.1e-9 | ~~~ | [x](y) |\n".repeat(40),
        format!("# {}\n\n## {}\n\n{}", "heading ".repeat(30), "sub ".repeat(60), "word, ".repeat(900)),
        "\u{fffd}\u{ad}\u{200b}".repeat(900),
    ];
    for (at, text) in texts.iter().enumerate() {
        let id = format!("{at}.md");
        let input = DocumentInput {
            media_type: Some(MediaType::Markdown),
            ..DocumentInput::new(&*id, text.as_str())
        };
        let report = rag.ingest(C, input).unwrap();
        assert_eq!(report.status, IngestStatus::Added);
        assert!(report.chunks > 0, "{id}: {report:?}");
        let chunks = rag.chunks(C, &id).unwrap();
        let longest = chunks.iter().map(|chunk| chunk.text.chars().count()).max();
        println!("{id}: {} chunks, {longest:?} characters at most, {:?}", chunks.len(), report.timings_ms);
    }
}
