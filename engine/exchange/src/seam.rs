//! What rows come from and go to: a collection of the engine, or whatever has rows like it, as a server does.

use ragstone::{Point, Schema};

use crate::error::Result;

/// Which kinds of ids there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdKinds {
    /// Integers.
    pub numbers: bool,
    /// Strings.
    pub texts: bool,
}

/// Gives the rows of a collection, each once, with all vectors and fields.
///
/// A file has its columns before its first row, so a source is asked first what there will be: no row may have an id of a kind, a
/// vector or a field that it did not tell of.
pub trait Source {
    /// The schema, with the fields that writes added.
    fn schema(&self) -> &Schema;
    /// Which kinds of ids there are.
    fn ids(&mut self) -> Result<IdKinds>;
    /// How many rows there are, if that is known.
    fn rows(&self) -> Option<u64>;
    /// The next row; none at the end.
    fn next(&mut self) -> Result<Option<Point>>;
}

/// Takes rows.
pub trait Sink {
    /// The schema of the collection, with the fields that writes added; none if there is no such collection.
    fn schema(&mut self) -> Result<Option<Schema>>;
    /// Makes the collection. Called at most once, and before any row, where there is none.
    fn create(&mut self, schema: &Schema) -> Result<()>;
    /// Inserts or replaces rows, all of them or none. An error about one of them names it as the engine does: `points[3].vector`.
    fn write(&mut self, points: Vec<Point>) -> Result<()>;
}
