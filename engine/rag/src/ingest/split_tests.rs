use proptest::prelude::*;

use super::*;
use crate::embed::ModelInfo;
use crate::ingest::{Chunk, Language};
use crate::testing::BagOfWords;

fn model(max_tokens: usize) -> BagOfWords {
    BagOfWords::new("m", max_tokens)
}

fn split_by_default(text: &str, media_type: MediaType, model: &BagOfWords) -> Result<Vec<Passage>> {
    split(Source { document: "d", title: "", text, media_type }, &ChunkOptions::default(), model)
}

fn markdown(text: &str, max_tokens: usize) -> Vec<Passage> {
    let model = model(max_tokens);
    let passages = split_by_default(text, MediaType::Markdown, &model).unwrap();
    check(text, &passages, &model);
    passages
}

/// What holds for every document.
fn check(text: &str, passages: &[Passage], embedder: &dyn Embedder) {
    let chars: Vec<char> = text.chars().collect();
    let mut covered = vec![false; chars.len()];
    let mut previous: Option<&Chunk> = None;
    for (ordinal, passage) in passages.iter().enumerate() {
        let chunk = &passage.chunk;
        assert_eq!(chunk.ordinal, ordinal);
        assert_eq!(chunk.text, chars[chunk.start..chunk.end].iter().collect::<String>());
        assert!(!chunk.text.trim().is_empty());
        assert_eq!(chunk.tokens, embedder.count_tokens(&chunk.text));
        let embedded = embedder.count_tokens(&passage.embedded()) + embedder.overhead_tokens(Role::Passage);
        assert!(embedded <= embedder.info().max_tokens, "{embedded} tokens: {chunk:?}");
        covered[chunk.start..chunk.end].fill(true);
        if let Some(previous) = previous {
            assert!(previous.start < chunk.start && previous.end < chunk.end, "{previous:?} {chunk:?}");
            if let Some(gap) = &passage.gap {
                assert_eq!(*gap, chars[previous.end..chunk.start].iter().collect::<String>());
                assert!(gap.trim().is_empty());
            }
        }
        previous = Some(chunk);
    }
    for (at, c) in chars.iter().enumerate() {
        assert!(covered[at] || c.is_whitespace(), "character {at} ({c:?}) is in no chunk");
    }
}

fn headings(passages: &[Passage]) -> Vec<&str> {
    passages.iter().map(|passage| passage.chunk.heading.as_str()).collect()
}

fn sentence(words: usize) -> String {
    format!("{}end.", "word ".repeat(words - 2))
}

#[test]
fn a_title_goes_with_every_chunk_that_does_not_begin_with_it() {
    let split_under = |title, text: &str, media_type| {
        let model = model(64);
        let passages =
            split(Source { document: "d", title, text, media_type }, &ChunkOptions::default(), &model)
                .unwrap();
        check(text, &passages, &model);
        passages
    };
    let text = format!("On tea. {}", sentence(30).repeat(6));
    let passages = split_under("On  tea\n", &text, MediaType::Text);
    assert!(passages.len() > 2);
    assert_eq!((passages[0].chunk.heading.as_str(), passages[0].context.as_str()), ("", ""));
    for passage in &passages[1..] {
        assert_eq!((passage.chunk.heading.as_str(), passage.context.as_str()), ("On tea", "On tea"));
    }
    let passages = split_under("Drinks", "# Tea\n\nGreen.\n\n# Coffee\n\nBlack.", MediaType::Markdown);
    assert_eq!(headings(&passages), ["Drinks > Tea", "Drinks > Coffee"]);
    assert_eq!(passages[1].embedded(), "Drinks\n\n# Coffee\n\nBlack.");
    assert_eq!(headings(&split_under("Tea", "# Tea\n\nGreen.", MediaType::Markdown)), ["Tea"]);
    for (text, media_type) in
        [("Green, black or white.", MediaType::Text), ("Green.\n\n# Black\n\nTea.", MediaType::Markdown)]
    {
        let passages = split_under("Drinks", text, media_type);
        assert_eq!(passages[0].chunk.heading, "Drinks");
        assert!(passages[0].embedded().starts_with("Drinks\n\nGreen"), "a short text has it, too");
    }
    let endless = "very ".repeat(200);
    let long = split_under(&endless, &text, MediaType::Text);
    assert!(long.iter().all(|passage| passage.context.chars().count() <= 121));
    let headed = format!("# {endless}\n\nGreen.");
    let long = split_under(&endless, &headed, MediaType::Markdown);
    assert_eq!(headings(&long)[0].matches('…').count(), 1, "it is the heading, shortened alike");
}

