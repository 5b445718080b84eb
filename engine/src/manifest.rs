//! The root of a database: which collections and segments there are, and up to where the log is stored in them.
//!
//! **Idea.** One small file, replaced as a whole: written beside, synced, renamed over the old one, the directory
//! synced. A crash leaves the old root or the new one, never a mixture; files that the root does not name are
//! left-overs and are removed when the database is opened. Then the same bytes are written to a copy, from which a repair
//! takes them should the disk damage the root.
//!
//! ```text
//! MANIFEST   = magic "RAGSMAN\0" | version u32 | length u64 | body | crc u32     (crc over everything before it)
//! body       = generation u64 | next-collection u64 | next-segment u64 | lineage 16 bytes | catalogue-seq u64
//!            | next-log u64 | log-position u64 | log-time u64 | keep-log-bytes u64 | count u32 | collection*
//!            | count u32 | attribute* | count u32 | alias*                  (the last line not in version 4)
//! attribute  = key str | revision u64 | length u32 | bytes          alias = alias str | collection str
//! collection = id u64 | name str | schema | stored-seq u64 | count u32 | segment*      (schema: `schema_codes.rs`)
//! segment    = id u64 | tombstones u64 | patches u64       (generation of the tombstone and of the patch file, 0 without one)
//! ```
//! The *lineage* is a random number that tells the database apart from every other and from what it was before it was
//! restored: positions of the log mean something within a lineage. `catalogue-seq` is the last record of the log that made
//! or removed a collection; the three numbers of the log are at least those of every file that was cut.
//!
//! **Cost.** Each change writes all of it: some kilobytes, and the attributes, two or three syncs. Changes come with
//! collections, attributes and segments, not with writes.

mod store;

use std::collections::{BTreeMap, BTreeSet};

use crate::attributes::Attribute;
use crate::catalogue::CATALOGUE;
use crate::codec::{Decoded, Decoder, Encoder};
use crate::collection::request_file;
use crate::lineage::{LINEAGE_BYTES, Lineage};
use crate::payload::FieldTable;
use crate::schema::Schema;
use crate::schema_codes::{decode_schema, encode_schema};
use crate::segment::{patch_file, segment_file, tombstone_file};
use crate::wal::LogMark;

pub(crate) use store::ManifestStore;

/// The name of the file.
pub(crate) const MANIFEST_FILE: &str = "MANIFEST";
/// The name under which a new one is written.
pub(crate) const MANIFEST_NEW_FILE: &str = "MANIFEST.new";
/// The same bytes once more, for [`repair`](crate::repair): nothing else reads them.
pub(crate) const MANIFEST_COPY_FILE: &str = "MANIFEST.copy";
const MAGIC: &[u8; 8] = b"RAGSMAN\0";
const VERSION: u32 = 5;
/// The same without attributes and aliases.
const VERSION_WITHOUT_ATTRIBUTES: u32 = 4;
const HEADER_BYTES: usize = 20;
/// Nothing that is counted one by one comes this far, so whoever counts on need not look for the end of a u64.
pub(crate) const COUNT_MAX: u64 = 1 << 62;

/// A segment that belongs to a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEntry {
    pub(crate) id: u64,
    /// Generation of its tombstone file; 0 while nothing is deleted.
    pub(crate) tombstones: u64,
    /// Generation of its patch file; 0 while no row's fields were changed.
    pub(crate) patches: u64,
}

impl SegmentEntry {
    /// A segment without any other file.
    pub(crate) fn new(id: u64) -> Self {
        Self { id, tombstones: 0, patches: 0 }
    }

