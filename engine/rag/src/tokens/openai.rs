//! OpenAI's models, by their published byte-pair tables.
//!
//! The tables' splitter runs on a backtracking engine whose stack a long run of white space exhausts, so texts go in pieces, which
//! end where the splitter would end a word in any case. Where a text has no such place for [`PIECE_BYTES_MAX`] bytes it is cut
//! anyhow, and counts at most one token more for each such cut.

use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

use super::TokenCounter;

/// Bytes of a piece before which no end is looked for.
const PIECE_BYTES: usize = 4 << 10;
/// Bytes of a piece, at most.
const PIECE_BYTES_MAX: usize = 8 << 10;

/// What the names of models begin with, and their table; the first that fits.
const MODELS: [(&str, Table); 17] = [
    ("o200k_base", Table::O200k),
    ("cl100k_base", Table::Cl100k),
    ("gpt-4o", Table::O200k),
    ("gpt-4.1", Table::O200k),
    ("gpt-4.5", Table::O200k),
    ("gpt-5", Table::O200k),
    ("gpt-oss", Table::O200k),
    ("chatgpt-4o", Table::O200k),
    ("o1", Table::O200k),
    ("o3", Table::O200k),
    ("o4", Table::O200k),
    ("gpt-4", Table::Cl100k),
    ("gpt-3.5-turbo", Table::Cl100k),
    ("gpt-35-turbo", Table::Cl100k),
    ("text-embedding-3-small", Table::Cl100k),
    ("text-embedding-3-large", Table::Cl100k),
    ("text-embedding-ada-002", Table::Cl100k),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    O200k,
    Cl100k,
}

impl Table {
    /// The table of a model, under its own name or behind `openai/` as gateways have it; `gpt-4o-2024-08-06` is a `gpt-4o`, and so is
    /// `ft:gpt-4o-2024-08-06:org::id`, which is tuned.
    fn of(model: &str) -> Option<Table> {
        let name = model.strip_prefix("openai/").unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let fits = |prefix: &str| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':', '.']))
        };
        MODELS.iter().find(|(prefix, _)| fits(prefix)).map(|(_, table)| *table)
    }

    fn tokenizer(self) -> &'static CoreBPE {
        match self {
            Table::O200k => o200k_base_singleton(),
            Table::Cl100k => cl100k_base_singleton(),
        }
    }
}

/// Whether a name is one of OpenAI's models.
pub(super) fn is_known(model: &str) -> bool {
    Table::of(model).is_some()
}

/// One of OpenAI's models.
pub(crate) struct OpenAi {
    model: String,
    tokenizer: &'static CoreBPE,
}

impl OpenAi {
    /// The model of a name, if it is one of OpenAI's.
    pub(crate) fn named(model: &str) -> Option<OpenAi> {
        let tokenizer = Table::of(model)?.tokenizer();
        Some(OpenAi { model: model.to_owned(), tokenizer })
    }
}

impl TokenCounter for OpenAi {
    fn model(&self) -> &str {
        &self.model
    }

    fn count(&self, text: &str) -> usize {
        let (mut rest, mut tokens) = (text, 0);
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(piece_len(rest));
            tokens += self.tokenizer.count_ordinary(piece);
            rest = behind;
        }
        tokens
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// Where the first piece of a text ends: before a space between two letters of ASCII, which belong to different words.
fn piece_len(text: &str) -> usize {
    if text.len() <= PIECE_BYTES {
        return text.len();
    }
    let bytes = text.as_bytes();
    let splits = |at: &usize| {
        bytes[*at] == b' ' && bytes[*at - 1].is_ascii_alphabetic() && bytes[*at + 1].is_ascii_alphabetic()
    };
    let end = (PIECE_BYTES..PIECE_BYTES_MAX.min(text.len() - 1)).find(splits);
    end.unwrap_or_else(|| text.floor_char_boundary(PIECE_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_tables() {
        let tables = [
            ("gpt-4o", Some(Table::O200k)),
            ("gpt-4o-mini-2024-07-18", Some(Table::O200k)),
            ("openai/gpt-4.1-mini", Some(Table::O200k)),
            ("gpt-4-turbo", Some(Table::Cl100k)),
            ("gpt-3.5-turbo-16k", Some(Table::Cl100k)),
            ("o1", Some(Table::O200k)),
            ("o1-preview", Some(Table::O200k)),
            ("text-embedding-3-large", Some(Table::Cl100k)),
            ("cl100k_base", Some(Table::Cl100k)),
            ("ft:gpt-4o-mini-2024-07-18:org::id", Some(Table::O200k)),
            ("openai/ft:gpt-4.1-2025-04-14:org:name:id", Some(Table::O200k)),
            ("ft:gpt-4-0613:org::id", Some(Table::Cl100k)),
            ("ft:gpt-3.5-turbo:org::id", Some(Table::Cl100k)),
            ("ft:other", None),
            ("gpt-40", None),
            ("o12", None),
            ("org/gpt-4o", None),
            ("", None),
        ];
        for (name, table) in tables {
            assert_eq!(Table::of(name), table, "{name}");
        }
    }

    /// Of the tables as they are published: a change of them would be seen.
    #[test]
    fn counts_are_those_of_the_reference() {
        let cases = [
            ("", 0, 0),
            ("hello world", 2, 2),
            ("What is a vector database?", 6, 6),
            ("naïve 日本語 12345", 8, 10),
        ];
        for (text, o200k, cl100k) in cases {
            assert_eq!(OpenAi::named("gpt-4o").unwrap().count(text), o200k, "{text}");
            assert_eq!(OpenAi::named("gpt-4").unwrap().count(text), cl100k, "{text}");
        }
    }

    #[test]
    fn pieces_change_no_count_and_no_text_is_too_long() {
        let counter = OpenAi::named("gpt-4o").unwrap();
        let words = "The store keeps vectors; naïve questions find it.\n\n  - and lists 12345 ".repeat(1_000);
        assert_eq!(counter.count(&words), counter.tokenizer.count_ordinary(&words));
        for run in [" ", "a", "\n", "é", "1", "!", "\u{3000}", "日"] {
            let text = run.repeat(300_000);
            let tokens = counter.count(&text);
            assert!((1..=text.len()).contains(&tokens), "{run:?}: {tokens}");
        }
    }
}
