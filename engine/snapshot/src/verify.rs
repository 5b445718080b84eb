//! Whether a snapshot can be restored: every object is read and compared with its hash.

use std::ops::ControlFlow;

use crate::archive::Gap;
use crate::error::{Error, Result};
use crate::names::contradicted;
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
    /// Reads every object of a snapshot, and the archived log after it.
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
            report.note(self.download(object, &mut std::io::sink(), &mut meter))?;
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
                false => self.download_log(object, &mut std::io::sink(), &mut meter),
            };
            if !report.note(read)? {
                break;
            }
            report.position = object.last;
        }
        Ok(report)
    }
}
