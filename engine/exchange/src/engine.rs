//! Collections of the engine as sources and sinks.

use ragstone::{Collection, Db, Filter, Point, PointId, Rows, Schema, ScrollRequest, View};

use crate::error::Result;
use crate::seam::{IdKinds, Sink, Source};

/// The rows of one state of a collection, in the order of their ids. What is written meanwhile does not concern it.
#[derive(Debug)]
pub struct ViewSource<'a> {
    view: &'a View,
    schema: Schema,
    filter: Option<Filter>,
    total: u64,
    rows: Rows<'a>,
}

impl<'a> ViewSource<'a> {
    /// The rows of a view, which is one of this collection; only those that pass, if there is a filter.
    ///
    /// # Errors
    /// As [`View::rows`]; for a filter that does not say whose rows it means, in a collection with a tenant key.
    pub fn new(collection: &Collection, view: &'a View, filter: Option<&Filter>) -> Result<Self> {
        // Fields are only ever added, so those of now hold those of the view.
        let schema = collection.schema();
        // Without a filter it is one of all tenants. A filter says whose rows it means, as that of any read does: who gives one and forgets
        // the tenant does not get everybody's rows.
        let filter = filter.cloned().or_else(|| schema.tenant().map(|_| Filter::AllTenants));
        let request = ScrollRequest { filter, with_vectors: true, ..ScrollRequest::default() };
        let (total, rows) = (view.count(request.filter.as_ref())?, view.rows(&request)?);
        Ok(Self { view, schema, filter: request.filter, total, rows })
    }

    /// The filter, with the tenants that it is about.
    pub(crate) fn filter(&self) -> Option<Filter> {
        self.filter.clone()
    }

    fn has_behind(&self, after: Option<PointId>) -> Result<Option<PointId>> {
        let request = ScrollRequest {
            filter: self.filter.clone(),
            after: after.map(Into::into),
            limit: 1,
            fields: Some(Vec::new()),
            ..ScrollRequest::default()
        };
        Ok(self.view.scroll(&request)?.points.pop().map(|point| point.id))
    }
}

impl Source for ViewSource<'_> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn ids(&mut self) -> Result<IdKinds> {
        // Integers sort before strings.
        let numbers = matches!(self.has_behind(None)?, Some(PointId::Num(_)));
        let texts = self.has_behind(Some(PointId::Num(u64::MAX)))?.is_some();
        Ok(IdKinds { numbers, texts })
    }

    fn rows(&self) -> Option<u64> {
        Some(self.total)
    }

    fn next(&mut self) -> Result<Option<Point>> {
        Ok(self.rows.next().transpose()?)
    }
}

/// A collection of a database, which need not be there yet.
#[derive(Debug)]
pub struct DbSink<'a> {
    db: &'a Db,
    name: &'a str,
    collection: Option<Collection>,
}

impl<'a> DbSink<'a> {
    /// The collection of this name.
    ///
    /// # Errors
    /// As [`Db::collection`], but that it is not there.
    pub fn new(db: &'a Db, name: &'a str) -> Result<Self> {
        let collection = match db.collection(name) {
            Ok(collection) => Some(collection),
            Err(ragstone::Error::CollectionNotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { db, name, collection })
    }
}

impl Sink for DbSink<'_> {
    fn schema(&mut self) -> Result<Option<Schema>> {
        Ok(self.collection.as_ref().map(Collection::schema))
    }

    fn create(&mut self, schema: &Schema) -> Result<()> {
        self.collection = Some(self.db.create_collection(self.name, schema.clone())?);
        Ok(())
    }

    fn write(&mut self, points: Vec<Point>) -> Result<()> {
        match &self.collection {
            Some(collection) => collection.upsert(points)?,
            None => self.db.collection(self.name)?.upsert(points)?,
        };
        Ok(())
    }
}
