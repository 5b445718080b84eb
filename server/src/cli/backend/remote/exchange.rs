//! Files from and to a server.
//!
//! A server gives its rows page by page, in the order of their ids. Between pages others may write: a row that stays is in the file once, of
//! one that is written or removed meanwhile the file has the state of its page. (A local directory is exported as it is at one moment.)
//! A page that is too large for a message is asked for again by halves.

use anyhow::Result;
use ragstone::{Filter, Point, PointId, Schema};
use ragstone_client as client;
use ragstone_client::{Code, FileCompression, FileFormat};
use ragstone_exchange::{
    Compression, Error, ExportOptions, Exported, Format, IdKinds, ImportOptions, Imported, Sink, Source,
    export_from, import_into,
};

use super::{Remote, Transfer, schema, types, wire_size};

/// Points of a page at most.
const PAGE_POINTS: u32 = 1_000;

pub(super) fn export(remote: &Remote, transfer: Transfer<'_>, options: &ExportOptions) -> Result<Exported> {
    let Transfer { collection, file, progress } = transfer;
    let found = remote.call(remote.client.get_collection(collection))?;
    let all = Filter::AllTenants;
    let filter = options.filter.as_ref().or(found.tenant.as_ref().map(|_| &all));
    let rows = remote.call(remote.client.count_points(collection, filter.map(types::filter)))?;
    let schema = schema::of(&found)?;
    let mut source = Pages {
        remote,
        collection,
        filter,
        schema,
        rows,
        page_points: PAGE_POINTS,
        next: Some(String::new()),
        page: Vec::new().into_iter(),
    };
    Ok(export_from(&mut source, file, options, progress)?)
}

pub(super) fn import(remote: &Remote, transfer: Transfer<'_>, options: &ImportOptions) -> Result<Imported> {
    let Transfer { collection, file, progress } = transfer;
    let mut sink = Writes { remote, collection };
    Ok(import_into(&mut sink, file, options, progress)?)
}

/// An export to a file of the server's own.
pub(super) fn of_server(
    request: client::ExportCollection,
    options: &ExportOptions,
) -> client::ExportCollection {
    let ExportOptions { format, compression, filter, names, overwrite, batch: _ } = options;
    let mut request = request.id_column(&names.id).vector_column(&names.vector);
    if let Some(format) = format {
        request = request.format(file_format(*format));
    }
    request = match compression {
        Compression::Usual => request,
        Compression::None => request.compression(FileCompression::None),
        Compression::Zstd => request.compression(FileCompression::Zstd),
        Compression::Lz4 => request.compression(FileCompression::Lz4),
        Compression::Snappy => request.compression(FileCompression::Snappy),
    };
    if let Some(filter) = filter {
        request = request.filter(types::filter(filter));
    }
    if *overwrite { request.overwrite() } else { request }
}

/// An import of a file of the server's own.
pub(super) fn into_server(
    request: client::ImportCollection,
    options: &ImportOptions,
) -> client::ImportCollection {
    let ImportOptions { format, id, number_rows, vector, expires_at, columns, except, metric, batch } =
        options;
    let mut request =
        request.columns(columns.iter().flatten()).except(except).batch_rows(wire_size(batch.rows));
    if let Some(format) = format {
        request = request.format(file_format(*format));
    }
    request = id.iter().fold(request, client::ImportCollection::id_column);
    request = vector.iter().fold(request, client::ImportCollection::vector_column);
    request = expires_at.iter().fold(request, client::ImportCollection::expires_at_column);
    if let Some(metric) = metric {
        request = request.metric(types::metric(*metric));
    }
    if *number_rows { request.number_rows() } else { request }
}

fn file_format(format: Format) -> FileFormat {
    match format {
        Format::Arrow => FileFormat::Arrow,
        Format::Parquet => FileFormat::Parquet,
    }
}

/// The rows of a server, page by page.
struct Pages<'a> {
    remote: &'a Remote,
    collection: &'a str,
    filter: Option<&'a Filter>,
    schema: Schema,
    rows: u64,
    page_points: u32,
    /// Of the page that comes; none after the last.
    next: Option<String>,
    page: std::vec::IntoIter<client::Point>,
}

impl Pages<'_> {
    fn scroll(&self, points: u32) -> client::Scroll {
        let request = client::Scroll::new(self.collection).page_size(points);
        match self.filter {
            Some(filter) => request.filter(types::filter(filter)),
            None => request,
        }
    }

    /// The first id of a scroll.
    fn first(&self, request: client::Scroll) -> Result<Option<PointId>> {
        let page = self.remote.call(self.remote.client.scroll_points(request.without_payload()))?;
        let first = page.items.into_iter().next();
        first.map(|point| types::point_in(point).map(|point| point.id)).transpose()
    }

    fn turn(&mut self, token: String) -> Result<()> {
        loop {
            let request = self.scroll(self.page_points).page_token(token.as_str()).with_vectors();
            match self.remote.runtime.block_on(self.remote.client.scroll_points(request)) {
                Ok(page) => {
                    self.page = page.items.into_iter();
                    self.next = page.next_page_token;
                    return Ok(());
                }
                Err(error) if is_too_large(&error) && self.page_points > 1 => self.page_points /= 2,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Source for Pages<'_> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn ids(&mut self) -> ragstone_exchange::Result<IdKinds> {
        let numbers = matches!(self.first(self.scroll(1)).map_err(Error::rows)?, Some(PointId::Num(_)));
        // Integers sort before strings.
        let texts = self.first(self.scroll(1).after(u64::MAX)).map_err(Error::rows)?.is_some();
        Ok(IdKinds { numbers, texts })
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn next(&mut self) -> ragstone_exchange::Result<Option<Point>> {
        loop {
            if let Some(point) = self.page.next() {
                return types::point_in(point).map(Some).map_err(Error::rows);
            }
            match self.next.take() {
                Some(token) => self.turn(token).map_err(Error::rows)?,
                None => return Ok(None),
            }
        }
    }
}

/// A collection of a server.
struct Writes<'a> {
    remote: &'a Remote,
    collection: &'a str,
}

impl Sink for Writes<'_> {
    fn schema(&mut self) -> ragstone_exchange::Result<Option<Schema>> {
        match self.remote.runtime.block_on(self.remote.client.get_collection(self.collection)) {
            Ok(found) => schema::of(&found).map(Some).map_err(Error::rows),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(Error::rows(error)),
        }
    }

    fn create(&mut self, schema: &Schema) -> ragstone_exchange::Result<()> {
        let request = schema::create(self.collection, schema).map_err(Error::rows)?;
        self.remote.call(self.remote.client.create_collection(request)).map(drop).map_err(Error::rows)
    }

    fn write(&mut self, points: Vec<Point>) -> ragstone_exchange::Result<()> {
        let points = points.into_iter().map(types::point_out);
        let call = self.remote.client.upsert_points(self.collection, points);
        self.remote.call(call).map(drop).map_err(Error::rows)
    }
}

/// Of the server, or of the client that reads no larger messages.
fn is_too_large(error: &client::Error) -> bool {
    error.reason() == Some("RESPONSE_TOO_LARGE") || error.code() == Code::OutOfRange
}
