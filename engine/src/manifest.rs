//! The root of a database: which collections and segments there are, and up to where the log is stored in them.
//!
//! **Idea.** One small file, replaced as a whole: written beside, synced, renamed over the old one, the directory
//! synced. A crash leaves the old root or the new one, never a mixture; files that the root does not name are
//! left-overs and are removed when the database is opened. Then the same bytes are written to a copy, from which a repair
//! takes them should the disk damage the root.
//!
//! ```text
//! MANIFEST   = magic "RAGSMAN\0" | version u32 | length u64 | body | crc u32     (crc over everything before it)
//! body       = generation u64 | next-collection u64 | next-segment u64 | count u32 | collection*
//! collection = id u64 | name str | dimension u32 | metric u8 | encoding u8 | walk-dimension u32 | degree u32 | ef-construction u32
//!            | strict u8 | count u32 (name str | type u8)* | count u32 (attribute str | value str)*
//!            | stored-seq u64 | count u32 | segment*
//! segment    = id u64 | tombstones u64                     (generation of the tombstone file, 0 without one)
//! ```
//! The fields of a collection stand in the order in which they came; their index is their number in segments.
//!
//! **Cost.** Each change writes all of it: some kilobytes, two or three syncs. Changes come with collections and
//! segments, not with writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::{Decoded, Decoder, Encoder};
use crate::dir::{Dir, corrupt};
use crate::error::Result;
use crate::faults::{self, Mutant};
use crate::limits::DIMENSION_MAX;
use crate::payload::FieldTable;
use crate::schema::{GraphOptions, Schema};
use crate::schema_codes::{decode_encoding, decode_field_type, decode_metric, encoding_code, metric_code};
use crate::verify::differs;

/// The name of the file.
pub(crate) const MANIFEST_FILE: &str = "MANIFEST";
/// The name under which a new one is written.
pub(crate) const MANIFEST_NEW_FILE: &str = "MANIFEST.new";
/// The same bytes once more, for [`repair`](crate::repair): nothing else reads them.
pub(crate) const MANIFEST_COPY_FILE: &str = "MANIFEST.copy";
const MAGIC: &[u8; 8] = b"RAGSMAN\0";
const VERSION: u32 = 2;
/// The version before, in which collections had no walk dimension and one encoding.
const VERSION_1: u32 = 1;
const HEADER_BYTES: usize = 20;
/// Nothing that is counted one by one comes this far, so whoever counts on need not look for the end of a u64.
const COUNT_MAX: u64 = 1 << 62;

/// A segment that belongs to a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEntry {
    pub(crate) id: u64,
    /// Generation of its tombstone file; 0 while nothing is deleted.
    pub(crate) tombstones: u64,
}

/// What the root says of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CollectionEntry {
    pub(crate) name: String,
    /// As it was created.
    pub(crate) schema: Schema,
    /// Every field, in the order of its number.
    pub(crate) fields: FieldTable,
    /// Every record up to this one is in the segments.
    pub(crate) stored_seq: u64,
    pub(crate) segments: Vec<SegmentEntry>,
}

