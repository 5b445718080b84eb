//! An operation, and how it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tonic::Status;

use super::Outcome;
use crate::status;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Reembed,
    TakeSnapshot,
    VerifySnapshot,
    Export,
    Import,
    RestoreCollection,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] = [
        Kind::Reembed,
        Kind::TakeSnapshot,
        Kind::VerifySnapshot,
        Kind::Export,
        Kind::Import,
        Kind::RestoreCollection,
    ];

    /// Whether it goes on after the server was restarted.
    pub(super) fn resumes(self) -> bool {
        self == Self::Reembed
    }

    /// Its name, as the log and metrics have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reembed => "reembed",
            Self::TakeSnapshot => "take_snapshot",
            Self::VerifySnapshot => "verify_snapshot",
            Self::Export => "export",
            Self::Import => "import",
            Self::RestoreCollection => "restore_collection",
        }
    }
}

/// How an operation is: `Running`, then one of the others for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) stage: String,
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
    pub(crate) unit: String,
}

/// Why it failed: what a call would have failed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) code: i32,
    pub(crate) message: String,
    /// A `google.rpc.Status` with the details, as a call's trailer has it.
    pub(crate) details: Vec<u8>,
}

/// Why a job did not come to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    Cancelled,
    Problem(Problem),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let (code, message, details) = (status.code() as i32, status.message(), status.details());
        Self::Problem(Problem { code, message: message.to_owned(), details: details.to_vec() })
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    /// What it is done to: the name of a collection, or of a store.
    pub(crate) target: String,
    /// With what, by name: who goes on with it needs that.
    pub(crate) arguments: BTreeMap<String, String>,
}

impl Asked {
    /// Whether both would do the same to the same at once.
    pub(super) fn is_for_the_same(&self, other: &Self) -> bool {
        (self.kind, &self.target) == (other.kind, &other.target)
    }
}

/// Work that takes long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) asked: Asked,
    pub(crate) state: State,
    /// Whether it was asked to end: kept before that is answered, so that no stop of the server forgets it.
    #[serde(default)]
    pub(crate) cancel_requested: bool,
    /// The [lineage](ragstone::Lineage) of the database that it runs in. One that was restored from a copy has another than what came with the copy.
    /// None of what was kept by a release that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lineage: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) error: Option<Problem>,
    pub(crate) started_us: u64,
    pub(crate) updated_us: u64,
    pub(crate) result: Outcome,
}

impl Operation {
    pub(super) fn begun(id: String, asked: Asked, lineage: String, now_us: u64) -> Self {
        Self {
            id,
            asked,
            state: State::Running,
            cancel_requested: false,
            lineage: Some(lineage),
            progress: Progress::default(),
            error: None,
            started_us: now_us,
            updated_us: now_us,
            result: Outcome::new(),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state != State::Running
    }

    /// Whether it came with the copy that the database of this lineage was restored from.
    pub(super) fn is_copied(&self, lineage: &str) -> bool {
        self.lineage.as_deref().is_some_and(|of| of != lineage)
    }

    /// Ends one that a start of the server found under way, and nothing goes on with.
    pub(super) fn cut_off(&mut self, is_copied: bool, now_us: u64) {
        let failure = match (self.cancel_requested, is_copied) {
            (true, _) => Failure::Cancelled,
            (false, true) => status::operation_copied().into(),
            (false, false) => status::operation_cut_off().into(),
        };
        self.end(Err(failure), now_us);
    }

    /// Ends it. What has ended stays as it is.
    pub(super) fn end(&mut self, outcome: Result<Outcome, Failure>, now_us: u64) {
        if self.has_ended() {
            return;
        }
        self.updated_us = now_us;
        match outcome {
            Ok(result) => (self.state, self.result) = (State::Succeeded, result),
            Err(Failure::Cancelled) => self.state = State::Cancelled,
            Err(Failure::Problem(problem)) => (self.state, self.error) = (State::Failed, Some(problem)),
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an operation has nothing that JSON lacks")
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
