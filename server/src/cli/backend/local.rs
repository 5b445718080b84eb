//! The backend over a local directory.

mod documents;
mod enrich;
mod exchange;
mod generate;
mod keys;
mod operator;
mod search;
mod upsert;
mod views;

use std::cell::OnceCell;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use ragstone::query::{Cursor, FacetCount, Names};
use ragstone::{Batch, Collection, Db, Filter, Point, PointId, ScrollRequest};
use ragstone_exchange::{ExportOptions, Exported, ImportOptions, Imported};
use ragstone_rag::embed::{DEFAULT_MODEL, ModelOptions, Models, Overflow, Role};
use ragstone_rag::ingest::IngestReport;
use ragstone_rag::progress::Progress;
use ragstone_rag::prompt::{
    ChatMessage, DataMarking, EnrichRequest, SamplePassage, TemplateChoice, TemplateName,
};
use ragstone_rag::retrieve::RetrieveRequest;
use ragstone_rag::{CollectionSpec, Ended, IngestOptions, Rag, reserved};
use ragstone_server::definition;

use self::views::{reranked, written};
use super::{
    Backend, CollectionView, Documents, Done, EmbeddingsView, EnrichedView, FacetCountView, FacetView,
    Ingested, MessageView, ModelView, NewFields, NextBatch, OnPoints, Page, PageAsk, PointView, PulledView,
    QueryAsk, RangeAsk, RerankAsk, RerankedView, RetrievedView, ScrollAsk, SearchView, TemplateView,
    TokenCountsView, Transfer, WriteView,
};
use crate::cli::args::Place;
use crate::cli::{json, output, pdf};

/// A directory, opened at the first operation that needs it: embedding a text locks no database.
pub(super) struct Local {
    data: PathBuf,
    models: Models,
    rag: OnceCell<Rag>,
}

impl Local {
    pub(super) fn new(place: &Place, progress: Arc<dyn Progress>) -> Self {
        let options = ModelOptions { offline: place.offline, progress, ..ModelOptions::default() };
        Self { data: place.data.clone(), models: Models::new(options), rag: OnceCell::new() }
    }

    /// Whether the directory has a database, be it damaged or half restored. What may not be looked at may have one: opening it says why.
    /// `LOCK` is no sign of one: a restore that is refused leaves it in any folder, and other stores have such a file.
    fn has_database(&self) -> bool {
        let may_be_there = |error: Error| error.kind() != ErrorKind::NotADirectory;
        let mut signs = ["MANIFEST", "MANIFEST.copy", "RESTORE"].map(|name| self.data.join(name)).into_iter();
        signs.any(|sign| sign.try_exists().unwrap_or_else(may_be_there))
    }

    /// The open database. Only operations that write may make one: a mistyped `--data` is an error, be there no directory or another.
    fn rag(&self, create: bool) -> Result<&Rag> {
        if let Some(rag) = self.rag.get() {
            return Ok(rag);
        }
        if !create && !self.has_database() {
            let what = if self.data.is_dir() { "database in it" } else { "such directory" };
            bail!("--data {}: there is no {what}; `ragstone ingest PATH` makes one", self.data.display());
        }
        let db = Db::open(&self.data).map_err(|error| match error {
            ragstone::Error::Locked { .. } => anyhow::Error::new(error).context(
                "the data directory is open elsewhere; if a server runs on it, use --url, for instance --url http://127.0.0.1:6733",
            ),
            error => anyhow::Error::new(error).context(format!("--data {}", self.data.display())),
        })?;
        // It stands in a log, which a command has not: nobody would know why it is in no list.
        for (name, damage) in db.damaged() {
            let damage = ragstone::Error::from(damage);
            output::note(format_args!("collection `{name}` is left out, see `ragstone check`: {damage}"));
        }
        let rag = || Rag::new(db, self.models.clone()).with_pdf_program(pdf::program());
        Ok(self.rag.get_or_init(rag))
    }
}

impl Backend for Local {
    fn place(&self) -> String {
        self.data.display().to_string()
    }

    fn write_token(&self) -> Option<String> {
        None
    }

    fn create_collection(&self, name: &str, spec: CollectionSpec) -> Result<CollectionView> {
        let rag = self.rag(true)?;
        let model = spec.model.map(|model| or_default(&model).to_owned());
        let info = rag.create_collection(name, CollectionSpec { model, ..spec })?;
        views::collection(rag, info)
    }

    fn add_fields(&self, name: &str, new: NewFields) -> Result<CollectionView> {
        let rag = self.rag(false)?;
        let rows = rag.db().collection(name)?;
        if let Some(etag) = &new.if_etag {
            expect(rag, &rows, etag)?;
        }
        for (field, kind) in new.fields {
            reserved::check_field("fields", &field)?;
            rows.add_field(&field, kind).with_context(|| format!("field {field}"))?;
        }
        for (field, analyzer) in new.texts {
            reserved::check_field("texts", &field)?;
            rows.add_text(&field, analyzer).with_context(|| format!("text {field}"))?;
        }
        views::collection(rag, rows.info())
    }

