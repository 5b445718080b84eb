//! The container of a segment file: bytes in checksummed blocks.
//!
//! ```text
//! file   = body | crc u32 * blocks | footer
//! body   = magic "RAGSSEG\0" | version u32 | zeros up to byte 64 | sections, each at a multiple of 64 | meta
//! footer = body-bytes u64 | meta-offset u64 | block-bytes u32 | crc u32 of the table | version u32
//!        | magic "RAGSSEG\0" | crc u32 of the footer before it                                       (40 bytes)
//! ```
//! The body is checksummed in blocks of `block-bytes`, the last one shorter. So damage is told to within a block, blocks
//! can be checked in parallel, and not all of them have to be when a file is opened: that takes the footer, the table
//! and the blocks of the headers, so it costs 4 bytes for every 64 KiB of the file and a few blocks.
//!
//! What is looked at to find damage, when a file is opened or verified, is read by ordinary reads (`block_reader.rs`): a block that the disk cannot
//! read is damage like one with wrong bytes.

use std::io;
use std::ops::{ControlFlow, Range};

use crc32fast::Hasher;
use rayon::prelude::*;

use super::block_reader::{BlockReader, Headers, unreadable};
use crate::codec::{Encoder, u32_at, u64_at};
use crate::dir::{Access, Blob, Dir, DirFile, corrupt};
use crate::error::Result;
use crate::pace::Pace;
use crate::verify::Storage;

const MAGIC: &[u8; 8] = b"RAGSSEG\0";
const VERSION: u32 = 3;
const BLOCK_BYTES: usize = 64 << 10;
const FOOTER_BYTES: usize = 40;
/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 20;
/// Sections begin at multiples of this: cache lines, and any element's alignment.
pub(crate) const SECTION_ALIGNMENT: u64 = 64;

/// Writes a segment file from its start to its end.
pub(crate) struct BlockWriter {
    file: Box<dyn DirFile>,
    buffer: Vec<u8>,
    position: u64,
    crc: Hasher,
    table: Vec<u8>,
}

impl BlockWriter {
    pub(crate) fn create(dir: &dyn Dir, name: &str) -> Result<Self> {
        let file = dir.create(name)?;
        let (buffer, table) = (Vec::with_capacity(BUFFER_BYTES), Vec::new());
        let mut writer = Self { file, buffer, position: 0, crc: Hasher::new(), table };
        writer.write(MAGIC)?;
        writer.write(&VERSION.to_le_bytes())?;
        writer.align()?;
        Ok(writer)
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        while !bytes.is_empty() {
            let in_block = (self.position % BLOCK_BYTES as u64) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - in_block));
            self.crc.update(now);
            self.position += now.len() as u64;
            if in_block + now.len() == BLOCK_BYTES {
                self.end_block();
            }
            bytes = later;
        }
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn end_block(&mut self) {
        let crc = std::mem::take(&mut self.crc).finalize();
        self.table.extend_from_slice(&crc.to_le_bytes());
    }

    /// Hands everything to the file, where a map of it sees it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.file.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Goes on to the start of a section.
    pub(crate) fn align(&mut self) -> Result<()> {
        let zeros = [0; SECTION_ALIGNMENT as usize];
        let missing = self.position.next_multiple_of(SECTION_ALIGNMENT) - self.position;
        self.write(&zeros[..missing as usize])
    }

    /// Writes the meta section and the end, and makes the file durable (its name is the caller's to sync).
    pub(crate) fn finish(mut self, meta: &[u8]) -> Result<()> {
        self.align()?;
        let meta_offset = self.position;
        self.write(meta)?;
        if !self.position.is_multiple_of(BLOCK_BYTES as u64) {
            self.end_block();
        }
        let blocks = Blocks {
            body_bytes: self.position as usize,
            block_bytes: BLOCK_BYTES,
            table_crc: crc32fast::hash(&self.table),
            meta_offset: meta_offset as usize,
        };
        self.buffer.extend_from_slice(&self.table);
        self.buffer.extend_from_slice(&blocks.footer());
        self.flush()?;
        self.file.sync()
    }
}

/// A segment file whose footer, table, first block and meta section are sound.
pub(crate) struct Opened {
    pub(crate) blob: Blob,
    /// Where the meta section lies.
    pub(crate) meta: Range<usize>,
    pub(crate) blocks: Blocks,
    /// For what else is checked before the file is open.
    pub(super) headers: Headers,
}

/// The first wrong byte, or the start of its block, and what is wrong.
pub(crate) type Fault = (usize, String);

