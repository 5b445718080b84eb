//! The backend over a server.

mod documents;
mod enrich;
mod exchange;
mod generate;
mod inference;
mod ingest;
mod keys;
mod operator;
mod schema;
mod search;
mod tls;
mod types;
mod upsert;
mod views;

use std::future::Future;

use anyhow::{Context, Result, bail};
use ragstone::query::Names;
use ragstone::{Analyzer, Batch, Filter, PointId};
use ragstone_client as client;
use ragstone_client::{Client, Code};
use ragstone_exchange::{ExportOptions, Exported, ImportOptions, Imported};
use ragstone_rag::embed::{Overflow, Role};
use ragstone_rag::ingest::ChunkOptions;
use ragstone_rag::prompt::{
    ChatMessage, DataMarking, EnrichRequest, SamplePassage, TemplateChoice, TemplateName,
};
use ragstone_rag::retrieve::RetrieveRequest;
use ragstone_rag::{CollectionSpec, Ended, IngestOptions};
use tokio::runtime::Runtime;

use self::types::field_type;
use self::views::{collection, written};
use super::{
    Backend, CollectionView, Documents, Done, EmbeddingsView, EnrichedView, FacetCountView, FacetView,
    MessageView, ModelView, NewFields, NextBatch, OnPoints, Page, PageAsk, PointView, PulledView, QueryAsk,
    RangeAsk, RerankAsk, RerankedView, RetrievedView, ScrollAsk, SearchView, TemplateView, TokenCountsView,
    Transfer, WriteView,
};
use crate::cli::args::Place;
use crate::cli::json;

/// A server, and the runtime that calls to it run on.
pub(super) struct Remote {
    url: String,
    client: Client,
    runtime: Runtime,
}

impl Remote {
    pub(super) fn connect(url: &str, place: &Place) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime")?;
        let builder = place.api_key.iter().fold(Client::builder(url), client::ClientBuilder::api_key);
        let builder = tls::with_certificates(builder, url, place)?;
        let builder = place.timeout.into_iter().fold(builder, client::ClientBuilder::timeout);
        let client = runtime.block_on(builder.build()).context("--url")?;
        let client = match &place.at_least {
            Some(token) => client.at_least(token.as_str()),
            None => client,
        };
        Ok(Self { url: url.to_owned(), client, runtime })
    }

    fn call<T>(&self, call: impl Future<Output = client::Result<T>>) -> Result<T> {
        self.runtime.block_on(call).map_err(|error| {
            let is_away = error.code() == Code::Unavailable;
            let error = anyhow::Error::new(error);
            // Of a server that is away, the message knows only the connection.
            if is_away { error.context(format!("--url {}", self.url)) } else { error }
        })
    }
}

impl Backend for Remote {
    fn place(&self) -> String {
        self.url.clone()
    }

    fn write_token(&self) -> Option<String> {
        self.client.write_token()
    }

    fn create_collection(&self, name: &str, spec: CollectionSpec) -> Result<CollectionView> {
        let is_of_documents = spec.model.is_some();
        let mut request = match (spec.model, spec.dimension) {
            (Some(model), None) => client::CreateCollection::with_model(name, model),
            (None, Some(dimension)) => client::CreateCollection::with_dimension(name, wire_size(dimension)),
            (None, None) => client::CreateCollection::without_vector(name),
            (Some(_), Some(_)) => bail!("a collection has a model or a dimension"),
        };
        for (name, kind) in &spec.vectors {
            request = request.vector(name.as_str(), types::vector_options(kind));
        }
        request = request
            .element(types::element(spec.element))
            .encoding(types::encoding(spec.encoding))
            .graph(wire_size(spec.graph.degree), wire_size(spec.graph.ef_construction));
        if let Some(components) = spec.walk_dimension {
            request = request.walk_dimension(wire_size(components));
        }
        for (name, kind) in spec.fields {
            request = request.field(name, field_type(kind));
        }
        for (field, analyzer) in spec.texts {
            request = request.text(field, analyzer.name());
        }
        if let Some(tenant) = spec.tenant {
            request = request.tenant(tenant);
        }
        // What is about documents is refused where there is no model; what nobody asked for is not.
        if is_of_documents || spec.chunks != ChunkOptions::default() {
            request = request.chunks(wire_size(spec.chunks.tokens), wire_size(spec.chunks.overlap));
        }
        if is_of_documents || spec.analyzer != Analyzer::default() {
            request = request.analyzer(spec.analyzer.name());
        }
        let request = request.metric(types::metric(spec.metric)).strict(spec.strict);
        self.call(self.client.create_collection(request)).map(collection)
    }

