//! The patches of a sealed segment on disk.
//!
//! ```text
//! file  = magic "RAGSPAT\0" | version u32 | segment u64 | rows u32 | count u32 | patch*
//!       | crc u32 of everything before it
//! patch = slot u32 | row-version u64 | 0 u8  or  1 u8 | expiry i64 | count u16 (field u16 | 0 u8  or  1 u8 | type u8 | value)*
//! value = as in the log's batches
//! ```
//! The first `0 u8` says that updates left the expiry as it was, `0 u8` of a field that the row has it no more. Slots and fields come in order, each once. Rows that are dead need no patch.
//! A file is never changed: more patches make a file of the next generation, and the manifest says which one counts.
//!
//! **Cost.** All patches of the segment are written when some are new and something is sealed, merged or flushed; and read when the
//! database is opened. What a merge folds them into takes their place before they are many (`merge_policy.rs`).

use std::sync::Arc;

use super::DeadRows;
use super::patches::{Patch, Patches};
use crate::batch::{decode_expiry, encode_expiry};
use crate::codec::{Decoded, Decoder, Encoder};
use crate::dir::{Dir, corrupt};
use crate::error::Result;
use crate::payload::{FieldId, FieldTable, Value, decode_value, encode_value};
use crate::schema_codes::decode_field_type;

const MAGIC: &[u8; 8] = b"RAGSPAT\0";
const VERSION: u32 = 1;
/// A patch without values.
const PATCH_BYTES_MIN: usize = 15;

/// What a patch file is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patched<'a> {
    pub(crate) segment: u64,
    pub(crate) rows: u32,
    /// Of the collection.
    pub(crate) fields: &'a FieldTable,
}

/// Writes and syncs a patch file; its name is the caller's to sync. Says how many patches it has.
pub(crate) fn write(
    dir: &dyn Dir,
    name: &str,
    of: &Patched<'_>,
    patches: &Patches,
    dead: &DeadRows,
) -> Result<usize> {
    let live: Vec<(u32, &Arc<Patch>)> = patches.iter().filter(|(slot, _)| !dead.contains(*slot)).collect();
    let mut out = Encoder::new();
    out.raw(MAGIC);
    out.u32(VERSION);
    out.u64(of.segment);
    out.u32(of.rows);
    out.u32(live.len() as u32);
    for (slot, patch) in &live {
        out.u32(*slot);
        encode(patch, &mut out);
    }
    let mut bytes = out.into_bytes();
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    let mut file = dir.create(name)?;
    file.write(&bytes)?;
    file.sync()?;
    Ok(live.len())
}

fn encode(patch: &Patch, out: &mut Encoder) {
    out.u64(patch.version);
    encode_expiry(patch.expires_at, out);
    out.u16(patch.values.len() as u16);
    for (field, value) in &patch.values {
        out.u16(*field);
        out.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            out.u8(value.field_type().code());
            encode_value(value, out);
        }
    }
}

/// Reads a patch file.
pub(crate) fn read(dir: &dyn Dir, name: &str, of: &Patched<'_>) -> Result<Patches> {
    decode(&dir.read(name)?, of).map_err(|(offset, reason)| corrupt(dir, name, offset as u64, reason))
}

/// Reads the bytes of such a file; the error is the offset and what is wrong there.
pub(crate) fn decode(bytes: &[u8], of: &Patched<'_>) -> Result<Patches, (usize, String)> {
    let fault = |offset: usize, reason: &str| Err((offset, reason.to_owned()));
    if bytes.len() < MAGIC.len() + 4 || !bytes.starts_with(MAGIC) {
        return fault(0, "this is not a patch file");
    }
    let (content, crc) = bytes.split_at(bytes.len() - 4);
    if crc32fast::hash(content).to_le_bytes() != crc {
        return fault(0, "the checksum does not match");
    }
    let mut decoder = Decoder::new(&content[MAGIC.len()..]);
    decode_content(&mut decoder, of)
        .and_then(|patches| decoder.finish().map(|()| patches))
        .map_err(|error| (MAGIC.len() + error.offset, error.reason))
}

