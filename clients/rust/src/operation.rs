//! Work that takes long, and what a database holds.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ragstone_proto::v1;
use tonic::{Code as TonicCode, Status};

use crate::error::{Error, Result};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationKind {
    /// Moves a collection to another model.
    Reembed,
    /// Copies the database to a store.
    TakeSnapshot,
    /// Compares a snapshot with its checksums.
    VerifySnapshot,
    /// Writes a collection to a file of the server.
    Export,
    /// Writes the rows of a file of the server to a collection.
    Import,
    /// Puts a collection of a snapshot into the database.
    RestoreCollection,
}

impl OperationKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reembed => "reembed",
            Self::TakeSnapshot => "take-snapshot",
            Self::VerifySnapshot => "verify-snapshot",
            Self::Export => "export",
            Self::Import => "import",
            Self::RestoreCollection => "restore-collection",
        }
    }
}

/// How an operation is: running, then one of the others for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationState {
    /// It goes on.
    Running,
    /// It has done what it was to do.
    Succeeded,
    /// It could not.
    Failed,
    /// It was asked to end before.
    Cancelled,
}

impl OperationState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn into_wire(self) -> v1::OperationState {
        match self {
            Self::Running => v1::OperationState::Running,
            Self::Succeeded => v1::OperationState::Succeeded,
            Self::Failed => v1::OperationState::Failed,
            Self::Cancelled => v1::OperationState::Cancelled,
        }
    }

    fn from_wire(wire: i32) -> Result<Self> {
        match v1::OperationState::try_from(wire) {
            Ok(v1::OperationState::Running) => Ok(Self::Running),
            Ok(v1::OperationState::Succeeded) => Ok(Self::Succeeded),
            Ok(v1::OperationState::Failed) => Ok(Self::Failed),
            Ok(v1::OperationState::Cancelled) => Ok(Self::Cancelled),
            Ok(v1::OperationState::Unspecified) | Err(_) => Err(Error::missing("operation.state")),
        }
    }
}

/// Work that takes long, as it is or was.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// Names it.
    pub id: String,
    /// What it does.
    pub kind: OperationKind,
    /// What it is done to: the name of a collection, or of a store.
    pub target: String,
    /// How it is.
    pub state: OperationState,
    /// What it is at, a short phrase.
    pub stage: String,
    /// So much of this stage is done.
    pub done: u64,
    /// So much there is to do, where that is known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: String,
    /// Why it failed: what a call would have failed with.
    pub error: Option<Error>,
    /// When it began.
    pub started: SystemTime,
    /// When this last changed.
    pub updated: SystemTime,
    /// What came of it, by name.
    pub result: BTreeMap<String, String>,
}

impl Operation {
    /// Whether it will not change any more.
    pub fn has_ended(&self) -> bool {
        self.state != OperationState::Running
    }

    pub(crate) fn from_wire(wire: Option<v1::Operation>) -> Result<Self> {
        let wire = wire.ok_or_else(|| Error::missing("operation"))?;
        let kind = match v1::OperationKind::try_from(wire.kind) {
            Ok(v1::OperationKind::Reembed) => OperationKind::Reembed,
            Ok(v1::OperationKind::TakeSnapshot) => OperationKind::TakeSnapshot,
            Ok(v1::OperationKind::VerifySnapshot) => OperationKind::VerifySnapshot,
            Ok(v1::OperationKind::Export) => OperationKind::Export,
            Ok(v1::OperationKind::Import) => OperationKind::Import,
            Ok(v1::OperationKind::RestoreCollection) => OperationKind::RestoreCollection,
            Ok(v1::OperationKind::Unspecified) | Err(_) => return Err(Error::missing("operation.kind")),
        };
        let progress = wire.progress.unwrap_or_default();
        Ok(Self {
            id: wire.id,
            kind,
            target: wire.target,
            state: OperationState::from_wire(wire.state)?,
            stage: progress.stage,
            done: progress.done,
            total: progress.total,
            unit: progress.unit,
            error: wire.error.map(error),
            started: moment(wire.start_time),
            updated: moment(wire.update_time),
            result: wire.result,
        })
    }
}

