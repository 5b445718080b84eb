use proptest::prelude::*;

use super::*;

fn outline(text: &str, language: Language) -> Outline {
    parse(text, language).map_or_else(|| Outline::flat(text), |tree| super::outline(text, &tree))
}

/// Level, path and text of each section.
fn shown(text: &str, language: Language) -> Vec<(String, &str)> {
    let outline = outline(text, language);
    let sections = outline.sections.iter().enumerate();
    sections
        .map(|(at, section)| (outline.titles(Some(at)).join(" > "), &text[section.range.clone()]))
        .collect()
}

fn paths(text: &str, language: Language) -> Vec<String> {
    shown(text, language).into_iter().map(|(path, _)| path).collect()
}

const RUST: &str = "//! A module.
use std::fmt;

const N: usize = 1;

/// A circle.
#[derive(Debug)]
pub struct Circle {
    radius: f64,
}

impl fmt::Display for Circle {
    /// Writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn inner() {}
        Ok(())
    }

    const K: usize = 3;
}

mod deep {
    pub(crate) trait Round {
        fn area(&self) -> f64;
    }
}

fn last() {}
";

#[test]
fn items_are_sections_with_what_belongs_to_them() {
    let sections = shown(RUST, Language::Rust);
    let paths: Vec<&str> = sections.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "",
            "Circle",
            "impl fmt::Display for Circle",
            "impl fmt::Display for Circle > fmt",
            "impl fmt::Display for Circle",
            "deep",
            "deep > Round",
            "deep > Round > area",
            "last",
        ]
    );
    assert!(sections[0].1.ends_with("const N: usize = 1;\n\n"));
    assert!(sections[1].1.starts_with("/// A circle.\n#[derive(Debug)]\npub struct"));
    assert!(
        sections[3].1.starts_with("    /// Writes it.\n    fn fmt") && sections[3].1.contains("fn inner")
    );
    assert!(sections[4].1.contains("const K") && sections[4].1.contains('}'));
    let whole: String = sections.iter().map(|(_, text)| *text).collect();
    assert_eq!(whole, RUST);
}

#[test]
fn every_language_names_its_items() {
    let cases: [(Language, &str, &[&str]); 8] = [
        (
            Language::Python,
            "import os\n\n@cached\ndef f():\n    pass\n\nclass A(B):\n    x = 1\n\n    async def m(self):\n        pass\n",
            &["f", "A", "A > m"],
        ),
        (
            Language::JavaScript,
            "export default class A { m() {} }\nexport const f = (x) => x;\nfunction* g() {}\nconst n = 1;\n",
            &["A", "A > m", "f", "g"],
        ),
        (
            Language::TypeScript,
            "export interface I { a: string }\nabstract class A { private m(): void {} h = () => 1; }\ntype T = I;\nenum E { X }\nnamespace N { export function f() {} }\n",
            &["I", "A", "A > m", "A > h", "T", "E", "N", "N > f"],
        ),
        (Language::Tsx, "export function App() { return <p>x</p>; }\n", &["App"]),
        (
            Language::Go,
            "package p\n\nimport \"fmt\"\n\ntype T struct{}\n\n// M does.\nfunc (t *T) M() {}\n\nfunc F() {}\n",
            &["T", "(t *T) M", "F"],
        ),
        (
            Language::Java,
            "package p;\nclass A<T> {\n  A() {}\n  @Override\n  public void m() {}\n  enum E { X; void n() {} }\n}\nrecord R(int a) {}\n",
            &["A", "A > A", "A > m", "A > E", "A > E > n", "R"],
        ),
        (
            Language::C,
            "#ifndef H\n#define H\nstruct s { int a; };\ntypedef int number;\nstatic const char *f(int a) { return 0; }\nint g(void);\n#endif\n",
            &["s", "number", "f"],
        ),
        (
            Language::Cpp,
            "namespace n {\ntemplate <typename T> class A {\n public:\n  int m() { return 1; }\n  T& r();\n};\nint& A::ref() { return x; }\n}\nvoid n::free() {}\n",
            &["n", "n > A", "n > A > m", "n > A::ref", "n::free"],
        ),
    ];
    for (language, text, wanted) in cases {
        let mut paths = paths(text, language);
        paths.retain(|path| !path.is_empty());
        for name in wanted {
            assert!(paths.iter().any(|path| path == name), "{name} of {language:?} is not among {paths:?}");
        }
    }
}

#[test]
fn what_does_not_parse_has_the_items_that_do() {
    assert!(
        paths("fn a() {}\n\n)))) garbage {{{\n\nfn b() {}\n", Language::Rust).iter().any(|path| path == "a")
    );
    assert_eq!(paths("echo 1\n", Language::Other), [""]);
    assert_eq!(paths("", Language::Rust), [""]);
    let large = "fn f() {}\n".repeat(CODE_BYTES_MAX / 10 + 1);
    assert_eq!(outline(&large, Language::Rust).sections.len(), 1, "beyond the limit it is text");
    let deep = format!("{}{}", "mod m {".repeat(2_000), "}".repeat(2_000));
    let deepest = outline(&deep, Language::Rust).sections.iter().map(|section| section.level).max();
    assert_eq!(deepest, Some(DEPTH_MAX));
}

fn soup() -> impl Strategy<Value = String> {
    let words = "fn struct impl mod trait class def function const let export namespace template if enum interface \
                 { } ( ) [ ] ; : , = => < > & * @a #[a] // /* */ \" ' \\ a b Foo 1 é \u{301}";
    let piece = prop_oneof![
        4 => proptest::sample::select(words.split_whitespace().collect::<Vec<_>>()).prop_map(str::to_owned),
        2 => "[ \n\t]{1,3}",
        1 => "\\PC{0,6}",
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn sections_cover_any_text(text in soup(), at in 0..Language::ALL.len()) {
        let language = Language::ALL[at];
        let outline = outline(&text, language);
        let mut end = 0;
        for section in &outline.sections {
            prop_assert_eq!(section.range.start, end);
            prop_assert!(text.is_char_boundary(section.range.end));
            end = section.range.end;
        }
        prop_assert_eq!(end, text.len());
    }
}
