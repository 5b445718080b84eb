//! The words of a field that came to be searched by word when the segment was there already.
//!
//! **Problem.** A segment's file never changes, and to write it anew for the words of one field costs all of its vectors and links.
//!
//! **Idea.** They lie in a file of their own beside it, a container like that of the segment (`blocks.rs`) whose only part is a text part
//! (`parts/indexes.rs`). They are made of the rows as they lie in the segment. Rows with patches of a text are looked for elsewhere (`moved.rs`), whatever
//! these files say of them, so they stay right as long as the segment is there. Earlier versions made them of what patches said by then. The next merge takes them into the file of the segment that it writes.
//!
//! **Derived.** All that is in the file can be made again, so no manifest names it: it belongs to its segment by its name, and goes with it.
//! It gets that name only when it is durable, so a crash leaves all of it or nothing. One that is missing or damaged is as if it had not been written
//! yet: the words are made in memory when they are asked for, and written in the background. Copies of a database are made without it.
//!
//! **Cost.** Each text is analysed once. In memory: one builder of 64 MiB, and the dictionary and the lengths of the whole; texts that do not fit the
//! builder are indexed in pieces, each in a file until they are merged. One map for each file.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::block_reader::BlockReader;
use super::blocks::{self, BlockWriter, Blocks, Fault};
use super::meta::{Meta, PartKind};
use super::parts::{PartsFile, indexes};
use super::sealed::Check;
use super::{SealedSegment, SegmentView, words_file};
use crate::dir::{Blob, Dir, corrupt, io_error};
use crate::error::{Error, Result};
use crate::faults;
use crate::pace::Pace;
use crate::payload::FieldId;
use crate::signal::Closing;
use crate::text::{ANALYSIS_VERSION, Analysis, Analyzer, Index, IndexOf, MergeSource, PiecesOf};
use crate::verify::{Damage, Storage};

/// Words in a file beside their segment.
pub(crate) struct AddedWords {
    /// Of their analyser.
    code: u8,
    index: Arc<Index>,
    blob: Blob,
    blocks: Blocks,
    file: PathBuf,
    /// Everything was found sound, or written by this process.
    is_verified: AtomicBool,
    /// Damage was found: they are as good as not there.
    is_damaged: AtomicBool,
}

impl AddedWords {
    /// Opens a file with the words of a field of so many rows.
    pub(crate) fn open(
        dir: &dyn Dir,
        name: &str,
        (segment, field, rows): (u64, FieldId, u32),
        (storage, check): (Storage, Check),
    ) -> Result<Self> {
        let blocks::Opened { blob, blocks, meta, headers } = blocks::open(dir, name, storage)?;
        let fault = |(offset, reason): Fault| corrupt(dir, name, offset as u64, reason);
        let start = meta.start;
        let meta = Meta::decode(&(*blob).as_ref()[meta])
            .map_err(|error| fault((start + error.offset, error.reason)))?;
        let headers = RefCell::new(headers);
        let file = PartsFile { blob: &blob, scattered: &blob, blocks: &blocks, headers, end: start, rows };
        let is_right = (meta.segment, meta.rows) == (segment, rows);
        let part = match meta.parts.as_slice() {
            [part] if is_right && (part.kind, part.number) == (PartKind::Text, field) => part,
            _ => return Err(fault(file.fault("these are not the words of this field of this segment"))),
        };
        let (code, version, index) = indexes::open_text(&file, part).map_err(fault)?;
        if version != ANALYSIS_VERSION {
            let reason =
                format!("words by version {version} of the analysers, this program has {ANALYSIS_VERSION}");
            return Err(fault(file.fault(reason)));
        }
        if check == Check::Everything {
            let checked = match storage {
                Storage::Mapped => blocks.check_all_read(BlockReader::open(dir, name)?),
                Storage::Resident => blocks.check_all((*blob).as_ref()),
            };
            checked.map_err(fault)?;
        }
        Ok(Self {
            code,
            index: Arc::new(index),
            blob,
            blocks,
            file: dir.file_path(name),
            is_verified: AtomicBool::new(check != Check::Headers),
            is_damaged: AtomicBool::new(false),
        })
    }

