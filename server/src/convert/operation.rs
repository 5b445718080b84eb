//! Operations, as the wire has them.

use prost::Message as _;
use prost_types::Timestamp;
use ragstone_proto::v1;

use crate::operations::{Kind, Operation, Problem, Progress, State};

/// An operation as it is now.
pub(crate) fn operation(operation: Operation) -> v1::Operation {
    let Operation { id, asked, state, progress, error, started_us, updated_us, result, .. } = operation;
    v1::Operation {
        id,
        kind: kind(asked.kind).into(),
        target: asked.target,
        state: state_out(state).into(),
        progress: Some(progress_out(progress)),
        error: error.map(problem),
        start_time: Some(timestamp(started_us)),
        update_time: Some(timestamp(updated_us)),
        result,
    }
}

/// The state that operations are to be in; any, if none is said.
pub(crate) fn state_in(state: i32) -> Result<Option<State>, tonic::Status> {
    match v1::OperationState::try_from(state) {
        Ok(v1::OperationState::Unspecified) => Ok(None),
        Ok(v1::OperationState::Running) => Ok(Some(State::Running)),
        Ok(v1::OperationState::Succeeded) => Ok(Some(State::Succeeded)),
        Ok(v1::OperationState::Failed) => Ok(Some(State::Failed)),
        Ok(v1::OperationState::Cancelled) => Ok(Some(State::Cancelled)),
        Err(_) => Err(crate::status::invalid("state", "no such state")),
    }
}

/// Microseconds since 1970 (UTC) as a moment.
pub(crate) fn timestamp(time_us: u64) -> Timestamp {
    let nanos = i32::try_from(time_us % 1_000_000 * 1_000).unwrap_or_default();
    Timestamp { seconds: i64::try_from(time_us / 1_000_000).unwrap_or(i64::MAX), nanos }
}

fn kind(kind: Kind) -> v1::OperationKind {
    match kind {
        Kind::Reembed => v1::OperationKind::Reembed,
        Kind::TakeSnapshot => v1::OperationKind::TakeSnapshot,
        Kind::VerifySnapshot => v1::OperationKind::VerifySnapshot,
        Kind::Export => v1::OperationKind::Export,
        Kind::Import => v1::OperationKind::Import,
        Kind::RestoreCollection => v1::OperationKind::RestoreCollection,
    }
}

fn state_out(state: State) -> v1::OperationState {
    match state {
        State::Running => v1::OperationState::Running,
        State::Succeeded => v1::OperationState::Succeeded,
        State::Failed => v1::OperationState::Failed,
        State::Cancelled => v1::OperationState::Cancelled,
    }
}

fn progress_out(Progress { stage, done, total, unit }: Progress) -> v1::OperationProgress {
    v1::OperationProgress { stage, done, total, unit }
}

/// The details of a call's status are a `google.rpc.Status`, whose bytes are those of an `OperationError`.
fn problem(Problem { code, message, details }: Problem) -> v1::OperationError {
    let details = v1::OperationError::decode(details.as_slice()).map(|status| status.details);
    v1::OperationError { code, message, details: details.unwrap_or_default() }
}
