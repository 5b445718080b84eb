//! A collection that is there, or is made now: for programs that run more than once.

use crate::collection::Collection;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::schema::{DEFAULT_VECTOR, Schema};

impl Db {
    /// Finds the collection of this name, and makes it if there is none: for a program that does not know whether it ran before.
    /// Of several who ask at once one makes it, and all get it.
    ///
    /// One that is there stays as it is. Its vectors and its tenant key must be those of the schema, or what is written and
    /// searched by that would fail later, or mean something else. Its fields may be others, as writes add some.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// use ragstone::{Db, Point, Schema};
    ///
    /// for run in 1..=2_u64 {
    ///     let db = Db::open(directory.path())?;
    ///     let notes = db.ensure_collection("notes", Schema::new(2)?)?;
    ///     notes.upsert(vec![Point::new(run, [1.0, 0.0])])?;
    ///     assert_eq!(notes.count(None)?, run);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `schema`, if it is there with other vectors or another tenant key; otherwise as
    /// [`collection`](Self::collection) and [`create_collection`](Self::create_collection).
    pub fn ensure_collection(&self, name: &str, schema: Schema) -> Result<Collection> {
        match self.collection(name) {
            Err(Error::CollectionNotFound { .. }) => {}
            found => return checked(found?, &schema),
        }
        match self.create_collection(name, schema.clone()) {
            // Another was faster.
            Err(Error::CollectionExists { .. } | Error::AliasExists { .. }) => {
                checked(self.collection(name)?, &schema)
            }
            made => made,
        }
    }
}

/// Refuses a collection that is not what was asked for.
fn checked(found: Collection, schema: &Schema) -> Result<Collection> {
    let there = found.schema();
    let refused =
        |reason: String| Err(Error::invalid("schema", format!("collection `{}` {reason}", found.name())));
    let names = there.vectors().keys().chain(schema.vectors().keys());
    for name in names {
        let what = match name.as_str() {
            DEFAULT_VECTOR => "the default vector".to_owned(),
            name => format!("the vector `{name}`"),
        };
        match (there.vectors().get(name), schema.vectors().get(name)) {
            (None, _) => return refused(format!("is there without {what}")),
            (_, None) => return refused(format!("is there with {what}, which the schema does not have")),
            (Some(there), Some(asked)) if there != asked => {
                return refused(format!("is there with other options of {what}: {there:?}"));
            }
            _ => {}
        }
    }
    match (there.tenant(), schema.tenant()) {
        (there, asked) if there == asked => Ok(found),
        (Some(there), _) => refused(format!("is there with the tenant key `{there}`")),
        (None, _) => refused("is there without a tenant key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DenseOptions, FieldType, Metric, Point};

    #[test]
    fn what_is_there_is_found_and_never_something_else() {
        let db = Db::in_memory().unwrap();
        let builder = || Schema::builder(2).field("year", FieldType::Int);
        let first = db.ensure_collection("c", builder().build().unwrap()).unwrap();
        first.upsert(vec![Point::new(1, [1.0, 0.0]).with("note", "a field that came later")]).unwrap();
        db.set_alias("other", "c").unwrap();
        for name in ["c", "other"] {
            for schema in [builder(), builder().strict(true), Schema::builder(2)] {
                let again = db.ensure_collection(name, schema.build().unwrap()).unwrap();
                assert_eq!((again.id(), again.count(None).unwrap()), (first.id(), 1));
            }
        }
        for (schema, expected) in [
            (Schema::builder(3), "with other options of the default vector"),
            (builder().metric(Metric::L2), "with other options of the default vector"),
            (builder().vector("title", DenseOptions::new(2)), "without the vector `title`"),
            (Schema::without_vector(), "with the default vector"),
            (builder().tenant("customer"), "without a tenant key"),
        ] {
            let error = db.ensure_collection("c", schema.build().unwrap()).unwrap_err().to_string();
            assert!(
                error.starts_with("schema: collection `c` is there ") && error.contains(expected),
                "{error}"
            );
        }
        assert_eq!(db.collections().len(), 1);
    }

    #[test]
    fn one_makes_it_and_all_get_it() {
        let db = Db::in_memory().unwrap();
        let ensure = || db.ensure_collection("c", Schema::new(2).unwrap()).unwrap().id();
        let ids: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ensure)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}
