//! Writes that are not done twice: who asks again gets the answer of the first time.
//!
//! **Problem.** A writer that hears nothing (its connection broke, its process died) does not know whether its write was done, and
//! doing it again may undo what others wrote since.
//!
//! **Idea.** A write may carry an id of its request. It is logged with the write, and remembered with its receipt for the
//! next [`REQUESTS_REMEMBERED`] writes of the collection. A write with a remembered id changes nothing. Whether an id is known is
//! decided under `submit`, so of two at once one is written, and the other waits for it. What is known before that waits for no room.
//!
//! **After a crash** the log says the ids of its writes, and a file those of the writes before. A receipt that is made when a
//! write is replayed may count other rows, as its rows may be there already, and counts no updates that were passed over, which the log does not
//! have; so the file, which is written at each commit that
//! has something new, has the receipts of all writes up to its moment, and what it has is not replaced.
//!
//! ```text
//! file    = magic "RAGSREQ\0" | version u32 | collection u64 | count u32 | request* | crc u32 of everything before it
//! request = id str | seq u64 | position u64 | upserted u32 | deleted u32 | updated u32 | missing u32
//! ```
//! in the order of the numbers.
//!
//! **Cost.** Nothing without ids. With them some 200 bytes of memory for each that is remembered, and the file.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::WriteReceipt;
use super::state::{CollectionCore, lock};
use crate::batch::PreparedBatch;
use crate::codec::{Decoded, Decoder, Encoder};
use crate::dir::{Dir, corrupt};
use crate::error::Result;
use crate::limits::REQUESTS_REMEMBERED;
use crate::scope::RowFilter;

const MAGIC: &[u8; 8] = b"RAGSREQ\0";
const VERSION: u32 = 1;
const REQUEST_BYTES_MIN: usize = 36;
const PREFIX: &str = "requests-";

/// The name of the file of a collection.
pub(crate) fn request_file(collection: u64, generation: u64) -> String {
    format!("{PREFIX}{collection:016x}-{generation:016x}")
}