    /// The names of its files.
    pub(crate) fn files(&self) -> impl Iterator<Item = String> + use<> {
        let Self { id, tombstones, patches } = *self;
        let beside = [
            (tombstones > 0).then(|| tombstone_file(id, tombstones)),
            (patches > 0).then(|| patch_file(id, patches)),
        ];
        std::iter::once(segment_file(id)).chain(beside.into_iter().flatten())
    }
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
    /// Generation of its file of requests; 0 while there are none.
    pub(crate) requests: u64,
    /// No write from now on has an earlier time: rows that expired by then are perhaps no more.
    pub(crate) time_us: i64,
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
    pub(crate) lineage: Lineage,
    /// Every record of the catalogue up to this one has its effect here.
    pub(crate) catalogue_seq: u64,
    /// Nothing that was cut from the log is beyond it.
    pub(crate) log: LogMark,
    /// Bytes of the log that are kept after the cut.
    pub(crate) keep_log_bytes: u64,
    pub(crate) collections: BTreeMap<u64, CollectionEntry>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// Names beside those of the collections, and the collection that each names.
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Encoder::new();
        body.u64(self.generation);
        body.u64(self.next_collection);
        body.u64(self.next_segment);
        body.raw(&self.lineage.0);
        body.u64(self.catalogue_seq);
        body.u64(self.log.next_file);
        body.u64(self.log.position);
        body.u64(self.log.time_us);
        body.u64(self.keep_log_bytes);
        body.u32(self.collections.len() as u32);
        for (id, collection) in &self.collections {
            body.u64(*id);
            collection.encode(&mut body);
        }
        body.u32(self.attributes.len() as u32);
        for (key, attribute) in &self.attributes {
            body.str(key);
            body.u64(attribute.revision);
            body.bytes(&attribute.value);
        }
        body.u32(self.aliases.len() as u32);
        for (alias, collection) in &self.aliases {
            body.str(alias);
            body.str(collection);
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
        if ![VERSION_WITHOUT_ATTRIBUTES, VERSION].contains(&version) {
            let reason = format!(
                "manifest format version {version}, this program reads {VERSION_WITHOUT_ATTRIBUTES} and {VERSION}"
            );
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
        let mut manifest = Self { generation, next_collection, next_segment, ..Self::default() };
        manifest.lineage.0.copy_from_slice(decoder.raw(LINEAGE_BYTES)?);
        manifest.catalogue_seq = decode_count(decoder)?;
        manifest.log = LogMark {
            next_file: decode_count(decoder)?,
            position: decode_count(decoder)?,
            time_us: decoder.u64()?,
        };
        manifest.keep_log_bytes = decoder.u64()?;
        for _ in 0..decoder.count(8)? {
            let id = decoder.u64()?;
            if id >= next_collection
                || manifest.collections.insert(id, CollectionEntry::decode(decoder)?).is_some()
            {
                return decoder.error(format!("collection id {id} is used twice or was never given out"));
            }
        }
        // A seal would write its file over one that is mapped.
        let entries = manifest.collections.values().flat_map(|collection| &collection.segments);
        let mut ids = BTreeSet::new();
        for SegmentEntry { id, .. } in entries {
            if *id >= next_segment || !ids.insert(id) {
                return decoder.error(format!("segment id {id} is used twice or was never given out"));
            }
        }
        if version > VERSION_WITHOUT_ATTRIBUTES {
            manifest.decode_attributes(decoder)?;
            manifest.decode_aliases(decoder)?;
        }
        Ok(manifest)
    }

    fn decode_attributes(&mut self, decoder: &mut Decoder<'_>) -> Decoded<()> {
        for _ in 0..decoder.count(16)? {
            let key = decoder.str()?.to_owned();
            let revision = decoder.u64()?;
            if revision > self.catalogue_seq {
                return decoder.error(format!("no change {revision} can have set an attribute"));
            }
            self.attributes.insert(key, Attribute { revision, value: decoder.bytes()?.into() });
        }
        Ok(())
    }

    fn decode_aliases(&mut self, decoder: &mut Decoder<'_>) -> Decoded<()> {
        let names: BTreeSet<&String> = self.collections.values().map(|entry| &entry.name).collect();
        for _ in 0..decoder.count(8)? {
            let (alias, collection) = (decoder.str()?.to_owned(), decoder.str()?.to_owned());
            if !names.contains(&collection) || names.contains(&alias) {
                return decoder.error("an alias names no collection, or is one");
            }
            self.aliases.insert(alias, collection);
        }
        Ok(())
    }

    /// The last record of a log id that has its effect here, or in segments; of what is gone, all have.
    pub(crate) fn stored(&self, log_id: u64) -> u64 {
        match self.collections.get(&log_id) {
            Some(entry) => entry.stored_seq,
            None if log_id == CATALOGUE => self.catalogue_seq,
            None => u64::MAX,
        }
    }

    /// Remembers where the log stands, before any of what it holds is cut.
    pub(crate) fn note_log(&mut self, mark: LogMark) {
        self.log.next_file = self.log.next_file.max(mark.next_file);
        self.log.position = self.log.position.max(mark.position);
        self.log.time_us = self.log.time_us.max(mark.time_us);
    }

    /// Leaves of every other collection its name alone: each of its writes counts as stored, in segments of which there are none.
    pub(crate) fn keep_only(&mut self, id: u64) {
        for (_, entry) in self.collections.iter_mut().filter(|(other, _)| **other != id) {
            (entry.stored_seq, entry.requests) = (COUNT_MAX, 0);
            entry.segments.clear();
        }
    }

    /// Every file that the root names.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let of_collection = |(id, entry): (&u64, &CollectionEntry)| {
            let requests = (entry.requests > 0).then(|| request_file(*id, entry.requests));
            entry.segments.iter().flat_map(SegmentEntry::files).chain(requests).collect::<Vec<_>>()
        };
        self.collections.iter().flat_map(of_collection).collect()
    }
}

impl CollectionEntry {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.str(&self.name);
        encode_schema(&self.schema, &self.fields, out);
        out.u64(self.stored_seq);
        out.u64(self.requests);
        out.u64(self.time_us.cast_unsigned());
        out.u32(self.segments.len() as u32);
        for segment in &self.segments {
            out.u64(segment.id);
            out.u64(segment.tombstones);
            out.u64(segment.patches);
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Decoded<Self> {
        let name = decoder.str()?.to_owned();
        let (schema, fields) = decode_schema(decoder)?;
        let (stored_seq, requests) = (decode_count(decoder)?, decode_count(decoder)?);
        let time_us = decoder.u64()?.cast_signed();
        let segments =
            (0..decoder.count(24)?).map(|_| SegmentEntry::decode(decoder)).collect::<Decoded<_>>()?;
        Ok(Self { name, schema, fields, stored_seq, requests, time_us, segments })
    }
}

impl SegmentEntry {
    fn decode(decoder: &mut Decoder<'_>) -> Decoded<Self> {
        let id = decoder.u64()?;
        Ok(Self { id, tombstones: decode_count(decoder)?, patches: decode_count(decoder)? })
    }
}

/// How often something happened.
fn decode_count(decoder: &mut Decoder<'_>) -> Decoded<u64> {
    match decoder.u64()? {
        count if count <= COUNT_MAX => Ok(count),
        count => decoder.error(format!("nothing was counted up to {count}")),
    }
}

#[cfg(test)]
mod tests;
