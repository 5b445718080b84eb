//! The container of a segment file: bytes in checksummed blocks.
//!
//! ```text
//! file   = body | crc u32 * blocks | footer
//! body   = magic "RAGSSEG\0" | version u32 | zeros up to byte 64 | sections, each at a multiple of 64 | meta
//! footer = body-bytes u64 | meta-offset u64 | block-bytes u32 | crc u32 of the table | version u32
//!        | magic "RAGSSEG\0" | crc u32 of the footer before it                                       (40 bytes)
//! ```
//! The body is checked in blocks of `block-bytes`, the last one shorter. So damage is told to within a block, blocks
//! can be checked in parallel, and a later reader can check them one by one as it touches them. All of it is checked
//! when a file is opened.

use crc32fast::Hasher;
use rayon::prelude::*;

use crate::codec::{Encoder, u32_at, u64_at};
use crate::dir::{Blob, Dir, DirFile, corrupt};
use crate::error::Result;

const MAGIC: &[u8; 8] = b"RAGSSEG\0";
const VERSION: u32 = 2;
/// The version before, in which rows had no codes.
pub(super) const VERSION_1: u32 = 1;
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
        let mut footer = Encoder::new();
        footer.u64(self.position);
        footer.u64(meta_offset);
        footer.u32(BLOCK_BYTES as u32);
        footer.u32(crc32fast::hash(&self.table));
        footer.u32(VERSION);
        footer.raw(MAGIC);
        let mut footer = footer.into_bytes();
        let crc = crc32fast::hash(&footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(&self.table);
        self.buffer.extend_from_slice(&footer);
        self.flush()?;
        self.file.sync()
    }
}

/// A segment file whose bytes are sound.
pub(crate) struct Opened {
    pub(crate) blob: Blob,
    pub(crate) version: u32,
    /// Where the meta section lies.
    pub(crate) meta: std::ops::Range<usize>,
}

/// Opens a segment file and checks every byte of it.
pub(crate) fn open(dir: &dyn Dir, name: &str) -> Result<Opened> {
    let blob = dir.map(name)?;
    let bytes = (*blob).as_ref();
    let fault = |offset: usize, reason: &str| Err(corrupt(dir, name, offset as u64, reason));
    let Some(footer_start) = bytes.len().checked_sub(FOOTER_BYTES + 64) else {
        return fault(0, "the file is too short for a segment");
    };
    let footer_start = footer_start + 64;
    let (footer, crc) = bytes[footer_start..].split_at(FOOTER_BYTES - 4);
    if crc32fast::hash(footer).to_le_bytes() != crc || !footer.ends_with(MAGIC) {
        return fault(footer_start, "the segment's footer is damaged or missing");
    }
    let version = u32_at(&footer[24..28], 0);
    if ![VERSION_1, VERSION].contains(&version) {
        let reason =
            format!("segment format version {version}, this program reads {VERSION_1} and {VERSION}");
        return fault(footer_start + 24, &reason);
    }
    let (body_bytes, meta_offset) = (u64_at(footer, 0), u64_at(footer, 1));
    let block_bytes = u32_at(&footer[16..20], 0) as usize;
    let body_bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX);
    let blocks = if block_bytes == 0 { 0 } else { body_bytes.div_ceil(block_bytes) };
    if block_bytes == 0
        || blocks.checked_mul(4).and_then(|table| table.checked_add(body_bytes)) != Some(footer_start)
        || meta_offset > body_bytes as u64
    {
        return fault(footer_start, "the lengths in the segment's footer do not fit the file");
    }
    let table = &bytes[body_bytes..footer_start];
    if crc32fast::hash(table) != u32_at(&footer[20..24], 0) {
        return fault(body_bytes, "the segment's table of checksums is damaged");
    }
    let damaged = bytes[..body_bytes]
        .par_chunks(block_bytes)
        .enumerate()
        .find_first(|(index, block)| crc32fast::hash(block) != u32_at(table, *index));
    if let Some((index, _)) = damaged {
        return fault(index * block_bytes, "the checksum of a block does not match");
    }
    Ok(Opened { blob, version, meta: meta_offset as usize..body_bytes })
}