fn decode_content(decoder: &mut Decoder<'_>, of: &Patched<'_>) -> Decoded<Patches> {
    let version = decoder.u32()?;
    if version != VERSION {
        return decoder.error(format!("patch format version {version}, this program reads {VERSION}"));
    }
    if (decoder.u64()?, decoder.u32()?) != (of.segment, of.rows) {
        return decoder.error(format!("the file is not about segment {} of {} rows", of.segment, of.rows));
    }
    let mut patches: Vec<(u32, Arc<Patch>)> = Vec::new();
    for _ in 0..decoder.count(PATCH_BYTES_MIN)? {
        let slot = decoder.u32()?;
        if slot >= of.rows || patches.last().is_some_and(|(last, _)| *last >= slot) {
            return decoder.error(format!("a patch of row {slot} of {} is out of order", of.rows));
        }
        patches.push((slot, Arc::new(decode_patch(decoder, of.fields)?)));
    }
    Ok(Patches::default().with(patches))
}

fn decode_patch(decoder: &mut Decoder<'_>, fields: &FieldTable) -> Decoded<Patch> {
    let (version, expires_at, count) = (decoder.u64()?, decode_expiry(decoder)?, decoder.u16()?);
    let mut values: Vec<(FieldId, Option<Value>)> = Vec::new();
    for _ in 0..count {
        let field = decoder.u16()?;
        if usize::from(field) >= fields.len() || values.last().is_some_and(|(last, _)| *last >= field) {
            return decoder.error(format!("field {field} of {} is out of order", fields.len()));
        }
        let value = match decoder.bool()? {
            false => None,
            true => {
                let field_type = decode_field_type(decoder)?;
                if field_type != fields.field_type(field) {
                    return decoder.error(format!("a {field_type} in a field of another type"));
                }
                Some(decode_value(decoder, field_type)?)
            }
        };
        values.push((field, value));
    }
    Ok(Patch { version, expires_at, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::memory::MemoryDir;
    use crate::payload::FieldType;

    #[test]
    fn patches_come_back_and_no_prefix_of_them_does() {
        let dir = MemoryDir::new();
        let mut fields = FieldTable::default();
        fields.add("a", FieldType::Int);
        fields.add("b", FieldType::String);
        let of = Patched { segment: 7, rows: 100, fields: &fields };
        let patch = |version, values| {
            let expires_at = (version % 2 == 0).then_some(-5);
            Arc::new(Patch { version, expires_at, values })
        };
        let patches = Patches::default().with(vec![
            (3, patch(9, vec![(0, Some(Value::Int(-1))), (1, None)])),
            (99, patch(10, vec![(1, Some("text".into()))])),
            (4, patch(11, Vec::new())),
        ]);
        let mut dead = DeadRows::default();
        dead.insert(4);
        assert_eq!(write(&dir, "patch", &of, &patches, &dead).unwrap(), 2);
        let found = read(&dir, "patch", &of).unwrap();
        let expected: Vec<_> = patches.iter().filter(|(slot, _)| *slot != 4).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        let bytes = dir.read("patch").unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], &of).is_err());
        }
        // With the right checksum, too.
        for length in 0..bytes.len() - 4 {
            let mut shorter = bytes[..length].to_vec();
            shorter.extend(crc32fast::hash(&shorter).to_le_bytes());
            assert!(decode(&shorter, &of).is_err(), "{length}");
        }
        for wrong in [Patched { segment: 8, ..of }, Patched { rows: 99, ..of }] {
            assert!(decode(&bytes, &wrong).is_err());
        }
        let none = FieldTable::default();
        assert!(decode(&bytes, &Patched { fields: &none, ..of }).is_err());
    }
}