    fn collections(&self) -> Result<Vec<CollectionView>> {
        let rag = self.rag(false)?;
        rag.db().collections().into_iter().map(|info| views::collection(rag, info)).collect()
    }

    fn collection(&self, name: &str) -> Result<Option<CollectionView>> {
        if self.rag.get().is_none() && !self.has_database() {
            return Ok(None);
        }
        let rag = self.rag(false)?;
        match rag.db().collection(name) {
            Ok(collection) => views::collection(rag, collection.info()).map(Some),
            Err(ragstone::Error::CollectionNotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn delete_collection(&self, name: &str, if_etag: Option<&str>) -> Result<()> {
        let rag = self.rag(false)?;
        match if_etag {
            Some(etag) => rag.delete_collection(name, None, |rows| expect(rag, rows, etag)),
            None => Ok(rag.db().delete_collection(name)?),
        }
    }

    fn ingest_all(
        &self,
        collection: &str,
        documents: Documents<'_>,
        options: &IngestOptions,
        done: Done<'_>,
    ) -> Result<Ended> {
        let report = |origin, report: ragstone_rag::Result<IngestReport>| {
            let ingested = report.map(|report| Ingested {
                status: report.status,
                chunks: report.chunks as u64,
                kept: report.chunks_kept as u64,
                embedded: report.embedded as u64,
                tokens: report.tokens as u64,
            });
            done(origin, ingested.map_err(|error| error.to_string()));
        };
        Ok(self.rag(true)?.ingest_all(collection, documents, options, report)?)
    }

    fn query(&self, collection: &str, ask: &QueryAsk) -> Result<SearchView> {
        search::query(self.rag(false)?, collection, ask)
    }

    fn query_batch(&self, collection: &str, asks: &[QueryAsk]) -> Result<Vec<SearchView>> {
        search::query_batch(self.rag(false)?, collection, asks)
    }

    fn search_range(&self, collection: &str, ask: &RangeAsk) -> Result<SearchView> {
        search::range(self.rag(false)?, collection, ask)
    }

    fn write(&self, collection: &str, batch: Batch) -> Result<WriteView> {
        reserved::check_batch(&batch)?;
        Ok(written(self.rag(false)?.db().collection(collection)?.write(batch)?))
    }

    fn upsert_all(&self, collection: &str, next: NextBatch<'_>, done: OnPoints<'_>) -> Result<()> {
        upsert::all(&self.rag(false)?.db().collection(collection)?, next, done)
    }

    fn delete_where(&self, collection: &str, filter: Filter) -> Result<WriteView> {
        Ok(written(self.rag(false)?.delete_points_where(collection, filter)?))
    }

    fn get(&self, collection: &str, ids: &[PointId], with_vectors: bool) -> Result<Vec<PointView>> {
        let found = self.rag(false)?.db().collection(collection)?.get(ids)?;
        let shown = |mut point: Point| {
            if !with_vectors {
                point.vector = None;
                point.vectors.clear();
            }
            point.into()
        };
        Ok(found.into_iter().flatten().map(shown).collect())
    }

    fn scroll(&self, collection: &str, ask: &ScrollAsk, page: &PageAsk<'_>) -> Result<Page<PointView>> {
        let after = match page.token {
            "" => ask.after.clone().map(Cursor::from),
            token => Some(token.parse().context("--page-token")?),
        };
        let fields = match &ask.fields {
            Names::All => None,
            Names::None => Some(Vec::new()),
            Names::Only(names) => Some(names.clone()),
        };
        let request = ScrollRequest {
            filter: ask.filter.clone(),
            order: ask.order.clone(),
            after,
            limit: page.limit,
            with_vectors: ask.with_vectors,
            fields,
        };
        let page = self.rag(false)?.db().collection(collection)?.scroll(&request)?;
        let next = page.next.map(|next| next.to_string());
        Ok((page.points.into_iter().map(PointView::from).collect(), next))
    }

    fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64> {
        Ok(self.rag(false)?.db().collection(collection)?.count(filter)?)
    }

    fn facet(
        &self,
        collection: &str,
        field: &str,
        filter: Option<&Filter>,
        limit: usize,
    ) -> Result<FacetView> {
        let facet = self.rag(false)?.db().collection(collection)?.facet(field, filter, limit)?;
        let count = |of: FacetCount| FacetCountView { value: json::shown_value(&of.value), count: of.count };
        Ok(FacetView {
            counts: facet.counts.into_iter().map(count).collect(),
            values: facet.values,
            points: facet.rows,
        })
    }

    fn export(&self, transfer: Transfer<'_>, options: &ExportOptions) -> Result<Exported> {
        exchange::export(self, transfer, options)
    }

    fn import(&self, transfer: Transfer<'_>, options: &ImportOptions) -> Result<Imported> {
        exchange::import(self, transfer, options)
    }

    fn retrieve(&self, collection: &str, request: &RetrieveRequest) -> Result<RetrievedView> {
        Ok(enrich::retrieved(self.rag(false)?.retrieve(collection, request)?))
    }

    fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<EnrichedView> {
        Ok(enrich::enriched(self.rag(false)?.enrich(collection, request)?))
    }

    fn register_template(&self, name: &str, source: &str) -> Result<TemplateView> {
        Ok(enrich::template(self.rag(true)?.register_template(name, source)?))
    }

    fn templates(&self, name: Option<&str>) -> Result<Vec<TemplateView>> {
        let head = |template| TemplateView { source: String::new(), ..enrich::template(template) };
        Ok(self.rag(false)?.templates(name).into_iter().map(head).collect())
    }

    fn template(&self, name: &TemplateName) -> Result<TemplateView> {
        Ok(enrich::template(self.rag(false)?.template(name)?))
    }

    fn delete_template(&self, name: &TemplateName) -> Result<u64> {
        Ok(self.rag(false)?.delete_template(name)? as u64)
    }

    fn preview_template(
        &self,
        template: &TemplateChoice,
        messages: &[ChatMessage],
        passages: &[SamplePassage],
        marking: DataMarking,
    ) -> Result<Vec<MessageView>> {
        let shown = match template {
            TemplateChoice::Registered(_) => {
                self.rag(false)?.preview_template(template, messages, passages, marking)?
            }
            // What is not registered needs no database.
            _ => Rag::in_memory()?.preview_template(template, messages, passages, marking)?,
        };
        Ok(shown.into_iter().map(enrich::message).collect())
    }

    fn embed(
        &self,
        model: Option<&str>,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
    ) -> Result<EmbeddingsView> {
        let embedder = self.models.load(or_default(model.unwrap_or_default()))?;
        let embeddings = embedder.embed(texts, role, overflow)?;
        Ok(EmbeddingsView {
            model: embedder.info().name.clone(),
            dimension: embedder.info().dimension,
            vectors: embeddings.vectors,
            token_counts: embeddings.token_counts.into_iter().map(|count| count as u64).collect(),
            truncated: embeddings.truncated,
        })
    }

    fn rerank(&self, ask: &RerankAsk<'_>) -> Result<RerankedView> {
        let reranker = self.models.reranker(ask.model)?;
        let scores = reranker.score_within(ask.query, ask.passages, ask.overflow)?;
        let mut reranked = reranked(reranker.info().name.clone(), scores);
        reranked.passages.truncate(ask.top_k);
        Ok(reranked)
    }

    fn count_tokens(&self, model: Option<&str>, texts: &[&str]) -> Result<TokenCountsView> {
        let counter = self.models.token_counter(or_default(model.unwrap_or_default()))?;
        let tokens = texts.iter().map(|text| counter.count(text) as u64).collect();
        Ok(TokenCountsView { tokens, estimated: !counter.is_exact() })
    }

    fn models(&self) -> Result<Vec<ModelView>> {
        let entries = self.models.list().context("the model cache")?;
        Ok(entries
            .into_iter()
            .map(|entry| ModelView {
                name: entry.name,
                loaded: entry.loaded,
                default: entry.default,
                dimension: entry.info.as_ref().map(|info| info.dimension as u64),
                max_tokens: entry.info.as_ref().map(|info| info.max_tokens as u64),
                sha256: entry.info.and_then(|info| info.sha256),
                path: entry.path.map(|path| path.display().to_string()),
            })
            .collect())
    }

    fn pull_model(&self, name: &str) -> Result<PulledView> {
        let pulled = self.models.pull(or_default(name))?;
        Ok(PulledView {
            name: pulled.name,
            source: pulled.source,
            path: Some(pulled.path.display().to_string()),
            sha256: pulled.sha256,
        })
    }
}

/// Whether a collection is what it was when it was read with this etag.
fn expect(rag: &Rag, rows: &Collection, etag: &str) -> Result<()> {
    let info = rows.info();
    let model = rag.collection_model(&info.name)?;
    let now = definition::etag(info, model);
    ensure!(
        now == etag,
        "collection `{}` has the etag {now} now: read it again, and decide anew",
        rows.name()
    );
    Ok(())
}

fn or_default(model: &str) -> &str {
    if model.is_empty() { DEFAULT_MODEL } else { model }
}
