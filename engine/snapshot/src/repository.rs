//! A place with snapshots, and the few things that are done to its objects.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, WriteMultipart,
};

use crate::error::{Error, Result};
use crate::hash::{Hash, Hasher, was_cut};
use crate::manifest::Snapshot;
use crate::names::SNAPSHOTS;
use crate::place::{self, Place};
use crate::progress::Meter;
use crate::waiting::Waiting;

/// Bytes of a part of an upload, as long as the parts are not too many.
const PART_BYTES: usize = 8 << 20;
/// Parts of one upload on their way at once.
const PARTS_AT_ONCE: usize = 4;
/// Parts of one upload; Amazon takes 10,000.
const PARTS_MAX: u64 = 9_000;
/// Manifests of snapshots are read as a whole: some 300 bytes for each file of a snapshot. A small bound in this crate's own
/// tests shows that nothing else is read so.
pub(crate) const MANIFEST_BYTES_MAX: u64 = if cfg!(test) { 64 << 10 } else { 1 << 30 };

/// A place with snapshots: a directory, or a prefix in a bucket.
///
/// Several may work on one place at once, from any number of machines.
///
/// Calls block, and panic on a thread that drives an async runtime, as every runtime within another does. Async code moves an `Arc` of it
/// to a thread that may block (`tokio::task::spawn_blocking`). It may be dropped anywhere.
pub struct Repository {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Where its files are, if this crate made it one of a directory.
    pub(crate) directory: Option<PathBuf>,
    runtime: Waiting,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repository({}, {:?})", self.store, self.prefix.as_ref())
    }
}

/// A file that is uploaded.
pub(crate) struct Upload<'a> {
    /// For messages.
    pub(crate) file: &'a str,
    pub(crate) size_bytes: u64,
    pub(crate) hash: Hash,
    /// Where it goes.
    pub(crate) object: &'a str,
}

impl Repository {
    /// Opens a place: a path, `file:///path`, and where the features of this crate have them `s3://bucket/prefix`,
    /// `gs://bucket/prefix`, `az://container/prefix`, with the credentials that the environment has. Nothing is asked of
    /// a remote store yet.
    ///
    /// # Errors
    /// [`Error::Place`] if it cannot be one, or is a directory that does not exist.
    pub fn open(url: &str) -> Result<Self> {
        Self::at(place::open(url, false)?)
    }

    /// Finds out whether a URL can name a place, before anything is to be done there. Nothing is looked for, and nothing asked.
    ///
    /// # Errors
    /// [`Error::Place`].
    pub fn check_url(url: &str) -> Result<()> {
        place::check(url)
    }

    /// As [`open`](Self::open), but a directory that does not exist is made.
    ///
    /// # Errors
    /// As there.
    pub fn open_or_make(url: &str) -> Result<Self> {
        Self::at(place::open(url, true)?)
    }

    /// A place in a store of one's own making.
    ///
    /// # Errors
    /// [`Error::File`] if the system refuses a runtime.
    pub fn with_store(store: Arc<dyn ObjectStore>, prefix: Path) -> Result<Self> {
        Self::at(Place { store, prefix, directory: None })
    }

    fn at(place: Place) -> Result<Self> {
        let Place { store, prefix, directory } = place;
        Ok(Self { store, prefix, directory, runtime: Waiting::new()? })
    }

    /// One snapshot.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Damaged`], [`Error::Store`].
    pub fn snapshot(&self, name: &str) -> Result<Snapshot> {
        let object = format!("{SNAPSHOTS}/{name}");
        match self.get(&object) {
            Ok(bytes) => Snapshot::decode(&bytes, name, &object),
            Err(Error::Missing { .. }) => Err(Error::NotFound { name: name.to_owned() }),
            Err(error) => Err(error),
        }
    }

