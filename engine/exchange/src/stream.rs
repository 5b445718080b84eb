//! Collections as streams of Arrow batches, and back, without a file between: data frames of the process, or of another one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use ragstone::{Collection, ScrollRequest, View};

use crate::encode;
use crate::engine::ViewSource;
use crate::error::{Error, RefusedColumn, Result};
use crate::import::{Coming, Imported};
use crate::layout::{self, Column};
use crate::options::{AHEAD_BYTES_MAX, BatchSize, ExportOptions, ImportOptions};
use crate::progress::Callback;
use crate::seam::{Sink, Source as _};
use crate::write::Head;
use crate::{decode, metadata};

/// What errors call a stream, which has no name of its own.
const NAME: &str = "the Arrow stream";
/// Rows of a batch, unless the options say less, or it has as many bytes as they say before.
const ROWS_AT_ONCE: usize = 1_024;

/// The rows of one state of a collection, batch by batch, as they are asked for. It does not keep the database open: what is asked of it once that is
/// closed may fail. Whoever reads it may be beyond Arrow's C interface, where nothing can unwind: a panic is an error of the stream, which is over then.
pub struct ExportStream {
    view: View,
    request: ScrollRequest,
    size: BatchSize,
    columns: Vec<Column>,
    schema: SchemaRef,
    is_over: bool,
}

/// A collection, as it is now, as a stream: rows, vectors, fields and, in the metadata of its schema, the schema that [`import_stream`] makes it
/// again of. Format, compression and `overwrite` of the options are those of files; a batch has a thousand rows at most, whatever more they say.
///
/// ```
/// use ragstone::{Db, Point, Schema};
/// use ragstone_exchange::{DbSink, ExportOptions, ImportOptions, export_stream, import_stream, quietly};
///
/// let db = Db::in_memory()?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert(vec![Point::new("tea", [1.0, 0.0]).with("year", 2024)])?;
/// let stream = export_stream(&notes, &ExportOptions::default())?;
///
/// let mut copy = DbSink::new(&db, "copy")?;
/// let done = import_stream(&mut copy, Box::new(stream), &ImportOptions::default(), &mut quietly)?;
/// assert_eq!((done.rows, done.created), (1, true));
/// assert_eq!(db.collection("copy")?.schema(), notes.schema());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Option`]; [`Error::Engine`] for what the filter names wrongly.
pub fn export_stream(collection: &Collection, options: &ExportOptions) -> Result<ExportStream> {
    let size = options.batch.check()?;
    let view = collection.view();
    let mut source = ViewSource::new(collection, &view, options.filter.as_ref())?;
    let ids = source.ids()?;
    let columns = layout::of(source.schema(), ids, &options.names);
    let schema = Head { columns: &columns, text: metadata::write(source.schema(), &columns) }.schema();
    let filter = source.filter();
    drop(source);
    let size = BatchSize { rows: size.rows.min(ROWS_AT_ONCE), ..size };
    let request = ScrollRequest { filter, with_vectors: true, ..ScrollRequest::default() };
    Ok(ExportStream { view, request, size, columns, schema, is_over: false })
}

impl ExportStream {
    fn batch(&mut self) -> Result<RecordBatch> {
        let mut rows = self.view.rows(&self.request)?;
        let (mut points, mut bytes) = (Vec::new(), 0);
        // One row more than the batch has tells whether there are more.
        let mut next = rows.next().transpose()?;
        while points.len() < self.size.rows
            && bytes < self.size.bytes
            && let Some(point) = next.take()
        {
            bytes += point.size_bytes();
            points.push(point);
            next = rows.next().transpose()?;
        }
        self.is_over = next.is_none();
        self.request.after = points.last().map(|last| last.id.clone().into());
        encode::batch(&points, &self.columns, &self.schema)
    }
}

impl Iterator for ExportStream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let batch = contained(|| self.batch());
        self.is_over |= batch.is_err();
        Some(batch)
    }
}

/// What work comes to, for a reader beyond Arrow's C interface: a panic would end the process there, and so would an error whose text has a NUL.
fn contained<T>(work: impl FnOnce() -> Result<T>) -> Result<T, ArrowError> {
    // What a panic leaves half done nobody looks at again: the stream is over.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => match error.to_string() {
            text if text.contains('\0') => Err(ArrowError::ComputeError(text.replace('\0', "\u{2400}"))),
            _ => Err(ArrowError::ExternalError(Box::new(error))),
        },
        Err(_) => Err(ArrowError::ComputeError("a fault of the engine: its rows cannot be read".to_owned())),
    }
}

