//! The facade: a database and its models.

mod contract;
mod documents;
mod enrich;
mod ensured;
mod filling;
mod generate;
mod inference;
mod ingest;
mod kept;
mod reembed;
mod remove;
mod retrieve;
mod rows;
mod searching;
mod templates;
mod timing;
mod watching;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ragstone::limits::REQUEST_ID_BYTES_MAX;
use ragstone::{
    Analyzer, CancelToken, Collection, CollectionInfo, Db, ElementType, EncodingKind, FieldType, Filter,
    GraphOptions, Metric, Schema, SchemaBuilder, Scope, SearchRequest, SearchResponse, VectorKind,
    WriteReceipt,
};

pub use self::contract::TextOptions;
#[cfg(test)]
pub(crate) use self::enrich::counted_for_others;
use self::inference::embed_query;
pub use self::ingest::{Ended, IngestOptions};
use self::reembed::UnderWay;
pub use self::reembed::{ReembedOptions, ReembedReport, Reembedding};
use self::timing::Stages;
pub use self::watching::Watch;
use crate::answers::AnswerCache;
use crate::embed::{Embedder, ModelInfo, ModelOptions, Models, Overflow, Wanted};
use crate::error::{Error, Result};
use crate::generate::GenerateModels;
use crate::ingest::{ChunkOptions, PdfProgram};
use crate::prompt::{check_max, check_text};
use crate::rerank::Reranker;
use crate::reserved;
use crate::tokens::TokenCounter;

/// How a collection is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionSpec {
    /// The embedding model; its contract is kept with the collection. Without one, vectors are the user's.
    pub model: Option<String>,
    /// Components of the default vector; only without a model. With neither, there is no default vector.
    pub dimension: Option<usize>,
    /// The metric; cosine by default. With a model cosine or dot, which is the same for vectors of unit length.
    pub metric: Metric,
    /// How the default vector is stored.
    pub element: ElementType,
    /// How the default vector is kept for the walk.
    pub encoding: EncodingKind,
    /// Components of the default vector that a walk compares; all by default.
    pub walk_dimension: Option<usize>,
    /// The shape of the default vector's graph.
    pub graph: GraphOptions,
    /// Further vectors, by name.
    pub vectors: Vec<(String, VectorKind)>,
    /// Declared fields; names starting with `_` are kept for Ragstone.
    pub fields: Vec<(String, FieldType)>,
    /// Fields, which are strings, with an index over their words.
    pub texts: Vec<(String, Analyzer)>,
    /// How documents are split; only with a model.
    pub chunks: ChunkOptions,
    /// How the texts and headings of chunks become words; only with a model.
    pub analyzer: Analyzer,
    /// The field whose value is a row's tenant, if there is to be one.
    pub tenant: Option<String>,
    /// Refuse undeclared fields.
    pub strict: bool,
    /// Names the request to make it, 1 to [`REQUEST_ID_BYTES_MAX`] bytes: made again under the same name, it is the collection that
    /// is there.
    pub request_id: Option<String>,
}

impl CollectionSpec {
    /// For text, embedded with a model; everything else by default.
    pub fn with_model(model: impl Into<String>) -> Self {
        Self { model: Some(model.into()), ..Self::default() }
    }

    /// Sets what the spec says of the default vector. Of one that there is not to be, what is set is the schema's to refuse.
    fn default_vector(&self, builder: SchemaBuilder) -> SchemaBuilder {
        let options =
            |spec: &Self| (spec.metric, spec.element, spec.encoding, spec.walk_dimension, spec.graph);
        let has_vector = self.model.is_some() || self.dimension.is_some();
        if !has_vector && options(self) == options(&Self::default()) {
            return builder;
        }
        let builder =
            builder.metric(self.metric).element(self.element).encoding(self.encoding).graph(self.graph);
        match self.walk_dimension {
            Some(components) => builder.walk_dimension(components),
            None => builder,
        }
    }