/// The checksums of a file's blocks. Its methods take the bytes of that file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    body_bytes: usize,
    block_bytes: usize,
    table_crc: u32,
    meta_offset: usize,
}

/// Opens a segment file.
pub(crate) fn open(dir: &dyn Dir, name: &str, storage: Storage) -> Result<Opened> {
    let (blob, file) = match storage {
        Storage::Mapped => (dir.map(name, Access::Near)?, BlockReader::open(dir, name)?),
        Storage::Resident => {
            let blob = dir.load(name)?;
            (blob.clone(), BlockReader::over(&blob))
        }
    };
    let fault = |(offset, reason): Fault| corrupt(dir, name, offset as u64, reason);
    if (*blob).as_ref().len() != file.length() {
        return Err(fault((0, "the file changes while it is opened".to_owned())));
    }
    let (blocks, mut headers) = Headers::read(file).map_err(fault)?;
    let meta = blocks.meta();
    headers.check(&blocks, 0..1).and_then(|()| headers.check(&blocks, meta.clone())).map_err(fault)?;
    Ok(Opened { meta, blocks, blob, headers })
}

impl Blocks {
    fn footer(&self) -> Vec<u8> {
        let mut footer = Encoder::new();
        footer.u64(self.body_bytes as u64);
        footer.u64(self.meta_offset as u64);
        footer.u32(self.block_bytes as u32);
        footer.u32(self.table_crc);
        footer.u32(VERSION);
        footer.raw(MAGIC);
        let mut footer = footer.into_bytes();
        let crc = crc32fast::hash(&footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        footer
    }

    /// Reads the footer.
    pub(super) fn read(file: &[u8]) -> Result<Self, Fault> {
        let start = Self::footer_start(file.len())?;
        Self::decode(&file[start..], start)
    }

    /// Reads the footer of a file.
    pub(super) fn read_from(file: &mut BlockReader) -> Result<Self, Fault> {
        let start = Self::footer_start(file.length())?;
        let footer = file.bytes(start..file.length())?;
        Self::decode(&footer, start)
    }

    fn footer_start(length: usize) -> Result<usize, Fault> {
        if length < FOOTER_BYTES + SECTION_ALIGNMENT as usize {
            return Err((0, "the file is too short for a segment".to_owned()));
        }
        Ok(length - FOOTER_BYTES)
    }

    /// What a footer says that begins at `start`.
    fn decode(footer: &[u8], start: usize) -> Result<Self, Fault> {
        let fault = |offset: usize, reason: &str| Err((offset, reason.to_owned()));
        let (footer, crc) = footer.split_at(FOOTER_BYTES - 4);
        if crc32fast::hash(footer).to_le_bytes() != crc || !footer.ends_with(MAGIC) {
            return fault(start, "the segment's footer is damaged or missing");
        }
        let version = u32_at(&footer[24..28], 0);
        if version != VERSION {
            let reason = format!("segment format version {version}, this program reads {VERSION}");
            return Err((start + 24, reason));
        }
        let field = |index| usize::try_from(u64_at(footer, index)).unwrap_or(usize::MAX);
        let (body_bytes, meta_offset) = (field(0), field(1));
        let block_bytes = u32_at(&footer[16..20], 0) as usize;
        let blocks = (block_bytes > 0).then(|| body_bytes.div_ceil(block_bytes));
        let table_end = blocks.and_then(|blocks| blocks.checked_mul(4)?.checked_add(body_bytes));
        if table_end != Some(start) || meta_offset > body_bytes {
            return fault(start, "the lengths in the segment's footer do not fit the file");
        }
        let table_crc = u32_at(&footer[20..24], 0);
        Ok(Self { body_bytes, block_bytes, table_crc, meta_offset })
    }

    /// Bytes of the footer.
    pub(super) const FOOTER_BYTES: usize = FOOTER_BYTES;

    pub(super) fn table<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        &file[self.body_bytes..file.len() - FOOTER_BYTES]
    }

