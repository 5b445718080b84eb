//! Collections of documents, and a model that says when it embeds.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ragstone::{CancelToken, Db, DbOptions, FieldType, Payload, Point};

use crate::embed::{Embedder, Embeddings, ModelInfo, ModelOptions, Models, Overflow, Role};
use crate::error::Result;
use crate::ingest::DocumentInput;
use crate::progress::Silent;
use crate::rag::reembed::{ReembedOptions, ReembedReport};
use crate::rag::{CollectionSpec, Rag};
use crate::testing::BagOfWords;

pub(super) const C: &str = "docs";
pub(super) const DIMENSION: usize = 64;

/// A model that says so before it embeds passages: how often it has, from 1.
pub(super) struct Hooked {
    model: BagOfWords,
    calls: AtomicUsize,
    before: Mutex<Box<dyn FnMut(usize) + Send>>,
}

impl Embedder for Hooked {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
        if role == Role::Passage {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            (self.before.lock().unwrap())(call);
        }
        self.model.embed(texts, role, overflow)
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.model.count_tokens(text)
    }

    fn overhead_tokens(&self, role: Role) -> usize {
        self.model.overhead_tokens(role)
    }
}

pub(super) fn hooked(model: BagOfWords, before: impl FnMut(usize) + Send + 'static) -> Arc<dyn Embedder> {
    Arc::new(Hooked { model, calls: AtomicUsize::new(0), before: Mutex::new(Box::new(before)) })
}

/// The models `old` and `new`, and what else is inserted.
pub(super) fn models(folder: &Path) -> Models {
    let cache_dir = folder.join("models");
    let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
    models.insert(Arc::new(BagOfWords::new("old", 256)));
    models.insert(Arc::new(new_model()));
    models
}

pub(super) fn new_model() -> BagOfWords {
    BagOfWords::other("new", 256, DIMENSION)
}

pub(super) fn open(folder: &Path) -> Rag {
    let mut options = DbOptions::default();
    options.background = false;
    Rag::new(Db::open_with(folder.join("data"), options).unwrap(), models(folder))
}

pub(super) fn document(id: usize, version: usize) -> DocumentInput {
    let body = |part| {
        format!(
            "## Part {part}\n\n{}\n\n",
            format!("Version {version} of part {part} of text {id} says this. ").repeat(20)
        )
    };
    let text = format!("# Text {id}\n\n{}", (0..1 + id % 4).map(body).collect::<String>());
    let mut document = DocumentInput::new(format!("{id:03}.md"), text);
    document.metadata = Payload::from([("even".to_owned(), id.is_multiple_of(2).into())]);
    document
}

pub(super) fn make(rag: &Rag, model: &str) {
    let mut spec = CollectionSpec::with_model(model);
    spec.fields = vec![("body".into(), FieldType::String)];
    rag.create_collection(C, spec).unwrap();
}

/// Documents, and points without a vector.
pub(super) fn fill(rag: &Rag, documents: impl IntoIterator<Item = usize>) {
    for id in documents {
        rag.ingest(C, document(id, 1)).unwrap();
    }
    let note = |id: u64| Point::without_vector(id).with("note", id as i64);
    rag.db().collection(C).unwrap().upsert((0..5).map(note).collect()).unwrap();
}

/// Every row without its etag, in the order of the ids.
pub(super) fn rows(rag: &Rag) -> Vec<Point> {
    let view = rag.db().collection(C).unwrap().view();
    view.iter().map(|row| Point { etag: None, ..row.unwrap() }).collect()
}

pub(super) fn reembed(rag: &Rag, options: &ReembedOptions) -> Result<ReembedReport> {
    rag.reembed(C, options, &Silent, &CancelToken::new())
}

/// The rows of a collection that was made with a model at once.
pub(super) fn made_with(model: &str, fill: impl FnOnce(&Rag)) -> Vec<Point> {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, model);
    fill(&rag);
    rows(&rag)
}
