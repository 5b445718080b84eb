//! Being told of the searches that retrievals make.
//!
//! A retrieval searches more than once, for more rows than it returns, and returns no view. Whoever measures how many of the nearest rows are
//! found needs the search itself and what it was of.

use std::sync::Arc;

use ragstone::View;
use ragstone::query::Query;

use super::Rag;

/// Is told of each search of the nearest chunks: the collection's name, what is searched, and for what. It is called on the thread that is about
/// to search, which waits for it.
pub type Watch = dyn Fn(&str, &View, &Query) + Send + Sync;

impl Rag {
    /// The same, whose retrievals, those of [`enrich`](Rag::enrich) included, tell of each search of the nearest chunks.
    #[must_use]
    pub fn watched_by(self, watch: Arc<Watch>) -> Rag {
        Rag { watch: Some(watch), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ragstone::query::Source;

    use super::*;
    use crate::CollectionSpec;
    use crate::embed::{ModelOptions, Models};
    use crate::ingest::DocumentInput;
    use crate::prompt::EnrichRequest;
    use crate::retrieve::{RetrievalMode, RetrieveRequest};
    use crate::testing::BagOfWords;

    #[test]
    fn each_search_by_meaning_is_told_of_and_no_other() {
        let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
        models.insert(Arc::new(BagOfWords::new("words", 64)));
        let rag = Rag::new(ragstone::Db::in_memory().unwrap(), models);
        rag.create_collection("notes", CollectionSpec::with_model("words")).unwrap();
        rag.ingest("notes", DocumentInput::new("moon.md", "It is far.")).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let rag = rag.watched_by(Arc::new({
            let told = Arc::clone(&told);
            move |name: &str, view: &View, query: &Query| {
                assert!(matches!(query.source, Source::Nearest(_)));
                let found = view.query(query).unwrap().hits.len();
                told.lock().unwrap().push((name.to_owned(), found));
            }
        }));
        let ask = |mode| RetrieveRequest { mode, ..RetrieveRequest::new("far") };
        rag.retrieve("notes", &ask(RetrievalMode::Text)).unwrap();
        assert!(told.lock().unwrap().is_empty());
        for mode in [RetrievalMode::Dense, RetrievalMode::Hybrid] {
            rag.retrieve("notes", &ask(mode)).unwrap();
        }
        rag.enrich("notes", &EnrichRequest::new("far")).unwrap();
        let told = told.lock().unwrap();
        assert!(told.len() >= 3 && told.iter().all(|told| *told == ("notes".to_owned(), 1)), "{told:?}");
    }
}
