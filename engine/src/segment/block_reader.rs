//! A file with blocks, read by ordinary reads.
//!
//! **Why not through its map.** Where the disk cannot read a page, touching a map of it ends the process. An ordinary read is an error there, so
//! whoever looks whether a file is damaged can say which block is gone, and go on.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crc32fast::Hasher;
use rayon::prelude::*;

use super::blocks::{Blocks, Fault};
use crate::codec::u32_at;
use crate::dir::{Blob, Dir, Reader, cannot_be_read, io_error, over};
use crate::error::Result;

/// Bytes that are read at once: a block of a file as this program writes it.
const PIECE_BYTES: usize = 64 << 10;

/// The file.
pub(crate) struct BlockReader {
    file: Box<dyn Reader>,
    length: usize,
    piece: Vec<u8>,
}

impl BlockReader {
    /// Opens a file.
    pub(crate) fn open(dir: &dyn Dir, name: &str) -> Result<Self> {
        let mut file = dir.reader(name)?;
        let length = file.seek(SeekFrom::End(0));
        let length = length.map_err(|source| io_error("read", &dir.file_path(name), source))?;
        Ok(Self { file, length: usize::try_from(length).unwrap_or(usize::MAX), piece: Vec::new() })
    }

    /// Reads what is in memory.
    pub(super) fn over(blob: &Blob) -> Self {
        let length = (**blob).as_ref().len();
        Self { file: over(blob.clone()), length, piece: Vec::new() }
    }

    /// Reads a file anew that is open with these blocks. If it was removed meanwhile, or another file has its name, what is open is read.
    pub(super) fn anew(dir: &dyn Dir, name: &str, (blob, blocks): (&Blob, &Blocks)) -> Self {
        let Ok(mut file) = Self::open(dir, name) else { return Self::over(blob) };
        match Blocks::read_from(&mut file) {
            Ok(others) if others != *blocks => Self::over(blob),
            _ => {
                // However long it is now: what is to be there is compared.
                file.length = (**blob).as_ref().len();
                file
            }
        }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The bytes at a place.
    pub(super) fn bytes(&mut self, range: Range<usize>) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; range.len()];
        let found = self.file.seek(SeekFrom::Start(range.start as u64));
        let read = found.and_then(|_| self.file.read_exact(&mut bytes));
        read.map(|()| bytes).map_err(|source| unreadable(&range, &source))
    }

    /// The checksum of the bytes at a place.
    pub(super) fn crc(&mut self, range: Range<usize>) -> io::Result<u32> {
        let mut crc = Hasher::new();
        self.file.seek(SeekFrom::Start(range.start as u64))?;
        let mut left = range.len();
        while left > 0 {
            let length = left.min(PIECE_BYTES);
            if self.piece.len() < length {
                self.piece.resize(length, 0);
            }
            let piece = &mut self.piece[..length];
            self.file.read_exact(piece)?;
            crc.update(piece);
            left -= length;
        }
        Ok(crc.finalize())
    }
}

/// What is checked of a file before all of it is.
pub(super) struct Headers {
    file: BlockReader,
    table: Vec<u8>,
}

impl Headers {
    /// Reads the footer and the table of checksums.
    pub(super) fn read(mut file: BlockReader) -> Result<(Blocks, Self), Fault> {
        let blocks = Blocks::read_from(&mut file)?;
        let table = blocks.read_table(&mut file)?;
        Ok((blocks, Self { file, table }))
    }

    /// Reads the blocks in which a range of the body lies; the error is the first that is damaged.
    pub(super) fn check(&mut self, blocks: &Blocks, range: Range<usize>) -> Result<(), Fault> {
        let Self { file, table } = self;
        blocks.of(&range).try_for_each(|block| {
            let read = file.crc(blocks.range(block));
            blocks.compare((block, &table[..]), read)
        })
    }
}

impl Blocks {
    /// Reads all blocks up to one that cannot be read, and compares them with every thread of the current rayon pool; the error is the first that
    /// is damaged.
    pub(super) fn check_all_read(&self, mut file: BlockReader) -> Result<(), Fault> {
        let table = self.read_table(&mut file)?;
        // They are read in their order, by one thread at a time, so that the system reads ahead; comparing them is for all threads.
        let mut is_readable = true;
        let blocks = (0..self.count()).map_while(|block| {
            let read = is_readable.then(|| file.bytes(self.range(block)))?;
            is_readable = read.is_ok();
            Some((block, read))
        });
        let faults = blocks.par_bridge().filter_map(|(block, read)| match read {
            Ok(bytes) => self.compare((block, &table[..]), Ok(crc32fast::hash(&bytes))).err(),
            Err(fault) => Some(fault),
        });
        faults.min().map_or(Ok(()), Err)
    }

    /// Compares the checksum of a block, if that can be read, with its entry in the table.
    fn compare(&self, (block, table): (usize, &[u8]), read: io::Result<u32>) -> Result<(), Fault> {
        match read {
            Ok(crc) if crc == u32_at(table, block) => Ok(()),
            read => Err(self.fault_of(&(block..block + 1), read.err().as_ref())),
        }
    }
}

/// Bytes that cannot be read.
pub(super) fn unreadable(range: &Range<usize>, source: &io::Error) -> Fault {
    (range.start, cannot_be_read(&(range.start as u64..range.end as u64), source))
}
