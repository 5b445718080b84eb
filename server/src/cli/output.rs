//! How answers look to a person, and as JSON.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use ragstone::CancelToken;
use serde::Serialize;

use super::backend::{
    AnswerView, CitationView, DroppedView, EnrichedView, ExplainView, ScoresView, SegmentView, StageView,
    Timings, TokensView,
};

/// Code points of a chunk that a listing shows.
const SNIPPET_CHARS: usize = 160;
/// A line between parts.
const RULE: &str = "────────────────────────────────────────────────────────────────────────────";

/// Prints a line. That nobody reads it, or that the disk is full, is an error of the command; `println!` panics.
pub(crate) fn line(text: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Tells a line on standard error, if that can be: no work ends because nobody listens there (`ragstone … 2>&1 | head`), as it does with
/// `eprintln!`, which panics.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints one JSON document and a line break.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints an enriched prompt, its citations and its timings; explained, also the chunks that they consist of, with the scores of each stage.
pub(crate) fn enriched(enriched: &EnrichedView, is_explained: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{RULE}\n{}\n{RULE}", harmless_lines(enriched.prompt.trim_end()))?;
    if enriched.citations.is_empty() {
        writeln!(out, "Citations: none; nothing stored fits the question")?;
    } else {
        writeln!(out, "Citations")?;
    }
    for citation in &enriched.citations {
        writeln!(out, "  {}", citation_line(citation))?;
        for chunk in citation.chunks.iter().filter(|_| is_explained) {
            let how = match chunk.beside {
                Some(found) => format!("beside chunk {found}"),
                None => scores(chunk.score, &chunk.scores),
            };
            writeln!(out, "      chunk {} [{}..{}] {how}", chunk.ordinal, chunk.start, chunk.end)?;
        }
    }
    for dropped in &enriched.dropped {
        writeln!(out, "  {}", self::dropped(dropped))?;
    }
    if is_explained {
        writeln!(out, "Searched for: {}", snippet(&enriched.query))?;
    }
    writeln!(out, "Tokens: {}", tokens(&enriched.tokens))?;
    writeln!(out, "Timings: {}", timings(&enriched.timings_ms))?;
    Ok(())
}

/// A chunk that was left out, and why.
pub(crate) fn dropped(dropped: &DroppedView) -> String {
    let DroppedView { document, start, end, reason, score, .. } = dropped;
    harmless(&format!("left out ({reason}): {document} [{start}..{end}] score {score:.3}"))
}

/// `score 0.812 (nearness 0.702, words 12.300, hybrid 0.812)`.
pub(crate) fn scores(score: f32, of: &ScoresView) -> String {
    let ScoresView { nearness, words, hybrid, rerank, mmr } = of;
    let stages =
        [("nearness", nearness), ("words", words), ("hybrid", hybrid), ("rerank", rerank), ("mmr", mmr)];
    let stages = stages.iter().filter_map(|(stage, score)| score.map(|score| format!("{stage} {score:.3}")));
    format!("score {score:.3} ({})", stages.collect::<Vec<_>>().join(", "))
}

fn tokens(of: &TokensView) -> String {
    let TokensView { instructions, context, history, question, total, budget, counted_with, .. } = of;
    let dropped = match of.history_messages_dropped {
        0 => String::new(),
        messages => format!(", {messages} earlier messages left out"),
    };
    format!(
        "{total} of {budget} (instructions {instructions}, passages {context}, history {history}, question {question}), \
         counted with {counted_with}{dropped}"
    )
}

/// Prints how an answer ended, below it.
pub(crate) fn answered(answer: &AnswerView) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let list =
        |numbers: &[u64]| numbers.iter().map(|number| format!("[{number}]")).collect::<Vec<_>>().join(" ");
    let or_none = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
    writeln!(out, "\n{RULE}\n{} cites {}", answer.model, or_none(list(&answer.cited)))?;
    if !answer.unknown.is_empty() {
        writeln!(out, "  and {}, which it was not given", list(&answer.unknown))?;
    }
    if answer.finish_reason != "stop" {
        writeln!(out, "  ended by {}", harmless(&answer.finish_reason))?;
    }
    if answer.cached {
        writeln!(out, "Kept from an earlier question, as its tokens are: no model was asked now")?;
    }
    if let (Some(prompt), Some(completion)) = (answer.prompt_tokens, answer.completion_tokens) {
        writeln!(out, "Tokens: {prompt} of prompt, {completion} of answer")?;
    }
    writeln!(out, "Timings: {}", timings(&answer.timings_ms))?;
    Ok(())
}