    /// For vectors of the user's own; everything else by default.
    pub fn with_dimension(dimension: usize) -> Self {
        Self { dimension: Some(dimension), ..Self::default() }
    }
}

/// Searches by text.
#[derive(Clone, Debug, PartialEq)]
pub struct TextQuery {
    /// The text, embedded as a query.
    pub text: String,
    /// How many rows to return.
    pub k: usize,
    /// Only rows that pass.
    pub filter: Option<Filter>,
    /// Width of the walk.
    pub ef: Option<usize>,
    /// Compare with every row.
    pub exact: bool,
}

impl TextQuery {
    /// The `k` nearest rows, everything else by default.
    pub fn new(text: impl Into<String>, k: usize) -> Self {
        Self { text: text.into(), k, filter: None, ef: None, exact: false }
    }
}

/// A database and its models; cheap to clone. Every call blocks.
#[derive(Clone)]
pub struct Rag {
    db: Db,
    /// When what is asked for is of no use any more.
    deadline: Option<Instant>,
    models: Models,
    reembedding: Arc<UnderWay>,
    generate_models: GenerateModels,
    pdf_program: Option<PdfProgram>,
    watch: Option<Arc<Watch>>,
    answers: AnswerCache,
    /// Who asks, for the answers that are kept.
    caller: Arc<str>,
}

impl Rag {
    /// Over an open database.
    pub fn new(db: Db, models: Models) -> Rag {
        let (reembedding, generate_models) = (Arc::default(), GenerateModels::default());
        let (answers, caller) = (AnswerCache::default(), Arc::from(""));
        let (deadline, pdf_program, watch) = (None, None, None);
        Rag { db, deadline, models, reembedding, generate_models, pdf_program, watch, answers, caller }
    }

    /// The same, which has each PDF read in a process of its own: a file made to exhaust memory or stack ends that, and a call that is not wanted any
    /// more, too.
    #[must_use]
    pub fn with_pdf_program(self, program: PdfProgram) -> Rag {
        Rag { pdf_program: Some(program), ..self }
    }