    /// The checksums of all blocks, and the footer: what tells this content from another.
    pub(super) fn checksums<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        &file[self.body_bytes..]
    }

    /// Where the table begins.
    pub(super) fn table_start(&self) -> usize {
        self.body_bytes
    }

    /// What the checksum of the table must be.
    pub(super) fn table_crc(&self) -> u32 {
        self.table_crc
    }

    /// What the checksum of a block must be.
    pub(super) fn crc(&self, file: &[u8], block: usize) -> u32 {
        u32_at(self.table(file), block)
    }

    /// Where the meta section lies.
    pub(super) fn meta(&self) -> Range<usize> {
        self.meta_offset..self.body_bytes
    }

    /// The blocks in which a range lies.
    pub(super) fn of(&self, range: &Range<usize>) -> Range<usize> {
        range.start / self.block_bytes..range.end.min(self.body_bytes).div_ceil(self.block_bytes)
    }

    pub(super) fn check_table(&self, file: &[u8]) -> Result<(), Fault> {
        self.check_table_bytes(self.table(file))
    }

    fn check_table_bytes(&self, table: &[u8]) -> Result<(), Fault> {
        if crc32fast::hash(table) == self.table_crc {
            return Ok(());
        }
        Err((self.body_bytes, "the segment's table of checksums is damaged".into()))
    }

    /// Reads the table, if it is sound.
    pub(super) fn read_table(&self, file: &mut BlockReader) -> Result<Vec<u8>, Fault> {
        let table = file.bytes(self.body_bytes..file.length().saturating_sub(FOOTER_BYTES))?;
        self.check_table_bytes(&table).map(|()| table)
    }

    /// How many blocks there are.
    pub(crate) fn count(&self) -> usize {
        self.body_bytes.div_ceil(self.block_bytes)
    }

    /// The bytes of a block.
    pub(crate) fn range(&self, block: usize) -> Range<usize> {
        let start = block * self.block_bytes;
        start..(start + self.block_bytes).min(self.body_bytes)
    }

    fn is_sound(&self, file: &[u8], block: usize) -> bool {
        crc32fast::hash(&file[self.range(block)]) == u32_at(self.table(file), block)
    }

    /// Blocks that follow one another with wrong checksums, or which cannot be read.
    pub(super) fn fault_of(&self, place: &Range<usize>, unread: Option<&io::Error>) -> Fault {
        let bytes = self.range(place.start).start..self.range(place.end - 1).end;
        unread.map_or_else(|| self.fault(place.start, place.len()), |source| unreadable(&bytes, source))
    }

    fn fault(&self, first: usize, blocks: usize) -> Fault {
        let reason = match blocks {
            1 => "the checksum of a block does not match".to_owned(),
            _ => format!("the checksums of {blocks} blocks in a row do not match"),
        };
        (self.range(first).start, reason)
    }

    /// Checks all blocks with every thread of the current rayon pool; the error is the first that is damaged.
    pub(crate) fn check_all(&self, file: &[u8]) -> Result<(), Fault> {
        let damaged = (0..self.count()).into_par_iter().find_first(|block| !self.is_sound(file, *block));
        damaged.map_or(Ok(()), |block| Err(self.fault(block, 1)))
    }

    /// Reads everything once more, the footer and the table too, one block after the other, and finds every damaged
    /// place. `pace` gets the bytes of each block that was read and may end it early.
    pub(crate) fn find_damage(
        &self,
        file: &mut BlockReader,
        pace: &mut Pace<'_>,
    ) -> ControlFlow<(), Vec<Fault>> {
        let header = Self::read_from(file).and_then(|read| match read == *self {
            true => self.read_table(file),
            false => Err((file.length() - FOOTER_BYTES, "the segment's footer has changed".into())),
        });
        let table = match header {
            Ok(table) => table,
            Err(fault) => return ControlFlow::Continue(vec![fault]),
        };
        // Blocks that follow one another and are damaged in one way are one place.
        let mut places: Vec<(Range<usize>, Option<io::Error>)> = Vec::new();
        for block in 0..self.count() {
            let read = file.crc(self.range(block));
            if !matches!(read, Ok(crc) if crc == u32_at(&table, block)) {
                let unread = read.err();
                match places.last_mut() {
                    Some((place, other)) if place.end == block && other.is_some() == unread.is_some() => {
                        place.end += 1;
                    }
                    _ => places.push((block..block + 1, unread)),
                }
            }
            pace(self.range(block).len())?;
        }
        let fault =
            |(place, unread): &(Range<usize>, Option<io::Error>)| self.fault_of(place, unread.as_ref());
        ControlFlow::Continue(places.iter().map(fault).collect())
    }
}

/// The same file with blocks of another length: small ones let a test damage what opening does not check.
#[cfg(test)]
pub(crate) fn with_block_bytes(file: &[u8], block_bytes: usize) -> Vec<u8> {
    let old = Blocks::read(file).unwrap();
    let mut new = file[..old.body_bytes].to_vec();
    let table: Vec<u8> =
        new.chunks(block_bytes).flat_map(|block| crc32fast::hash(block).to_le_bytes()).collect();
    new.extend_from_slice(&table);
    let blocks = Blocks { block_bytes, table_crc: crc32fast::hash(&table), ..old };
    new.extend(blocks.footer());
    new
}