    fn add_fields(&self, name: &str, new: NewFields) -> Result<CollectionView> {
        let mut request = client::UpdateCollection::new(name);
        for (field, kind) in new.fields {
            request = request.field(field, field_type(kind));
        }
        for (field, analyzer) in new.texts {
            request = request.text(field, analyzer.name());
        }
        if let Some(etag) = new.if_etag {
            request = request.etag(etag);
        }
        self.call(self.client.update_collection(request)).map(collection)
    }

    fn collections(&self) -> Result<Vec<CollectionView>> {
        Ok(self.call(self.client.list_collections())?.into_iter().map(collection).collect())
    }

    fn collection(&self, name: &str) -> Result<Option<CollectionView>> {
        match self.runtime.block_on(self.client.get_collection(name)) {
            Ok(found) => Ok(Some(collection(found))),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn delete_collection(&self, name: &str, if_etag: Option<&str>) -> Result<()> {
        let Some(etag) = if_etag else {
            return self.call(self.client.delete_collection(name));
        };
        // The server compares, with what the collection is when it is removed.
        let mut read = self.call(self.client.get_collection(name))?;
        (read.name, read.etag) = (name.to_owned(), etag.to_owned());
        self.call(self.client.delete_collection_if(&read))
    }

    fn ingest_all(
        &self,
        collection: &str,
        documents: Documents<'_>,
        options: &IngestOptions,
        done: Done<'_>,
    ) -> Result<Ended> {
        ingest::ingest_all(self, collection, documents, options, done)
    }

    fn query(&self, collection: &str, ask: &QueryAsk) -> Result<SearchView> {
        search::found(self.call(self.client.query(search::query(collection, ask)))?)
    }

    fn query_batch(&self, collection: &str, asks: &[QueryAsk]) -> Result<Vec<SearchView>> {
        let queries = asks.iter().map(|ask| search::query(collection, ask));
        let results = self.call(self.client.query_batch(collection, queries))?;
        results.into_iter().map(search::found).collect()
    }

    fn search_range(&self, collection: &str, ask: &RangeAsk) -> Result<SearchView> {
        search::found_in_range(self.call(self.client.search_range(search::range(collection, ask)))?)
    }

    fn write(&self, collection: &str, batch: Batch) -> Result<WriteView> {
        self.call(self.client.write_points(types::write(collection, batch))).map(written)
    }

    fn upsert_all(&self, collection: &str, next: NextBatch<'_>, done: OnPoints<'_>) -> Result<()> {
        upsert::upsert(self, collection, next, done)
    }

    fn delete_where(&self, collection: &str, filter: Filter) -> Result<WriteView> {
        let filter = types::filter(&filter);
        self.call(self.client.delete_points_where(collection, filter)).map(written)
    }

    fn get(&self, collection: &str, ids: &[PointId], with_vectors: bool) -> Result<Vec<PointView>> {
        let ids = ids.iter().cloned().map(types::id_out);
        let found = match with_vectors {
            true => self.call(self.client.get_points(collection, ids))?,
            false => self.call(self.client.get_points_without_vectors(collection, ids))?,
        };
        found.into_iter().map(|point| types::point_in(point).map(PointView::from)).collect()
    }

    fn scroll(&self, collection: &str, ask: &ScrollAsk, page: &PageAsk<'_>) -> Result<Page<PointView>> {
        let mut request =
            client::Scroll::new(collection).page_size(wire_size(page.limit)).page_token(page.token);
        // Later pages begin by their token alone.
        if let (Some(id), "") = (&ask.after, page.token) {
            request = request.after(types::id_out(id.clone()));
        }
        request = match &ask.fields {
            Names::All => request,
            Names::None => request.without_payload(),
            Names::Only(names) => request.fields(names.iter().cloned()),
        };
        if let Some(filter) = &ask.filter {
            request = request.filter(types::filter(filter));
        }
        if let Some(order) = &ask.order {
            request = request.order_by(types::order(order));
        }
        if ask.with_vectors {
            request = request.with_vectors();
        }
        let page = self.call(self.client.scroll_points(request))?;
        let points = page.items.into_iter().map(|point| types::point_in(point).map(PointView::from));
        Ok((points.collect::<Result<_>>()?, page.next_page_token))
    }

    fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64> {
        self.call(self.client.count_points(collection, filter.map(types::filter)))
    }

    fn facet(
        &self,
        collection: &str,
        field: &str,
        filter: Option<&Filter>,
        limit: usize,
    ) -> Result<FacetView> {
        let filter = filter.map(types::filter);
        let facet = self.call(self.client.facet_points(collection, field, filter, wire_size(limit)))?;
        let count =
            |(value, count)| Ok(FacetCountView { value: json::shown_value(&types::value_in(value)?), count });
        Ok(FacetView {
            counts: facet.counts.into_iter().map(count).collect::<Result<_>>()?,
            values: facet.values,
            points: facet.points,
        })
    }

    fn export(&self, transfer: Transfer<'_>, options: &ExportOptions) -> Result<Exported> {
        exchange::export(self, transfer, options)
    }

    fn import(&self, transfer: Transfer<'_>, options: &ImportOptions) -> Result<Imported> {
        exchange::import(self, transfer, options)
    }

    fn retrieve(&self, collection: &str, request: &RetrieveRequest) -> Result<RetrievedView> {
        let wire = enrich::retrieval(collection, request);
        Ok(enrich::retrieved(self.call(self.client.retrieve(wire))?))
    }

    fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<EnrichedView> {
        let wire = enrich::request(collection, request);
        Ok(enrich::enriched(self.call(self.client.enrich(wire))?))
    }

    fn register_template(&self, name: &str, source: &str) -> Result<TemplateView> {
        self.call(self.client.register_template(name, source)).map(enrich::template)
    }

    fn templates(&self, name: Option<&str>) -> Result<Vec<TemplateView>> {
        let templates = self.call(self.client.list_templates(name.unwrap_or_default()))?;
        Ok(templates.into_iter().map(enrich::template).collect())
    }

    fn template(&self, name: &TemplateName) -> Result<TemplateView> {
        self.call(self.client.get_template(&name.to_string())).map(enrich::template)
    }

    fn delete_template(&self, name: &TemplateName) -> Result<u64> {
        self.call(self.client.delete_template(&name.to_string())).map(|deleted| deleted as u64)
    }

    fn preview_template(
        &self,
        template: &TemplateChoice,
        messages: &[ChatMessage],
        passages: &[SamplePassage],
        marking: DataMarking,
    ) -> Result<Vec<MessageView>> {
        let wire = enrich::preview(template, messages, passages, marking);
        let shown = self.call(self.client.preview_template(wire))?;
        Ok(shown.into_iter().map(enrich::message).collect())
    }

    fn embed(
        &self,
        model: Option<&str>,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
    ) -> Result<EmbeddingsView> {
        self.embed_now(model, texts, (role, overflow))
    }

    fn rerank(&self, ask: &RerankAsk<'_>) -> Result<RerankedView> {
        self.rerank_now(ask)
    }

    fn count_tokens(&self, model: Option<&str>, texts: &[&str]) -> Result<TokenCountsView> {
        self.count_tokens_now(model, texts)
    }

    fn models(&self) -> Result<Vec<ModelView>> {
        self.models_now()
    }

    fn pull_model(&self, name: &str) -> Result<PulledView> {
        let pulled = self.call(self.client.pull_model(name))?;
        Ok(PulledView { name: pulled.name, source: pulled.source, path: None, sha256: pulled.sha256 })
    }
}

/// A size as the wire carries it; what does not fit is beyond every limit, and the server says which.
fn wire_size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
