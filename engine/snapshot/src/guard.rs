//! Nothing is collected that a snapshot under way relies on.
//!
//! **Problem.** A snapshot that finds an object there does not upload it again, and names it only at its end. A garbage
//! collection that looks meanwhile sees an object that nobody names.
//!
//! **Idea.** Both say what they are about to do, then look for the other: a snapshot puts a mark below `pending/` and then
//! looks below `collecting/`, a collection puts one below `collecting/` and then looks below `pending/`. Every store here
//! shows an object to whoever looks after it was put, so at least one of the two sees the other, and gives way. (Both may:
//! then both are tried again.) Several collections may be at work at once, and so may several snapshots.
//!
//! **Invariant.** A mark belongs to one process's work: a random number is part of its name, so that nobody who ends, gives way
//! or takes a snapshot of the same name removes the mark of somebody else who is still at work.
//!
//! A process that dies leaves its mark. Marks are put anew every few minutes by whoever works, between the parts of one large
//! file too, so one that is an hour old, by the store's clock, is of a dead process and is removed by whoever comes next. A
//! snapshot that slept for so long finds out: its mark is gone before it puts its manifest, or right afterwards, and then it
//! takes the manifest away again. A collection finds out before it removes anything more: what it thinks is garbage may be
//! named by now.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use object_store::ObjectMeta;

use crate::error::{Error, Result};
use crate::names::{COLLECTING, PENDING, SNAPSHOTS, last_part};
use crate::repository::Repository;

/// Marks are put anew so often.
const RENEWED_AFTER: Duration = Duration::from_secs(300);
/// Older ones are of the dead.
pub(crate) const DEAD_AFTER: Duration = Duration::from_secs(3600);

/// A mark that stands while somebody works.
pub(crate) struct Mark<'a> {
    repository: &'a Repository,
    object: String,
    /// The snapshot, unless this is of a collection.
    snapshot: Option<String>,
    /// By the wall clock: a monotonic one may stand still while the machine sleeps, and marks age meanwhile.
    put_at: SystemTime,
}

impl<'a> Mark<'a> {
    fn put(repository: &'a Repository, object: String, snapshot: Option<String>) -> Result<Self> {
        repository.put(&object, b"at work\n".to_vec())?;
        Ok(Self { repository, object, snapshot, put_at: SystemTime::now() })
    }

    /// Says that a snapshot is being taken.
    pub(crate) fn of_snapshot(repository: &'a Repository, name: &str) -> Result<Self> {
        let object = format!("{PENDING}/{}-{name}", random_digits());
        let mark = Self::put(repository, object, Some(name.to_owned()))?;
        match mark.living(COLLECTING)?.is_empty() {
            true => Ok(mark),
            false => Err(Error::Busy { what: "a garbage collection".to_owned() }),
        }
    }

    /// Says that objects are being collected.
    pub(crate) fn of_collection(repository: &'a Repository) -> Result<Self> {
        let mark = Self::put(repository, format!("{COLLECTING}/{}", random_digits()), None)?;
        if let Some(other) = mark.living(PENDING)?.first() {
            let what = format!("snapshot `{}`", snapshot_of(&last_part(&other.location)));
            return Err(Error::Busy { what });
        }
        // Other collections are no hindrance; what the dead among them left is garbage too.
        mark.living(COLLECTING)?;
        Ok(mark)
    }

    /// The marks below a name that are of the living; those of the dead are removed.
    fn living(&self, below: &str) -> Result<Vec<ObjectMeta>> {
        let marks = self.repository.list_objects(below)?;
        if marks.is_empty() {
            return Ok(marks);
        }
        // The store's clock: that of this machine may be another.
        let now = self.time()?;
        let is_dead = |mark: &ObjectMeta| {
            now.signed_duration_since(mark.last_modified).to_std().is_ok_and(|age| age >= DEAD_AFTER)
        };
        let (dead, living): (Vec<_>, Vec<_>) = marks.into_iter().partition(is_dead);
        for mark in dead {
            self.repository.remove(&self.repository.name_of(&mark.location))?;
        }
        Ok(living)
    }

    /// When the mark was put, by the store's clock.
    pub(crate) fn time(&self) -> Result<chrono::DateTime<chrono::Utc>> {
        let own = self.repository.find(&self.object)?;
        Ok(own.ok_or_else(|| Error::Missing { object: self.object.clone() })?.last_modified)
    }

