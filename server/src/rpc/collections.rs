//! CollectionsService.

use ragstone::Collection;
use ragstone_proto::v1::collections_service_server::CollectionsService;
use ragstone_proto::v1::{
    Alias, CreateCollectionRequest, CreateCollectionResponse, DeleteAliasRequest, DeleteAliasResponse,
    DeleteCollectionRequest, DeleteCollectionResponse, GetCollectionRequest, GetCollectionResponse,
    ListAliasesRequest, ListAliasesResponse, ListCollectionsRequest, ListCollectionsResponse,
    ReembedCollectionRequest, ReembedCollectionResponse, SetAliasRequest, SetAliasResponse,
    UpdateCollectionRequest, UpdateCollectionResponse,
};
use ragstone_rag::{Rag, reserved};
use tonic::{Request, Response, Status};

use super::Services;
use super::answer::Refused;
use super::paths::renamed;
use crate::models::Kind;
use crate::{convert, page, status, token};

#[tonic::async_trait]
impl CollectionsService for Services {
    async fn create_collection(
        &self,
        request: Request<CreateCollectionRequest>,
    ) -> Result<Response<CreateCollectionResponse>, Status> {
        let (name, mut spec) = convert::collection_spec(request.into_inner())?;
        if let Some(model) = spec.model.take() {
            let model = self.loader().named(Kind::Embedder, model).await?;
            self.loader().require(&model).await?;
            spec.model = Some(model);
        }
        let create = move |rag: &Rag| {
            let info = rag.create_collection(&name, spec)?;
            let model = rag.collection_model(&name)?;
            let collection = Some(convert::collection((info, model)));
            Ok(CreateCollectionResponse { collection, write_token: token::of_now(rag) })
        };
        self.answer(create).await
    }

    async fn get_collection(
        &self,
        request: Request<GetCollectionRequest>,
    ) -> Result<Response<GetCollectionResponse>, Status> {
        let GetCollectionRequest { name, at_least } = request.into_inner();
        let reading = self.reading(&name, &at_least).await?;
        let get = move |rag: &Rag| {
            let info = reading.collection(rag, &name)?.info();
            let model = rag.collection_model(&name)?;
            Ok(GetCollectionResponse { collection: Some(convert::collection((info, model))) })
        };
        self.answer(get).await
    }

    async fn update_collection(
        &self,
        request: Request<UpdateCollectionRequest>,
    ) -> Result<Response<UpdateCollectionResponse>, Status> {
        let request = request.into_inner();
        let update = move |rag: &Rag| {
            let fields = convert::fields_to_add(request.fields)?;
            let texts = convert::texts_to_add(request.texts)?;
            let rows = rag.db().collection(&request.name)?;
            let _turn = rows.exclusive(reserved::DEFINITION_TURN);
            expect(rag, &rows, &request.etag)?;
            for (name, field_type) in fields {
                let named = |error| renamed(error, |_| format!("fields.{name}"));
                rows.add_field(&name, field_type).map_err(named)?;
            }
            for (name, analyzer) in texts {
                let named = |error| renamed(error, |_| format!("texts.{name}"));
                rows.add_text(&name, analyzer).map_err(named)?;
            }
            let model = rag.collection_model(&request.name)?;
            let collection = Some(convert::collection((rows.info(), model)));
            Ok(UpdateCollectionResponse { collection, write_token: token::of_now(rag) })
        };
        self.answer(update).await
    }

    async fn list_collections(
        &self,
        request: Request<ListCollectionsRequest>,
    ) -> Result<Response<ListCollectionsResponse>, Status> {
        let request = request.into_inner();
        let list = page::List::new(&["ListCollections"]);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        let mut budget = self.budget();
        let get = move |rag: &Rag| {
            let (infos, next) =
                page::cut(rag.db().collections(), after.as_deref(), size, |info| info.name.as_str());
            let mut collections = Vec::with_capacity(infos.len());
            for info in infos {
                match rag.collection_model(&info.name) {
                    Ok(model) => collections.push(budget.spend(convert::collection((info, model)))?),
                    // Removed since the names were read.
                    Err(ragstone_rag::Error::Engine(ragstone::Error::CollectionNotFound { .. })) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let next_page_token = next.map(|key| list.token(&key)).unwrap_or_default();
            Ok(ListCollectionsResponse { collections, next_page_token })
        };
        self.answer(get).await
    }

    async fn delete_collection(
        &self,
        request: Request<DeleteCollectionRequest>,
    ) -> Result<Response<DeleteCollectionResponse>, Status> {
        let DeleteCollectionRequest { name, etag, request_id } = request.into_inner();
        let delete = move |rag: &Rag| {
            let request_id = Some(request_id.as_str()).filter(|id| !id.is_empty());
            rag.delete_collection::<Refused>(&name, request_id, |rows| expect(rag, rows, &etag))?;
            Ok(DeleteCollectionResponse { write_token: token::of_now(rag) })
        };
        self.answer(delete).await
    }

    async fn set_alias(
        &self,
        request: Request<SetAliasRequest>,
    ) -> Result<Response<SetAliasResponse>, Status> {
        let SetAliasRequest { alias, collection } = request.into_inner();
        let set = move |rag: &Rag| {
            rag.db().set_alias(&alias, &collection)?;
            Ok(SetAliasResponse { alias: Some(Alias { alias, collection }) })
        };
        self.answer(set).await
    }

    async fn delete_alias(
        &self,
        request: Request<DeleteAliasRequest>,
    ) -> Result<Response<DeleteAliasResponse>, Status> {
        let alias = request.into_inner().alias;
        let delete = move |rag: &Rag| {
            rag.db().delete_alias(&alias)?;
            Ok(DeleteAliasResponse {})
        };
        self.answer(delete).await
    }

    async fn list_aliases(
        &self,
        request: Request<ListAliasesRequest>,
    ) -> Result<Response<ListAliasesResponse>, Status> {
        let request = request.into_inner();
        let list = page::List::new(&["ListAliases", &request.collection]);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        let get = move |rag: &Rag| {
            let mut aliases = rag.db().aliases();
            if !request.collection.is_empty() {
                aliases.retain(|(_, collection)| *collection == request.collection);
            }
            let (aliases, next) = page::cut(aliases, after.as_deref(), size, |(alias, _)| alias.as_str());
            let aliases =
                aliases.into_iter().map(|(alias, collection)| Alias { alias, collection }).collect();
            let next_page_token = next.map(|key| list.token(&key)).unwrap_or_default();
            Ok(ListAliasesResponse { aliases, next_page_token })
        };
        self.answer(get).await
    }

    async fn reembed_collection(
        &self,
        request: Request<ReembedCollectionRequest>,
    ) -> Result<Response<ReembedCollectionResponse>, Status> {
        let ReembedCollectionRequest { name, model, text_field } = request.into_inner();
        let model = self.loader().named(Kind::Embedder, model).await?;
        self.loader().require(&model).await?;
        let operation = self.reembed(name, model, text_field).await?;
        Ok(Response::new(ReembedCollectionResponse { operation: Some(convert::operation(operation)) }))
    }
}

/// Whether a collection is what the caller thinks.
fn expect(rag: &Rag, rows: &Collection, etag: &str) -> Result<(), Refused> {
    if etag.is_empty() {
        return Ok(());
    }
    let info = rows.info();
    let model = rag.collection_model(&info.name)?;
    let now = convert::collection((info, model));
    if now.etag != etag {
        return Err(status::collection_changed(&now.name, &now.etag).into());
    }
    Ok(())
}
