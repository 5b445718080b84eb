//! `ragstone demo`: the whole path once, as a newcomer would walk it by hand with `model pull`, `ingest` and `ask`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ragstone_rag::ingest::folder;
use ragstone_rag::prompt::EnrichRequest;
use ragstone_server::settings::DEFAULT_DATA;
use serde_json::json;

use super::Session;
use super::ingest::Sync;
use crate::cli::args::{DemoArgs, Place};
use crate::cli::output;

/// What the demo asks this project's own Markdown.
const QUESTIONS: [&str; 3] = [
    "What happens to an acknowledged write when the power fails?",
    "Where does the embedding model come from, and how is it verified?",
    "In which files may unsafe code stand?",
];
/// What it asks a folder that it does not know.
const GENERAL_QUESTIONS: [&str; 3] = [
    "What is this about, in short?",
    "How does one get started?",
    "What are the limits and what should one be careful about?",
];
/// How many chunks and tokens an answer of the demo gets: enough to see, short enough to read.
const CHUNKS: usize = 4;
const TOKEN_BUDGET: usize = 1_000;

pub(super) fn run(session: &Session, place: &Place, args: DemoArgs) -> Result<()> {
    let started = Instant::now();
    let (docs, own) = match &args.docs {
        Some(docs) => (docs.clone(), false),
        None => (project_root()?, true),
    };
    if !docs.is_dir() {
        bail!("--docs {}: there is no such folder", docs.display());
    }
    let say = |line: String| if session.json { Ok(()) } else { output::line(line) };
    // A model behind a URL has no files to fetch.
    let pulled =
        if args.model.contains("://") { None } else { Some(session.backend.pull_model(&args.model)?) };
    match &pulled {
        Some(pulled) => {
            let short: String = pulled.sha256.chars().take(12).collect();
            say(format!("Model      {} from {}, SHA-256 {short}… verified", pulled.name, pulled.source))?;
        }
        None => say(format!("Model      {}", args.model))?,
    }

    let collection = args.collection.as_deref().unwrap_or(if own { "demo" } else { "default" });
    let accept: fn(&Path) -> bool = if own { is_markdown } else { |_| true };
    let sync = Sync {
        collection,
        model: &args.model,
        title: None,
        fields: Default::default(),
        records: Default::default(),
        options: Default::default(),
        accept,
        allow_empty: false,
    };
    let scan = folder::scan(std::slice::from_ref(&docs), session.progress.as_ref())?;
    let summary = sync.run(session, scan)?;
    if summary.chunks == 0 {
        bail!("{}: no document with anything in it", docs.display());
    }
    say(format!("Store      {}, collection {collection}", session.backend.place()))?;
    say(format!("Documents  {}: {}", docs.display(), summary.line()))?;
    if summary.added + summary.replaced == 0 {
        say("           every document is stored already and is re-used".to_owned())?;
    }

    let questions: Vec<String> = match (args.questions.is_empty(), own) {
        (false, _) => args.questions,
        (true, true) => QUESTIONS.map(str::to_owned).to_vec(),
        (true, false) => GENERAL_QUESTIONS.map(str::to_owned).to_vec(),
    };
    let mut answers = Vec::new();
    for question in &questions {
        let request = EnrichRequest { k: CHUNKS, token_budget: TOKEN_BUDGET, ..EnrichRequest::new(question) };
        let enriched = session.backend.enrich(collection, &request)?;
        say(format!("\nQuestion   {question}"))?;
        if session.json {
            answers.push(json!({ "question": question, "enriched": enriched }));
        } else {
            output::enriched(&enriched, false)?;
        }
    }
    if session.json {
        return output::json(&json!({ "model": pulled, "documents": summary, "answers": answers }));
    }
    say(format!(
        "\nDone in {:.1} s. Ask on: {} ask -c {collection} 'YOUR QUESTION'",
        started.elapsed().as_secs_f64(),
        program_at(place)
    ))
}

/// What this program was called by, as whoever runs it by `cargo run` has no `ragstone` in their path, and where it has indexed.
fn program_at(place: &Place) -> String {
    let named = std::env::args_os().next();
    let program = named.map_or_else(|| "ragstone".to_owned(), |program| word(&program.to_string_lossy()));
    match &place.url {
        Some(url) => format!("{program} --url {}", word(url)),
        None if place.data == Path::new(DEFAULT_DATA) => program,
        None => format!("{program} --data {}", word(&place.data.to_string_lossy())),
    }
}

/// A word of a command as a shell takes it.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || std::path::is_separator(c) || "._-:@%+=,".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

/// The checkout of Ragstone that the working directory lies in.
fn project_root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the working directory")?;
    let root = here
        .ancestors()
        .find(|folder| folder.join("engine/FORMAT.md").is_file() && folder.join("README.md").is_file());
    root.map(Path::to_path_buf)
        .context("the working directory is in no checkout of Ragstone: name a folder with --docs DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the demo ends with is there to be copied.
    #[test]
    fn a_word_is_one_word_to_a_shell() {
        assert_eq!(word("target/release/ragstone"), "target/release/ragstone");
        assert_eq!(word("my notes"), "'my notes'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(word("~/a;b"), "'~/a;b'");
    }
}