    /// To be called now and then.
    pub(crate) fn renew(&mut self) -> Result<()> {
        // A clock that was set back says nothing of how long it is.
        if self.put_at.elapsed().map_or(true, |age| age >= RENEWED_AFTER) {
            // Not if it was taken for dead: then somebody relies on its absence.
            self.check()?;
            self.repository.put(&self.object, b"at work\n".to_vec())?;
            self.put_at = SystemTime::now();
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match (self.repository.find(&self.object)?, &self.snapshot) {
            (Some(_), _) => Ok(()),
            (None, Some(name)) => Err(Error::GivenUp { name: name.clone() }),
            (None, None) => {
                let what = "work that took this garbage collection for dead";
                Err(Error::Busy { what: what.to_owned() })
            }
        }
    }

    /// Puts the manifest of a snapshot, the last of it. Fails if there is another of its name.
    pub(crate) fn complete(self, name: &str, manifest: Vec<u8>) -> Result<()> {
        self.check()?;
        let object = format!("{SNAPSHOTS}/{name}");
        // A client that was told of a failure puts it again, and finds it there if the store had taken it all the same.
        if !self.repository.put_new(&object, manifest.clone())?
            && self.repository.get(&object).map_or(true, |there| there != manifest)
        {
            return Err(Error::Exists { name: name.to_owned() });
        }
        self.check().inspect_err(|_| {
            if let Err(error) = self.repository.remove(&object) {
                tracing::error!(%error, object, "a snapshot that is not sound could not be removed");
            }
        })
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.repository.remove(&self.object) {
            tracing::warn!(%error, object = self.object, "a mark stays until it is an hour old");
        }
    }
}

/// 16 digits that nobody else draws. The standard library seeds its hashers from the system's random numbers.
fn random_digits() -> String {
    format!("{:016x}", RandomState::new().hash_one((SystemTime::now(), std::process::id())))
}

/// The snapshot that a mark below `pending/` names.
fn snapshot_of(mark: &str) -> &str {
    mark.split_once('-').map_or(mark, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use crate::progress::{Meter, quietly};
    use crate::repository::Upload;

    /// The mark was put anew between two files only: one file of many gigabytes takes hours to a slow store, and its snapshot was taken for dead.
    #[test]
    fn a_mark_is_put_anew_while_one_file_is_uploaded() {
        let place = tempfile::tempdir().unwrap();
        let repository = Repository::open(place.path().to_str().unwrap()).unwrap();
        let mut mark = Mark::of_snapshot(&repository, "s").unwrap();
        let bytes = vec![7_u8; 17 << 20];
        let (size_bytes, hash, object) = (bytes.len() as u64, Hash::of(&bytes), "objects/aa/large");
        let upload = Upload { file: "large", size_bytes, hash, object };
        let mut go_on = quietly;
        let mut meter = Meter::new(size_bytes, &mut go_on);
        let mut renewed = 0;
        let mut renew = || -> Result<()> {
            mark.put_at = SystemTime::now() - RENEWED_AFTER;
            mark.renew()?;
            renewed += 1;
            Ok(())
        };
        repository.upload(&upload, &mut &*bytes, &mut meter, &mut renew).unwrap();
        assert_eq!(renewed, 3, "once a part");
        assert_eq!(repository.find(object).unwrap().unwrap().size, size_bytes);
        // One that was taken for dead goes no further.
        repository.remove(object).unwrap();
        repository.remove(&mark.object).unwrap();
        let mut renew = || -> Result<()> {
            mark.put_at = SystemTime::now() - DEAD_AFTER;
            mark.renew()
        };
        let given_up = repository.upload(&upload, &mut &*bytes, &mut meter, &mut renew);
        assert!(matches!(given_up, Err(Error::GivenUp { .. })), "{given_up:?}");
        assert!(repository.find(object).unwrap().is_none());
    }

    /// A machine that slept for an hour: the clock that only counts while it is awake said that no time went by, and the
    /// collection went on removing what a snapshot had found there meanwhile.
    #[test]
    fn who_slept_looks_whether_it_was_taken_for_dead() {
        let place = tempfile::tempdir().unwrap();
        let repository = Repository::open(place.path().to_str().unwrap()).unwrap();
        let mut collection = Mark::of_collection(&repository).unwrap();
        let mut snapshot = Mark::put(&repository, format!("{PENDING}/0-s"), Some("s".into())).unwrap();
        for mark in [&mut collection, &mut snapshot] {
            for put_at in [SystemTime::now() - RENEWED_AFTER, SystemTime::now() + RENEWED_AFTER] {
                mark.put_at = put_at;
                mark.renew().unwrap();
                assert!(mark.put_at.elapsed().unwrap() < RENEWED_AFTER, "it was put anew");
            }
            repository.remove(&mark.object).unwrap();
            // Not each of a thousand removals asks the store.
            mark.renew().unwrap();
            for put_at in [SystemTime::now() - DEAD_AFTER, SystemTime::now() + DEAD_AFTER] {
                mark.put_at = put_at;
                let renewed = mark.renew();
                assert!(matches!(renewed, Err(Error::Busy { .. } | Error::GivenUp { .. })), "{renewed:?}");
            }
        }
    }
}