#[test]
fn nothing_gives_no_chunk() {
    for text in ["", " \n\t\r\n ", "\u{a0}\u{2003}"] {
        assert!(markdown(text, 256).is_empty());
    }
}

#[test]
fn a_small_document_is_one_chunk_with_its_heading() {
    let passages = markdown("# Title\n\nOne.\n\n## Sub\n\nTwo.\n", 256);
    assert_eq!(headings(&passages), ["Title"]);
    assert_eq!(passages[0].chunk.text, "# Title\n\nOne.\n\n## Sub\n\nTwo.");
    assert_eq!(passages[0].context, "", "the heading stands in the text already");
}

#[test]
fn sections_that_fit_stay_whole_and_know_their_path() {
    let (a, b) = (sentence(150), sentence(120));
    let passages = markdown(&format!("# T\n\n## A\n\n{a}\n\n## B\n\n{b}\n\n### C\n\n{a}\n"), 256);
    assert_eq!(headings(&passages), ["T > A", "T > B", "T > B > C"]);
    assert!(passages[0].chunk.text.starts_with("# T\n\n## A\n"), "a bare heading goes with what follows");
    assert_eq!(passages[1].context, "T");
    assert_eq!(passages[2].context, "T > B");
    assert_eq!(passages[2].embedded(), format!("T > B\n\n### C\n\n{a}"));
}

#[test]
fn chunks_do_not_reach_across_a_top_level_heading() {
    let text = (0..6).map(|at| format!("# H{at}\n\nshort.\n\n")).collect::<String>();
    assert_eq!(headings(&markdown(&text, 256)), ["H0", "H1", "H2", "H3", "H4", "H5"]);
}

#[test]
fn small_siblings_are_joined_under_their_common_heading() {
    let subs = (0..40).map(|at| format!("## S{at}\n\nten short words that say next to nothing at all.\n\n"));
    let passages = markdown(&format!("# T\n\n{}", subs.collect::<String>()), 256);
    assert!(passages.len() < 15, "{} chunks", passages.len());
    assert!(passages.iter().all(|passage| passage.chunk.tokens >= JOIN_BELOW_TOKENS));
    assert!(headings(&passages).iter().all(|heading| *heading == "T"));
}

#[test]
fn long_prose_is_cut_between_sentences_even_where_lines_wrap() {
    let text: String = (0..60)
        .map(|at| format!("Sentence number {at} goes on for quite a long while, so that\nits line wraps somewhere in the middle of it, and then on the next\nline again. "))
        .collect();
    for passage in markdown(&text, 256) {
        assert!(passage.chunk.text.starts_with("Sentence"), "{}", passage.chunk.text);
        assert!(passage.chunk.text.ends_with("again."), "{}", passage.chunk.text);
    }
}

#[test]
fn pieces_of_one_text_overlap_a_little() {
    let text: String = (0..100).map(|at| format!("Fact {at} is short. ")).collect();
    let passages = markdown(&text, 256);
    assert!(passages.len() > 2);
    for pair in passages.windows(2) {
        let shared = pair[0].chunk.end.saturating_sub(pair[1].chunk.start);
        assert!(shared > 0 && shared < 150, "{shared} characters");
    }
}

