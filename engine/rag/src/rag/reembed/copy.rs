//! Rows of a collection become rows of its replacement: documents with their chunks, and a user's own points, a group of them at a time.

use std::collections::HashSet;
use std::mem;

use ragstone::{Batch, Point, PointId, Value, View};

use super::state::State;
use super::{Run, check_cancelled};
use crate::embed::{Overflow, Role, Wanted};
use crate::error::{Error, Result};
use crate::ingest::split::{self, HEADING_SEPARATOR};
use crate::ingest::{ChunkOptions, MediaType};
use crate::limits::DOCUMENT_CHUNKS_MAX;
use crate::rag::{contract, ingest, rows};
use crate::reserved::{
    CHUNKS, CONTENT_SHA256, HEADING, MEDIA_TYPE, PIPELINE, TEXT, TOKENS, chunk_row, document_row,
};

/// Texts of a group: how far a re-embedding is, is kept after each, so this much is done again after an interruption at most.
const GROUP_TEXTS: usize = 128;
/// Bytes of rows in a group, but for its last document.
const GROUP_BYTES: usize = 8 << 20;
/// Texts that are embedded at a time: a question that comes in between waits for a fraction of a second.
const EMBED_BATCH: usize = 16;
/// Rows that are looked up at a time.
const READ_BATCH: usize = 1_000;

/// What a row is, by its id.
enum Unit<'a> {
    Document(&'a str),
    /// Of this document.
    Chunk(&'a str),
    Own,
}

impl Unit<'_> {
    fn of(id: &PointId) -> Unit<'_> {
        let PointId::Str(text) = id else { return Unit::Own };
        if let Some(document) = text.strip_prefix("doc:") {
            return Unit::Document(document);
        }
        match text.strip_prefix("doc#").and_then(|rest| rest.rsplit_once('#')) {
            Some((document, _)) => Unit::Chunk(document),
            None => Unit::Own,
        }
    }
}

/// A row on its way, and the text that its default vector is made of.
struct Row {
    point: Point,
    text: Option<String>,
}

/// A pass over a view.
pub(super) struct Copying<'a> {
    run: &'a Run<'a>,
    view: &'a View,
    /// Rows with higher etags were changed since they were copied.
    base: u64,
    /// Documents with a chunk that was.
    changed: HashSet<String>,
    chunking: ChunkOptions,
    pipeline: String,
    /// Tokens that the model reads of a passage.
    capacity: usize,
    /// The document of the last chunk, which is there.
    known: Option<String>,
    rows: Vec<Row>,
    gone: Vec<PointId>,
    texts: usize,
    bytes: usize,
    split_anew: u64,
}

impl<'a> Copying<'a> {
    pub(super) fn new(run: &'a Run<'a>, view: &'a View, base: u64) -> Result<Self> {
        let original = run.replacement.original();
        let chunking = contract::chunking(original.name(), &original.schema())?;
        let info = run.embedder.info();
        let mut changed = HashSet::new();
        if base > 0 {
            for (id, _) in view.ids(None)?.filter(|(_, etag)| *etag > base) {
                if let Unit::Chunk(document) = Unit::of(&id)
                    && !changed.contains(document)
                {
                    changed.insert(document.to_owned());
                }
            }
        }
        Ok(Self {
            run,
            view,
            base,
            changed,
            pipeline: ingest::pipeline(info, &chunking),
            chunking,
            capacity: info.max_tokens.saturating_sub(run.embedder.overhead_tokens(Role::Passage)),
            known: None,
            rows: Vec::new(),
            gone: Vec::new(),
            texts: 0,
            bytes: 0,
            split_anew: 0,
        })
    }

    /// Removes rows that the original has no more: points and documents, and chunks of such documents.
    pub(super) fn remove_gone(&self) -> Result<()> {
        let copied = self.run.replacement.collection();
        let there = copied.view();
        let mut ids = there.ids(None)?.map(|(id, _)| id).peekable();
        while ids.peek().is_some() {
            check_cancelled(self.run.cancel)?;
            let part: Vec<PointId> = ids.by_ref().take(READ_BATCH).collect();
            let owners: Vec<PointId> = part
                .iter()
                .map(|id| match Unit::of(id) {
                    Unit::Chunk(document) => document_row(document),
                    Unit::Document(_) | Unit::Own => id.clone(),
                })
                .collect();
            let etags = self.view.etags(&owners)?;
            let gone: Vec<PointId> =
                part.into_iter().zip(etags).filter(|(_, etag)| etag.is_none()).map(|(id, _)| id).collect();
            if !gone.is_empty() {
                copied.delete(&gone)?;
            }
        }
        Ok(())
    }

