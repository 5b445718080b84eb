//! What a document's bytes are, told by its name.

use super::MediaType;

/// Extensions that are understood, lower case, with what they mean.
const EXTENSIONS: [(&str, MediaType); 13] = [
    ("md", MediaType::Markdown),
    ("markdown", MediaType::Markdown),
    ("mdown", MediaType::Markdown),
    ("mkd", MediaType::Markdown),
    ("mdx", MediaType::Markdown),
    ("txt", MediaType::Text),
    ("text", MediaType::Text),
    ("rst", MediaType::Text),
    ("adoc", MediaType::Text),
    ("asciidoc", MediaType::Text),
    ("html", MediaType::Html),
    ("htm", MediaType::Html),
    ("xhtml", MediaType::Html),
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
        EXTENSIONS
            .iter()
            .find(|(known, _)| *known == lower)
            .map(|(_, media_type)| *media_type)
            .ok_or_else(|| UnknownExtension(extension.to_owned()))
    }

    /// The name it is stored under: `text`, `markdown` or `html`.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaType::Text => "text",
            MediaType::Markdown => "markdown",
            MediaType::Html => "html",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<MediaType> {
        [MediaType::Text, MediaType::Markdown, MediaType::Html].into_iter().find(|kind| kind.as_str() == name)
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
    EXTENSIONS.iter().map(|(extension, _)| format!(".{extension}")).collect::<Vec<_>>().join(", ")
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
        ] {
            assert_eq!(MediaType::from_name(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn an_unknown_extension_is_named_with_those_understood() {
        let error = MediaType::from_name("report.pdf").unwrap_err();
        let message = error.to_string();
        assert!(message.contains(".pdf are not understood"), "{message}");
        assert!(message.contains(".md, ") && message.contains(".xhtml"), "{message}");
    }

    #[test]
    fn names_round_trip() {
        for media_type in [MediaType::Text, MediaType::Markdown, MediaType::Html] {
            assert_eq!(MediaType::parse(media_type.as_str()), Some(media_type));
        }
        assert_eq!(MediaType::parse("pdf"), None);
    }
}
