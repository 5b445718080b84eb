//! Whether a snapshot can be restored: every object is read and compared with its hash.
//!
//! **Problem.** An object that rotted is there, under its name and of its length: no later snapshot would upload it again, and all that share
//! it would be broken.
//!
//! **Idea.** A note of it is put beside the objects. Whoever takes a snapshot or archives takes what is noted for missing, and removes the note
//! once it is uploaded; so all snapshots that name it are whole again. A note of what nobody names is garbage.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::archive::Gap;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::names::{DAMAGED, contradicted, note_of, noted};
use crate::progress::{Meter, Progress};
use crate::repository::Repository;

/// What was found of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedSnapshot {
    /// Objects that were read.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is damaged or missing, of the snapshot and of the archived log after it.
    pub damaged: Vec<DamagedObject>,
    /// The position of the last write up to which it can be restored.
    pub position: u64,
    /// The first writes that the archived log lacks, if it goes on after them.
    pub gap: Option<Gap>,
}

/// An object that is not what was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedObject {
    /// The object.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
}

impl VerifiedSnapshot {
    /// Takes damage into the report; other errors end the work.
    fn note(&mut self, result: Result<u64>) -> Result<bool> {
        match result {
            Ok(bytes) => {
                self.objects += 1;
                self.bytes += bytes;
                return Ok(true);
            }
            Err(Error::Damaged { object, reason }) => self.damaged.push(DamagedObject { object, reason }),
            Err(Error::Missing { object }) => {
                self.damaged.push(DamagedObject { object, reason: "it is missing".into() });
            }
            Err(Error::Diverged { object }) => {
                let reason = "other writes of the same lineage are archived at its positions".into();
                self.damaged.push(DamagedObject { object, reason });
            }
            Err(error) => return Err(error),
        }
        Ok(false)
    }
}

impl Repository {
    /// Reads every object of a snapshot, and the archived log after it. What is damaged is noted at the place, if that can be written to: the
    /// next snapshot of a database that still has it uploads it again, and an archive does so with log.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Damaged`] if the snapshot's own manifest is; [`Error::Store`], [`Error::Cancelled`].
    pub fn verify(
        &self,
        name: &str,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<VerifiedSnapshot> {
        let snapshot = self.snapshot(name)?;
        let mut meter = Meter::new(snapshot.size_bytes(), &mut progress);
        let position = snapshot.position;
        let mut report = VerifiedSnapshot { objects: 0, bytes: 0, damaged: Vec::new(), position, gap: None };
        for file in &snapshot.files {
            let object = (file.object.as_str(), Some(file.size_bytes), &file.sha256);
            report.note(self.compare(object, &mut meter))?;
        }
        let log = self.archived_log(snapshot.lineage)?;
        for (object, is_contradicted) in log.iter().zip(contradicted(&log)) {
            if object.last <= report.position {
                continue;
            }
            if object.first > report.position + 1 {
                report.gap = Some(Gap { from: report.position + 1, to: object.first - 1 });
                break;
            }
            let read = match is_contradicted {
                true => Err(Error::Diverged { object: object.name() }),
                false => self.compare((&object.name(), None, &object.hash), &mut meter),
            };
            if !report.note(read)? {
                break;
            }
            report.position = object.last;
        }
        Ok(report)
    }

    /// Reads an object, and notes it if it is damaged.
    fn compare(&self, object: (&str, Option<u64>, &Hash), meter: &mut Meter<'_>) -> Result<u64> {
        self.download(object, &mut std::io::sink(), meter).inspect_err(|error| {
            if let Error::Damaged { object, reason } = error
                && let Err(error) = self.put(&note_of(object), format!("{reason}\n").into_bytes())
            {
                tracing::warn!(%error, object, "a damaged object could not be noted: no snapshot uploads it again");
            }
        })
    }

    /// Removes the note of an object that was uploaded again. Where nothing may be removed it costs another upload, and no snapshot.
    pub(crate) fn forget_damage(&self, object: &str) {
        if let Err(error) = self.remove(&note_of(object)) {
            tracing::warn!(%error, object, "what was uploaded again is noted as damaged still");
        }
    }

    /// The objects that are noted as damaged.
    pub(crate) fn noted_objects(&self) -> Result<BTreeSet<String>> {
        let notes = self.list_objects(DAMAGED)?;
        Ok(notes.iter().filter_map(|meta| noted(&self.name_of(&meta.location)).map(str::to_owned)).collect())
    }
}