    /// Takes a row, if it or what belongs to it was changed; whether the group is full.
    pub(super) fn take(&mut self, (id, etag): (PointId, u64)) -> Result<bool> {
        match Unit::of(&id) {
            Unit::Chunk(document) => self.check_document(&id, document)?,
            Unit::Document(document) if etag > self.base || self.changed.contains(document) => {
                self.take_document(&id, document)?;
            }
            Unit::Own if etag > self.base => self.take_own(&id)?,
            Unit::Document(_) | Unit::Own => {}
        }
        Ok(self.texts >= GROUP_TEXTS || self.bytes >= GROUP_BYTES || self.rows.len() >= READ_BATCH)
    }

    /// A chunk goes with its document. One without would be lost in silence.
    fn check_document(&mut self, id: &PointId, document: &str) -> Result<()> {
        if self.known.as_deref() == Some(document) {
            return Ok(());
        }
        if self.view.etags(&[document_row(document)])?[0].is_none() {
            return Err(Error::Invalid {
                field: format!("point `{id}`"),
                reason: format!("it is a chunk of document `{document}`, which is not there; remove it"),
            });
        }
        self.known = Some(document.to_owned());
        Ok(())
    }

    fn push(&mut self, row: Row) {
        self.texts += usize::from(row.text.is_some());
        let fields = row.point.payload.values().map(|value| value.as_str().map_or(8, str::len));
        self.bytes += fields.sum::<usize>();
        self.rows.push(row);
    }

    fn take_own(&mut self, id: &PointId) -> Result<()> {
        let Some(point) = get(self.view, id)? else { return Ok(()) };
        if point.vector.is_none() {
            self.push(Row { point, text: None });
            return Ok(());
        }
        let field = self.run.options.text_field.as_deref();
        let text = field.and_then(|field| point.payload.get(field)).and_then(Value::as_str);
        let Some(text) = text.map(str::to_owned) else {
            let reason = match field {
                Some(field) => format!("it has a vector, and no text in `{field}` to make it anew of"),
                None => "it has a vector, and no field is named with the text to make it anew of".to_owned(),
            };
            return Err(Error::Invalid { field: format!("point `{id}`"), reason });
        };
        self.push(Row { point, text: Some(text) });
        Ok(())
    }

    fn take_document(&mut self, id: &PointId, document: &str) -> Result<()> {
        let Some(mut head) = get(self.view, id)? else { return Ok(()) };
        let count = chunks_of(&head);
        let mut chunks = Vec::with_capacity(count);
        for from in (0..count).step_by(READ_BATCH) {
            let ids: Vec<PointId> =
                (from..count.min(from + READ_BATCH)).map(|at| chunk_row(document, at)).collect();
            chunks.extend(self.view.get(&ids)?.into_iter().flatten());
        }
        let fits = |chunk: &Point| self.run.embedder.count_tokens(text_of(chunk)) <= self.capacity;
        let chunks = if chunks.iter().all(fits) { self.kept(&head, chunks) } else { self.split_anew(&head)? };
        // Of a version with more chunks, from an earlier pass.
        let before =
            get(&self.run.replacement.collection().view(), id)?.map_or(0, |copied| chunks_of(&copied));
        self.gone.extend((chunks.len()..before).map(|at| chunk_row(document, at)));
        head = head.with(CHUNKS, chunks.len() as i64).with(PIPELINE, self.pipeline.as_str());
        chunks.into_iter().for_each(|chunk| self.push(chunk));
        self.push(Row { point: head, text: None });
        Ok(())
    }

    /// Chunks as they are, with the tokens that the new model counts and the hash of what it reads.
    fn kept(&self, head: &Point, chunks: Vec<Point>) -> Vec<Row> {
        let pdf = MediaType::Pdf.as_str();
        let is_paged = head.payload.get(MEDIA_TYPE).and_then(Value::as_str) == Some(pdf);
        let row = |point: Point| {
            let (text, heading) = (text_of(&point), point.payload.get(HEADING).and_then(Value::as_str));
            let heading = heading.unwrap_or_default();
            let tokens = self.run.embedder.count_tokens(text);
            let context = self.context(text, heading, is_paged);
            let hash = split::content_hash(heading, &context, text);
            let text = split::with_context(&context, text);
            Row { point: point.with(TOKENS, tokens as i64).with(CONTENT_SHA256, hash), text: Some(text) }
        };
        chunks.into_iter().map(row).collect()
    }

    /// As many of the titles above a chunk as fit before its text, innermost first to stay; its own heading stands in its text, and the
    /// number of a page says nothing.
    fn context(&self, text: &str, heading: &str, is_paged: bool) -> String {
        let mut titles: Vec<&str> = heading.split(HEADING_SEPARATOR).collect();
        if titles.last().is_some_and(|own| is_paged || has_heading(text, own)) {
            titles.pop();
        }
        let mut contexts = (0..titles.len()).map(|skipped| titles[skipped..].join(HEADING_SEPARATOR));
        let fits = |context: &String| {
            self.run.embedder.count_tokens(&split::with_context(context, text)) <= self.capacity
        };
        contexts.find(fits).unwrap_or_default()
    }

