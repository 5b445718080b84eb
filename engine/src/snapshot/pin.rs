//! Holding a database, or a part of its log (`pin/log.rs`), as it is at one moment.

mod log;

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Take};
use std::sync::{Arc, PoisonError};

use crate::collection::{self, request_file};
use crate::dir::{Pins, Reader, corrupt, io_error};
use crate::error::{Error, Result};
use crate::faults;
use crate::lineage::Lineage;
use crate::manifest::{CollectionEntry, Manifest};
use crate::replacement::is_hidden;
use crate::segment::patching::{self, Patched};
use crate::segment::{Opening, SealedSegment, patch_file, segment_file, tombstone_file, tombstones};
use crate::store::Store;
use crate::threads::Work;
use crate::vectors::Encodings;
use crate::wal::{self, Ended, LogMark};

use log::pin_log_files;

pub use log::{PinnedLog, PinnedLogFile};

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
    Patches {
        collection: u64,
        segment: u64,
    },
    Requests {
        collection: u64,
    },
    /// With the positions of its first and last record.
    Log {
        number: u64,
        positions: (u64, u64),
    },
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
        let (mut root, segments) = store
            .manifest
            .hold(|root| store.pinned.pin(|| (root.clone(), root.files().into_iter().collect())));
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
                if segment.patches > 0 {
                    let kind = Kind::Patches { collection: *collection, segment: id };
                    pinned.push(held.file(patch_file(id, segment.patches), kind)?);
                }
            }
        }
        for (collection, entry) in root.collections.iter().filter(|(_, entry)| entry.requests > 0) {
            let name = request_file(*collection, entry.requests);
            pinned.push(held.file(name, Kind::Requests { collection: *collection })?);
        }
        pinned.extend(files.iter().map(|file| log::pinned(file, &held).file().clone()));
        let seq = |id: &u64, entry: &CollectionEntry| {
            entry.stored_seq.max(closed.last.get(id).copied().unwrap_or_default())
        };
        let collections = root
            .collections
            .iter()
            .filter(|(_, entry)| !is_hidden(&entry.name))
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
        self.limited_reader()
    }

    fn limited_reader(&self) -> Result<Take<Box<dyn Reader>>> {
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

    /// Of a segment, the checksums that it carries, four bytes for 64 KiB, and its footer: in a history that is told apart by its
    /// [`Lineage`], two files with one name, one length and the same checksums are one. `None` of other files.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the segment cannot be opened, [`Error::Io`] if the system refuses.
    pub fn checksums(&self) -> Result<Option<Vec<u8>>> {
        match self.kind {
            Kind::Segment { collection, id } => {
                self.held.segment(collection, id).map(|sealed| Some(sealed.checksums().to_vec()))
            }
            Kind::Tombstones { .. } | Kind::Patches { .. } | Kind::Requests { .. } | Kind::Log { .. } => {
                Ok(None)
            }
        }
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
                tombstones::read(dir, &self.name, segment, sealed.rows()).map(drop)
            }
            Kind::Patches { collection, segment } => {
                let sealed = self.held.segment(collection, segment)?;
                let fields = &self.held.root.collections[&collection].fields;
                let of = Patched { segment, rows: sealed.rows(), fields };
                patching::read(&*self.held.store.dir, &self.name, &of).map(drop)
            }
            Kind::Requests { collection } => {
                collection::read_requests(&*self.held.store.dir, &self.name, collection).map(drop)
            }
            Kind::Log { number, positions } => self.verify_log(number, positions),
        }
    }

    fn verify_log(&self, number: u64, positions: (u64, u64)) -> Result<()> {
        let dir = &*self.held.store.dir;
        let fault = |offset: u64, reason: String| corrupt(dir, &self.name, offset, reason);
        let (mut reader, mut found) = (self.limited_reader()?, None::<(u64, u64)>);
        let walked = wal::walk_closed(&mut reader, Some(number), |place, _| {
            found = Some((found.map_or(place.position, |found| found.0), place.position));
            Ok::<(), Infallible>(())
        });
        walked.map_err(|ended| match ended {
            Ended::Damaged((offset, reason)) => fault(offset as u64, reason),
            Ended::Unread(source) => io_error("read", &dir.file_path(&self.name), source),
            Ended::Stopped(never) => match never {},
        })?;
        // A cut between two frames leaves sound ones.
        let missing_bytes = reader.limit();
        if missing_bytes > 0 {
            let reason = format!("the file had {} bytes and was cut", self.size_bytes);
            return Err(fault(self.size_bytes - missing_bytes, reason));
        }
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
        let encodings = Encodings::all(schema);
        let opening = Opening::mapped(schema, &encodings);
        SealedSegment::open(&*self.store.dir, id, &opening).map(Arc::new)
    }

    /// By the threads of the database, not by those of the caller's pool, who waits.
    fn verify_segment(&self, collection: u64, id: u64) -> Result<()> {
        let sealed = self.segment(collection, id)?;
        self.store.pools.run(Work::Flush, || sealed.verify_once(Some(&*self.store.dir)))?
    }
}