/// The root.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    /// Counts the changes.
    pub(crate) generation: u64,
    /// The id that the next collection gets; also its log id. Ids are never used again.
    pub(crate) next_collection: u64,
    /// The id that the next segment gets.
    pub(crate) next_segment: u64,
    pub(crate) collections: BTreeMap<u64, CollectionEntry>,
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut body = Encoder::new();
        body.u64(self.generation);
        body.u64(self.next_collection);
        body.u64(self.next_segment);
        body.u32(self.collections.len() as u32);
        for (id, collection) in &self.collections {
            body.u64(*id);
            collection.encode(&mut body);
        }
        let body = body.into_bytes();
        let mut file = Encoder::new();
        file.raw(MAGIC);
        file.u32(VERSION);
        file.u64(body.len() as u64);
        file.raw(&body);
        let mut bytes = file.into_bytes();
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a root; the error is the offset and what is wrong there.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, (usize, String)> {
        if bytes.len() < HEADER_BYTES + 4 || !bytes.starts_with(MAGIC) {
            return Err((0, "this is not a manifest".into()));
        }
        let (content, crc) = bytes.split_at(bytes.len() - 4);
        if crc32fast::hash(content).to_le_bytes() != crc {
            return Err((0, "the checksum does not match".into()));
        }
        let version = crate::codec::u32_at(&content[8..12], 0);
        if ![VERSION_1, VERSION].contains(&version) {
            let reason =
                format!("manifest format version {version}, this program reads {VERSION_1} and {VERSION}");
            return Err((8, reason));
        }
        let body = &content[HEADER_BYTES..];
        if crate::codec::u64_at(&content[12..20], 0) != body.len() as u64 {
            return Err((12, "the length does not match".into()));
        }
        let mut decoder = Decoder::new(body);
        Self::decode_body(&mut decoder, version)
            .and_then(|manifest| decoder.finish().map(|()| manifest))
            .map_err(|error| (HEADER_BYTES + error.offset, error.reason))
    }

    fn decode_body(decoder: &mut Decoder<'_>, version: u32) -> Decoded<Self> {
        let generation = decode_count(decoder)?;
        let next_collection = decode_count(decoder)?;
        let next_segment = decode_count(decoder)?;
        let mut collections = BTreeMap::new();
        for _ in 0..decoder.count(8)? {
            let id = decoder.u64()?;
            if id >= next_collection
                || collections.insert(id, CollectionEntry::decode(decoder, version)?).is_some()
            {
                return decoder.error(format!("collection id {id} is used twice or was never given out"));
            }
        }
        let manifest = Self { generation, next_collection, next_segment, collections };
        // A seal would write its file over one that is mapped.
        let entries = manifest.collections.values().flat_map(|collection| &collection.segments);
        let mut ids = BTreeSet::new();
        for SegmentEntry { id, .. } in entries {
            if *id >= next_segment || !ids.insert(id) {
                return decoder.error(format!("segment id {id} is used twice or was never given out"));
            }
        }
        Ok(manifest)
    }

    /// Every file that the root names, by its segment.
    pub(crate) fn segments(&self) -> BTreeSet<(u64, u64)> {
        let entries = self.collections.values().flat_map(|collection| &collection.segments);
        entries.map(|segment| (segment.id, segment.tombstones)).collect()
    }
}

impl CollectionEntry {
    fn encode(&self, out: &mut Encoder) {
        out.str(&self.name);
        out.u32(self.schema.dimension as u32);
        out.u8(metric_code(self.schema.metric));
        out.u8(encoding_code(self.schema.encoding));
        out.u32(self.schema.walk_dimension() as u32);
        out.u32(self.schema.graph.degree as u32);
        out.u32(self.schema.graph.ef_construction as u32);
        out.u8(u8::from(self.schema.strict));
        out.u32(self.fields.len() as u32);
        for (name, field_type) in self.fields.iter() {
            out.str(name);
            out.u8(field_type.code());
        }
        out.u32(self.schema.attributes.len() as u32);
        for (name, value) in &self.schema.attributes {
            out.str(name);
            out.str(value);
        }
        out.u64(self.stored_seq);
        out.u32(self.segments.len() as u32);
        for segment in &self.segments {
            out.u64(segment.id);
            out.u64(segment.tombstones);
        }
    }

