//! Files of a server: rows that go to and come from one folder, which its operator names.
//!
//! A caller names a file by its name alone, so that nothing outside the folder can be read or written by a request.

use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

use ragstone::{CancelToken, Point, Schema};
use ragstone_exchange::{
    Callback, DbSink, Error, ExportOptions, Exported, ImportOptions, Imported, RecordBatchReader,
    Result as Exchanged, Sink,
};
use ragstone_rag::{Rag, reserved};
use tonic::Status;

use crate::limits::{FILE_NAME_BYTES_MAX, check_count};
use crate::status;

/// Writes the rows of a file to a collection, which is made if it is not there; none that only ingestion may write, unless
/// the collection is made by it.
///
/// # Errors
/// As [`ragstone_exchange::import`]; [`Error::Row`] for a row of a document in a collection that is there.
pub fn import(
    rag: &Rag,
    collection: &str,
    file: &Path,
    options: &ImportOptions,
    progress: Callback<'_>,
) -> Exchanged<Imported> {
    let mut sink = Guarded { sink: DbSink::new(rag.db(), collection)?, is_new: false };
    ragstone_exchange::import_into(&mut sink, file, options, progress)
}

/// The same of a stream of Arrow batches.
///
/// # Errors
/// As [`ragstone_exchange::import_stream`], and as [`import`].
pub fn import_stream(
    rag: &Rag,
    collection: &str,
    batches: Box<dyn RecordBatchReader + '_>,
    options: &ImportOptions,
    progress: Callback<'_>,
) -> Exchanged<Imported> {
    let mut sink = Guarded { sink: DbSink::new(rag.db(), collection)?, is_new: false };
    ragstone_exchange::import_stream(&mut sink, batches, options, progress)
}

/// Writes a collection to a file.
///
/// # Errors
/// As [`ragstone_exchange::export`].
pub fn export(
    rag: &Rag,
    collection: &str,
    file: &Path,
    options: &ExportOptions,
    progress: Callback<'_>,
) -> Exchanged<Exported> {
    ragstone_exchange::export(&rag.db().collection(collection)?, file, options, progress)
}

/// Rows of documents go only into a collection that this import makes, where nothing of other documents can be: half a document
/// beside half of another version would be cited wrongly.
struct Guarded<'a> {
    sink: DbSink<'a>,
    is_new: bool,
}

impl Sink for Guarded<'_> {
    fn schema(&mut self) -> Exchanged<Option<Schema>> {
        self.sink.schema()
    }

    fn create(&mut self, schema: &Schema) -> Exchanged<()> {
        self.sink.create(schema)?;
        self.is_new = true;
        Ok(())
    }

    fn write(&mut self, points: Vec<Point>) -> Exchanged<()> {
        if !self.is_new {
            for (at, point) in points.iter().enumerate() {
                reserved::check_point(&format!("points[{at}]"), point).map_err(Error::rows)?;
            }
        }
        self.sink.write(points)
    }
}

/// The path of a file that a request names.
///
/// # Errors
/// INVALID_ARGUMENT for more than a name; PERMISSION_DENIED without a folder.
pub(crate) fn file_in(folder: Option<&Path>, name: &str) -> Result<PathBuf, Status> {
    let Some(folder) = folder else { return Err(status::no_exchange_folder()) };
    check_count("file", name.len(), ("FILE_NAME_BYTES_MAX", FILE_NAME_BYTES_MAX))?;
    let mut parts = Path::new(name).components();
    let is_name =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    if !is_name || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Err(status::invalid("file", "the name of a file in the server's folder, without a path"));
    }
    Ok(folder.join(name))
}

/// Tells a report how far it is, and the work when to end.
pub(crate) fn told<'a>(
    report: &'a crate::operations::Report,
    cancel: &'a CancelToken,
) -> impl FnMut(ragstone_exchange::Progress) -> ControlFlow<()> + 'a {
    move |progress| report.at(progress.rows, progress.rows_total, cancel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_name_in_the_folder_and_nothing_else() {
        let folder = Path::new("/srv/exchange");
        assert_eq!(file_in(Some(folder), "notes-1.parquet").unwrap(), folder.join("notes-1.parquet"));
        for wrong in ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\\b", "a/", "./a", "a\0"] {
            let refused = file_in(Some(folder), wrong).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{wrong:?}");
        }
        assert!(file_in(Some(folder), &"x".repeat(FILE_NAME_BYTES_MAX)).is_ok());
        assert!(file_in(Some(folder), &"x".repeat(FILE_NAME_BYTES_MAX + 1)).is_err());
        assert_eq!(file_in(None, "a").unwrap_err().code(), tonic::Code::PermissionDenied);
    }
}
