//! The small trait under every command: the same operations on a local directory and on a server.
//!
//! Calls block. What goes in are the engine's types, what comes out are those that the commands print.

pub(crate) mod documents;
mod enriched;
pub(crate) mod keys;
mod local;
pub(crate) mod operator;
mod remote;
mod search;
mod views;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use ragstone::query::{Names, OrderBy};
use ragstone::{Analyzer, Batch, FieldType, Filter, Point, PointId};
use ragstone_exchange::{Callback, ExportOptions, Exported, ImportOptions, Imported};
use ragstone_rag::embed::{Overflow, Role};
use ragstone_rag::generate::GenerateRequest;
use ragstone_rag::ingest::DocumentInput;
use ragstone_rag::progress::Progress;
use ragstone_rag::prompt::{
    ChatMessage, DataMarking, EnrichRequest, SamplePassage, TemplateChoice, TemplateName,
};
use ragstone_rag::retrieve::RetrieveRequest;
use ragstone_rag::{CollectionSpec, Ended, IngestOptions};

pub(crate) use self::enriched::{
    CitationView, DroppedView, EnrichedView, MessageView, RetrievedView, ScoresView, TemplateView, TokensView,
};
pub(crate) use self::search::{FuseAsk, NearestText, QueryAsk, RangeAsk, RescoreAsk, SourceAsk};
pub(crate) use self::views::{
    AnswerView, ChunksView, CollectionView, EmbeddingsView, ExplainView, FacetCountView, FacetView,
    Generated, GroupView, HitView, Ingested, ModelView, PointView, PulledView, RerankedPassageView,
    RerankedView, SearchView, SegmentView, StageView, Timings, TokenCountsView, WriteView,
};
use super::args::Place;

/// Asks for points, page by page.
#[derive(Debug)]
pub(crate) struct ScrollAsk {
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Option<OrderBy>,
    /// The first page begins behind this id.
    pub(crate) after: Option<PointId>,
    pub(crate) with_vectors: bool,
    pub(crate) fields: Names,
}

/// Which page of a list.
#[derive(Debug)]
pub(crate) struct PageAsk<'a> {
    pub(crate) limit: usize,
    /// Empty for the first page.
    pub(crate) token: &'a str,
}

/// Items of a list, and what asks for the next page, if there is one.
pub(crate) type Page<T> = (Vec<T>, Option<String>);

/// Asks for passages by their scores.
pub(crate) struct RerankAsk<'a> {
    pub(crate) model: &'a str,
    pub(crate) query: &'a str,
    pub(crate) passages: &'a [&'a str],
    /// The best so many of them.
    pub(crate) top_k: usize,
    pub(crate) overflow: Overflow,
}

/// A collection and a file, one of which becomes the other.
pub(crate) struct Transfer<'a> {
    pub(crate) collection: &'a str,
    pub(crate) file: &'a Path,
    pub(crate) progress: Callback<'a>,
}

/// Fields that a collection is to get.
pub(crate) struct NewFields {
    pub(crate) fields: Vec<(String, FieldType)>,
    /// Those that are searched by word.
    pub(crate) texts: Vec<(String, Analyzer)>,
    /// What the collection has to be still.
    pub(crate) if_etag: Option<String>,
}

