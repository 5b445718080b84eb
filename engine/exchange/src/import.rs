//! From a file to rows.
//!
//! Rows are written in batches, each all or nothing, in the order of the file. A row that is not acceptable ends the import; the batches
//! before its own are in. As a row replaces the one with its id, the whole file can be imported again.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
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
    options.batch.check()?;
    let file = Opened::open(path, format)?;
    let about = Coming { path, schema: file.schema.clone(), text: file.text.as_deref(), rows: file.rows };
    let plan = about.plan(sink, options, &|at| first_length(&file, at))?;
    let mut batches = file.batches(&plan.places())?;
    about.write(sink, plan, options, (&mut batches, progress))
}

/// Rows on their way into a sink, and what they say of themselves.
pub(crate) struct Coming<'a> {
    /// What errors name them by.
    pub(crate) path: &'a Path,
    pub(crate) schema: SchemaRef,
    /// The text of the schema of the collection that they are an export of.
    pub(crate) text: Option<&'a str>,
    /// How many they are, if that is known.
    pub(crate) rows: Option<u64>,
}

impl Coming<'_> {
    pub(crate) fn plan(
        &self,
        sink: &mut dyn Sink,
        options: &ImportOptions,
        first_length: &dyn Fn(usize) -> Result<Option<usize>>,
    ) -> Result<Plan> {
        let stored = self.text.map(Stored::read).transpose();
        let stored = stored.map_err(|reason| {
            Error::unreadable(self.path, format!("its schema under `{}`: {reason}", crate::metadata::KEY))
        })?;
        let (file, target) = (self.schema.clone(), sink.schema()?);
        Planner { path: self.path, file, stored, target, options, first_length }.plan()
    }

    /// Writes batches that have the columns of the plan, and no other.
    pub(crate) fn write(
        &self,
        sink: &mut dyn Sink,
        plan: Plan,
        options: &ImportOptions,
        (batches, progress): (&mut dyn Iterator<Item = Result<RecordBatch>>, Callback<'_>),
    ) -> Result<Imported> {
        let columns: Vec<Column> = plan.columns.into_iter().map(|(_, column)| column).collect();
        if let Some(schema) = &plan.create {
            sink.create(schema)?;
        }
        let (path, size) = (self.path, options.batch);
        let done = Progress { rows_total: self.rows, ..Progress::default() };
        let mut import =
            Import { sink, path, columns: &columns, size, progress, done, waiting: Vec::new(), bytes: 0 };
        tell(import.progress, done)?;
        let mut seen = 0;
        for batch in batches {
            let batch = batch.map_err(|error| import.failed(error))?;
            let mut from = 0;
            while from < batch.num_rows() {
                let slice = batch.slice(from, decode::rows_at_once(&batch, from));
                from += slice.num_rows();
                let first = Some(seen).filter(|_| options.number_rows);
                let points =
                    decode::rows(&slice, &columns, first).map_err(|wrong| import.wrong(seen, wrong))?;
                seen += points.len() as u64;
                points.into_iter().try_for_each(|point| import.add(point))?;
            }
        }
        import.flush()?;
        let rows = import.done.rows;
        let columns = columns.into_iter().map(|column| (column.name, described(&column.role))).collect();
        Ok(Imported { rows, created: plan.create.is_some(), columns, notes: plan.notes })
    }
}

/// The length of the first list of a column that is not empty, of lists of lists that of the first inner one.
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
