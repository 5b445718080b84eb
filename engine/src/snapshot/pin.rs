//! Holding a database, or a part of its log, as it is at one moment.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, PoisonError};

use crate::dir::{Pins, corrupt};
use crate::error::{Error, Result};
use crate::faults;
use crate::lineage::Lineage;
use crate::manifest::{CollectionEntry, Manifest};
use crate::segment::{Opening, SealedSegment, segment_file, tombstone_file, tombstones};
use crate::store::Store;
use crate::threads::Work;
use crate::vectors::Encodings;
use crate::wal::{self, ClosedFile, ClosedLog, LogMark};

/// A database as it was at one moment: its files stay as they are while this lives, and its directory stays locked. So do the
/// threads of the database's pools, of which verifying uses some; those that work in the background end with the last
/// [`Db`](crate::Db) and [`Collection`](crate::Collection).
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use ragstone::{Db, Point, Schema};
///
/// let db = Db::open(directory.path())?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// let receipt = notes.upsert(vec![Point::new(1, [1.0, 0.0])])?;
/// let pin = db.pin()?;
/// assert_eq!((pin.position(), pin.files().len()), (receipt.position, 1));
/// assert_eq!(pin.collections()[0].seq, receipt.seq);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pin {
    root: Arc<Manifest>,
    mark: LogMark,
    files: Vec<PinnedFile>,
    collections: Vec<PinnedCollection>,
    /// Also without files.
    _held: Arc<Held>,
}

/// A collection of a [`Pin`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinnedCollection {
    /// The name.
    pub name: String,
    /// The number of its last write.
    pub seq: u64,
}

/// A file that stays as it is while this lives.
#[derive(Clone, Debug)]
pub struct PinnedFile {
    name: String,
    size_bytes: u64,
    kind: Kind,
    held: Arc<Held>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Segment {
        collection: u64,
        id: u64,
    },
    Tombstones {
        collection: u64,
        segment: u64,
    },
    /// With the positions of its first and last record.
    Log {
        number: u64,
        positions: (u64, u64),
    },
}

/// The part of the log from a position on, as far as it is there; the files stay, and all else that a [`Pin`] holds, while
/// this lives.
#[derive(Debug)]
pub struct PinnedLog {
    lineage: Lineage,
    mark: LogMark,
    files: Vec<PinnedLogFile>,
    _held: Arc<Held>,
}

/// A file of the log that takes no more writes.
#[derive(Clone, Debug)]
pub struct PinnedLogFile {
    first: u64,
    last: u64,
    file: PinnedFile,
}

/// What pinned files share.
#[derive(Debug)]
struct Held {
    // Before the store, so that what was put off is removed while the directory is still locked.
    _pins: Vec<Pins>,
    store: Arc<Store>,
    root: Arc<Manifest>,
}

impl Pin {
    pub(crate) fn new(store: &Arc<Store>) -> Result<Self> {
        // Its files are no copy of it, and its part of the log cannot be told from what it lacks.
        if let Some((_, damage)) = store.damaged().into_iter().next() {
            return Err(damage.into());
        }
        faults::point("snapshot.pin");
        let cutting = store.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        // The manifest first, as whoever replaces it removes files meanwhile.
        let (mut root, segments) =
            store.manifest.hold(|root| store.pinned.pin(|| (root.clone(), segment_names(root))));
        let closed = store.log.close()?;
        let (files, log) = pin_log_files(store, &closed, |file| !file.is_kept);
        drop(cutting);
        faults::point("snapshot.pinned");
        root.note_log(closed.mark);
        let root = Arc::new(root);
        let held = Arc::new(Held { _pins: vec![segments, log], store: store.clone(), root: root.clone() });
        let mut pinned = Vec::new();
        for (collection, entry) in &root.collections {
            for segment in &entry.segments {
                let id = segment.id;
                pinned.push(held.file(segment_file(id), Kind::Segment { collection: *collection, id })?);
                if segment.tombstones > 0 {
                    let kind = Kind::Tombstones { collection: *collection, segment: id };
                    pinned.push(held.file(tombstone_file(id, segment.tombstones), kind)?);
                }
            }
        }
        pinned.extend(files.into_iter().map(|file| file.pinned(&held).file));
        let seq = |id: &u64, entry: &CollectionEntry| {
            entry.stored_seq.max(closed.last.get(id).copied().unwrap_or_default())
        };
        let collections = root
            .collections
            .iter()
            .map(|(id, entry)| PinnedCollection { name: entry.name.clone(), seq: seq(id, entry) })
            .collect();
        Ok(Self { root, mark: closed.mark, files: pinned, collections, _held: held })
    }

