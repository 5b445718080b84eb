//! A copy becomes a database.
//!
//! ```text
//! begin --write*--> files there --open--> opened --apply_log*--> opened --finish--> a database
//! ```
//! The file `RESTORE` stands in the directory from the first step to the last; it says of what copy, and whether the files
//! are all there. While it stands nothing else opens the directory. An interrupted restore of the same copy goes on: files
//! that are there were synced before they got their names, and of log that is applied again only what segments do not hold
//! yet has an effect. A copy that is damaged is refused as a whole: no collection is left out.
//!
//! **How far it is** is told by the copy and the archived log that was read since, never by what the segments hold: those of an
//! attempt that died may hold everything of one collection and nothing of another. So the copy's own log files stay until
//! everything is in segments. The new lineage is written last, and with it in the manifest there is nothing left to do.
//!
//! The copy's log is not kept for an archive: it is of another lineage, and what was carried out after it is in no file.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::apply::OpenedRestore;
use super::copied::{part_of_copy, seqs_of_copy};
use crate::clock::Clock;
use crate::db::DbOptions;
use crate::dir::{Dir, DirFile, DirLock, RealDir, corrupt};
use crate::error::{Error, Result};
use crate::manifest::{MANIFEST_FILE, MANIFEST_NEW_FILE, Manifest};
use crate::opening::is_rooted;
use crate::store::Store;
use crate::verify::{OnDamage, Verify, VerifyProgress};
use crate::wal::{self};

/// The file that stands in a directory that is not restored to the end.
pub(crate) const RESTORE_FILE: &str = "RESTORE";
const RESTORE_NEW_FILE: &str = "RESTORE.new";
const LOCK_FILE: &str = "LOCK";
/// What is in the root of a disk on Linux before anything else is.
const LOST_AND_FOUND: &str = "lost+found";
const FIRST_LINE: &str = "ragstone restore 1";
const COPYING: &str = "copying files";
const APPLYING: &str = "applying log";
/// Before the name of a file that is not there as a whole.
const PART: &str = "part-";

/// A directory into which a copy is being put.
pub struct Restore {
    dir: Arc<dyn Dir>,
    lock: Box<dyn DirLock>,
    source: String,
    is_applying: bool,
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore")
            .field("dir", &self.dir)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A file on its way; it is there once it is [committed](Self::commit).
pub struct RestoreFile<'a> {
    restore: &'a Restore,
    name: String,
    file: Box<dyn DirFile>,
}

impl Restore {
    /// Takes an empty directory, made if absent, or one in which a restore of the same source was interrupted. The root of a
    /// new disk is empty, whatever file systems keep there (`lost+found`). The source is one line that tells the copy, and up to
    /// where it is to be restored, from any other.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the directory holds anything else, [`Error::Locked`] if somebody has it open,
    /// [`Error::Io`] if the system refuses.
    pub fn begin(path: impl AsRef<Path>, source: &str) -> Result<Self> {
        Self::begin_in(Arc::new(RealDir::open(path.as_ref())?), source)
    }

    pub(crate) fn begin_in(dir: Arc<dyn Dir>, source: &str) -> Result<Self> {
        if source.contains('\n') {
            return Err(Error::invalid("source", "it is more than one line"));
        }
        let lock = dir.lock()?;
        let names = dir.list()?;
        let mut restore = Self { dir, lock, source: source.to_owned(), is_applying: false };
        if names.iter().any(|name| name == RESTORE_FILE) {
            let is_applying = restore.read_marker()?;
            restore.is_applying = is_applying;
            return Ok(restore);
        }
        let is_nothing = |name: &str| [LOCK_FILE, RESTORE_NEW_FILE, LOST_AND_FOUND].contains(&name);
        match names.iter().find(|name| !is_nothing(name)) {
            Some(name) => {
                let place = restore.dir.path().display();
                Err(Error::invalid("path", format!("{place} is not empty: it holds {name}")))
            }
            None => restore.write_marker(COPYING).map(|()| restore),
        }
    }

    /// Whether the files are all there and the log is what is left to do.
    fn read_marker(&self) -> Result<bool> {
        let text = String::from_utf8(self.dir.read(RESTORE_FILE)?);
        let text = text.map_err(|_| corrupt(&*self.dir, RESTORE_FILE, 0, "it is not a text"))?;
        let lines: Vec<&str> = text.lines().collect();
        match lines[..] {
            [FIRST_LINE, state @ (COPYING | APPLYING), source] if source == self.source => {
                Ok(state == APPLYING)
            }
            [FIRST_LINE, COPYING | APPLYING, source] => {
                let reason = format!(
                    "{} holds an interrupted restore of another copy: {source}",
                    self.dir.path().display()
                );
                Err(Error::invalid("path", reason))
            }
            _ => Err(corrupt(&*self.dir, RESTORE_FILE, 0, "it does not say what is being restored")),
        }
    }

    fn write_marker(&self, state: &str) -> Result<()> {
        let mut file = self.dir.create(RESTORE_NEW_FILE)?;
        file.write(format!("{FIRST_LINE}\n{state}\n{}\n", self.source).as_bytes())?;
        file.sync()?;
        drop(file);
        self.dir.rename(RESTORE_NEW_FILE, RESTORE_FILE)?;
        self.dir.sync()
    }

    /// Whether all files are there, from before an interruption, and the next step is [`open`](Self::open).
    pub fn has_files(&self) -> bool {
        self.is_applying
    }

