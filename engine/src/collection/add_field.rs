//! Fields that a collection gets after it was made, a strict one too.
//!
//! A field is added by a batch without changes that lists it: so it is in the log, in the order of the writes, and known on every replay.
//! No row is touched; those that are there lack the field.

use std::sync::Arc;

use super::WriteReceipt;
use super::state::CollectionCore;
use crate::batch::{BatchField, PreparedBatch};
use crate::db::Store;
use crate::error::{Error, Result};
use crate::payload::FieldType;
use crate::schema::check_field_name;

impl CollectionCore {
    /// Adds a field; one that is there with this type stays as it is.
    pub(super) fn add_field(
        self: &Arc<Self>,
        store: &Store,
        (name, field_type): (&str, FieldType),
    ) -> Result<WriteReceipt> {
        check_field_name("name", name)?;
        store.log.check()?;
        let field = BatchField { name: name.to_owned(), field_type, first: 0 };
        let batch = PreparedBatch { fields: vec![field], ..PreparedBatch::default() };
        // Errors name a field by the point that brought it.
        self.write_fields(store, batch).map_err(|error| match error {
            Error::FieldType { expected, actual, .. } => {
                Error::FieldType { field: "name".into(), expected, actual }
            }
            Error::Limit { limit, max, actual, .. } => {
                Error::Limit { field: "name".into(), limit, max, actual }
            }
            other => other,
        })
    }
}