    /// The index, if an analyser made it and no damage was found.
    pub(super) fn index(&self, analyzer: Analyzer) -> Option<&Arc<Index>> {
        let is_there = self.code == analyzer.code() && !self.is_damaged.load(Ordering::Acquire);
        is_there.then_some(&self.index)
    }

    fn size_bytes(&self) -> u64 {
        (*self.blob).as_ref().len() as u64
    }

    /// Compares everything with its checksums, read from the file of this name, or as it is open; what is damaged is passed over from then on.
    fn verify(&self, file: Option<(&dyn Dir, &str)>, pace: &mut Pace<'_>) -> ControlFlow<(), Vec<Damage>> {
        let mut file = match file {
            Some((dir, name)) => BlockReader::anew(dir, name, (&self.blob, &self.blocks)),
            None => BlockReader::over(&self.blob),
        };
        let faults = self.blocks.find_damage(&mut file, pace)?;
        let found = if faults.is_empty() { &self.is_verified } else { &self.is_damaged };
        found.store(true, Ordering::Release);
        let damage =
            |(offset, reason): Fault| Damage { file: self.file.clone(), offset: offset as u64, reason };
        ControlFlow::Continue(faults.into_iter().map(damage).collect())
    }
}

impl SealedSegment {
    /// Takes up the words of a field that lie beside it.
    pub(crate) fn open_words(&self, dir: &dyn Dir, field: FieldId, how: (Storage, Check)) -> Result<()> {
        let of = (self.id, field, self.rows());
        let words = Arc::new(AddedWords::open(dir, &words_file(self.id, field), of, how)?);
        self.added.rcu(|added| {
            let mut added = (**added).clone();
            added.insert(field, words.clone());
            added
        });
        self.made.forget(IndexOf::Text(field));
        Ok(())
    }

    /// The fields whose words lie beside it.
    pub(crate) fn added_fields(&self) -> Vec<FieldId> {
        self.added.load().keys().copied().collect()
    }

    /// Removes the files with words that lie beside it, as it is needed no more. Failing is harmless: what is left is removed when the
    /// database is opened.
    pub(crate) fn remove_words(&self, dir: &dyn Dir) {
        for field in self.added_fields() {
            if let Err(error) = dir.remove(&words_file(self.id, field)) {
                tracing::debug!(%error, "left obsolete words for the next opening");
            }
        }
    }

    /// Bytes of the files with words beside it.
    pub(super) fn words_bytes(&self) -> u64 {
        self.added.load().values().map(|words| words.size_bytes()).sum()
    }

    /// Whether no file with words beside it is unverified.
    pub(super) fn has_verified_words(&self) -> bool {
        let is_known = |words: &Arc<AddedWords>| {
            words.is_verified.load(Ordering::Acquire) || words.is_damaged.load(Ordering::Acquire)
        };
        self.added.load().values().all(is_known)
    }

    /// Compares the words beside it with their checksums, read from the directory, or as they are open.
    pub(super) fn verify_words(
        &self,
        dir: Option<&dyn Dir>,
        pace: &mut Pace<'_>,
    ) -> ControlFlow<(), Vec<Damage>> {
        let mut damaged = Vec::new();
        for (field, words) in &*self.added.load_full() {
            let name = words_file(self.id, *field);
            damaged.extend(words.verify(dir.map(|dir| (dir, &*name)), pace)?);
        }
        ControlFlow::Continue(damaged)
    }
}

/// Words to write.
pub(crate) struct WordsRequest<'a> {
    /// A sealed segment, in a view in which the field is searched by word.
    pub(crate) view: &'a SegmentView,
    pub(crate) field: FieldId,
    pub(crate) analyzer: Analyzer,
    /// Memory of a builder after which another piece is begun.
    pub(crate) builder_bytes: usize,
    /// Ends the work when it is set.
    pub(crate) stop: Closing<'a>,
}