    /// Whether a file is there as a whole.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn has(&self, name: &str) -> Result<bool> {
        Ok(self.dir.list()?.iter().any(|found| found == name))
    }

    /// Reads a file that is there as a whole, for whoever wants to know whether it still is what was written.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn reader(&self, name: &str) -> Result<Option<impl Read + Send + use<>>> {
        self.has(name)?.then(|| self.dir.reader(name)).transpose()
    }

    /// Begins to write a file of the copy, in the place of one that is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no file of a copy has such a name, [`Error::Io`] if the system refuses.
    pub fn write(&self, name: &str) -> Result<RestoreFile<'_>> {
        if !wal::is_log_file(name) && !is_rooted(name) {
            return Err(Error::invalid("name", format!("{name:?} is no file of a database")));
        }
        let file = self.dir.create(&format!("{PART}{name}"))?;
        Ok(RestoreFile { restore: self, name: name.to_owned(), file })
    }

    /// Whether a file of this name is a part of a copy's log.
    pub fn is_log_file(name: &str) -> bool {
        wal::is_log_file(name)
    }

    /// What of a copy one collection needs: a manifest to [open](Self::open) in the place of its own, in which the others hold nothing, and
    /// the files that are to be there beside those of the log. These must be there already.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`] if the copy has none of this name, [`Error::Corrupt`] if its manifest or its log is damaged,
    /// [`Error::Io`] if the system refuses.
    pub fn part(&self, manifest: &[u8], collection: &str) -> Result<(Vec<u8>, BTreeSet<String>)> {
        let (part, files) = part_of_copy(&*self.dir, self.decode(manifest)?, collection)?;
        Ok((part.encode(), files))
    }

    fn decode(&self, manifest: &[u8]) -> Result<Manifest> {
        let decoded = Manifest::decode(manifest);
        decoded.map_err(|(offset, reason)| corrupt(&*self.dir, MANIFEST_FILE, offset as u64, reason))
    }

    /// Writes the manifest, now that all files are there, and compares everything with its checksums. The manifest is
    /// that of [`Pin::manifest`](super::Pin::manifest).
    ///
    /// # Errors
    /// [`Error::Corrupt`] with what is damaged or missing, [`Error::Io`] if the system refuses.
    pub fn open(self, manifest: &[u8]) -> Result<OpenedRestore> {
        self.open_verified(manifest, Verify::OnOpen)
    }

    /// The same for who may want it ended while everything is compared: file by file, and `progress` is asked before that and after every megabyte.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Cancelled`].
    pub fn open_while(
        self,
        manifest: &[u8],
        progress: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<OpenedRestore> {
        let opened = self.open_verified(manifest, Verify::OnDemand)?;
        let report = opened.store.verify(progress)?;
        match report.damaged.into_iter().next() {
            Some(damage) => Err(damage.into()),
            None if report.cancelled => Err(Error::Cancelled),
            None => Ok(opened),
        }
    }

    fn open_verified(self, manifest: &[u8], verify: Verify) -> Result<OpenedRestore> {
        let copied = self.decode(manifest)?;
        if !self.is_applying {
            self.remove_strangers(&copied)?;
            let mut file = self.dir.create(MANIFEST_NEW_FILE)?;
            file.write(manifest)?;
            file.sync()?;
            drop(file);
            self.dir.rename(MANIFEST_NEW_FILE, MANIFEST_FILE)?;
            self.dir.sync()?;
            self.write_marker(APPLYING)?;
        }
        // Whoever goes on without a damaged collection goes on without the log of it, and calls that restored.
        let on_damage = OnDamage::Refuse;
        // What has expired is decided where the copy is used, not by the clock of the machine that makes it: nothing is dropped here.
        let clock = Clock::new(|| i64::MIN);
        let options = DbOptions { background: false, verify, on_damage, clock, ..DbOptions::default() };
        let store = Store::open_locked(self.dir, self.lock, options)?;
        // Whatever is to be kept of the log from now on, it is nothing of this one.
        store.log.keep(0)?;
        store.holds_log.store(true, Ordering::Relaxed);
        let is_complete = store.manifest.current().lineage != copied.lineage;
        let seqs = seqs_of_copy(&*store.dir, copied)?;
        let cores = store.collections().into_iter().map(|core| (core.id, core)).collect();
        let mark = store.log.mark();
        Ok(OpenedRestore {
            store,
            cores,
            position: mark.position,
            time_us: mark.time_us,
            seqs,
            has_applied: self.is_applying,
            is_complete,
        })
    }

    /// Removes parts of files, and says which segments are missing.
    fn remove_strangers(&self, root: &Manifest) -> Result<()> {
        let names = self.dir.list()?;
        if let Some(missing) = root.files().into_iter().find(|name| !names.contains(name)) {
            return Err(corrupt(&*self.dir, &missing, 0, "the file is missing"));
        }
        names.iter().filter(|name| name.starts_with(PART)).try_for_each(|name| self.dir.remove(name))
    }
}

impl std::fmt::Debug for RestoreFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RestoreFile<'_> {
    /// Makes what was written durable and gives the file its name. Without it the file is written anew the next time.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn commit(mut self) -> Result<()> {
        self.file.sync()?;
        drop(self.file);
        self.restore.dir.rename(&format!("{PART}{}", self.name), &self.name)
    }
}

impl Write for RestoreFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.file.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(Error::Io { source, .. }) => Err(source),
            Err(other) => Err(std::io::Error::other(other)),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