    /// Which history the positions belong to.
    pub fn lineage(&self) -> Lineage {
        self.root.lineage
    }

    /// The last write in it.
    pub fn position(&self) -> u64 {
        self.mark.position
    }

    /// When that write was logged: microseconds since 1970 (UTC); 0 if there was none.
    pub fn time_us(&self) -> u64 {
        self.mark.time_us
    }

    /// Its collections. One that was made while this was pinned may be in the log only, and not here.
    pub fn collections(&self) -> &[PinnedCollection] {
        &self.collections
    }

    /// The ids of its collections.
    #[cfg(test)]
    pub(super) fn root_ids(&self) -> Vec<u64> {
        self.root.collections.keys().copied().collect()
    }

    /// Its files, without the manifest.
    pub fn files(&self) -> &[PinnedFile] {
        &self.files
    }

    /// The manifest, for [`Restore::open`](super::Restore::open).
    pub fn manifest(&self) -> Vec<u8> {
        self.root.encode()
    }
}

impl PinnedLog {
    pub(crate) fn new(store: &Arc<Store>, from: u64) -> Result<Self> {
        let cutting = store.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = store.log.close()?;
        let (files, pins) = pin_log_files(store, &closed, |_| true);
        drop(cutting);
        let root = Arc::new(store.manifest.current());
        let lineage = root.lineage;
        let held = Arc::new(Held { _pins: vec![pins], store: store.clone(), root });
        let wanted = files.into_iter().filter(|file| file.first > 0 && file.last >= from);
        let files = wanted.map(|file| file.pinned(&held)).collect();
        Ok(Self { lineage, mark: closed.mark, files, _held: held })
    }

    /// Which history the positions belong to.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The last write in it, or before it if there is none in it.
    pub fn position(&self) -> u64 {
        self.mark.position
    }

    /// The files, oldest first. The first may begin before the position that was asked for, or after it, if what lies
    /// between is no longer there; the others follow one another.
    pub fn files(&self) -> &[PinnedLogFile] {
        &self.files
    }
}

impl PinnedLogFile {
    /// The position of its first write.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The position of its last write.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The file.
    pub fn file(&self) -> &PinnedFile {
        &self.file
    }
}

impl PinnedFile {
    /// Its name in the directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The positions of its first and last write, if it is a file of the log that tells.
    pub fn log_positions(&self) -> Option<(u64, u64)> {
        match self.kind {
            Kind::Log { positions, .. } if positions.0 > 0 => Some(positions),
            _ => None,
        }
    }