    /// A document whose chunks the model cannot read whole, split for it.
    fn split_anew(&mut self, head: &Point) -> Result<Vec<Row>> {
        let document = rows::document(head.clone())?;
        let source = split::Source {
            document: &document.id,
            title: &document.title,
            text: &document.text,
            media_type: document.media_type,
        };
        let passages = split::split(source, &self.chunking, self.run.embedder.as_ref())?;
        self.split_anew += 1;
        let row = |passage: split::Passage| {
            let text = passage.embedded();
            Row { point: rows::chunk_point(&document, passage, Vec::new()), text: Some(text) }
        };
        Ok(passages.into_iter().map(row).collect())
    }

    /// Embeds the group and writes it as one batch.
    pub(super) fn flush(&mut self, state: &mut State) -> Result<()> {
        let mut rows = mem::take(&mut self.rows);
        let gone = mem::take(&mut self.gone);
        (self.texts, self.bytes) = (0, 0);
        let mut wanting: Vec<&mut Row> = rows.iter_mut().filter(|row| row.text.is_some()).collect();
        for part in wanting.chunks_mut(EMBED_BATCH) {
            check_cancelled(self.run.cancel)?;
            state.tokens += self.embed(part)?;
            state.done += part.len() as u64;
            self.run.progress.advance(part.len() as u64);
        }
        if rows.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let batch = gone.into_iter().fold(Batch::new(), Batch::delete);
        let batch =
            rows.into_iter().fold(batch, |batch, row| batch.upsert(Point { etag: None, ..row.point }));
        self.run.replacement.collection().write(batch)?;
        state.split_anew += mem::take(&mut self.split_anew);
        Ok(())
    }

    /// Gives rows the vectors of their texts; the tokens that were read.
    fn embed(&self, rows: &mut [&mut Row]) -> Result<u64> {
        let texts: Vec<&str> = rows.iter().filter_map(|row| row.text.as_deref()).collect();
        let check_wanted = || check_cancelled(self.run.cancel);
        let wanted = Wanted::while_ok(&check_wanted);
        let embedded = self.run.embedder.embed_wanted(&texts, Role::Passage, Overflow::Error, wanted);
        let embeddings = embedded.map_err(|error| named(error, rows))?;
        let tokens = embeddings.token_counts.iter().sum::<usize>() as u64;
        for (row, vector) in rows.iter_mut().zip(embeddings.vectors) {
            row.point.vector = Some(vector);
        }
        Ok(tokens)
    }
}

/// An error about `texts[i]` as one about the row.
fn named(error: Error, rows: &[&mut Row]) -> Error {
    match error {
        Error::TokenLimit { field, model, tokens, max } => {
            let at = field.trim_start_matches("texts[").trim_end_matches(']').parse::<usize>();
            let row = at.ok().and_then(|at| rows.get(at));
            let field = row.map_or(field, |row| format!("point `{}`", row.point.id));
            Error::TokenLimit { field, model, tokens, max }
        }
        error => error,
    }
}

/// Whether a heading stands in a text: a line of its own, with or without signs before it. In a path it has `›` for `>`.
fn has_heading(text: &str, heading: &str) -> bool {
    let heading = heading.trim_end_matches('…').replace('›', ">");
    let plain = |line: &str| line.trim_start().trim_start_matches('#').trim_start().replace('›', ">");
    text.lines().any(|line| plain(line).starts_with(heading.as_str()))
}

fn text_of(chunk: &Point) -> &str {
    chunk.payload.get(TEXT).and_then(Value::as_str).unwrap_or_default()
}

/// How many chunks a document has; whatever its row says, which came out of a file perhaps, no more than ingestion makes.
fn chunks_of(document: &Point) -> usize {
    let count = document.payload.get(CHUNKS).and_then(Value::as_int);
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    count.min(DOCUMENT_CHUNKS_MAX)
}

fn get(view: &View, id: &PointId) -> Result<Option<Point>> {
    Ok(view.get(std::slice::from_ref(id))?.into_iter().next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_found_as_it_stands_in_its_path() {
        let text = "x\n  ## File > Save as\ny";
        for (heading, stands) in
            [("File › Save as", true), ("File › Save…", true), ("Save as", false), ("y", true)]
        {
            assert_eq!(has_heading(text, heading), stands, "{heading}");
        }
    }

    /// Room for as many chunks as a row said was asked for at once.
    #[test]
    fn a_row_from_a_file_has_no_more_chunks_than_ingestion_makes() {
        let row = |chunks: i64| Point::without_vector("doc:d").with(CHUNKS, chunks);
        assert_eq!([3, i64::MAX, -1].map(|chunks| chunks_of(&row(chunks))), [3, DOCUMENT_CHUNKS_MAX, 0]);
    }
}