    fn decode(decoder: &mut Decoder<'_>, version: u32) -> Decoded<Self> {
        let name = decoder.str()?.to_owned();
        let dimension = decoder.u32()? as usize;
        let metric = decode_metric(decoder)?;
        let encoding = decode_encoding(decoder)?;
        let walked = if version == VERSION_1 { dimension } else { decoder.u32()? as usize };
        if dimension > DIMENSION_MAX {
            return decoder.error(format!("vectors of {dimension} components, the limit is {DIMENSION_MAX}"));
        }
        if walked == 0 || walked > dimension {
            return decoder.error(format!("a walk dimension of {walked} for vectors of {dimension}"));
        }
        let walk_dimension = (walked < dimension).then_some(walked);
        let graph =
            GraphOptions { degree: decoder.u32()? as usize, ef_construction: decoder.u32()? as usize };
        let strict = decoder.bool()?;
        let mut fields = FieldTable::default();
        for _ in 0..decoder.count(5)? {
            let field = decoder.str()?;
            let field_type = decode_field_type(decoder)?;
            fields.add(field, field_type);
        }
        let mut attributes = BTreeMap::new();
        for _ in 0..decoder.count(8)? {
            attributes.insert(decoder.str()?.to_owned(), decoder.str()?.to_owned());
        }
        let stored_seq = decode_count(decoder)?;
        let count = decoder.count(16)?;
        let segments = (0..count)
            .map(|_| Ok(SegmentEntry { id: decoder.u64()?, tombstones: decode_count(decoder)? }))
            .collect::<Decoded<Vec<_>>>()?;
        let schema = Schema {
            dimension,
            metric,
            encoding,
            walk_dimension,
            graph,
            fields: fields.to_map(),
            strict,
            attributes,
        };
        Ok(Self { name, schema, fields, stored_seq, segments })
    }
}

/// How often something happened.
fn decode_count(decoder: &mut Decoder<'_>) -> Decoded<u64> {
    match decoder.u64()? {
        count if count <= COUNT_MAX => Ok(count),
        count => decoder.error(format!("nothing was counted up to {count}")),
    }
}

/// The root on disk and in memory.
#[derive(Debug)]
pub(crate) struct ManifestStore {
    dir: Arc<dyn Dir>,
    /// Held while a change is written: changes are rare, and each builds on the one before it.
    current: Mutex<Manifest>,
}

impl ManifestStore {
    /// Reads the root, or makes the first one in a directory that `is_fresh`.
    pub(crate) fn open(dir: Arc<dyn Dir>, is_fresh: bool) -> Result<Self> {
        if is_fresh {
            let manifest = Manifest { next_collection: 1, next_segment: 1, ..Manifest::default() };
            write(&*dir, &manifest)?;
            return Ok(Self { dir, current: Mutex::new(manifest) });
        }
        let bytes = dir.read(MANIFEST_FILE)?;
        let manifest = Manifest::decode(&bytes)
            .map_err(|(offset, reason)| corrupt(&*dir, MANIFEST_FILE, offset as u64, reason))?;
        // A crash may have come before the copy, or amid it.
        if dir.read(MANIFEST_COPY_FILE).ok().as_deref() != Some(&bytes) {
            write_copy(&*dir, &bytes);
        }
        Ok(Self { dir, current: Mutex::new(manifest) })
    }

    /// Puts a root in the place of whatever there is.
    pub(crate) fn replace(dir: &dyn Dir, manifest: &Manifest) -> Result<()> {
        write(dir, manifest)
    }