/// Writes the words of a field of a sealed segment to a file beside it, which is durable when this returns. An error leaves nothing
/// behind; it is one, too, if the work was stopped.
pub(crate) fn write_words(dir: &dyn Dir, request: &WordsRequest<'_>) -> Result<()> {
    let Some(sealed) = request.view.as_sealed() else { return Ok(()) };
    // Damage that is copied would have right checksums.
    sealed.verify_columns_once(dir)?;
    let name = words_file(sealed.id, request.field);
    let mut writing = WritingWords { dir, request, segment: sealed.id, unfinished: Vec::new() };
    let written = writing.write(&name, sealed.rows());
    for name in &writing.unfinished {
        if let Err(error) = dir.remove(name) {
            tracing::debug!(%error, "left unfinished words for the next opening");
        }
    }
    written
}

/// Words on their way into their file.
struct WritingWords<'a> {
    dir: &'a dyn Dir,
    request: &'a WordsRequest<'a>,
    segment: u64,
    /// Files that are needed no more in the end.
    unfinished: Vec<String>,
}

impl WritingWords<'_> {
    fn write(&mut self, name: &str, rows: u32) -> Result<()> {
        let WordsRequest { view, field, analyzer, builder_bytes, stop } = *self.request;
        let texts = view.each_text(field, 0, rows).take_while(|_| !stop.is_set());
        let mut pieces: Vec<(u32, Arc<Index>)> = Vec::new();
        let analysis = &mut Analysis::new(analyzer);
        PiecesOf { analysis, rows, texts, builder_bytes }.index(|first, piece| {
            self.go_on()?;
            let piece =
                if piece.info.rows == rows { Arc::new(piece) } else { self.put_away(name, first, &piece)? };
            pieces.push((first, piece));
            Ok::<_, Error>(())
        })?;
        let slots: Vec<Vec<u32>> =
            pieces.iter().map(|(first, piece)| (*first..first + piece.info.rows).collect()).collect();
        let sources: Vec<MergeSource<'_>> =
            pieces.iter().zip(&slots).map(|((_, index), slots)| MergeSource { index, slots }).collect();
        let new = format!("{name}.new");
        self.unfinished.push(new.clone());
        self.write_file(&new, (&sources, rows))?;
        faults::point("merge.words");
        self.dir.rename(&new, name)?;
        self.unfinished.retain(|unfinished| *unfinished != new);
        self.dir.sync()
    }

    /// Writes a piece to a file, and reads it from there.
    fn put_away(&mut self, name: &str, first: u32, piece: &Index) -> Result<Arc<Index>> {
        let (name, rows) = (format!("{name}.{first}"), piece.info.rows);
        self.unfinished.push(name.clone());
        let slots: Vec<u32> = (0..rows).collect();
        self.write_file(&name, (&[MergeSource { index: piece, slots: &slots }], rows))?;
        let of = (self.segment, self.request.field, rows);
        Ok(AddedWords::open(self.dir, &name, of, (Storage::Mapped, Check::Written))?.index)
    }

    fn write_file(&self, name: &str, (sources, rows): (&[MergeSource<'_>], u32)) -> Result<()> {
        let WordsRequest { field, analyzer, .. } = *self.request;
        let mut out = BlockWriter::create(self.dir, name)?;
        let part = (PartKind::Text, field, indexes::text_info(analyzer));
        let part = indexes::write_merged(&mut out, part, (sources, rows), &|| self.go_on())?;
        out.finish(&Meta::new(self.segment, rows, vec![part]).encode())
    }

    /// Fails once the work was stopped.
    fn go_on(&self) -> Result<()> {
        if !self.request.stop.is_set() {
            return Ok(());
        }
        let path = self.dir.file_path(&words_file(self.segment, self.request.field));
        let source = std::io::Error::new(std::io::ErrorKind::Interrupted, "the database is being closed");
        Err(io_error("complete", &path, source))
    }
}