fn citation_line(citation: &CitationView) -> String {
    let heading = if citation.heading.is_empty() { "(no heading)" } else { &citation.heading };
    let (index, document) = (citation.index, &citation.document);
    harmless(&format!(
        "[{index}] {document} · {heading} · characters {}..{} · score {:.3}",
        citation.start, citation.end, citation.score
    ))
}

/// `embed 2.1 ms, search 0.3 ms, total 2.6 ms`.
pub(crate) fn timings(timings: &Timings) -> String {
    let parts: Vec<String> = timings.0.iter().map(|(stage, ms)| format!("{stage} {ms:.1} ms")).collect();
    parts.join(", ")
}

/// What each stage of a query did, and in each segment.
pub(crate) fn explain(out: &mut impl Write, explain: &ExplainView) -> Result<()> {
    let exactness = |exact| if exact { "exact" } else { "approximate" };
    writeln!(out, "Plan: {}, {} µs", exactness(explain.exact), explain.micros)?;
    for stage in &explain.stages {
        let StageView { path, runs, wanted, rows, micros, .. } = stage;
        let postings = match stage.postings {
            0 => String::new(),
            postings => format!(", {postings} postings read"),
        };
        let runs = if *runs > 1 { format!(", {runs} runs") } else { String::new() };
        writeln!(
            out,
            "  {path}: {rows} of {wanted} rows, {}, {micros} µs{postings}{runs}",
            exactness(stage.exact)
        )?;
        for segment in &stage.segments {
            let kind = if segment.sealed { "segment" } else { "growing segment" };
            let plans = segment.plans.join(", then ");
            let SegmentView { rows, distances, found, micros, .. } = segment;
            let matching = match (segment.matching, segment.exact) {
                (0, false) => format!("{rows} rows, not counted how many match"),
                (matching, _) => format!("{matching} of {rows} rows match"),
            };
            writeln!(
                out,
                "    {kind} {}: {plans}; {matching}, {distances} compared, {found} found, {micros} µs",
                segment.segment
            )?;
        }
    }
    Ok(())
}

/// The start of a text on one line.
pub(crate) fn snippet(text: &str) -> String {
    let line = harmless(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(SNIPPET_CHARS) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// An error and its causes in one line, each said once: some errors have their cause in their own text already.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match said.is_empty() {
            true => cause,
            false if said.contains(&cause) => said,
            false => format!("{said}: {cause}"),
        }
    })
}

/// A text of somebody else's with its control characters made visible: they could steer the terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// The same of a text of several lines.
pub(crate) fn harmless_lines(text: &str) -> String {
    let harmless = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.chars().map(harmless).collect()
}

/// Prints a text of somebody else's: to a terminal so that it does not steer it, to all else as it is, to the byte.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        writeln!(out, "{}", harmless_lines(text).trim_end())?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    Ok(out.flush()?)
}

/// What a command did but for a part, and the code that says so.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Incomplete {
    pub(crate) code: u8,
    pub(crate) message: String,
}

/// Exit code of what was interrupted, as shells have it.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// That a command was interrupted, and what that means for its work.
pub(crate) fn interrupted(message: impl Into<String>) -> anyhow::Error {
    Incomplete { code: EXIT_INTERRUPTED, message: message.into() }.into()
}

