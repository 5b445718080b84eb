//! From a file to rows.
//!
//! Rows are written in batches, each all or nothing, in the order of the file. A row that is not acceptable ends the import; the batches
//! before its own are in. As a row replaces the one with its id, the whole file can be imported again.

use std::path::Path;

use ragstone::{Db, Point};

use crate::decode::{self, Wrong};
use crate::engine::DbSink;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::layout::Column;
use crate::metadata::Stored;
use crate::options::{BatchSize, ImportOptions};
use crate::place;
use crate::plan::{Plan, Planner, described};
use crate::progress::{Callback, Progress, tell};
use crate::read::Opened;
use crate::seam::Sink;

/// Rows that are decoded at once.
const ROWS_AT_ONCE: usize = 1_024;

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Rows written. Of those with one id the last stays.
    pub rows: u64,
    /// Whether the collection was made.
    pub created: bool,
    /// What each column became, in words.
    pub columns: Vec<(String, String)>,
    /// What else is worth a line: columns that were left out.
    pub notes: Vec<String>,
}

/// Writes the rows of a file to a collection, which is made if it is not there: after the schema that an export keeps in its file, or after
/// the types of the columns ([the table](crate#files-of-others)).
///
/// # Errors
/// [`Error::Unreadable`]; [`Error::Option`]; [`Error::Columns`] for columns that have no place in the collection: nothing is made or written
/// then. [`Error::Row`] for a row that is not acceptable, [`Error::Write`] for other failures, with the number of rows that are in.
pub fn import(
    db: &Db,
    collection: &str,
    path: &Path,
    options: &ImportOptions,
    progress: Callback<'_>,
) -> Result<Imported> {
    import_into(&mut DbSink::new(db, collection)?, path, options, progress)
}

/// Writes the rows of a file to a sink.
///
/// # Errors
/// As [`import`].
pub fn import_into(
    sink: &mut dyn Sink,
    path: &Path,
    options: &ImportOptions,
    progress: Callback<'_>,
) -> Result<Imported> {
    let format = options.format.map_or_else(|| Format::of(path), Ok)?;
    let size = options.batch.check()?;
    let file = Opened::open(path, format)?;
    let plan = plan(sink, &file, path, options)?;
    let places: Vec<usize> = plan.columns.iter().map(|(at, _)| *at).collect();
    let columns: Vec<Column> = plan.columns.into_iter().map(|(_, column)| column).collect();
    let batches = file.batches(&places)?;
    if let Some(schema) = &plan.create {
        sink.create(schema)?;
    }
    let done = Progress { rows_total: file.rows, ..Progress::default() };
    let mut import =
        Import { sink, path, columns: &columns, size, progress, done, waiting: Vec::new(), bytes: 0 };
    tell(import.progress, done)?;
    let mut seen = 0;
    for batch in batches {
        let batch = batch.map_err(|error| import.failed(error))?;
        for from in (0..batch.num_rows()).step_by(ROWS_AT_ONCE) {
            let slice = batch.slice(from, ROWS_AT_ONCE.min(batch.num_rows() - from));
            let first = Some(seen).filter(|_| options.number_rows);
            let points = decode::rows(&slice, &columns, first).map_err(|wrong| import.wrong(seen, wrong))?;
            seen += points.len() as u64;
            points.into_iter().try_for_each(|point| import.add(point))?;
        }
    }
    import.flush()?;
    let rows = import.done.rows;
    let columns = columns.into_iter().map(|column| (column.name, described(&column.role))).collect();
    Ok(Imported { rows, created: plan.create.is_some(), columns, notes: plan.notes })
}

fn plan(sink: &mut dyn Sink, file: &Opened, path: &Path, options: &ImportOptions) -> Result<Plan> {
    let stored = file.text.as_deref().map(Stored::read).transpose();
    let stored = stored.map_err(|reason| {
        Error::unreadable(path, format!("its schema under `{}`: {reason}", crate::metadata::KEY))
    })?;
    let first_length = |at: usize| first_length(file, at);
    let target = sink.schema()?;
    Planner { path, file: file.schema.clone(), stored, target, options, first_length: &first_length }.plan()
}

/// The length of the first list of a column, of lists of lists that of the first inner one.
fn first_length(file: &Opened, at: usize) -> Result<Option<usize>> {
    for batch in file.batches(&[at])? {
        if let Some(length) = batch?.columns().first().and_then(decode::first_length) {
            return Ok(Some(length));
        }
    }
    Ok(None)
}

/// An import under way.
struct Import<'a> {
    sink: &'a mut dyn Sink,
    path: &'a Path,
    columns: &'a [Column],
    size: BatchSize,
    progress: Callback<'a>,
    done: Progress,
    /// Rows that are not written yet, and their bytes.
    waiting: Vec<Point>,
    bytes: usize,
}

impl Import<'_> {
    fn add(&mut self, point: Point) -> Result<()> {
        self.bytes += point.size_bytes();
        self.waiting.push(point);
        if self.waiting.len() >= self.size.rows || self.bytes >= self.size.bytes {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        let points = std::mem::take(&mut self.waiting);
        if points.is_empty() {
            return Ok(());
        }
        let rows = points.len() as u64;
        self.sink.write(points).map_err(|error| match place::of(&error, self.columns) {
            Some(wrong) => self.wrong(self.done.rows, wrong),
            None => self.failed(error),
        })?;
        self.done.rows += rows;
        self.done.bytes += std::mem::take(&mut self.bytes) as u64;
        tell(self.progress, self.done)
    }

    /// The error of a row, of a batch that begins with the row `first`, from 0.
    fn wrong(&self, first: u64, wrong: Wrong) -> Error {
        Error::Row {
            path: self.path.to_owned(),
            row: first + wrong.at as u64 + 1,
            column: wrong.column,
            reason: wrong.reason,
            imported: self.done.rows,
        }
    }

    /// Another error, after which what was written stays.
    fn failed(&self, error: Error) -> Error {
        match error {
            Error::Cancelled => Error::Cancelled,
            error => Error::Write { source: Box::new(error), imported: self.done.rows },
        }
    }
}
