//! RAG in 40 lines: documents in, a question answered from them, each passage cited.
//!
//! `cargo run -p ragstone-rag --example ask -- "When does the lease end?"`

mod words;

use std::sync::Arc;

use ragstone_rag::embed::DEFAULT_MODEL;
use ragstone_rag::ingest::DocumentInput;
use ragstone_rag::prompt::EnrichRequest;
use ragstone_rag::{CollectionSpec, Rag};

const LEASE: &str =
    "# The house\n\n## Lease\n\nThe lease ends on 31 May 2027.\n\n## Garden\n\nRoses are cut in March.";
const SPACE: &str = "# Space\n\nThe probe reached Titan, the largest moon of Saturn, in January 2005.";

fn main() -> ragstone_rag::Result<()> {
    let rag = Rag::in_memory()?; // or Rag::open("my-data")
    let mut model = DEFAULT_MODEL;
    if let Err(error) = rag.models().load(model) {
        // No network and no cache: words that are the same have to do instead of words that mean the same.
        eprintln!("{error}\nThe embedder of this example is used instead.");
        model = words::NAME;
        rag.models().insert(Arc::new(words::Words::new()));
    }
    rag.ensure_collection("notes", CollectionSpec::with_model(model))?;
    rag.ingest("notes", DocumentInput::new("lease.md", LEASE))?;
    rag.ingest("notes", DocumentInput::new("space.md", SPACE))?;

    let arguments = std::env::args().nth(1).filter(|question| question.ends_with('?'));
    let question = arguments.unwrap_or_else(|| "When does the lease end?".into());
    let enriched = rag.enrich("notes", &EnrichRequest::new(&question))?;
    println!("{}\n", enriched.prompt()); // for a language model of yours
    for citation in &enriched.citations {
        println!("{} > {}, {}..{}", citation.document, citation.heading, citation.start, citation.end);
    }
    if question == "When does the lease end?" {
        assert_eq!(enriched.citations[0].document, "lease.md");
        assert!(enriched.prompt().contains("31 May 2027"));
    }
    Ok(())
}
