//! Which rows of a sealed segment are dead, in memory and on disk.
//!
//! ```text
//! file = magic "RAGSDEL\0" | version u32 | segment u64 | rows u32 | dead u32 | word u64 * (rows / 64, rounded up)
//!      | crc u32 of everything before it
//! ```
//! Bit `slot % 64` of word `slot / 64` says whether a row is dead. A file is never changed: more deaths make a file of
//! the next generation, and the manifest says which one counts.

use fixedbitset::FixedBitSet;

use crate::codec::{Encoder, u32_at, u64_at};
use crate::dir::{Dir, corrupt};
use crate::error::Result;

const MAGIC: &[u8; 8] = b"RAGSDEL\0";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 28;

/// The dead rows of a segment, as of one view.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DeadRows {
    /// May be shorter than the segment; rows beyond it live.
    pub(crate) bits: FixedBitSet,
    /// How many are dead.
    pub(crate) count: usize,
}

impl DeadRows {
    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.bits.contains(slot as usize)
    }

    /// Marks a row; says whether it was alive.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        self.bits.grow(slot as usize + 1);
        let was_alive = !self.bits.put(slot as usize);
        self.count += usize::from(was_alive);
        was_alive
    }
}

/// Writes and syncs a tombstone file; its name is the caller's to sync.
pub(crate) fn write(dir: &dyn Dir, name: &str, segment: u64, rows: u32, dead: &DeadRows) -> Result<()> {
    let mut out = Encoder::new();
    out.raw(MAGIC);
    out.u32(VERSION);
    out.u64(segment);
    out.u32(rows);
    out.u32(dead.count as u32);
    let mut words = vec![0u64; (rows as usize).div_ceil(64)];
    for slot in dead.bits.ones() {
        words[slot / 64] |= 1 << (slot % 64);
    }
    words.iter().for_each(|word| out.u64(*word));
    let mut bytes = out.into_bytes();
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    let mut file = dir.create(name)?;
    file.write(&bytes)?;
    file.sync()
}

/// Reads a tombstone file of a segment.
pub(crate) fn read(dir: &dyn Dir, name: &str, segment: u64, rows: u32) -> Result<DeadRows> {
    let bytes = dir.read(name)?;
    decode(&bytes, segment, rows).map_err(|(offset, reason)| corrupt(dir, name, offset as u64, reason))
}

/// Reads the bytes of such a file; the error is the offset and what is wrong there.
pub(crate) fn decode(bytes: &[u8], segment: u64, rows: u32) -> Result<DeadRows, (usize, String)> {
    let fault = |offset: usize, reason: String| Err((offset, reason));
    if bytes.len() < HEADER_BYTES + 4 || !bytes.starts_with(MAGIC) {
        return fault(0, "this is not a tombstone file".into());
    }
    let (content, crc) = bytes.split_at(bytes.len() - 4);
    if crc32fast::hash(content).to_le_bytes() != crc {
        return fault(0, "the checksum does not match".into());
    }
    let version = u32_at(&content[8..12], 0);
    if version != VERSION {
        return fault(8, format!("tombstone format version {version}, this program reads {VERSION}"));
    }
    let words = (rows as usize).div_ceil(64);
    let belongs = u64_at(&content[12..20], 0) == segment && u32_at(&content[20..24], 0) == rows;
    if !belongs || content.len() != HEADER_BYTES + words * 8 {
        return fault(12, format!("the file is not about segment {segment} of {rows} rows"));
    }
    let mut dead = DeadRows { bits: FixedBitSet::with_capacity(rows as usize), count: 0 };
    for word in 0..words {
        let mut bits = u64_at(&content[HEADER_BYTES..], word);
        while bits != 0 {
            let slot = (word * 64) as u32 + bits.trailing_zeros();
            if slot >= rows {
                return fault(HEADER_BYTES + word * 8, format!("row {slot} of {rows} is dead"));
            }
            dead.insert(slot);
            bits &= bits - 1;
        }
    }
    if dead.count != u32_at(&content[24..28], 0) as usize {
        return fault(24, "the count of dead rows does not match".into());
    }
    Ok(dead)
}