/// Whether it is the name of such a file.
pub(crate) fn is_request_file(name: &str) -> bool {
    let is_number = |digits: &str| digits.len() == 16 && u64::from_str_radix(digits, 16).is_ok();
    let numbers = name.strip_prefix(PREFIX).and_then(|numbers| numbers.split_once('-'));
    numbers.is_some_and(|(collection, generation)| is_number(collection) && is_number(generation))
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Known {
    /// Its write with this number is queued, and will be applied or given up.
    Queued(u64),
    /// It was done.
    Done(WriteReceipt),
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Arc<str>, Known>,
    /// By the number of the write.
    order: BTreeMap<u64, Arc<str>>,
    /// How often something was added.
    added: u64,
}

/// The requests of a collection that are remembered. Held for moments, under any lock but the log's.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<State>);

impl Requests {
    /// What is known of a request by a write that would get the number `next`.
    pub(super) fn find(&self, id: &str, next: u64) -> Option<Known> {
        let known = *lock(&self.0).known.get(id)?;
        match known {
            Known::Done(receipt) if receipt.seq + REQUESTS_REMEMBERED < next => None,
            known => Some(known),
        }
    }

    /// Its write was queued.
    pub(super) fn queue(&self, id: &str, seq: u64) {
        lock(&self.0).put(id.into(), seq, Known::Queued(seq));
    }

    /// Its write was given up.
    pub(super) fn forget(&self, id: &str, seq: u64) {
        let mut state = lock(&self.0);
        if state.known.get(id) == Some(&Known::Queued(seq)) {
            state.known.remove(id);
            state.order.remove(&seq);
        }
    }

    /// Its write was applied, now or when the log was read.
    pub(super) fn remember(&self, id: &str, receipt: WriteReceipt) {
        let mut state = lock(&self.0);
        match state.known.get(id) {
            // Read from the file, where this write or a later one with its id stands.
            Some(Known::Done(known)) if known.seq >= receipt.seq => {}
            _ => {
                state.put(id.into(), receipt.seq, Known::Done(receipt));
                state.added += 1;
            }
        }
    }

    /// Forgets what is too old for any write after this one.
    pub(super) fn forget_before(&self, applied: u64) {
        let mut state = lock(&self.0);
        while let Some((&seq, _)) = state.order.first_key_value()
            && seq + REQUESTS_REMEMBERED <= applied
            && let Some((seq, id)) = state.order.pop_first()
        {
            let is_of = |known: &Known| match known {
                Known::Queued(of) => *of == seq,
                Known::Done(receipt) => receipt.seq == seq,
            };
            if state.known.get(&id).is_some_and(is_of) {
                state.known.remove(&id);
            }
        }
    }

    /// How often something was added: tells whether a file is to be written.
    pub(super) fn added(&self) -> u64 {
        lock(&self.0).added
    }

    /// Writes and syncs the file of what was done; its name is the caller's to sync. Says how many it has.
    pub(super) fn write(&self, dir: &dyn Dir, name: &str, collection: u64) -> Result<usize> {
        let done = self.done();
        let bytes = encode(collection, &done);
        let mut file = dir.create(name)?;
        file.write(&bytes)?;
        file.sync()?;
        Ok(done.len())
    }

    fn done(&self) -> Vec<(Arc<str>, WriteReceipt)> {
        let state = lock(&self.0);
        let done = state.order.values().filter_map(|id| match state.known.get(id)? {
            Known::Done(receipt) => Some((id.clone(), *receipt)),
            Known::Queued(_) => None,
        });
        done.collect()
    }
}

impl CollectionCore {
    /// Whether a batch is a request that was done, or is queued, so that it takes no room. `rows` are those that its handle shows, if not all.
    /// Nothing is decided by it.
    pub(super) fn is_repeated(&self, batch: &PreparedBatch, rows: Option<&RowFilter>) -> bool {
        let Some(id) = &batch.request_id else { return false };
        let id = rows.map_or_else(|| id.clone(), |rows| rows.request_id(id));
        self.requests.find(&id, self.view.load().seq + 1).is_some()
    }
}

impl State {
    fn put(&mut self, id: Arc<str>, seq: u64, known: Known) {
        let before = self.known.insert(id.clone(), known);
        if let Some(Known::Done(WriteReceipt { seq: before, .. }) | Known::Queued(before)) = before {
            self.order.remove(&before);
        }
        self.order.insert(seq, id);
    }
}

fn encode(collection: u64, done: &[(Arc<str>, WriteReceipt)]) -> Vec<u8> {
    let mut out = Encoder::new();
    out.raw(MAGIC);
    out.u32(VERSION);
    out.u64(collection);
    out.u32(done.len() as u32);
    for (id, receipt) in done {
        out.str(id);
        out.u64(receipt.seq);
        out.u64(receipt.position);
        let counts = [receipt.upserted, receipt.deleted, receipt.updated, receipt.missing];
        counts.into_iter().for_each(|count| out.u32(count as u32));
    }
    let mut bytes = out.into_bytes();
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads the file of a collection.
pub(crate) fn read(dir: &dyn Dir, name: &str, collection: u64) -> Result<Remembered> {
    decode(&dir.read(name)?, collection).map_err(|(offset, reason)| corrupt(dir, name, offset as u64, reason))
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Remembered(Vec<(String, WriteReceipt)>);

impl Remembered {
    /// How many requests.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Remembered> for Requests {
    fn from(Remembered(done): Remembered) -> Self {
        let mut state = State::default();
        done.into_iter().for_each(|(id, receipt)| state.put(id.into(), receipt.seq, Known::Done(receipt)));
        Self(Mutex::new(state))
    }
}

/// Reads the bytes of such a file; the error is the offset and what is wrong there.
pub(crate) fn decode(bytes: &[u8], collection: u64) -> Result<Remembered, (usize, String)> {
    let fault = |reason: &str| Err((0, reason.to_owned()));
    if bytes.len() < MAGIC.len() + 4 || !bytes.starts_with(MAGIC) {
        return fault("this is not a file of requests");
    }
    let (content, crc) = bytes.split_at(bytes.len() - 4);
    if crc32fast::hash(content).to_le_bytes() != crc {
        return fault("the checksum does not match");
    }
    let mut decoder = Decoder::new(&content[MAGIC.len()..]);
    decode_content(&mut decoder, collection)
        .and_then(|requests| decoder.finish().map(|()| requests))
        .map_err(|error| (MAGIC.len() + error.offset, error.reason))
}

fn decode_content(decoder: &mut Decoder<'_>, collection: u64) -> Decoded<Remembered> {
    let version = decoder.u32()?;
    if version != VERSION {
        return decoder.error(format!("request format version {version}, this program reads {VERSION}"));
    }
    if decoder.u64()? != collection {
        return decoder.error(format!("the file is not about collection {collection}"));
    }
    let mut done: Vec<(String, WriteReceipt)> = Vec::new();
    for _ in 0..decoder.count(REQUEST_BYTES_MIN)? {
        let id = decoder.str()?.to_owned();
        let (seq, position) = (decoder.u64()?, decoder.u64()?);
        if seq > SEQ_MAX || done.last().is_some_and(|(_, last)| last.seq >= seq) {
            return decoder.error(format!("write {seq} is out of order"));
        }
        let mut count = || Ok(decoder.u32()? as usize);
        let (upserted, deleted, updated, missing) = (count()?, count()?, count()?, count()?);
        let counts = WriteReceipt { upserted, deleted, updated, missing, ..WriteReceipt::default() };
        done.push((id, WriteReceipt { seq, position, ..counts }));
    }
    Ok(Remembered(done))
}

/// Nothing that is counted one by one comes this far.
const SEQ_MAX: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(seq: u64) -> WriteReceipt {
        WriteReceipt { seq, position: seq * 2, upserted: 3, missing: 4, ..WriteReceipt::default() }
    }

    #[test]
    fn a_request_is_known_from_its_queueing_to_the_end_of_its_time() {
        let requests = Requests::default();
        assert_eq!(requests.find("a", 5), None);
        requests.queue("a", 5);
        requests.queue("b", 6);
        assert_eq!(requests.find("a", 7), Some(Known::Queued(5)));
        requests.remember("a", receipt(5));
        requests.forget("b", 6);
        assert_eq!((requests.find("a", 7), requests.find("b", 7)), (Some(Known::Done(receipt(5))), None));
        requests.forget("a", 5);
        let last = 5 + REQUESTS_REMEMBERED;
        assert!(requests.find("a", last).is_some(), "what was done stays");
        assert!(requests.find("a", last + 1).is_none());
        // Its id comes again, and the old write is forgotten later.
        requests.queue("a", last + 1);
        requests.remember("a", receipt(last + 1));
        requests.forget_before(last + 1);
        assert_eq!(requests.find("a", last + 2), Some(Known::Done(receipt(last + 1))));
        requests.forget_before(last + 1 + REQUESTS_REMEMBERED);
        assert!(lock(&requests.0).known.is_empty() && lock(&requests.0).order.is_empty());
    }

    #[test]
    fn what_the_file_has_is_not_replaced_by_what_is_replayed() {
        let dir = crate::dir::memory::MemoryDir::new();
        let requests = Requests::default();
        requests.remember("a", receipt(5));
        requests.remember("b", receipt(6));
        requests.queue("c", 7);
        requests.write(&dir, "requests", 3).unwrap();
        let read = read(&dir, "requests", 3).unwrap();
        assert_eq!(read.len(), 2);
        let found = Requests::from(read);
        found.remember("a", WriteReceipt { upserted: 0, ..receipt(5) });
        found.remember("c", receipt(7));
        for (id, seq) in [("a", 5), ("b", 6), ("c", 7)] {
            assert_eq!(found.find(id, 8), Some(Known::Done(receipt(seq))));
        }
    }

    #[test]
    fn no_prefix_of_a_file_is_one() {
        let bytes = encode(3, &[("a".into(), receipt(5)), ("b".into(), receipt(6))]);
        assert_eq!(decode(&bytes, 3).unwrap().len(), 2);
        assert!(decode(&bytes, 4).is_err());
        for length in 0..bytes.len() - 4 {
            let mut shorter = bytes[..length].to_vec();
            assert!(decode(&shorter, 3).is_err());
            shorter.extend(crc32fast::hash(&shorter).to_le_bytes());
            assert!(decode(&shorter, 3).is_err(), "{length}");
        }
        assert!(is_request_file(&request_file(7, 8)));
        assert!(!is_request_file("requests-1-2") && !is_request_file("segment-0000000000000001"));
    }
}
