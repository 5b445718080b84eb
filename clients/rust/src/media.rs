//! What documents are written in.

use ragstone_proto::v1;

use crate::error::{Error, Result};

/// What a document's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaType {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// HTML; its text is stored as Markdown.
    Html,
    /// A PDF file; its text is that of its pages, with a form feed between two.
    Pdf,
    /// Source code in a language that is none of those below: divided between lines.
    Code,
    /// Source code, divided by its functions, types and modules: Rust.
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
}

impl MediaType {
    const ALL: [(MediaType, v1::MediaType); 14] = [
        (MediaType::Text, v1::MediaType::Text),
        (MediaType::Markdown, v1::MediaType::Markdown),
        (MediaType::Html, v1::MediaType::Html),
        (MediaType::Pdf, v1::MediaType::Pdf),
        (MediaType::Code, v1::MediaType::Code),
        (MediaType::Rust, v1::MediaType::Rust),
        (MediaType::Python, v1::MediaType::Python),
        (MediaType::JavaScript, v1::MediaType::Javascript),
        (MediaType::TypeScript, v1::MediaType::Typescript),
        (MediaType::Tsx, v1::MediaType::Tsx),
        (MediaType::Go, v1::MediaType::Go),
        (MediaType::Java, v1::MediaType::Java),
        (MediaType::C, v1::MediaType::C),
        (MediaType::Cpp, v1::MediaType::Cpp),
    ];

    pub(crate) fn into_wire(self) -> v1::MediaType {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == self);
        found.map_or(v1::MediaType::Unspecified, |(_, wire)| wire)
    }

    pub(crate) fn from_wire(wire: i32) -> Result<MediaType> {
        let found = Self::ALL.into_iter().find(|(_, known)| *known as i32 == wire);
        found.map(|(known, _)| known).ok_or_else(|| Error::missing("media_type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_wire_is_known() {
        for wire in 1..100 {
            if let Ok(known) = v1::MediaType::try_from(wire) {
                assert_eq!(MediaType::from_wire(wire).unwrap().into_wire(), known);
            }
        }
        assert!(MediaType::from_wire(0).is_err());
    }
}
