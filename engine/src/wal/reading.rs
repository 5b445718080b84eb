//! Reading log files outside of the log that wrote them: copies, and what is checked before it is copied.

use super::frame::{self, Fault};
use super::names::{file_number, kept_number};
use super::{Place, Record};
use crate::codec::u64_at;

/// Where a file is wrong, and how.
pub(crate) type LogFault = (usize, String);

/// Compares a closed log file with its checksums.
pub(crate) fn check_file(bytes: &[u8], number: u64) -> Result<(), LogFault> {
    match frame::read_file(bytes, number, |_, _| Ok::<(), std::convert::Infallible>(())) {
        Ok(None) => Ok(()),
        Ok(Some(Fault { offset, reason, .. })) => Err((offset, reason)),
        Err(never) => match never {},
    }
}

/// Walks over the records of a closed log file, whose number stands in it. It is checked as a whole first, so nothing of
/// a damaged one is visited.
pub(crate) fn read_closed<E>(
    bytes: &[u8],
    visit: impl FnMut(Place, Record<'_>) -> Result<(), E>,
) -> Result<Result<(), LogFault>, E> {
    let number = match bytes.get(12..20) {
        Some(number) => u64_at(number, 0),
        None => return Ok(Err((0, "this is not a log file".into()))),
    };
    if let Err(fault) = check_file(bytes, number) {
        return Ok(Err(fault));
    }
    // Found sound just now.
    frame::read_file(bytes, number, visit).map(|_| Ok(()))
}

/// Reads the file with this name by itself: its records with their places, and what is wrong with it.
pub(crate) fn read_log_file(
    bytes: &[u8],
    name: &str,
    mut visit: impl FnMut(Place, Record<'_>),
) -> Option<Fault> {
    let number = file_number(name).or_else(|| kept_number(name)).unwrap_or_default();
    let visited = frame::read_file(bytes, number, |place, record| {
        visit(place, record);
        Ok::<(), std::convert::Infallible>(())
    });
    visited.unwrap_or_else(|never| match never {})
}
