//! What an operation is to the store: the calls, and reading back what they wrote.

use std::collections::{BTreeMap, BTreeSet};

use ragstone::{Batch, Collection, Db, Error, Expect, Point, PointId};

use super::archive::Archivist;
use super::replace::replace;
use super::rows::{Row, State, older};
use super::workload::{Change, Condition, Operation, Write, schema};
use super::writer::Failure;

/// Rows that a write has conditions on, at most.
const CONDITIONS: usize = 3;

/// What came of an operation.
#[derive(Debug)]
pub(super) enum Done {
    /// A write has this number, and deleted so many rows.
    Written { seq: u64, deleted: usize },
    /// It was something else, or a write under conditions that do not hold.
    Otherwise,
    /// Another thread was at the archive.
    GaveWay,
    /// What may be done only once was done again, or what was forbidden.
    Twice(String),
}

/// Carries an operation out.
pub(super) fn perform(
    db: &Db,
    archivist: &Archivist,
    number: u64,
    operation: &Operation,
) -> Result<Done, Failure> {
    let thread = archivist.thread;
    match operation {
        Operation::Write(write) | Operation::Again(write) => {
            let collection = db.collection(&write.collection)?;
            let batch = conditional(&collection, thread, write)?;
            match (collection.write(batch), write.condition) {
                (Ok(receipt), Condition::Fails) => {
                    return Ok(Done::Twice(format!(
                        "{write:?} under conditions that do not hold: {receipt:?}"
                    )));
                }
                (Err(Error::Precondition { .. }), Condition::Fails) => {}
                (receipt, _) => {
                    let receipt = receipt?;
                    return Ok(Done::Written { seq: receipt.seq, deleted: receipt.deleted });
                }
            }
        }
        Operation::Repeat(write) => {
            // Whether conditions hold is no matter any more.
            let condition = if number.is_multiple_of(2) { Condition::Fails } else { Condition::Nothing };
            let again = Write { condition, ..write.clone() };
            let collection = db.collection(&write.collection)?;
            let receipt = collection.write(conditional(&collection, thread, &again)?)?;
            if !receipt.repeated {
                return Ok(Done::Twice(format!("{write:?}, which was answered before: {receipt:?}")));
            }
        }
        Operation::DeleteOlder { collection, before } => {
            let receipt = db.collection(collection)?.delete_where(&older(thread, *before))?;
            return Ok(Done::Written { seq: receipt.seq, deleted: receipt.deleted });
        }
        Operation::Create(name) => db.create_collection(name, schema(name)?).map(drop)?,
        Operation::Remove(name) => db.delete_collection(name)?,
        Operation::Replace(name) => replace(db, name, number)?,
        Operation::Flush => db.flush()?,
        Operation::Compact => db.compact()?,
        Operation::Snapshot | Operation::Archive | Operation::Thin | Operation::Collect => {
            if !archivist.perform(db, number, operation)? {
                return Ok(Done::GaveWay);
            }
        }
    }
    Ok(Done::Otherwise)
}

/// The batch of a write with its conditions, by what the rows are now; nobody else writes them.
fn conditional(collection: &Collection, thread: u64, write: &Write) -> Result<Batch, Error> {
    let batch = write.batch(thread);
    if write.condition == Condition::Nothing {
        return Ok(batch);
    }
    let indexes: BTreeSet<u64> = write.changes.iter().take(CONDITIONS).map(|(index, _)| *index).collect();
    let ids: Vec<PointId> = indexes.iter().map(|&index| Row { thread, index }.id()).collect();
    let found = collection.get(&ids)?;
    let mut batch = batch;
    for (place, (id, found)) in ids.into_iter().zip(found).enumerate() {
        let by_etag = (write.number + place as u64).is_multiple_of(2);
        let expect = match (found.and_then(|point| point.etag), write.condition) {
            // The last of them does not hold.
            (Some(etag), Condition::Fails) if place + 1 == indexes.len() => {
                if by_etag {
                    Expect::Etag(etag + 1)
                } else {
                    Expect::Absent
                }
            }
            (None, Condition::Fails) if place + 1 == indexes.len() => {
                if by_etag {
                    Expect::Etag(write.number)
                } else {
                    Expect::Present
                }
            }
            (Some(etag), _) => {
                if by_etag {
                    Expect::Etag(etag)
                } else {
                    Expect::Present
                }
            }
            (None, _) => Expect::Absent,
        };
        batch = batch.expect(id, expect);
    }
    Ok(batch)
}

/// Reads what was just written, by a clock that stands still; nobody else writes these rows.
pub(super) fn read_back(db: &Db, (thread, clock): (u64, i64), operation: &Operation) -> Result<(), String> {
    let write = match operation {
        Operation::Write(write) | Operation::Again(write) if write.condition != Condition::Fails => write,
        Operation::DeleteOlder { collection, before } => {
            let left = db.collection(collection).and_then(|found| found.count(Some(&older(thread, *before))));
            return match left.map_err(|error| error.to_string())? {
                0 => Ok(()),
                left => Err(format!("{left} rows older than {before} right after they were deleted")),
            };
        }
        _ => return Ok(()),
    };
    // Of a row that was only updated it is not known here what it was before.
    let mut written: BTreeMap<u64, Option<Option<State>>> = BTreeMap::new();
    for (index, change) in &write.changes {
        let now = written.entry(*index).or_default();
        match change {
            Change::Upsert => *now = Some(Some(State::written(write.number))),
            Change::Update => *now = now.map(|now| now.map(|state| state.updated(write.number))),
            Change::Delete => *now = Some(None),
        }
    }
    let rows: Vec<Row> = written.keys().map(|&index| Row { thread, index }).collect();
    let ids: Vec<PointId> = rows.iter().map(|row| row.id()).collect();
    let found = db.collection(&write.collection).and_then(|found| found.get(&ids));
    let found = found.map_err(|error| error.to_string())?;
    for ((row, written), found) in rows.iter().zip(written.values()).zip(found) {
        let state = found.as_ref().and_then(State::of);
        let expected = written.unwrap_or_else(|| state.map(|state| state.updated(write.number)));
        let expected = expected.filter(|state| state.is_there(row.index, clock));
        let found = found.map(|point| Point { etag: None, ..point });
        if found != expected.map(|state| row.point(state)) {
            return Err(format!("{row:?} is {found:?} right after {expected:?} was written"));
        }
    }
    Ok(())
}