    /// Compares the file with what the root says.
    pub(crate) fn verify(&self) -> Result<()> {
        let current = self.lock();
        let bytes = self.dir.read(MANIFEST_FILE)?;
        let manifest = Manifest::decode(&bytes)
            .map_err(|(offset, reason)| corrupt(&*self.dir, MANIFEST_FILE, offset as u64, reason))?;
        if manifest != *current {
            return Err(differs(&*self.dir, MANIFEST_FILE));
        }
        // That there is no copy is not damage.
        match self.dir.read(MANIFEST_COPY_FILE) {
            Ok(copy) if copy != bytes => Err(differs(&*self.dir, MANIFEST_COPY_FILE)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Manifest> {
        // The value is replaced as a whole after the write, so a panic leaves the old one.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the root says now.
    pub(crate) fn current(&self) -> Manifest {
        self.lock().clone()
    }

    /// Changes the root; durable when it returns. An error from `change` changes nothing; an I/O error leaves
    /// unknown which root the disk holds, so the caller poisons the store.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Manifest) -> Result<T>) -> Result<T> {
        let mut current = self.lock();
        let mut next = current.clone();
        let value = change(&mut next)?;
        next.generation += 1;
        write(&*self.dir, &next)?;
        *current = next;
        Ok(value)
    }
}

fn write(dir: &dyn Dir, manifest: &Manifest) -> Result<()> {
    let bytes = manifest.encode();
    let mut file = dir.create(MANIFEST_NEW_FILE)?;
    file.write(&bytes)?;
    file.sync()?;
    drop(file);
    faults::point("manifest.written");
    dir.rename(MANIFEST_NEW_FILE, MANIFEST_FILE)?;
    faults::point("manifest.renamed");
    if faults::is(Mutant::ManifestWithoutDirectorySync) {
        return Ok(());
    }
    dir.sync()?;
    write_copy(dir, &bytes);
    Ok(())
}

/// Writes the copy. No answer depends on it: without it, a damaged manifest cannot be made good, that is all.
fn write_copy(dir: &dyn Dir, bytes: &[u8]) {
    let written = dir.create(MANIFEST_COPY_FILE).and_then(|mut file| {
        file.write(bytes)?;
        file.sync()
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the manifest has no copy");
        // Half of one would look like damage.
        let _ = dir.remove(MANIFEST_COPY_FILE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::FieldType;
    use crate::schema::Metric;

    fn example() -> Manifest {
        let mut fields = FieldTable::default();
        fields.add("year", FieldType::Int);
        fields.add("text", FieldType::String);
        let schema = Schema::builder(3)
            .metric(Metric::L2)
            .field("year", FieldType::Int)
            .field("text", FieldType::String)
            .attribute("model", "m")
            .build()
            .unwrap();
        let segments = vec![SegmentEntry { id: 4, tombstones: 0 }, SegmentEntry { id: 5, tombstones: 2 }];
        let entry = CollectionEntry { name: "a".into(), schema, fields, stored_seq: 7, segments };
        Manifest { generation: 3, next_collection: 9, next_segment: 6, collections: [(8, entry)].into() }
    }

    #[test]
    fn it_comes_back() {
        assert_eq!(Manifest::decode(&example().encode()).unwrap(), example());
    }

    #[test]
    fn any_flipped_byte_is_seen() {
        let bytes = example().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Manifest::decode(&damaged).is_err(), "{at}");
        }
    }

    #[test]
    fn numbers_that_were_never_given_out_are_refused() {
        let refused = |change: fn(&mut Manifest)| {
            let mut manifest = example();
            change(&mut manifest);
            Manifest::decode(&manifest.encode()).unwrap_err().1
        };
        let never = "is used twice or was never given out";
        // A seal would have written its file over that of a segment in use.
        assert!(refused(|manifest| manifest.next_segment = 5).contains(never));
        assert!(refused(|manifest| manifest.next_collection = 8).contains(never));
        let twice = |manifest: &mut Manifest| {
            let collection = manifest.collections.get_mut(&8).unwrap();
            collection.segments[1].id = collection.segments[0].id;
        };
        assert!(refused(twice).contains(never));
        // The next change would have counted beyond the end.
        assert!(refused(|manifest| manifest.generation = u64::MAX).contains("counted"));
        assert!(refused(|manifest| manifest.next_segment = u64::MAX).contains("counted"));
        assert!(
            refused(|manifest| manifest.collections.get_mut(&8).unwrap().stored_seq = u64::MAX)
                .contains("counted")
        );
    }

    #[test]
    fn a_sound_checksum_over_nonsense_is_an_error_not_a_panic() {
        let bytes = example().encode();
        for length in HEADER_BYTES..bytes.len() - 4 {
            let mut cut = bytes[..length].to_vec();
            cut[12..20].copy_from_slice(&((length - HEADER_BYTES) as u64).to_le_bytes());
            let crc = crc32fast::hash(&cut);
            cut.extend_from_slice(&crc.to_le_bytes());
            assert!(Manifest::decode(&cut).is_err(), "{length}");
        }
    }
}