    /// Opens a directory, made if absent, with models from the default cache and sources.
    ///
    /// # Errors
    /// The engine's errors, such as a directory that is in use or damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Rag> {
        Ok(Rag::new(Db::open(path)?, Models::new(ModelOptions::default())))
    }

    /// A new database in memory, with models as [`open`](Rag::open) has them.
    ///
    /// # Errors
    /// As [`Db::in_memory`].
    pub fn in_memory() -> Result<Rag> {
        Ok(Rag::new(Db::in_memory()?, Models::new(ModelOptions::default())))
    }

    /// The same, whose work ends when the token is cancelled: see [`Db::cancelled_by`]. Embedding many texts, and storing a
    /// document, end between some texts and the next; what waits for a remote model ends at once, and so does the process that reads a PDF.
    pub fn cancelled_by(&self, token: CancelToken) -> Rag {
        Rag { db: self.db.cancelled_by(token), ..self.clone() }
    }

    /// The same, over what a scope shows of the database: see [`Db::within`]. A document is shown where its row and those of its chunks are, which have
    /// the fields that it was stored with.
    #[must_use]
    pub fn within(&self, scope: Arc<dyn Scope>) -> Rag {
        Rag { db: self.db.within(scope), ..self.clone() }
    }

    /// The same, for somebody who waits no longer than to this moment: neither a program that reads a PDF nor a remote model is waited for beyond it, and
    /// a model whose service asks for a pause that is longer fails at once ([`Error::RemoteBusy`], which says how long). All other work is ended by the
    /// token of [`cancelled_by`](Rag::cancelled_by) alone.
    #[must_use]
    pub fn wanted_until(&self, deadline: Instant) -> Rag {
        Rag { deadline: Some(deadline), ..self.clone() }
    }

    /// Who waits for what an embedder is asked for.
    fn wanted<'a>(&self, check: &'a dyn Fn() -> Result<()>) -> Wanted<'a> {
        Wanted::while_ok(check).until(self.deadline)
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Makes a collection. With a model, it is loaded, and its contract is kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a spec with both a model and a dimension, with L2 and a model, with a reserved field, or about documents without a model; what loading the model gives; the engine's errors.
    pub fn create_collection(&self, name: &str, spec: CollectionSpec) -> Result<CollectionInfo> {
        for (at, (field, _)) in spec.fields.iter().enumerate() {
            reserved::check_field(&format!("fields[{at}]"), field)?;
        }
        for (at, (field, _)) in spec.texts.iter().enumerate() {
            reserved::check_field(&format!("texts[{at}]"), field)?;
        }
        if spec.model.is_none() && (spec.chunks, spec.analyzer) != Default::default() {
            let field = if spec.chunks == ChunkOptions::default() { "analyzer" } else { "chunks" };
            return Err(invalid(field, "it is about documents, and a collection without a model holds none"));
        }
        let mut builder = match (&spec.model, spec.dimension) {
            (None, Some(dimension)) => Schema::builder(dimension),
            (Some(model), None) => self.schema_for(model, &spec)?,
            (None, None) => Schema::without_vector(),
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "dimension",
                    "the model decides it; give a model or a dimension, not both",
                ));
            }
        };
        builder = spec.default_vector(builder).strict(spec.strict);
        for (name, kind) in spec.vectors {
            builder = match kind {
                VectorKind::Dense(options) => builder.vector(name, options),
                VectorKind::Multi(options) => builder.multi(name, options),
                _ => builder.sparse(name),
            };
        }
        for (field, field_type) in spec.fields {
            builder = builder.field(field, field_type);
        }
        for (field, analyzer) in spec.texts {
            builder = builder.text(field, analyzer);
        }
        if let Some(tenant) = spec.tenant {
            reserved::check_field("tenant", &tenant)?;
            builder = builder.tenant(tenant);
        }
        if let Some(id) = &spec.request_id {
            check_max("request_id", id.len(), "REQUEST_ID_BYTES_MAX", REQUEST_ID_BYTES_MAX)?;
            builder = builder.attribute(reserved::REQUEST_ATTRIBUTE, id);
        }
        match self.db.create_collection(name, builder.build()?) {
            Err(error @ ragstone::Error::CollectionExists { .. }) => self
                .made_by(name, spec.request_id.as_deref())?
                .map_or_else(|| Err(error.into()), |collection| Ok(collection.info())),
            made => Ok(made?.info()),
        }
    }

    /// A collection, if it was made by this request.
    fn made_by(&self, name: &str, request_id: Option<&str>) -> Result<Option<Collection>> {
        let collection = self.db.collection(name)?;
        let made_by = collection.schema().attributes().get(reserved::REQUEST_ATTRIBUTE).cloned();
        Ok(Some(collection).filter(|_| made_by.is_some() && made_by.as_deref() == request_id))
    }

    /// The contract of a collection's model, if it has one.
    ///
    /// # Errors
    /// The engine's errors, such as an unknown collection.
    pub fn collection_model(&self, name: &str) -> Result<Option<ModelInfo>> {
        contract::read(name, &self.db.collection(name)?.schema())
    }

    /// Searches by text; the milliseconds of `embed` and `search` come second. Finds every row with a vector, chunks
    /// and points of the user's own.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::Invalid`], [`Error::Limit`] and [`Error::TokenLimit`], naming `text`;
    /// [`Error::ModelMismatch`] and what else loading the model gives; the engine's errors.
    pub fn search(
        &self,
        collection: &str,
        query: &TextQuery,
    ) -> Result<(SearchResponse, Vec<(&'static str, f64)>)> {
        check_text("text", &query.text)?;
        let (rows, embedder) = self.text_collection_and_model(collection)?;
        let mut stages = Stages::begin();
        let check_wanted = || -> Result<()> { Ok(rows.check_wanted()?) };
        let wanted = self.wanted(&check_wanted);
        let vector = embed_query(embedder.as_ref(), ("text", &query.text), Overflow::Error, wanted)?.values;
        stages.end("embed");
        let mut request = SearchRequest::new(vector, query.k);
        request.filter = query.filter.clone();
        request.ef = query.ef;
        request.exact = query.exact;
        let response = rows.search(&request)?;
        stages.end("search");
        Ok((response, stages.finish()))
    }

    /// Removes a user's own points that pass a filter; documents and their chunks stay, whatever it says.
    ///
    /// # Errors
    /// As [`ragstone::Collection::delete_where`].
    pub fn delete_points_where(&self, collection: &str, filter: Filter) -> Result<WriteReceipt> {
        let rows = self.db.collection(collection)?;
        let own = reserved::only_own(filter, rows.schema().fields());
        Ok(rows.delete_where(&own).map_err(reserved::as_given)?)
    }

    fn schema_for(&self, model: &str, spec: &CollectionSpec) -> Result<SchemaBuilder> {
        if spec.metric == Metric::L2 {
            return Err(invalid("metric", "with a model it is cosine or dot"));
        }
        spec.chunks.validate("chunks")?;
        let embedder = self.load_model(model)?;
        let info = embedder.info();
        let builder = Schema::builder(info.dimension)
            .attribute(contract::ATTRIBUTE, contract::write(info)?)
            .attribute(reserved::CHUNKS_ATTRIBUTE, contract::write_chunking(&spec.chunks)?);
        let builder =
            reserved::FIELDS.iter().fold(builder, |builder, (field, kind)| builder.field(*field, *kind));
        Ok(reserved::WORDS.iter().fold(builder, |builder, field| builder.text(*field, spec.analyzer)))
    }

    /// A collection that holds text, and its contract.
    fn text_collection(&self, name: &str) -> Result<(Collection, ModelInfo)> {
        let collection = self.db.collection(name)?;
        let model = text_model(&collection)?;
        Ok((collection, model))
    }

    fn text_collection_and_model(&self, name: &str) -> Result<(Collection, Arc<dyn Embedder>)> {
        let (collection, model) = self.text_collection(name)?;
        let embedder = self.load(name, &model)?;
        Ok((collection, embedder))
    }

    /// The model of a collection's contract, checked against it.
    fn load(&self, collection: &str, model: &ModelInfo) -> Result<Arc<dyn Embedder>> {
        let embedder = self.load_model(&model.name)?;
        contract::check(collection, model, embedder.as_ref())?;
        Ok(embedder)
    }

    /// The model of a name, for whoever waits at this handle.
    fn load_model(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        let check_wanted = || -> Result<()> { Ok(self.db.check_wanted()?) };
        self.models.load_wanted(name, self.wanted(&check_wanted))
    }

    /// The re-ranker of a name, likewise.
    fn load_reranker(&self, name: &str) -> Result<Arc<dyn Reranker>> {
        let check_wanted = || -> Result<()> { Ok(self.db.check_wanted()?) };
        self.models.reranker_wanted(name, self.wanted(&check_wanted))
    }

    /// What counts tokens as the model of a name does, likewise.
    fn load_token_counter(&self, name: &str) -> Result<Arc<dyn TokenCounter>> {
        let check_wanted = || -> Result<()> { Ok(self.db.check_wanted()?) };
        self.models.token_counter_wanted(name, self.wanted(&check_wanted))
    }
}

/// The contract of a collection that holds text.
fn text_model(collection: &Collection) -> Result<ModelInfo> {
    let name = collection.name();
    contract::read(name, &collection.schema())?.ok_or_else(|| Error::NoModel { collection: name.to_owned() })
}

fn invalid(field: &str, reason: &str) -> Error {
    Error::Invalid { field: field.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