/// Gives the next points to be written together; none after the last.
pub(crate) type NextBatch<'a> = &'a mut (dyn FnMut() -> Result<Option<Vec<Point>>> + Send + 'a);
/// Is told what became of them.
pub(crate) type OnPoints<'a> = &'a mut (dyn FnMut(PointsDone) + Send + 'a);

/// Points that were written together.
#[derive(Debug)]
pub(crate) struct PointsDone {
    pub(crate) written: WriteView,
    /// Those that were not: their places among them, and why.
    pub(crate) refused: Vec<(usize, String)>,
}

/// Answers of language models.
pub(crate) trait Answering {
    /// Has a language model answer, and hands over what comes as it comes. `request.options.model` is a NAME of the place's, or for a
    /// directory NAME=URL.
    fn generate(
        &self,
        collection: &str,
        request: &GenerateRequest,
        each: &mut dyn FnMut(Generated) -> Result<()>,
    ) -> Result<()>;
}

/// Where a document comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Its file, by its place among those given.
    pub(crate) file: usize,
    /// Bytes of the file that were read for it.
    pub(crate) bytes: u64,
    /// Whether it is the last one of its file.
    pub(crate) is_last: bool,
}

/// Documents to store, or why they could not be had.
pub(crate) type Documents<'a> = &'a mut (dyn Iterator<Item = (Origin, Loaded)> + Send);
/// A document, or why there is none.
pub(crate) type Loaded = ragstone_rag::Result<DocumentInput>;
/// Is told what became of each document.
pub(crate) type Done<'a> = &'a mut dyn FnMut(Origin, std::result::Result<Ingested, String>);

/// The operations that commands are made of.
pub(crate) trait Backend:
    operator::Operator + keys::KeyKeeper + documents::DocumentKeeper + Answering
{
    /// Names the place, for messages: a directory or a URL.
    fn place(&self) -> String;
    /// Has reads find what was written last, whichever server answers them; none of a directory, which has all that was written.
    fn write_token(&self) -> Option<String>;
    /// Makes a collection; an empty model name is the default model of the place.
    fn create_collection(&self, name: &str, spec: CollectionSpec) -> Result<CollectionView>;
    /// Adds fields to a collection, and has fields searched by word.
    fn add_fields(&self, name: &str, new: NewFields) -> Result<CollectionView>;
    /// Every collection, by name.
    fn collections(&self) -> Result<Vec<CollectionView>>;
    /// One collection; `None` if it does not exist.
    fn collection(&self, name: &str) -> Result<Option<CollectionView>>;
    /// Removes a collection, if it has this etag where one is given.
    fn delete_collection(&self, name: &str, if_etag: Option<&str>) -> Result<()>;
    /// Stores documents, several at a time. Each is reported, with the reason where it was refused or could not be had; an error is not
    /// about any of them.
    fn ingest_all(
        &self,
        collection: &str,
        documents: Documents<'_>,
        options: &IngestOptions,
        done: Done<'_>,
    ) -> Result<Ended>;
    /// Answers a query.
    fn query(&self, collection: &str, ask: &QueryAsk) -> Result<SearchView>;
    /// Answers queries on one state of the collection, in their order. Errors name them as `queries[3]`.
    fn query_batch(&self, collection: &str, asks: &[QueryAsk]) -> Result<Vec<SearchView>>;
    /// Finds all rows within a threshold.
    fn search_range(&self, collection: &str, ask: &RangeAsk) -> Result<SearchView>;
    /// Writes a batch of a user's own points.
    fn write(&self, collection: &str, batch: Batch) -> Result<WriteView>;
    /// Inserts or replaces a user's own points, batch after batch until there are no more; `done` is told of each, in order, when
    /// it is durable. Points that do not fit are refused, and the others of their batch written.
    fn upsert_all(&self, collection: &str, next: NextBatch<'_>, done: OnPoints<'_>) -> Result<()>;
    /// Removes a user's own points that pass.
    fn delete_where(&self, collection: &str, filter: Filter) -> Result<WriteView>;
    /// Points by id; those that exist.
    fn get(&self, collection: &str, ids: &[PointId], with_vectors: bool) -> Result<Vec<PointView>>;
    /// A page of points.
    fn scroll(&self, collection: &str, ask: &ScrollAsk, page: &PageAsk<'_>) -> Result<Page<PointView>>;
    /// How many points pass.
    fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64>;
    /// How many points have each value of a field.
    fn facet(
        &self,
        collection: &str,
        field: &str,
        filter: Option<&Filter>,
        limit: usize,
    ) -> Result<FacetView>;
    /// Writes a collection to a file.
    fn export(&self, transfer: Transfer<'_>, options: &ExportOptions) -> Result<Exported>;
    /// Writes the rows of a file to a collection.
    fn import(&self, transfer: Transfer<'_>, options: &ImportOptions) -> Result<Imported>;
    /// Finds the chunks that a question is about.
    fn retrieve(&self, collection: &str, request: &RetrieveRequest) -> Result<RetrievedView>;
    /// Makes a question answerable.
    fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<EnrichedView>;
    /// Registers a template as the next version of a name.
    fn register_template(&self, name: &str, source: &str) -> Result<TemplateView>;
    /// The versions of a name, or of all, without their sources.
    fn templates(&self, name: Option<&str>) -> Result<Vec<TemplateView>>;
    /// A template with its source.
    fn template(&self, name: &TemplateName) -> Result<TemplateView>;
    /// Removes a version, or all of a name; how many there were.
    fn delete_template(&self, name: &TemplateName) -> Result<u64>;
    /// Renders a template with sample passages.
    fn preview_template(
        &self,
        template: &TemplateChoice,
        messages: &[ChatMessage],
        passages: &[SamplePassage],
        marking: DataMarking,
    ) -> Result<Vec<MessageView>>;
    /// Embeds texts with a model, the default one when `None`.
    fn embed(
        &self,
        model: Option<&str>,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
    ) -> Result<EmbeddingsView>;
    /// Brings passages into the order of how well they answer a query.
    fn rerank(&self, ask: &RerankAsk<'_>) -> Result<RerankedView>;
    /// Counts the tokens of texts as a model does, the default one when `None`.
    fn count_tokens(&self, model: Option<&str>, texts: &[&str]) -> Result<TokenCountsView>;
    /// The models that are here.
    fn models(&self) -> Result<Vec<ModelView>>;
    /// Fetches a model; an empty name is the default model of the place.
    fn pull_model(&self, name: &str) -> Result<PulledView>;
}

/// The backend that the arguments name.
pub(crate) fn open(place: &Place, progress: Arc<dyn Progress>) -> Result<Box<dyn Backend>> {
    match &place.url {
        Some(url) => Ok(Box::new(remote::Remote::connect(url, place)?)),
        None => Ok(Box::new(local::Local::new(place, progress))),
    }
}
