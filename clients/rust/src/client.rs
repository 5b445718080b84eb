//! The client: a connection and one method a call.

use std::time::Duration;

use ragstone_proto::v1;
use ragstone_proto::v1::collections_service_client::CollectionsServiceClient;
use ragstone_proto::v1::documents_service_client::DocumentsServiceClient;
use ragstone_proto::v1::inference_service_client::InferenceServiceClient;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use ragstone_proto::v1::rag_service_client::RagServiceClient;
use ragstone_proto::v1::search_service_client::SearchServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::call::{Policy, call, methods};
use crate::collection::{Collection, CreateCollection};
use crate::document::{Chunk, Document, IngestDocument, IngestReport, ListChunks, ListDocuments};
use crate::enrich::{Enrich, Enriched};
use crate::error::{Code, Error, Result, innermost};
use crate::inference::{Embed, Embeddings, Model, PulledModel};
use crate::point::{Page, Point, PointId, WriteReceipt};
use crate::search::{Query, QueryResult};

/// Where a server listens by default.
pub const DEFAULT_URL: &str = "http://127.0.0.1:6733";

/// Bytes of the largest answer that the client reads: the server's own limit and room for a larger one.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Items asked for at once by the methods that return all of them.
const LIST_PAGE_SIZE: u32 = 1_000;

const WINDOW_BYTES: u32 = 4 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How a client connects and calls.
///
/// ```no_run
/// use std::time::Duration;
/// use ragstone_client::Client;
///
/// # async fn run() -> Result<(), ragstone_client::Error> {
/// let client = Client::builder("http://127.0.0.1:6733")
///     .connect_timeout(Duration::from_secs(2))
///     .timeout(Duration::from_secs(10))
///     .retries(5)
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    url: String,
    connect_timeout: Duration,
    policy: Policy,
}

impl ClientBuilder {
    /// The deadline of every call, its retries included, instead of each call's own default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy.timeout = Some(timeout);
        self
    }

    /// How long a connection may take to be made; 5 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How often a call is repeated at most, where that is safe; 3 by default, 0 for never.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.policy.retries = retries;
        self
    }

    /// Connects. A connection that breaks later is made anew by the next call.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a URL that is none (`http://HOST:PORT` is), [`Code::Unavailable`] when nothing
    /// listens there.
    pub async fn build(self) -> Result<Client> {
        let endpoint = self.endpoint()?;
        let channel = endpoint.connect().await.map_err(|error| {
            Error::new(Code::Unavailable, format!("cannot connect to {}: {}", self.url, innermost(&error)))
        })?;
        Ok(Client { channel, policy: self.policy })
    }

    /// A client that connects with its first call: for servers that are not up yet. Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a URL that is none.
    pub fn build_lazy(self) -> Result<Client> {
        Ok(Client { channel: self.endpoint()?.connect_lazy(), policy: self.policy })
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let invalid = |reason: &str| {
            Error::new(
                Code::InvalidArgument,
                format!("url `{}`: {reason}; expected http://HOST:PORT", self.url),
            )
        };
        let endpoint =
            Endpoint::from_shared(self.url.clone()).map_err(|error| invalid(&innermost(&error)))?;
        if endpoint.uri().scheme_str() != Some("http") {
            return Err(invalid("the scheme is not http"));
        }
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES))
    }
}

/// A client of one server; cheap to clone, one connection shared by its clones.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    policy: Policy,
}

