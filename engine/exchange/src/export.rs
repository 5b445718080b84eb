//! From rows to a file.

use std::path::Path;

use ragstone::{Collection, Point};

use crate::encode;
use crate::engine::ViewSource;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::options::{BatchSize, ExportOptions};
use crate::partial::Partial;
use crate::progress::{Callback, Progress, tell};
use crate::seam::Source;
use crate::write::{Head, Kind, Writer};
use crate::{layout, metadata};

/// What an export wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes a collection, as it is now, to a file: rows, vectors, fields and schema. Writes meanwhile go on and do not concern it.
///
/// # Errors
/// [`Error::Exists`] for a file that is there, unless it may be replaced; [`Error::Option`]; [`Error::Io`]; [`Error::Engine`] for what
/// the filter names wrongly, and where damage was found. There is no file then, but that which was there.
pub fn export(
    collection: &Collection,
    path: &Path,
    options: &ExportOptions,
    progress: Callback<'_>,
) -> Result<Exported> {
    let view = collection.view();
    let mut source = ViewSource::new(collection, &view, options.filter.as_ref())?;
    export_from(&mut source, path, options, progress)
}

/// Writes the rows of a source to a file. The filter is the source's own matter.
///
/// # Errors
/// As [`export`].
pub fn export_from(
    source: &mut dyn Source,
    path: &Path,
    options: &ExportOptions,
    progress: Callback<'_>,
) -> Result<Exported> {
    let format = options.format.map_or_else(|| Format::of(path), Ok)?;
    let size = options.batch.check()?;
    let ids = source.ids()?;
    let kind = Kind::of(format, options.compression)?;
    let columns = layout::of(source.schema(), ids, &options.names);
    let head = Head { columns: &columns, text: metadata::write(source.schema(), &columns) };
    let schema = head.schema();
    let partial = Partial::begin(path, options.overwrite)?;
    let failed = |source| Error::io("write", path)(source);
    let file = partial.handle()?;
    let mut writer = Writer::begin(partial.handle()?, kind, &head).map_err(&failed)?;
    let mut done = Progress { rows_total: source.rows(), ..Progress::default() };
    tell(progress, done)?;
    while let Some(points) = next_batch(source, size)? {
        writer.write(&encode::batch(&points, &columns, &schema)?).map_err(&failed)?;
        done.rows += points.len() as u64;
        done.bytes = file.metadata().map_err(Error::io("read", path))?.len();
        tell(progress, done)?;
    }
    writer.finish(done.rows).map_err(&failed)?;
    Ok(Exported { rows: done.rows, bytes: partial.finish()? })
}

/// As many rows as fit a batch; none at the end.
fn next_batch(source: &mut dyn Source, size: BatchSize) -> Result<Option<Vec<Point>>> {
    let (mut points, mut bytes) = (Vec::new(), 0);
    while points.len() < size.rows
        && bytes < size.bytes
        && let Some(point) = source.next()?
    {
        bytes += point.size_bytes();
        points.push(point);
    }
    Ok(Some(points).filter(|points| !points.is_empty()))
}