/// An operation's error as that of a call: its bytes are those of a `google.rpc.Status`.
fn error(wire: v1::OperationError) -> Error {
    let code = TonicCode::from_i32(wire.code);
    let details = prost::Message::encode_to_vec(&wire);
    Error::from_status(&Status::with_details(code, wire.message, details.into()))
}

pub(crate) fn moment(wire: Option<prost_types::Timestamp>) -> SystemTime {
    let wire = wire.unwrap_or_default();
    let seconds = Duration::from_secs(u64::try_from(wire.seconds).unwrap_or_default());
    UNIX_EPOCH + seconds + Duration::from_nanos(u64::try_from(wire.nanos).unwrap_or_default())
}

/// What a collection holds, and what that takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionStats {
    /// Its name.
    pub name: String,
    /// Live points.
    pub points: u64,
    /// Live points that have the default vector.
    pub vectors: u64,
    /// Segments that are sealed.
    pub sealed_segments: usize,
    /// Bytes of their files.
    pub sealed_bytes: u64,
    /// Points in them that were removed or replaced, and take room until a merge.
    pub dead_points: u64,
    /// Live points that are in no sealed segment yet.
    pub growing_points: u64,
    /// Bytes of memory that these take.
    pub growing_bytes: u64,
    /// Points that are not nodes of a graph yet.
    pub unlinked_points: u64,
    /// Number of the last applied write.
    pub seq: u64,
    /// Whether another model's vectors are being made, to take the place of these.
    pub reembedding: bool,
}

/// What a server holds, and what it is at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Every collection, by name.
    pub collections: Vec<CollectionStats>,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    /// Position of the last write in it.
    pub log_position: u64,
    /// Bytes of memory that points take which are in no sealed segment, of all collections.
    pub growing_bytes: u64,
    /// Sealed segments of all collections.
    pub sealed_segments: usize,
    /// Bytes of their files.
    pub sealed_bytes: u64,
    /// Operations that run.
    pub running_operations: usize,
    /// Which history of the database the positions belong to.
    pub lineage: String,
    /// The stores that snapshots may go to.
    pub snapshot_stores: Vec<String>,
}

impl Stats {
    pub(crate) fn from_wire(wire: v1::GetStatsResponse) -> Self {
        let collection = |wire: v1::CollectionStats| CollectionStats {
            name: wire.name,
            points: wire.points,
            vectors: wire.vectors,
            sealed_segments: wire.sealed_segments as usize,
            sealed_bytes: wire.sealed_bytes,
            dead_points: wire.dead_points,
            growing_points: wire.growing_points,
            growing_bytes: wire.growing_bytes,
            unlinked_points: wire.unlinked_points,
            seq: wire.seq,
            reembedding: wire.reembedding,
        };
        Self {
            collections: wire.collections.into_iter().map(collection).collect(),
            log_bytes: wire.log_bytes,
            log_position: wire.log_position,
            growing_bytes: wire.growing_bytes,
            sealed_segments: wire.sealed_segments as usize,
            sealed_bytes: wire.sealed_bytes,
            running_operations: wire.running_operations as usize,
            lineage: wire.lineage,
            snapshot_stores: wire.snapshot_stores,
        }
    }
}

/// A copy of a database in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Which history of the database its position belongs to.
    pub lineage: String,
    /// The last write in it.
    pub position: u64,
    /// When that was logged.
    pub position_time: SystemTime,
    /// When it was taken.
    pub created: SystemTime,
    /// Bytes of its files, those included that it shares with others.
    pub bytes: u64,
}

impl Snapshot {
    pub(crate) fn from_wire(wire: v1::Snapshot) -> Self {
        Self {
            name: wire.name,
            lineage: wire.lineage,
            position: wire.position,
            position_time: moment(wire.position_time),
            created: moment(wire.create_time),
            bytes: wire.bytes,
        }
    }
}