    /// Deletes a snapshot. Its objects stay until the next [garbage collection](Self::collect_garbage).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn delete(&self, name: &str) -> Result<()> {
        let object = format!("{SNAPSHOTS}/{name}");
        if self.find(&object)?.is_none() {
            return Err(Error::NotFound { name: name.to_owned() });
        }
        self.remove(&object)
    }

    fn path(&self, object: &str) -> Path {
        Path::from_iter(self.prefix.parts().chain(Path::from(object).parts()))
    }

    /// The name of an object within the place.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        let parts = path.prefix_match(&self.prefix).map(Path::from_iter);
        parts.map(String::from).unwrap_or_default()
    }

    fn failed(operation: &'static str, object: &str, source: object_store::Error) -> Error {
        match source {
            object_store::Error::NotFound { .. } => Error::Missing { object: object.to_owned() },
            source => Error::Store { operation, object: object.to_owned(), source },
        }
    }

    /// Every object below a name.
    pub(crate) fn list_objects(&self, below: &str) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.list(Some(&self.path(below))).try_collect();
        self.runtime.block_on(listed).map_err(|error| Self::failed("list", below, error))
    }

    pub(crate) fn find(&self, object: &str) -> Result<Option<ObjectMeta>> {
        let path = self.path(object);
        match self.runtime.block_on(self.store.head(&path)) {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Self::failed("look at", object, error)),
        }
    }

    pub(crate) fn put(&self, object: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.path(object);
        let put = self.store.put(&path, PutPayload::from(bytes));
        self.runtime.block_on(put).map(drop).map_err(|error| Self::failed("put", object, error))
    }

    /// Puts an object unless there is one of the name; whether it did.
    pub(crate) fn put_new(&self, object: &str, bytes: Vec<u8>) -> Result<bool> {
        let path = self.path(object);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.runtime.block_on(self.store.put_opts(&path, PutPayload::from(bytes.clone()), options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(false)
            }
            // A store that knows no conditions: whoever looked before is right but for a race of two equal names.
            Err(error) if place::has_no_conditions(&error) => {
                if self.find(object)?.is_some() {
                    return Ok(false);
                }
                self.put(object, bytes).map(|()| true)
            }
            Err(error) => Err(Self::failed("put", object, error)),
        }
    }

    /// A manifest, as a whole.
    pub(crate) fn get(&self, object: &str) -> Result<Bytes> {
        let path = self.path(object);
        let got = async {
            let got = self.store.get(&path).await?;
            if got.meta.size > MANIFEST_BYTES_MAX {
                return Ok(None);
            }
            got.bytes().await.map(Some)
        };
        match self.runtime.block_on(got).map_err(|error| Self::failed("get", object, error))? {
            Some(bytes) => Ok(bytes),
            None => Err(Error::Damaged { object: object.to_owned(), reason: "it is too large".into() }),
        }
    }

    pub(crate) fn remove(&self, object: &str) -> Result<()> {
        match self.runtime.block_on(self.store.delete(&self.path(object))) {
            // Somebody else removed it.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Self::failed("delete", object, error)),
        }
    }

    /// Uploads a file in parts; it must have the hash that it had. `between` is called after each part, and may ask something of the store.
    pub(crate) fn upload(
        &self,
        upload: &Upload<'_>,
        reader: &mut dyn Read,
        meter: &mut Meter<'_>,
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let part_bytes = PART_BYTES.max(upload.size_bytes.div_ceil(PARTS_MAX) as usize);
        let mut parts = Parts { reader, part_bytes, upload, hasher: Hasher::default(), read_bytes: 0 };
        let first = parts.next()?.unwrap_or_default();
        if first.len() as u64 == upload.size_bytes {
            parts.check()?;
            self.put_bytes(upload.object, first)?;
            return meter.advance(upload.size_bytes);
        }
        let failed = |error| Self::failed("put", upload.object, error);
        let path = self.path(upload.object);
        let begun = self.runtime.block_on(self.store.put_multipart(&path)).map_err(failed)?;
        let mut writer = WriteMultipart::new_with_chunk_size(begun, part_bytes);
        match self.write_parts(&mut writer, (parts, first), meter, between) {
            Ok(()) => self.runtime.block_on(writer.finish()).map(drop).map_err(failed),
            Err(error) => {
                // What was uploaded of it would be paid for, and never be seen.
                if let Err(error) = self.runtime.block_on(writer.abort()) {
                    tracing::warn!(%error, object = upload.object, "could not abort an upload");
                }
                Err(error)
            }
        }
    }

    fn put_bytes(&self, object: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(object);
        let put = self.store.put(&path, PutPayload::from(bytes));
        self.runtime.block_on(put).map(drop).map_err(|error| Self::failed("put", object, error))
    }

    /// Waits for room for each part by itself, so that what is done between two of them may wait for the store, too.
    fn write_parts(
        &self,
        writer: &mut WriteMultipart,
        (mut parts, first): (Parts<'_>, Bytes),
        meter: &mut Meter<'_>,
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let object = parts.upload.object;
        let mut next = Some(first);
        while let Some(part) = next {
            let length = part.len() as u64;
            let put = async {
                let room = writer.wait_for_capacity(PARTS_AT_ONCE - 1).await;
                room.map(|()| writer.put(part))
            };
            self.runtime.block_on(put).map_err(|error| Self::failed("put", object, error))?;
            meter.advance(length)?;
            between()?;
            next = parts.next()?;
        }
        parts.check()
    }

    /// Copies an object to a writer, and compares it with its hash and, where that is known, its length. How long it is.
    ///
    /// The client of a remote store gives a request up after half a minute, however much came, and goes on with it for three minutes in
    /// all. So where an answer breaks off that brought something, the rest is asked for anew; the hash
    /// is of all of it, and matches no parts of two contents.
    pub(crate) fn download(
        &self,
        (object, size_bytes, hash): (&str, Option<u64>, &Hash),
        writer: &mut dyn Write,
        meter: &mut Meter<'_>,
    ) -> Result<u64> {
        let path = self.path(object);
        let failed = |error| Self::failed("get", object, error);
        let damaged = |reason: String| Error::Damaged { object: object.to_owned(), reason };
        let copied = async {
            let mut got = self.store.get(&path).await.map_err(failed)?;
            let found_bytes = got.meta.size;
            match size_bytes {
                Some(size_bytes) if size_bytes != found_bytes => {
                    return Err(damaged(format!("it has {found_bytes} bytes, not {size_bytes}")));
                }
                Some(_) => {}
                None => meter.expect(found_bytes),
            }
            let mut copying = Copying { object, writer, meter, hasher: Hasher::default(), bytes: 0 };
            loop {
                let before = copying.bytes;
                match copying.take(got).await? {
                    None => break,
                    // All of it came, which its hash tells.
                    Some(_) if copying.bytes >= found_bytes => break,
                    Some(error) if copying.bytes == before => return Err(failed(error)),
                    Some(error) => {
                        tracing::info!(%error, object, "an answer broke off; its rest is asked for")
                    }
                }
                let range = Some(GetRange::Offset(copying.bytes));
                let rest = self.store.get_opts(&path, GetOptions { range, ..GetOptions::default() });
                got = rest.await.map_err(failed)?;
            }
            match copying.hasher.finish() == *hash {
                true => Ok(found_bytes),
                false => Err(damaged("its hash does not match".into())),
            }
        };
        self.runtime.block_on(copied)
    }
}