    /// Reads it from its start.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn reader(&self) -> Result<impl Read + Send + use<>> {
        let dir = &*self.held.store.dir;
        let reader = match (dir.reader(&self.name), self.kind) {
            // It was cut meanwhile, and is kept under another name.
            (Err(Error::Io { source, .. }), Kind::Log { number, .. })
                if source.kind() == ErrorKind::NotFound =>
            {
                dir.reader(&wal::kept_name(number))?
            }
            (reader, _) => reader?,
        };
        Ok(reader.take(self.size_bytes))
    }

    /// Compares it with its own checksums, if this process did not do so before: damage should not be copied over what is
    /// sound.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with its first damaged place, [`Error::Io`] if it cannot be read.
    pub fn verify(&self) -> Result<()> {
        match self.kind {
            Kind::Segment { collection, id } => self.held.verify_segment(collection, id),
            Kind::Tombstones { collection, segment } => {
                let sealed = self.held.segment(collection, segment)?;
                let dir = &*self.held.store.dir;
                tombstones::read(dir, &self.name, segment, sealed.rows(), sealed.vectors()).map(drop)
            }
            Kind::Log { number, positions } => self.verify_log(number, positions),
        }
    }

    fn verify_log(&self, number: u64, positions: (u64, u64)) -> Result<()> {
        let dir = &*self.held.store.dir;
        let mut bytes = Vec::new();
        let read = self.reader()?.read_to_end(&mut bytes);
        read.map_err(|source| crate::dir::io_error("read", &dir.file_path(&self.name), source))?;
        let fault = |offset: usize, reason: String| corrupt(dir, &self.name, offset as u64, reason);
        if (bytes.len() as u64) < self.size_bytes {
            return Err(fault(bytes.len(), format!("the file had {} bytes and was cut", self.size_bytes)));
        }
        wal::check_file(&bytes, number).map_err(|(offset, reason)| fault(offset, reason))?;
        let mut found: Option<(u64, u64)> = None;
        let visited = wal::read_closed(&bytes, |place, _| {
            found = Some((found.map_or(place.position, |found| found.0), place.position));
            Ok::<(), Error>(())
        })?;
        visited.map_err(|(offset, reason)| fault(offset, reason))?;
        match found {
            Some(found) if positions.0 > 0 && found != positions => {
                let ((first, last), (from, to)) = (positions, found);
                Err(fault(
                    0,
                    format!("the file has positions {from} to {to}, {first} to {last} belong there"),
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Held {
    fn file(self: &Arc<Self>, name: String, kind: Kind) -> Result<PinnedFile> {
        let size_bytes = self.store.dir.size_bytes(&name)?;
        Ok(PinnedFile { name, size_bytes, kind, held: self.clone() })
    }

    /// A segment as it is open, or, if it was merged away meanwhile, opened anew.
    fn segment(&self, collection: u64, id: u64) -> Result<Arc<SealedSegment>> {
        let cores = self.store.collections();
        let core = cores.iter().find(|core| core.id == collection);
        let open = core.into_iter().flat_map(|core| core.sealed_segments()).find(|sealed| sealed.id == id);
        if let Some(open) = open {
            return Ok(open);
        }
        let schema = &self.root.collections[&collection].schema;
        let encodings = Encodings::new(schema);
        let opening = Opening::mapped(schema, &encodings);
        SealedSegment::open(&*self.store.dir, id, &opening).map(Arc::new)
    }

    /// By the threads of the database, not by those of the caller's pool, who waits.
    fn verify_segment(&self, collection: u64, id: u64) -> Result<()> {
        let sealed = self.segment(collection, id)?;
        self.store.pools.run(Work::Flush, || sealed.verify_once())?
    }
}

/// A closed file with the positions of its records.
struct LogPart {
    closed: ClosedFile,
    first: u64,
    last: u64,
}

impl LogPart {
    fn pinned(self, held: &Arc<Held>) -> PinnedLogFile {
        let ClosedFile { number, size_bytes, is_kept, .. } = self.closed;
        let name = if is_kept { wal::kept_name(number) } else { wal::file_name(number) };
        let kind = Kind::Log { number, positions: (self.first, self.last) };
        let file = PinnedFile { name, size_bytes, kind, held: held.clone() };
        PinnedLogFile { first: self.first, last: self.last, file }
    }
}

/// Holds closed files, under the names that they have and may get.
fn pin_log_files(
    store: &Store,
    closed: &ClosedLog,
    wanted: impl Fn(&ClosedFile) -> bool,
) -> (Vec<LogPart>, Pins) {
    // A file ends where the next one begins.
    let nexts = closed.files.iter().skip(1).map(|file| file.first).chain([closed.mark.position + 1]);
    let parts: Vec<LogPart> = closed
        .files
        .iter()
        .zip(nexts)
        .filter(|(file, _)| wanted(file))
        .map(|(file, next)| LogPart { closed: file.clone(), first: file.first, last: next.saturating_sub(1) })
        .collect();
    let names = parts
        .iter()
        .flat_map(|part| [wal::file_name(part.closed.number), wal::kept_name(part.closed.number)])
        .collect();
    store.pinned.pin(|| (parts, names))
}

fn segment_names(root: &Manifest) -> Vec<String> {
    let names = root.segments().into_iter().flat_map(|(id, generation)| {
        [Some(segment_file(id)), (generation > 0).then(|| tombstone_file(id, generation))]
    });
    names.flatten().collect()
}

impl Store {
    /// Removes what is kept of the log up to a position.
    pub(crate) fn release_log(&self, position: u64) -> Result<()> {
        let _cutting = self.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        self.log.release(position)
    }
}
