//! Languages of source code.

use tree_sitter_language::LanguageFn;

/// A language that source code is written in. All but [`Other`](Language::Other) are parsed, so that their code is divided by its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// JavaScript, JSX included.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// Go.
    Go,
    /// Java.
    Java,
    /// C.
    C,
    /// C++.
    Cpp,
    /// Any other: divided between lines, best at blank ones, and chunks have no headings.
    Other,
}

impl Language {
    /// Every language, by what is known of it best.
    pub const ALL: [Language; 10] = [
        Language::Rust,
        Language::Python,
        Language::JavaScript,
        Language::TypeScript,
        Language::Tsx,
        Language::Go,
        Language::Java,
        Language::C,
        Language::Cpp,
        Language::Other,
    ];

    /// Its name: `rust`, `python`, `javascript`, `typescript`, `tsx`, `go`, `java`, `c`, `cpp`; `code` for any other.
    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// The language of that name.
    pub fn parse(name: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.as_str() == name)
    }

    /// The language by the extension of a file, in lower case.
    pub(super) fn from_extension(extension: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.facts().1.contains(&extension))
    }

    /// Every extension that stands for a language.
    pub(super) fn extensions() -> impl Iterator<Item = &'static str> {
        Language::ALL.into_iter().flat_map(|language| language.facts().1.iter().copied())
    }

    /// Its grammar, if it is parsed.
    pub(super) fn grammar(self) -> Option<LanguageFn> {
        Some(match self {
            Language::Rust => tree_sitter_rust::LANGUAGE,
            Language::Python => tree_sitter_python::LANGUAGE,
            Language::JavaScript => tree_sitter_javascript::LANGUAGE,
            Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            Language::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
            Language::Go => tree_sitter_go::LANGUAGE,
            Language::Java => tree_sitter_java::LANGUAGE,
            Language::C => tree_sitter_c::LANGUAGE,
            Language::Cpp => tree_sitter_cpp::LANGUAGE,
            Language::Other => return None,
        })
    }

    /// Its name and the extensions of its files.
    fn facts(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Language::Rust => ("rust", &["rs"]),
            Language::Python => ("python", &["py", "pyi"]),
            Language::JavaScript => ("javascript", &["js", "mjs", "cjs", "jsx"]),
            Language::TypeScript => ("typescript", &["ts", "mts", "cts"]),
            Language::Tsx => ("tsx", &["tsx"]),
            Language::Go => ("go", &["go"]),
            Language::Java => ("java", &["java"]),
            Language::C => ("c", &["c", "h"]),
            Language::Cpp => ("cpp", &["cc", "cpp", "cxx", "hh", "hpp", "hxx"]),
            Language::Other => (
                "code",
                &[
                    "bash", "cs", "dart", "ex", "exs", "fs", "hs", "jl", "kt", "kts", "lua", "ml", "mli",
                    "php", "pl", "pm", "proto", "ps1", "r", "rb", "scala", "sh", "sql", "swift", "tf", "vue",
                    "zig",
                ],
            ),
        }
    }
}
