//! Documents and chunks as rows, and back. [`reserved`](crate::reserved) has the table.

use ragstone::{Payload, Point, PointId, Value};

use crate::error::{Error, Result};
use crate::ingest::split::Passage;
use crate::ingest::{Chunk, Document, MediaType};
use crate::limits::DOCUMENT_CHUNKS_MAX;
use crate::reserved::{
    CHUNKS, CONTENT, CONTENT_SHA256, DOCUMENT, END, GAP, HEADING, KIND, KIND_CHUNK, KIND_DOCUMENT,
    MEDIA_TYPE, ORDINAL, PIPELINE, SHA256, SOURCE, START, TEXT, TITLE, TOKENS, chunk_row, document_row,
};

/// The row of a document.
pub(super) fn document_point(document: &Document, pipeline: &str) -> Point {
    let mut point = Point::without_vector(document_row(&document.id));
    point.payload = document.metadata.clone();
    if !document.title.is_empty() {
        point = point.with(TITLE, document.title.as_str());
    }
    point
        .with(KIND, KIND_DOCUMENT)
        .with(DOCUMENT, document.id.as_str())
        .with(SOURCE, document.source.as_str())
        .with(MEDIA_TYPE, document.media_type.as_str())
        .with(SHA256, document.content_sha256.as_str())
        .with(CONTENT, document.text.as_str())
        .with(CHUNKS, int(document.chunks))
        .with(PIPELINE, pipeline)
}

/// The row of a chunk of a document.
pub(super) fn chunk_point(document: &Document, passage: Passage, vector: Vec<f32>) -> Point {
    let Passage { chunk, gap, .. } = passage;
    let mut point = Point::new(chunk_row(&document.id, chunk.ordinal), vector);
    point.payload = document.metadata.clone();
    if let Some(gap) = gap {
        point = point.with(GAP, gap);
    }
    point
        .with(KIND, KIND_CHUNK)
        .with(DOCUMENT, chunk.document)
        .with(SOURCE, document.source.as_str())
        .with(ORDINAL, int(chunk.ordinal))
        .with(HEADING, chunk.heading)
        .with(START, int(chunk.start))
        .with(END, int(chunk.end))
        .with(TEXT, chunk.text)
        .with(TOKENS, int(chunk.tokens))
        .with(CONTENT_SHA256, chunk.content_sha256)
}

/// The document of a row; its text is empty if the row was read without it.
pub(super) fn document(point: Point) -> Result<Document> {
    let mut row = Row::of(point);
    let media_type = row.text(MEDIA_TYPE)?;
    Ok(Document {
        id: row.text(DOCUMENT)?,
        title: row.text(TITLE).unwrap_or_default(),
        source: row.text(SOURCE)?,
        media_type: MediaType::parse(&media_type).ok_or_else(|| row.wrong(MEDIA_TYPE))?,
        content_sha256: row.text(SHA256)?,
        text: row.text(CONTENT).unwrap_or_default(),
        chunks: row.chunks()?,
        metadata: row.metadata(),
    })
}

/// The chunk of a row, and the white space before it where that is known.
pub(super) fn chunk(id: PointId, payload: Payload) -> Result<(Chunk, Option<String>)> {
    let mut row = Row { id, payload };
    let chunk = Chunk {
        document: row.text(DOCUMENT)?,
        ordinal: row.number(ORDINAL)?,
        heading: row.text(HEADING)?,
        start: row.number(START)?,
        end: row.number(END)?,
        text: row.text(TEXT)?,
        tokens: row.number(TOKENS)?,
        content_sha256: row.text(CONTENT_SHA256).unwrap_or_default(),
    };
    Ok((chunk, row.text(GAP).ok()))
}

/// The headings above the chunk of a row, which may have been read without the rest.
pub(super) fn heading(point: Point) -> Result<String> {
    Row::of(point).text(HEADING)
}

/// What made the chunks of a document row.
pub(super) fn pipeline(point: &Point) -> Option<&str> {
    point.payload.get(PIPELINE).and_then(Value::as_str)
}

/// The hash of a chunk row's content; rows of earlier versions lack it.
pub(super) fn chunk_hash(point: &Point) -> Option<&str> {
    point.payload.get(CONTENT_SHA256).and_then(Value::as_str)
}

struct Row {
    id: PointId,
    payload: Payload,
}

impl Row {
    fn of(point: Point) -> Row {
        Row { id: point.id, payload: point.payload }
    }

    fn text(&mut self, field: &str) -> Result<String> {
        match self.payload.remove(field) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(self.wrong(field)),
        }
    }

    fn number(&mut self, field: &str) -> Result<usize> {
        let number = self.payload.remove(field).and_then(|value| value.as_int());
        number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| self.wrong(field))
    }

    /// How many chunks a document has: no more than ingestion makes, since each of them is gone through.
    fn chunks(&mut self) -> Result<usize> {
        match self.number(CHUNKS)? {
            chunks if chunks > DOCUMENT_CHUNKS_MAX => Err(self.wrong(CHUNKS)),
            chunks => Ok(chunks),
        }
    }

    /// The fields that the user gave.
    fn metadata(self) -> Payload {
        self.payload.into_iter().filter(|(name, _)| !name.starts_with('_')).collect()
    }

    /// Only a point written past ingestion, under its reserved names, can be incomplete.
    fn wrong(&self, field: &str) -> Error {
        Error::Invalid {
            field: format!("point `{}`, field `{field}`", self.id),
            reason: "it is not what ingestion writes; the point was written by other means".to_owned(),
        }
    }
}

fn int(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that came out of a file may say anything: as many ids were made as it said, until memory was full.
    #[test]
    fn a_document_has_no_more_chunks_than_ingestion_makes() {
        let row = |chunks: i64| {
            let row = Point::without_vector(document_row("d")).with(DOCUMENT, "d").with(SOURCE, "s");
            row.with(MEDIA_TYPE, "text").with(SHA256, "00").with(CHUNKS, chunks)
        };
        assert_eq!(document(row(int(DOCUMENT_CHUNKS_MAX))).unwrap().chunks, DOCUMENT_CHUNKS_MAX);
        for chunks in [int(DOCUMENT_CHUNKS_MAX) + 1, i64::MAX, -1] {
            let error = document(row(chunks)).unwrap_err().to_string();
            assert!(error.starts_with("point `doc:d`, field `_chunks`: "), "{error}");
        }
    }
}