/// Cancels a token at the first interruption (Ctrl-C); the second one ends the process at once.
pub(crate) fn on_interrupt(cancel: CancelToken) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime")?;
    let (heard, hears) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let first = tokio::signal::ctrl_c();
            tokio::pin!(first);
            // Polled once, it listens: from then on nothing is missed.
            tokio::select! {
                biased;
                _ = &mut first => cancel.cancel(),
                () = std::future::ready(()) => {}
            }
            let _ = heard.send(());
            if cancel.is_cancelled() || first.await.is_ok() {
                note("ragstone: finishing what is under way; once more to stop at once");
                cancel.cancel();
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(EXIT_INTERRUPTED.into());
            }
        });
    });
    let _ = hears.recv();
    Ok(())
}

/// Whether the reader of our output went away (`ragstone … | head`): the end of the work, not a failure of it.
///
/// What fails to be printed is the error itself. As the cause of another one it is a connection that broke (to an object store, to a
/// model's service), and the work is not done.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or(json) == Some(ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_one_short_line() {
        assert_eq!(snippet("a\n  b\tc"), "a b c");
        let long = "ä".repeat(SNIPPET_CHARS + 5);
        assert_eq!(snippet(&long).chars().count(), SNIPPET_CHARS + 1);
    }

    #[test]
    fn causes_are_said_once_and_texts_do_not_steer_the_terminal() {
        let inner = std::io::Error::other("no space");
        let error = anyhow::Error::new(inner).context("cannot write f: no space").context("ingesting f");
        assert_eq!(causes(&error), "ingesting f: cannot write f: no space");
        assert_eq!(snippet("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(harmless_lines("a\n\tb\u{1b}[2J"), "a\n\tb\u{fffd}[2J");
    }

    /// A copy to an object store whose connection broke ended with exit code 0 and without a word: there was none.
    #[test]
    fn only_what_is_printed_may_go_unread() {
        let broken = || io::Error::from(ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&broken().into()));
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(is_broken_pipe(&serde_json::to_writer(writer, &1).unwrap_err().into()));
        let file = "objects/1".to_owned();
        let stored = ragstone_snapshot::Error::File { file, source: broken() };
        assert!(!is_broken_pipe(&stored.into()));
        assert!(!is_broken_pipe(&io::Error::from(ErrorKind::StorageFull).into()));
    }

    /// Interrupted before its rows were counted, a search was told as one that no row matches.
    #[test]
    fn what_was_not_counted_is_no_number() {
        let segment = |matching, exact| SegmentView {
            segment: 0,
            sealed: true,
            rows: 9,
            matching,
            plans: vec!["walk".to_owned()],
            distances: 7,
            found: 0,
            exact,
            micros: 1,
        };
        let stage = StageView {
            path: "search".to_owned(),
            runs: 1,
            wanted: 3,
            rows: 0,
            exact: false,
            micros: 2,
            postings: 0,
            segments: vec![segment(5, false), segment(0, true), segment(0, false)],
        };
        let mut out = Vec::new();
        explain(&mut out, &ExplainView { exact: false, micros: 3, stages: vec![stage] }).unwrap();
        let told = String::from_utf8(out).unwrap();
        let counted: Vec<&str> =
            told.lines().skip(2).filter_map(|line| line.split([';', ',']).nth(1)).collect();
        assert_eq!(counted, [" 5 of 9 rows match", " 0 of 9 rows match", " 9 rows"], "{told}");
        assert!(told.contains("9 rows, not counted how many match, 7 compared"), "{told}");
    }

    #[test]
    fn stages_stand_in_their_order() {
        let stages: Timings = [("search", 1.0), ("embed", 2.0)].into_iter().collect();
        assert_eq!(timings(&stages), "search 1.0 ms, embed 2.0 ms");
        assert_eq!(serde_json::to_string(&stages).unwrap(), r#"{"search":1.0,"embed":2.0}"#);
    }
}
