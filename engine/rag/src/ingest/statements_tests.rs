use proptest::prelude::*;

use super::*;
use crate::ingest::{Language, code};
use crate::testing::BagOfWords;

/// A text in pieces of so many words and marks; what the syntax does not divide is left whole.
fn pieces(text: &str, language: Language, (size, overlap): (usize, usize)) -> Vec<&str> {
    let embedder = BagOfWords::new("m", 256);
    let tree = code::parse(text, language).unwrap();
    let index = TokenIndex::new(text, &embedder);
    let statements = Statements { text, tree: &tree, index: &index, size, overlap };
    statements.pieces(0..text.len(), |range| vec![range]).into_iter().map(|range| &text[range]).collect()
}

/// Brackets that are opened and not closed.
fn left_open(text: &str) -> i64 {
    let count =
        |open: char, closed: char| text.matches(open).count() as i64 - text.matches(closed).count() as i64;
    count('{', '}') + count('(', ')')
}

const LOOP: &str = "    // Adds what is left.
    for at in 0..n {
        let x = f(at);

        sum += x;
    }
";

#[test]
fn a_long_function_is_cut_between_its_statements() {
    let text = format!("fn long(n: u32) -> u32 {{\n{}    sum\n}}\n", LOOP.repeat(9));
    // A loop has 29 words and marks, and a blank line, where lines would be cut first.
    let found = pieces(&text, Language::Rust, (70, 0));
    assert_eq!(found.concat(), text);
    assert!(found.len() >= 4, "{found:#?}");
    for piece in &found[1..] {
        assert!(piece.starts_with("    // Adds") || *piece == "    sum\n}\n", "{piece}");
    }
    for piece in &found[1..found.len() - 1] {
        assert_eq!(left_open(piece), 0, "{piece}");
    }
}

#[test]
fn what_is_too_long_within_it_is_cut_between_the_statements_in_that() {
    let arm = "            Kind::A { x, .. } if x > 0 => {\n                g(x);\n                h(x)\n            }\n";
    let text = format!(
        "fn f() {{\n    let a = 1;\n    if a > 0 {{\n        match kind {{\n{}        }}\n    }}\n    end()\n}}\n",
        arm.repeat(6)
    );
    let found = pieces(&text, Language::Rust, (64, 0));
    assert_eq!(found.concat(), text);
    assert!(found.len() >= 3, "{found:#?}");
    for piece in &found[1..] {
        assert!(piece.starts_with("            Kind::A"), "between two arms: {piece}");
    }
    assert!(found.iter().all(|piece| !piece.trim_end().ends_with('{')), "{found:#?}");
}

#[test]
fn suites_of_python_are_cut_between_their_statements() {
    let block = "    # Of each.
    if ready(value):
        use(value,
            first=1,
            second=2)
    else:
        wait(value)
";
    let text = format!("def long(value):\n    \"\"\"Does it.\"\"\"\n{}    return value\n", block.repeat(7));
    let found = pieces(&text, Language::Python, (75, 0));
    assert_eq!(found.concat(), text);
    assert!(found.len() >= 3, "{found:#?}");
    for piece in &found[1..] {
        assert!(piece.starts_with("    # Of each.\n    if") || *piece == "    return value\n", "{piece}");
        assert_eq!(left_open(piece), 0, "{piece}");
    }
}

#[test]
fn a_line_that_opens_something_goes_with_what_it_opens() {
    let lines = |indent: &str, count: usize| format!("{indent}step(1);\n").repeat(count);
    for before in 0..14 {
        let (first, inner) = (lines("    ", before), lines("        ", 20));
        let text = format!("fn f() {{\n{first}    for x in y {{\n{inner}    }}\n}}\n");
        let found = pieces(&text, Language::Rust, (40, 0));
        assert_eq!(found.concat(), text);
        assert!(found.iter().all(|piece| !piece.trim_end().ends_with('{')), "{before}: {found:#?}");
    }
}

#[test]
fn neighbours_share_whole_statements() {
    let text =
        format!("fn f() {{\n{}}}\n", (0..60).map(|at| format!("    step({at}, now);\n")).collect::<String>());
    // A statement has seven words and marks.
    let found = pieces(&text, Language::Rust, (60, 15));
    assert!(found.len() > 5);
    for pair in found.windows(2) {
        let shared = pair[1].lines().next().unwrap();
        assert_eq!(pair[0].lines().rev().take(2).last(), Some(shared), "two statements: {pair:#?}");
    }
}

#[test]
fn what_has_no_statements_is_left_to_be_cut_otherwise() {
    let lines = "word word word\n".repeat(50);
    let text = format!("fn f() {{\n    a();\n    let text = \"{lines}\";\n    b();\n}}\n");
    let found = pieces(&text, Language::Rust, (40, 10));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].ends_with("a();\n") && found[1].contains(&lines) && found[2].starts_with("    b();"));
    // Nothing is as deep as this, nor on one line.
    for hostile in ["(\n".repeat(3_000), "[".repeat(3_000), "f(1);".repeat(3_000)] {
        let hostile = format!("fn f() {{\n{hostile}");
        let found = pieces(&hostile, Language::Rust, (40, 10));
        assert!(found.concat().len() >= hostile.len());
    }
}

proptest! {
    #[test]
    fn without_sharing_the_pieces_are_the_text(
        lines in prop::collection::vec("[ ]{0,8}(// a|if x:|def f\\(\\):|fn f\\(\\) \\{|for x in y \\{|\\}|\\)|a\\(|b,|c;|\"|é)", 0..60),
        size in 1usize..60,
        is_rust in any::<bool>(),
    ) {
        let text = lines.join("\n");
        let language = if is_rust { Language::Rust } else { Language::Python };
        let found = pieces(&text, language, (size, 0));
        prop_assert_eq!(found.concat(), text);
    }
}
