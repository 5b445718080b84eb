//! What a document's bytes are, told by its name.

use super::Language;

/// What a document's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// Plain text.
    Text,
    /// Markdown; an ellipsis is stored for the data of pictures within it.
    Markdown,
    /// HTML; its text is stored as Markdown.
    Html,
    /// A PDF file; its text is that of its pages, with a form feed between two.
    Pdf,
    /// Source code, divided by its items: functions, types, modules.
    Code(Language),
}

/// Names, IANA's media types and lower-case extensions of what is not source code.
const TYPES: [(MediaType, &str, &str, &[&str]); 4] = [
    (MediaType::Markdown, "markdown", "text/markdown", &["md", "markdown", "mdown", "mkd", "mdx"]),
    (MediaType::Text, "text", "text/plain", &["txt", "text", "rst", "adoc", "asciidoc"]),
    (MediaType::Html, "html", "text/html", &["html", "htm", "xhtml"]),
    (MediaType::Pdf, "pdf", "application/pdf", &["pdf"]),
];

impl MediaType {
    /// The type by the extension of a file name, path or document id, in any case of letters. A name without an
    /// extension (`LICENSE`, `.profile`) is taken for plain text.
    ///
    /// # Errors
    /// The extension, if it is none of those understood.
    pub fn from_name(name: &str) -> Result<MediaType, UnknownExtension> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let Some(extension) = extension(file) else { return Ok(MediaType::Text) };
        let lower = extension.to_ascii_lowercase();
        TYPES
            .iter()
            .find(|(.., extensions)| extensions.contains(&lower.as_str()))
            .map(|(media_type, ..)| *media_type)
            .or_else(|| Language::from_extension(&lower).map(MediaType::Code))
            .ok_or_else(|| UnknownExtension(extension.to_owned()))
    }

    /// The name it is stored under: `text`, `markdown`, `html`, `pdf`, or that of a [`Language`].
    pub fn as_str(self) -> &'static str {
        match self {
            MediaType::Text => "text",
            MediaType::Markdown => "markdown",
            MediaType::Html => "html",
            MediaType::Pdf => "pdf",
            MediaType::Code(language) => language.as_str(),
        }
    }

    /// The type of that name, or of IANA's name (`text/markdown`, `application/pdf`), parameters (`; charset=utf-8`) aside.
    pub fn parse(name: &str) -> Option<MediaType> {
        let name = name.split(';').next().unwrap_or(name).trim();
        TYPES
            .iter()
            .find(|(_, known, iana, _)| *known == name || iana.eq_ignore_ascii_case(name))
            .map(|(media_type, ..)| *media_type)
            .or_else(|| Language::parse(name).map(MediaType::Code))
    }

    /// Every type there is.
    pub fn all() -> impl Iterator<Item = MediaType> {
        let types = TYPES.iter().map(|(media_type, ..)| *media_type);
        types.chain(Language::ALL.into_iter().map(MediaType::Code))
    }
}

/// A file extension that names no kind of text that is understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("files ending in .{0} are not understood; {understood} are", understood = understood())]
pub struct UnknownExtension(pub String);

/// What follows the last dot of a file name, if that dot neither starts nor ends the name.
pub(crate) fn extension(file: &str) -> Option<&str> {
    match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => Some(extension),
        _ => None,
    }
}

fn understood() -> String {
    let types = TYPES.iter().flat_map(|(.., extensions)| extensions.iter().copied());
    types.chain(Language::extensions()).map(|known| format!(".{known}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides() {
        for (name, expected) in [
            ("a.md", MediaType::Markdown),
            ("docs/A.Markdown", MediaType::Markdown),
            ("page.MDX", MediaType::Markdown),
            ("notes.txt", MediaType::Text),
            ("a.b.rst", MediaType::Text),
            ("LICENSE", MediaType::Text),
            ("v1.2/LICENSE", MediaType::Text),
            (".profile", MediaType::Text),
            ("ends.", MediaType::Text),
            ("index.HTM", MediaType::Html),
            ("report.PDF", MediaType::Pdf),
            ("src/main.rs", MediaType::Code(Language::Rust)),
            ("app.tsx", MediaType::Code(Language::Tsx)),
            ("a.HPP", MediaType::Code(Language::Cpp)),
            ("run.sh", MediaType::Code(Language::Other)),
        ] {
            assert_eq!(MediaType::from_name(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn an_unknown_extension_is_named_with_those_understood() {
        let error = MediaType::from_name("picture.png").unwrap_err();
        let message = error.to_string();
        assert!(message.contains(".png are not understood"), "{message}");
        for known in [".md, ", ".xhtml", ".pdf", ".rs", ".cpp"] {
            assert!(message.contains(known), "{message}");
        }
    }

    #[test]
    fn names_round_trip() {
        for media_type in MediaType::all() {
            assert_eq!(MediaType::parse(media_type.as_str()), Some(media_type));
        }
        assert_eq!(MediaType::parse("Text/Markdown; charset=utf-8"), Some(MediaType::Markdown));
        assert_eq!(MediaType::parse("application/pdf"), Some(MediaType::Pdf));
        assert_eq!(MediaType::parse("png"), None);
    }

    #[test]
    fn no_extension_has_two_meanings() {
        let mut seen = std::collections::HashSet::new();
        for extension in
            TYPES.iter().flat_map(|(.., known)| known.iter().copied()).chain(Language::extensions())
        {
            assert!(seen.insert(extension), "{extension}");
        }
    }
}