#[test]
fn what_has_no_structure_is_split_too() {
    let line = "x".repeat(50_000);
    let base64 = "aGVsbG8+/".repeat(5_000);
    let table = format!("| a | b |\n|---|---|\n{}", "| cell one | cell two |\n".repeat(500));
    let code = format!("```rust\n{}```\n", "    let value = call(argument, 1);\n\n".repeat(500));
    let marks = format!("a{}", "\u{301}".repeat(10_000));
    for text in [
        line,
        base64,
        table,
        code,
        marks,
        "日本語".repeat(3_000),
        "a\0b".repeat(10),
        "\n\n".repeat(9_000) + "x",
    ] {
        for max_tokens in [18, 64, 256, 8192] {
            let passages = markdown(&text, max_tokens);
            let longest = passages.iter().map(|passage| passage.chunk.text.chars().count()).max().unwrap();
            assert!(longest <= 16 * ChunkOptions::default().tokens + 200, "{longest} characters in a chunk");
        }
    }
}

#[test]
fn front_matter_and_hostile_headings_are_text_like_any_other() {
    let long = format!("# {}\n\ntext", "very long title ".repeat(300));
    let deep: String = (0..200).map(|at| format!("{} h{at}\n", "#".repeat(1 + at % 6))).collect();
    for text in ["---\ntitle: T\ntags: [a]\n---\n\n# A\n\nb\n", &long, &deep, "#\n##\n###", "# \n\n# \n"] {
        markdown(text, 24);
        markdown(text, 256);
    }
}

#[test]
fn headings_that_do_not_fit_before_a_chunk_are_dropped_outermost_first() {
    let title = sentence(30);
    let body = sentence(44);
    let passages = markdown(&format!("# {title}\n\n{body}\n\n## B\n\n{body}\n\n### C\n\n{body}\n"), 64);
    assert!(passages.iter().any(|passage| passage.context == "B"), "{passages:#?}");
}

#[test]
fn a_model_that_reads_too_little_is_refused() {
    let error = split_by_default("text", MediaType::Text, &model(17)).unwrap_err();
    assert!(error.to_string().contains("reads 15 tokens"), "{error}");
}

#[test]
fn the_unwrapped_copy_has_every_byte_in_place() {
    let long = "a line of prose that is long enough to have been wrapped";
    let text = format!("{long}\r\nat its end\n- {long}\n- item\n{long}\n1. item\n{long}:\n\tcode\n");
    let flow = unwrapped(&text);
    assert_eq!(flow.len(), text.len());
    assert!(flow.starts_with(&format!("{long}  at its end\n- ")));
    assert!(flow.contains(&format!("{long}\n1. item")));
    for (a, b) in text.chars().zip(flow.chars()) {
        assert!(a == b || (b == ' ' && (a == '\n' || a == '\r')));
    }
}

fn document() -> impl Strategy<Value = String> {
    let block = prop_oneof![
        "[#]{1,6} [a-zA-Z é`*>]{0,30}\n",
        "([a-z]{1,9}[ ,.;\n]){1,60}",
        "[ \n\t\r]{0,6}",
        "(- [a-z ]{0,40}\n){1,10}",
        "(\\| [a-z]{0,5} \\| [a-z0-9]{0,5} \\|\n){1,10}",
        "```[a-z]{0,4}\n([a-z ={};\n]{0,80})\n```\n",
        "[a-z0-9+/=]{0,300}",
        "[日本語。、]{0,120}",
        "\\PC{0,80}",
        "\u{c}",
        "(---|===|> |\\+\\+\\+)\n",
    ];
    proptest::collection::vec(block, 0..24).prop_map(|blocks| blocks.concat())
}

