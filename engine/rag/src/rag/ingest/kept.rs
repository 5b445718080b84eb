//! What of a stored document's chunks stays when it is replaced.
//!
//! A chunk's vector depends on the model and on what was embedded, nothing else; the chunk's hash stands for that. So a chunk with the
//! hash of a stored one takes its vector, wherever it stood, and is not embedded; and one that is stored exactly as it would be written
//! is not written. Rows are read some at a time; only vectors that are taken over are kept.

use std::collections::HashMap;

use ragstone::{Point, PointId};

use super::super::documents::READ_BATCH;
use super::super::rows;
use super::prepare::{Preparation, is_made_by};
use crate::error::Result;
use crate::ingest::Document;
use crate::ingest::split::Passage;
use crate::reserved::chunk_row;

/// What stays of a stored document.
#[derive(Default)]
pub(super) struct Kept {
    /// The stored vector of each passage, if there is one.
    pub(super) vectors: Vec<Option<Vec<f32>>>,
    /// Whether the row of each passage is stored as it would be written.
    pub(super) rows: Vec<bool>,
    /// Stored chunks with the content of one of the passages, each passage counting once.
    pub(super) chunks: usize,
    /// Stored chunks.
    pub(super) before: usize,
}

/// Compares the chunks of the stored document with the passages that it is to have.
pub(super) fn kept(
    preparation: &Preparation,
    stored: Option<&Point>,
    head: &Document,
    passages: &[Passage],
) -> Result<Kept> {
    let mut kept =
        Kept { vectors: vec![None; passages.len()], rows: vec![false; passages.len()], ..Kept::default() };
    let Some(stored) = stored else { return Ok(kept) };
    kept.before = rows::document(stored.clone())?.chunks;
    if !is_made_by(stored, &preparation.model) {
        return Ok(kept);
    }
    let mut wanted: HashMap<&str, Wanted> = HashMap::new();
    for (at, passage) in passages.iter().enumerate() {
        wanted.entry(&passage.chunk.content_sha256).or_default().passages.push(at);
    }
    let ids: Vec<PointId> = (0..kept.before).map(|ordinal| chunk_row(&head.id, ordinal)).collect();
    let view = preparation.collection.view();
    let mut ordinal = 0;
    for ids in ids.chunks(READ_BATCH) {
        for row in view.get(ids)? {
            let at = ordinal;
            ordinal += 1;
            let Some(row) = row else { continue };
            kept.take(at, row, head, passages, &mut wanted);
        }
    }
    Ok(kept)
}

/// Passages of one content.
#[derive(Default)]
struct Wanted {
    passages: Vec<usize>,
    /// How many stored chunks have it.
    stored: usize,
}

impl Kept {
    /// Looks at the stored chunk of an ordinal.
    fn take(
        &mut self,
        ordinal: usize,
        row: Point,
        head: &Document,
        passages: &[Passage],
        wanted: &mut HashMap<&str, Wanted>,
    ) {
        let Some(wanted) = rows::chunk_hash(&row).and_then(|hash| wanted.get_mut(hash)) else { return };
        let Some(vector) = row.vector else { return };
        if wanted.stored < wanted.passages.len() {
            wanted.stored += 1;
            self.chunks += 1;
        }
        if let Some(passage) = passages.get(ordinal).filter(|_| wanted.passages.contains(&ordinal)) {
            let written = rows::chunk_point(head, passage.clone(), Vec::new());
            self.rows[ordinal] = written.payload == row.payload;
        }
        for at in &wanted.passages {
            if self.vectors[*at].is_none() {
                self.vectors[*at] = Some(vector.clone());
            }
        }
    }
}