impl RecordBatchReader for ExportStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl fmt::Debug for ExportStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Writes the rows of a stream to a sink, as [`import`](fn@crate::import) does those of a file. Where a collection is made of lists whose length their
/// type does not say, batches are read ahead to the first one that has such a list, up to [`AHEAD_BYTES_MAX`].
///
/// # Errors
/// As [`import`](fn@crate::import), with [`Error::Columns`] also for a column that is without a list for so long; [`Error::Unreadable`] for what the
/// stream itself fails with.
pub fn import_stream(
    sink: &mut dyn Sink,
    batches: Box<dyn RecordBatchReader + '_>,
    options: &ImportOptions,
    progress: Callback<'_>,
) -> Result<Imported> {
    options.batch.check()?;
    let schema = batches.schema();
    let text = schema.metadata().get(metadata::KEY).map(|text| text.to_string());
    let about = Coming { path: Path::new(NAME), schema, text: text.as_deref(), rows: None };
    let ahead = RefCell::new(Ahead { batches, read: VecDeque::new(), bytes: 0 });
    let plan = about.plan(sink, options, &|at| ahead.borrow_mut().first_length(at))?;
    let places = plan.places();
    let mut batches = ahead.into_inner().map(|batch| batch?.project(&places).map_err(unreadable));
    about.write(sink, plan, options, (&mut batches, progress))
}

fn unreadable(error: ArrowError) -> Error {
    Error::unreadable(Path::new(NAME), error)
}

/// Batches, of which some were read before their turn.
struct Ahead<'a> {
    batches: Box<dyn RecordBatchReader + 'a>,
    read: VecDeque<RecordBatch>,
    /// Of those that were read so.
    bytes: usize,
}

impl Ahead<'_> {
    /// The length of the first list of a column that is not empty, of lists of lists that of the first inner one.
    fn first_length(&mut self, column: usize) -> Result<Option<usize>> {
        for at in 0.. {
            if at == self.read.len() && !self.read_one(column)? {
                break;
            }
            let array = self.read.get(at).and_then(|batch| batch.columns().get(column));
            if let Some(length) = array.and_then(decode::first_length) {
                return Ok(Some(length));
            }
        }
        Ok(None)
    }

    /// Reads one more for a column that has no list so far; false if there is none.
    fn read_one(&mut self, column: usize) -> Result<bool> {
        if self.bytes >= AHEAD_BYTES_MAX {
            return Err(self.without_length(column));
        }
        let Some(batch) = self.batches.next() else { return Ok(false) };
        let batch = batch.map_err(unreadable)?;
        self.bytes += batch.columns().iter().map(decode::size_bytes).sum::<usize>();
        self.read.push_back(batch);
        Ok(true)
    }

    fn without_length(&self, column: usize) -> Error {
        let schema = self.batches.schema();
        let field = schema.field(column);
        let rows: usize = self.read.iter().map(RecordBatch::num_rows).sum();
        let reason = format!(
            "neither its type nor any of the first {rows} rows says how long its lists are, and no more than {} MiB are read ahead: leave it out, \
             make its lists of a fixed size, or make the collection first",
            AHEAD_BYTES_MAX >> 20
        );
        let (name, data_type) = (field.name().clone(), field.data_type().to_string());
        Error::Columns { path: NAME.into(), columns: vec![RefusedColumn { column: name, data_type, reason }] }
    }
}

impl Iterator for Ahead<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read.pop_front() {
            Some(batch) => Some(Ok(batch)),
            None => Some(self.batches.next()?.map_err(unreadable)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
    use arrow_schema::Schema;

    use super::*;

    /// A stream that ends as its work does.
    struct Ends(fn() -> Result<RecordBatch>);

    impl Iterator for Ends {
        type Item = Result<RecordBatch, ArrowError>;

        fn next(&mut self) -> Option<Self::Item> {
            Some(contained(self.0))
        }
    }

    impl RecordBatchReader for Ends {
        fn schema(&self) -> SchemaRef {
            Arc::new(Schema::empty())
        }
    }

    /// Arrow's side of its C interface aborts the process where a reader panics, and where an error's text is none of C's: this test would end all.
    #[test]
    fn a_panic_and_a_nul_are_errors_beyond_the_interface() {
        type Work = fn() -> Result<RecordBatch>;
        let works: [(Work, &str); 3] = [
            (|| panic!("a mistake"), "a fault of the engine"),
            (|| Err(Error::rows("the row `a\0b`")), "the row `a\u{2400}b`"),
            (|| Err(Error::rows("the row `ab`")), "the row `ab`"),
        ];
        for (work, text) in works {
            let stream = FFI_ArrowArrayStream::new(Box::new(Ends(work)));
            let mut reader = RecordBatchStreamReader::try_new(stream).expect("a schema");
            let error = reader.next().expect("an outcome").expect_err("no batch").to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
