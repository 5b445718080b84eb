//! Files from and to a local directory.

use anyhow::Result;
use ragstone::{Point, Schema};
use ragstone_exchange::{DbSink, Error, ExportOptions, Exported, ImportOptions, Imported, Sink};
use ragstone_rag::reserved;

use super::{Local, Transfer};

pub(super) fn export(local: &Local, transfer: Transfer<'_>, options: &ExportOptions) -> Result<Exported> {
    let Transfer { collection, file, progress } = transfer;
    let collection = local.rag(false)?.db().collection(collection)?;
    Ok(ragstone_exchange::export(&collection, file, options, progress)?)
}

pub(super) fn import(local: &Local, transfer: Transfer<'_>, options: &ImportOptions) -> Result<Imported> {
    let Transfer { collection, file, progress } = transfer;
    let sink = DbSink::new(local.rag(true)?.db(), collection)?;
    let mut sink = Guarded { sink, is_new: false };
    Ok(ragstone_exchange::import_into(&mut sink, file, options, progress)?)
}

/// Rows of documents go only into a collection that this import makes, where nothing of other documents can be: half a document
/// beside half of another version would be cited wrongly.
struct Guarded<'a> {
    sink: DbSink<'a>,
    is_new: bool,
}

impl Sink for Guarded<'_> {
    fn schema(&mut self) -> ragstone_exchange::Result<Option<Schema>> {
        self.sink.schema()
    }

    fn create(&mut self, schema: &Schema) -> ragstone_exchange::Result<()> {
        self.sink.create(schema)?;
        self.is_new = true;
        Ok(())
    }

    fn write(&mut self, points: Vec<Point>) -> ragstone_exchange::Result<()> {
        if !self.is_new {
            for (at, point) in points.iter().enumerate() {
                reserved::check_point(&format!("points[{at}]"), point).map_err(Error::rows)?;
            }
        }
        self.sink.write(points)
    }
}
