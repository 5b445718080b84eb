//! A collection that is there, or is made now: for programs that run more than once.

use ragstone::{CollectionInfo, Error as EngineError};

use super::{CollectionSpec, Rag, contract, invalid};
use crate::error::{Error, Result};

impl Rag {
    /// Finds the collection of this name, and makes it if there is none: for a program that does not know whether it ran before.
    /// Of several who ask at once one makes it, and all get it.
    ///
    /// One that is there stays as it is. Its model must be that of the spec, or its dimension and metric, and so must its tenant
    /// key: what is written and searched would fail later, or mean something else. The rest of it is not compared.
    ///
    /// ```
    /// use ragstone_rag::{CollectionSpec, Error, Rag};
    ///
    /// let rag = Rag::in_memory()?;
    /// for _ in 0..2 {
    ///     rag.ensure_collection("notes", CollectionSpec::with_dimension(2))?;
    /// }
    /// let other = rag.ensure_collection("notes", CollectionSpec::with_dimension(3));
    /// assert!(matches!(other, Err(Error::Invalid { field, .. }) if field == "dimension"));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ModelMismatch`], [`Error::NoModel`] or [`Error::Invalid`], naming `model`, `dimension`, `metric` or `tenant`, if it
    /// is there with others; otherwise as [`create_collection`](Self::create_collection).
    pub fn ensure_collection(&self, name: &str, spec: CollectionSpec) -> Result<CollectionInfo> {
        if matches!(self.db.collection(name), Err(EngineError::CollectionNotFound { .. })) {
            match self.create_collection(name, spec.clone()) {
                // Another was faster.
                Err(Error::Engine(
                    EngineError::CollectionExists { .. } | EngineError::AliasExists { .. },
                )) => {}
                made => return made,
            }
        }
        let info = self.db.collection(name)?.info();
        let refused =
            |field: &str, what: String| Err(invalid(field, &format!("collection `{name}` is there {what}")));
        match (contract::read(name, &info.schema)?, &spec.model) {
            (Some(kept), Some(model)) if kept.name != *model => {
                contract::check(name, &kept, &*self.load_model(model)?)?;
            }
            (Some(kept), None) => return refused("model", format!("with the model {}", kept.name)),
            (None, Some(_)) => return Err(Error::NoModel { collection: name.to_owned() }),
            _ => {}
        }
        let is_own = spec.model.is_none();
        let (there, metric) = (info.schema.dimension(), info.schema.metric());
        // With neither a model nor a dimension there is no default vector.
        let asked = spec.dimension.or(is_own.then_some(0));
        if let Some(asked) = asked.filter(|asked| *asked != there) {
            return refused("dimension", format!("with {there}, not {asked}"));
        }
        // With a model its vectors are of unit length, so that each metric is the same.
        if is_own && there > 0 && metric != spec.metric {
            return refused("metric", format!("with {metric}, not {}", spec.metric));
        }
        match info.schema.tenant() {
            tenant if tenant == spec.tenant.as_deref() => Ok(info),
            Some(tenant) => refused("tenant", format!("with the tenant key `{tenant}`")),
            None => refused("tenant", "without a tenant key".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ragstone::{Db, Metric};

    use super::*;
    use crate::embed::{ModelOptions, Models};
    use crate::testing::BagOfWords;

    #[test]
    fn what_is_there_is_found_unless_its_vectors_are_of_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let cache_dir = folder.path().join("models");
        let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
        // The second is the first under another name, the third reads less.
        for (name, max_tokens) in [("words", 256), ("the-same", 256), ("shorter", 128)] {
            models.insert(Arc::new(BagOfWords::new(name, max_tokens)));
        }
        let rag = Rag::new(Db::in_memory().unwrap(), models);
        for model in ["words", "words", "the-same"] {
            let info = rag.ensure_collection("texts", CollectionSpec::with_model(model)).unwrap();
            assert_eq!(info.id, rag.db().collection("texts").unwrap().id());
        }
        rag.ensure_collection("own", CollectionSpec::with_dimension(3)).unwrap();
        let refused = |name, spec| rag.ensure_collection(name, spec).unwrap_err();
        let field = |error| match error {
            Error::Invalid { field, .. } => field,
            other => other.to_string(),
        };
        let shorter = refused("texts", CollectionSpec::with_model("shorter"));
        assert!(matches!(shorter, Error::ModelMismatch { .. }), "{shorter}");
        assert_eq!(field(refused("texts", CollectionSpec::with_dimension(3))), "model");
        assert_eq!(field(refused("own", CollectionSpec::with_dimension(4))), "dimension");
        assert_eq!(field(refused("own", CollectionSpec::default())), "dimension");
        let own = || CollectionSpec::with_dimension(3);
        assert_eq!(field(refused("own", CollectionSpec { metric: Metric::L2, ..own() })), "metric");
        let tenant = CollectionSpec { tenant: Some("customer".to_owned()), ..own() };
        assert_eq!(field(refused("own", tenant.clone())), "tenant");
        rag.ensure_collection("tenants", tenant).unwrap();
        assert_eq!(field(refused("tenants", own())), "tenant");
        let texts = refused("own", CollectionSpec::with_model("words"));
        assert!(matches!(texts, Error::NoModel { .. }), "{texts}");
    }
}