impl Client {
    /// Connects with every default.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub async fn connect(url: impl Into<String>) -> Result<Client> {
        Self::builder(url).build().await
    }

    /// Says how to connect to a server.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            connect_timeout: Duration::from_secs(5),
            policy: Policy { timeout: None, retries: 3 },
        }
    }

    /// The same connection with another deadline for every call, retries included.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { channel: self.channel.clone(), policy: Policy { timeout: Some(timeout), ..self.policy } }
    }

    /// The same connection with another number of retries.
    #[must_use]
    pub fn with_retries(&self, retries: u32) -> Client {
        Client { channel: self.channel.clone(), policy: Policy { retries, ..self.policy } }
    }

    /// Makes a collection; durable when it returns. 60 s by default.
    ///
    /// # Errors
    /// [`Code::AlreadyExists`]; [`Code::InvalidArgument`]; of its model: [`Code::NotFound`], [`Code::FailedPrecondition`],
    /// [`Code::PermissionDenied`], [`Code::Unavailable`] while it is being loaded.
    pub async fn create_collection(&self, request: CreateCollection) -> Result<Collection> {
        let service = self.collections();
        let response = call(self.policy, methods::CREATE_COLLECTION, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.create_collection(request).await }
        })
        .await?;
        Collection::from_wire(response.collection)
    }

    /// Shows a collection. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn get_collection(&self, name: &str) -> Result<Collection> {
        let service = self.collections();
        let request = v1::GetCollectionRequest { name: name.to_owned() };
        let response = call(self.policy, methods::GET_COLLECTION, request, |request| {
            let mut service = service.clone();
            async move { service.get_collection(request).await }
        })
        .await?;
        Collection::from_wire(response.collection)
    }

    /// Shows every collection, in the order of their names. 30 s a page by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_collections(&self) -> Result<Vec<Collection>> {
        let service = self.collections();
        let mut collections = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListCollectionsRequest { page_size: LIST_PAGE_SIZE, page_token };
            let response = call(self.policy, methods::LIST_COLLECTIONS, request, |request| {
                let mut service = service.clone();
                async move { service.list_collections(request).await }
            })
            .await?;
            for collection in response.collections {
                collections.push(Collection::from_wire(Some(collection))?);
            }
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(collections);
            }
        }
    }

    /// Removes a collection and all that it holds; durable when it returns. 60 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn delete_collection(&self, name: &str) -> Result<()> {
        let service = self.collections();
        let request = v1::DeleteCollectionRequest { name: name.to_owned() };
        call(self.policy, methods::DELETE_COLLECTION, request, |request| {
            let mut service = service.clone();
            async move { service.delete_collection(request).await }
        })
        .await?;
        Ok(())
    }

    /// Inserts points, or replaces those that have the same ids: all of them, at most 100,000, or none. Durable when it
    /// returns. 60 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::InvalidArgument`], naming the field (`points[3].vector`);
    /// [`Code::ResourceExhausted`] for more bytes than the server takes at once.
    pub async fn upsert_points(
        &self,
        collection: &str,
        points: impl IntoIterator<Item = Point>,
    ) -> Result<WriteReceipt> {
        let service = self.points();
        let request = v1::UpsertPointsRequest {
            collection: collection.to_owned(),
            points: points.into_iter().map(Point::into_wire).collect(),
        };
        let response = call(self.policy, methods::UPSERT_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.upsert_points(request).await }
        })
        .await?;
        Ok(WriteReceipt { seq: response.seq, points: response.upserted as usize })
    }

    /// Reads points by id, with their vectors: those that exist, in the order of the ids. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`] (no such collection); [`Code::InvalidArgument`] for more than 10,000 ids.
    pub async fn get_points<I: Into<PointId>>(
        &self,
        collection: &str,
        ids: impl IntoIterator<Item = I>,
    ) -> Result<Vec<Point>> {
        let service = self.points();
        let request = v1::GetPointsRequest {
            collection: collection.to_owned(),
            ids: ids_into_wire(ids),
            with_vectors: true,
        };
        let response = call(self.policy, methods::GET_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.get_points(request).await }
        })
        .await?;
        response.points.into_iter().map(Point::from_wire).collect()
    }

    /// Removes points by id; durable when it returns. The receipt counts those that existed. 60 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`] (no such collection); [`Code::InvalidArgument`].
    pub async fn delete_points<I: Into<PointId>>(
        &self,
        collection: &str,
        ids: impl IntoIterator<Item = I>,
    ) -> Result<WriteReceipt> {
        let service = self.points();
        let request = v1::DeletePointsRequest { collection: collection.to_owned(), ids: ids_into_wire(ids) };
        let response = call(self.policy, methods::DELETE_POINTS, request, |request| {
            let mut service = service.clone();
            async move { service.delete_points(request).await }
        })
        .await?;
        Ok(WriteReceipt { seq: response.seq, points: response.deleted as usize })
    }

    /// Finds the points nearest to a vector or a text. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::InvalidArgument`], naming the field (`k`, `vector`, `filter.and[1].field`);
    /// [`Code::FailedPrecondition`] for a text in a collection without a model; [`Code::Unavailable`] while it is loaded.
    pub async fn query(&self, query: Query) -> Result<QueryResult> {
        let service =
            SearchServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let response = call(self.policy, methods::QUERY, query.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.query(request).await }
        })
        .await?;
        QueryResult::from_wire(response)
    }

    /// Stores a document: split, embedded, indexed, in place of its earlier version; durable when it returns. 600 s by
    /// default.
    ///
    /// # Errors
    /// [`Code::NotFound`] (no such collection); [`Code::InvalidArgument`] (not text, too long, a reserved field);
    /// [`Code::FailedPrecondition`] (the collection has no model, or its model differs); [`Code::Unavailable`].
    pub async fn ingest_document(&self, request: IngestDocument) -> Result<IngestReport> {
        let service = self.documents();
        let response = call(self.policy, methods::INGEST_DOCUMENT, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.ingest_document(request).await }
        })
        .await?;
        IngestReport::from_wire(response)
    }

    /// Reads a document with its extracted text. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn get_document(&self, collection: &str, id: &str) -> Result<Document> {
        let service = self.documents();
        let request = v1::GetDocumentRequest { collection: collection.to_owned(), id: id.to_owned() };
        let response = call(self.policy, methods::GET_DOCUMENT, request, |request| {
            let mut service = service.clone();
            async move { service.get_document(request).await }
        })
        .await?;
        Document::from_wire(response.document.ok_or_else(|| Error::missing("document"))?)
    }

    /// Lists a page of documents, without their text. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`] (no such collection); [`Code::InvalidArgument`] (page size or token).
    pub async fn list_documents(&self, request: ListDocuments) -> Result<Page<Document>> {
        let service = self.documents();
        let response = call(self.policy, methods::LIST_DOCUMENTS, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.list_documents(request).await }
        })
        .await?;
        Page::from_wire(response.documents, response.next_page_token, Document::from_wire)
    }

    /// Removes a document and its chunks; durable when it returns. Whether there was one. 60 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`] (no such collection).
    pub async fn delete_document(&self, collection: &str, id: &str) -> Result<bool> {
        let service = self.documents();
        let request = v1::DeleteDocumentRequest { collection: collection.to_owned(), id: id.to_owned() };
        let response = call(self.policy, methods::DELETE_DOCUMENT, request, |request| {
            let mut service = service.clone();
            async move { service.delete_document(request).await }
        })
        .await?;
        Ok(response.deleted)
    }

    /// Lists a page of a document's chunks, in their order. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::InvalidArgument`] (page size or token).
    pub async fn list_chunks(&self, request: ListChunks) -> Result<Page<Chunk>> {
        let service = self.documents();
        let response = call(self.policy, methods::LIST_CHUNKS, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.list_chunks(request).await }
        })
        .await?;
        Page::from_wire(response.chunks, response.next_page_token, |chunk| Ok(Chunk::from_wire(chunk)))
    }

    /// Retrieves what bears on a question and packs it, cited, into a prompt. 30 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::InvalidArgument`], naming the field; [`Code::FailedPrecondition`] (the collection has no
    /// model, or its model differs); [`Code::Unavailable`] while its model is loaded.
    pub async fn enrich(&self, request: Enrich) -> Result<Enriched> {
        let service =
            RagServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let response = call(self.policy, methods::ENRICH, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.enrich(request).await }
        })
        .await?;
        Enriched::from_wire(response)
    }

    /// Turns texts into vectors. 120 s by default.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`], naming the text (`texts[2]`): too many bytes, or tokens beyond the model's limit; of the
    /// model: [`Code::NotFound`], [`Code::FailedPrecondition`], [`Code::PermissionDenied`], [`Code::Unavailable`].
    pub async fn embed(&self, request: Embed) -> Result<Embeddings> {
        let service = self.inference();
        let response = call(self.policy, methods::EMBED, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.embed(request).await }
        })
        .await?;
        Embeddings::from_wire(response)
    }

    /// Lists the models that the server has without a download. 30 s a page by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_models(&self) -> Result<Vec<Model>> {
        let service = self.inference();
        let mut models = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListModelsRequest { page_size: LIST_PAGE_SIZE, page_token };
            let response = call(self.policy, methods::LIST_MODELS, request, |request| {
                let mut service = service.clone();
                async move { service.list_models(request).await }
            })
            .await?;
            for model in response.models {
                models.push(Model::from_wire(model)?);
            }
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(models);
            }
        }
    }

    /// Has the server fetch a model into its cache, verified; empty for its default model. 1,800 s by default.
    ///
    /// # Errors
    /// [`Code::NotFound`], naming every place tried; [`Code::PermissionDenied`]; [`Code::FailedPrecondition`].
    pub async fn pull_model(&self, model: &str) -> Result<PulledModel> {
        let service = self.inference();
        let request = v1::PullModelRequest { model: model.to_owned() };
        let response = call(self.policy, methods::PULL_MODEL, request, |request| {
            let mut service = service.clone();
            async move { service.pull_model(request).await }
        })
        .await?;
        Ok(PulledModel { name: response.name, source: response.source, sha256: response.sha256 })
    }

    fn collections(&self) -> CollectionsServiceClient<Channel> {
        CollectionsServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn points(&self) -> PointsServiceClient<Channel> {
        PointsServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn documents(&self) -> DocumentsServiceClient<Channel> {
        DocumentsServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn inference(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

fn ids_into_wire<I: Into<PointId>>(ids: impl IntoIterator<Item = I>) -> Vec<v1::PointId> {
    ids.into_iter().map(|id| id.into().into_wire()).collect()
}
