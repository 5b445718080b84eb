//! Bytes to text.
//!
//! Only UTF-8 is read: guessing an encoding corrupts text in silence, while an error names the first byte that does not
//! fit. A byte order mark is not part of the text. A NUL byte is taken for proof that the file is binary. A PDF, which is binary, says
//! by itself what its characters are (`pdf`).
//!
//! Markdown is kept as it is, but for the data of pictures and other files within it, of which an ellipsis is left. A picture of a
//! megabyte is a thousand chunks that nobody asks for, and each would be embedded.

use std::borrow::Cow;

use super::{MediaType, PdfProgram, html, pdf};
use crate::embed::Wanted;
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_BYTES_MAX;

/// Changes when the same bytes would give another text, so that stored documents are extracted anew.
pub(crate) const EXTRACT_VERSION: u32 = 4;

/// The text that is stored for a document.
///
/// # Errors
/// [`Error::NotText`], naming the first offending byte; or why a PDF has no text; [`Error::Limit`], if HTML renders to too long a text. Of a PDF,
/// [`Error::PdfReader`] and [`Error::PdfReaderBusy`], and why nobody waits for it any more.
pub(crate) fn text(
    document: &str,
    media_type: MediaType,
    content: &[u8],
    (pdf_program, wanted): (Option<&PdfProgram>, Wanted<'_>),
) -> Result<String> {
    let refused = |reason| Error::NotText { document: document.to_owned(), reason };
    let text = match media_type {
        MediaType::Pdf => pdf::to_text(content, pdf_program, wanted).map_err(|unread| unread.of(document))?,
        MediaType::Html => decode(content, media_type).and_then(html::to_markdown).map_err(refused)?,
        MediaType::Markdown => without_data(decode(content, media_type).map_err(refused)?).into_owned(),
        MediaType::Text | MediaType::Code(_) => decode(content, media_type).map_err(refused)?.to_owned(),
    };
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::Limit {
            field: "content (as text)".to_owned(),
            limit: "DOCUMENT_BYTES_MAX",
            max: DOCUMENT_BYTES_MAX as u64,
            actual: text.len() as u64,
        });
    }
    Ok(text)
}

/// How the names of charsets begin whose bytes are valid UTF-8 but mean something else.
const SEVEN_BIT_CHARSETS: [&str; 3] = ["iso-2022", "hz", "utf-7"];

fn decode(content: &[u8], media_type: MediaType) -> Result<&str, String> {
    if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) {
        return Err("it begins with the byte order mark of UTF-16; convert it to UTF-8".to_owned());
    }
    let mark = if content.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    let body = &content[mark..];
    if let Some(at) = body.iter().position(|byte| *byte == 0) {
        return Err(format!("byte {} is NUL, so this is a binary file", at + mark));
    }
    if media_type == MediaType::Html
        && let Some(charset) = html::declared_charset(content)
        && SEVEN_BIT_CHARSETS.iter().any(|start| charset.to_ascii_lowercase().starts_with(start))
    {
        return Err(format!(
            "the page declares charset {charset}, whose bytes only look like text; convert it to UTF-8"
        ));
    }
    std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to() + mark;
        let declared = match media_type {
            MediaType::Html => html::declared_charset(content),
            _ => None,
        };
        match declared {
            Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
                format!("byte {at} is not UTF-8; the page declares charset {charset}: convert it to UTF-8")
            }
            _ => format!("byte {at} is not UTF-8, so this is not text or in another encoding"),
        }
    })
}

/// What the data of a URL stands behind: `data:image/png;base64,`.
const DATA_MARK: &str = ";base64,";
/// Bytes of base64 that are data; fewer may be an example of it, which somebody reads.
const DATA_BYTES_MIN: usize = 256;

/// Markdown with an ellipsis for the data of each URL that holds it. One pass, as neither data nor a type of media holds a mark.
fn without_data(text: &str) -> Cow<'_, str> {
    let is_of_type = |c: char| c.is_ascii_alphanumeric() || "/.+-=;_".contains(c);
    let is_of_data = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_%".contains(&byte);
    let (mut kept, mut done) = (String::new(), 0);
    for (at, mark) in text.match_indices(DATA_MARK) {
        let start = at + mark.len();
        let bytes = text.as_bytes()[start..].iter().take_while(|byte| is_of_data(**byte)).count();
        if bytes >= DATA_BYTES_MIN && text[done..at].trim_end_matches(is_of_type).ends_with("data:") {
            kept.push_str(&text[done..start]);
            kept.push('…');
            done = start + bytes;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[done..]);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str, media_type: MediaType, content: &[u8]) -> Result<String> {
        super::text(document, media_type, content, (None, Wanted::always()))
    }

    fn reason(media_type: MediaType, content: &[u8]) -> String {
        match text("d", media_type, content) {
            Err(Error::NotText { document, reason }) => {
                assert_eq!(document, "d");
                reason
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_and_markdown_are_kept_verbatim() {
        for source in ["", "a\r\nb\n\n  c\u{a0}\t", "# T\n\nπ\u{1f600}"] {
            assert_eq!(text("d", MediaType::Text, source.as_bytes()).unwrap(), source);
            assert_eq!(text("d", MediaType::Markdown, source.as_bytes()).unwrap(), source);
        }
    }

    /// A page with a picture, as word processors write Markdown, was embedded for minutes, and its chunks were base64.
    #[test]
    fn the_data_of_pictures_is_no_text_of_markdown() {
        let data = "iVBORw0KGgo+/".repeat(1_000) + "==";
        let page = |data: &str, more: &str| {
            format!(
                "# T\n\n![π chart](data:image/png;base64,{data})\n\n[image1]: <data:image/svg+xml;charset=utf-8;base64,{more}>\n\nπ"
            )
        };
        let given = page(&data, &data);
        assert_eq!(text("d", MediaType::Markdown, given.as_bytes()).unwrap(), page("…", "…"));
        assert_eq!(text("d", MediaType::Text, given.as_bytes()).unwrap(), given);
        let example = "R0lGODlhAQABAAAAACw=";
        let given = page(example, &data);
        assert_eq!(text("d", MediaType::Markdown, given.as_bytes()).unwrap(), page(example, "…"));
        for kept in [page(example, example), format!("metadata;base64,{data}"), format!(";base64,{data}")] {
            assert_eq!(text("d", MediaType::Markdown, kept.as_bytes()).unwrap(), kept);
        }
    }

    #[test]
    fn a_byte_order_mark_is_not_text() {
        assert_eq!(text("d", MediaType::Text, b"\xef\xbb\xbfa").unwrap(), "a");
    }

    #[test]
    fn offsets_of_bad_bytes_count_from_the_start_of_the_file() {
        assert!(reason(MediaType::Text, b"ab\0").contains("byte 2 is NUL"));
        assert!(reason(MediaType::Text, b"\xef\xbb\xbfa\0").contains("byte 4 is NUL"));
        assert!(reason(MediaType::Markdown, b"\xef\xbb\xbfab\xff").contains("byte 5 is not UTF-8"));
        assert!(reason(MediaType::Text, b"\xff\xfea\0").contains("UTF-16"));
        let latin1 = b"<meta charset=\"ISO-8859-1\"><p>caf\xe9</p>";
        assert!(reason(MediaType::Html, latin1).contains("declares charset iso-8859-1"));
    }
}