/// An object that is being copied.
struct Copying<'a, 'm> {
    object: &'a str,
    writer: &'a mut dyn Write,
    meter: &'a mut Meter<'m>,
    hasher: Hasher,
    /// Those that came.
    bytes: u64,
}

impl Copying<'_, '_> {
    /// Takes what an answer brings; what broke it off.
    async fn take(&mut self, got: GetResult) -> Result<Option<object_store::Error>> {
        let mut stream = got.into_stream();
        loop {
            match stream.try_next().await {
                Ok(Some(bytes)) => {
                    self.hasher.update(&bytes);
                    let written = self.writer.write_all(&bytes);
                    let object = self.object;
                    written
                        .map_err(|source| Error::File { file: format!("the copy of {object}"), source })?;
                    self.bytes += bytes.len() as u64;
                    self.meter.advance(bytes.len() as u64)?;
                }
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            }
        }
    }
}

/// A file in parts.
struct Parts<'a> {
    reader: &'a mut dyn Read,
    part_bytes: usize,
    upload: &'a Upload<'a>,
    hasher: Hasher,
    read_bytes: u64,
}

impl Parts<'_> {
    /// The next part; all are of one size but the last.
    fn next(&mut self) -> Result<Option<Bytes>> {
        let mut part = BytesMut::zeroed(self.part_bytes.min(self.upload.size_bytes as usize));
        let mut filled = 0;
        while filled < part.len() {
            match self.reader.read(&mut part[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::File { file: self.upload.file.to_owned(), source }),
            }
        }
        part.truncate(filled);
        self.hasher.update(&part);
        self.read_bytes += filled as u64;
        Ok((filled > 0).then(|| part.freeze()))
    }

    /// Whether all of it was read, and is what was hashed before.
    fn check(&self) -> Result<()> {
        let Upload { file, size_bytes, hash, .. } = *self.upload;
        if self.read_bytes != size_bytes {
            return Err(was_cut(file, self.read_bytes, size_bytes));
        }
        if self.hasher.clone().finish() != hash {
            let source = std::io::Error::other("it changed while it was uploaded");
            return Err(Error::File { file: file.to_owned(), source });
        }
        Ok(())
    }
}