#[test]
fn code_is_divided_by_its_items_whose_names_are_the_headings() {
    let body = "        let value = call(argument, 1);\n".repeat(12);
    let method = |name: &str| format!("    /// Does {name}.\n    fn {name}(&self) {{\n{body}    }}\n\n");
    let text =
        format!("use a::b;\n\nimpl Shape {{\n{}{}}}\n\nfn tiny() {{}}\n", method("area"), method("grow"));
    let model = model(256);
    let code = MediaType::Code(Language::Rust);
    let passages = split_by_default(&text, code, &model).unwrap();
    check(&text, &passages, &model);
    assert_eq!(headings(&passages), ["", "impl Shape > area", "impl Shape > grow", "tiny"], "{passages:#?}");
    assert_eq!(passages[2].context, "impl Shape");
    assert!(passages[1].chunk.text.starts_with("impl Shape {\n    /// Does area.\n    fn area(&self) {"));
    let long = format!("fn long() {{\n{}}}\n", "    let value = call(argument, 1);\n".repeat(100));
    let passages = split_by_default(&long, code, &model).unwrap();
    check(&long, &passages, &model);
    assert!(passages.len() > 3 && passages.iter().all(|passage| passage.chunk.heading == "long"));
    for passage in &passages {
        assert!(passage.chunk.text.ends_with([';', '}']), "cut between lines: {}", passage.chunk.text);
    }
}

#[test]
fn pages_are_headings_that_are_not_embedded() {
    let text = "The first.\n\u{c}\u{c}The third.";
    let model = model(64);
    let passages = split(
        Source { document: "d", title: "Report", text, media_type: MediaType::Pdf },
        &ChunkOptions::default(),
        &model,
    )
    .unwrap();
    check(text, &passages, &model);
    assert_eq!(headings(&passages), ["Report > page 1", "Report > page 3"]);
    assert_eq!(passages[1].embedded(), "Report\n\nThe third.");
}

#[test]
fn a_hash_stands_for_what_is_embedded_and_for_the_heading() {
    let of = |title, text: &str| {
        let source = Source { document: "d", title, text, media_type: MediaType::Markdown };
        let passages = split(source, &ChunkOptions::default(), &model(256)).unwrap();
        passages.into_iter().map(|passage| passage.chunk.content_sha256).collect::<Vec<_>>()
    };
    let two = of("", "# A\n\nsame\n\n# B\n\nother");
    assert_eq!(two, of("", "# A\n\nsame\n\n# B\n\nother\n\n"));
    assert_eq!(two[0], of("", "# A\n\nsame\n\n# C\n\nmore")[0], "wherever it stands, whatever is beside it");
    assert_eq!(two[1], of("", "# B\n\nother")[0]);
    assert_ne!(two[0], of("", "# A2\n\nsame")[0]);
    assert_ne!(two[0], of("T", "# A\n\nsame")[0], "a title is embedded too");
    assert!(two.iter().all(|hash| hash.len() == 64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_document_keeps_the_promises(
        text in document(),
        max_tokens in 24usize..300,
        kind in 0..6usize,
        title in "[a-z ]{0,30}",
        prefix in proptest::sample::select(vec!["", "passage: ", "Represent this text for retrieval: "]),
        sizes in (16usize..300, 0usize..8),
    ) {
        let code = [Language::Rust, Language::Python, Language::Other].map(MediaType::Code);
        let media_type = [MediaType::Text, MediaType::Markdown, MediaType::Pdf, code[0], code[1], code[2]][kind];
        let model = model(max_tokens + prefix.split_whitespace().count());
        let info = ModelInfo { passage_prefix: prefix.to_owned(), ..model.info().clone() };
        let model = BagOfWords::with_info(info);
        let chunks = ChunkOptions { tokens: sizes.0, overlap: sizes.0 * sizes.1 / 16 };
        let source = Source { document: "d", title: &title, text: &text, media_type };
        let passages = split(source, &chunks, &model).unwrap();
        check(&text, &passages, &model);
        prop_assert_eq!(&passages, &split(source, &chunks, &model).unwrap(), "splitting is deterministic");
    }
}
