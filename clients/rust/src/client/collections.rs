//! The calls of CollectionsService.

use ragstone_proto::v1;
use ragstone_proto::v1::collections_service_client::CollectionsServiceClient;

use super::{Calling, Client, LIST_PAGE_SIZE, service};
use crate::call::{Method, call, methods};
use crate::collection::{Collection, CreateCollection, UpdateCollection};
use crate::error::{Code, Result};
use crate::point::FieldType;
use crate::retry::request_id;

impl Client {
    /// Makes a collection; durable when it returns. 60 s by default.
    ///
    /// # Errors
    /// `Code::AlreadyExists`; `Code::InvalidArgument`, also where something is declared twice; of its model: `Code::NotFound`, `Code::FailedPrecondition`,
    /// `Code::PermissionDenied`, `Code::Unavailable` while it is being loaded; `Code::ResourceExhausted` beyond the collections that a server
    /// takes, or the number in the caller's grant.
    pub async fn create_collection(&self, request: CreateCollection) -> Result<Collection> {
        let service = self.collections();
        let request = v1::CreateCollectionRequest { request_id: request_id(), ..request.into_wire()? };
        let response = call(self.policy, methods::CREATE_COLLECTION, request, |request| {
            let mut service = service.clone();
            async move { service.create_collection(request).await }
        })
        .await?;
        self.written.note(response.write_token);
        Collection::from_wire(response.collection)
    }

    /// Shows the collection of this name, and makes it if there is none: for a program that does not know whether it ran before.
    /// One that is there stays as it is, whatever was asked for. 30 s by default to find it, 60 s to make it.
    ///
    /// ```no_run
    /// # use ragstone_client::{Client, CreateCollection, Error};
    /// # async fn run(client: Client) -> Result<(), Error> {
    /// let notes = client.ensure_collection(CreateCollection::with_dimension("notes", 3)).await?;
    /// println!("{} points of {} components", notes.points, notes.dimension);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create_collection`](Self::create_collection), but for that it is there.
    pub async fn ensure_collection(&self, request: CreateCollection) -> Result<Collection> {
        let name = request.name().to_owned();
        match self.get_collection(&name).await {
            Err(error) if error.code() == Code::NotFound => {}
            found => return found,
        }
        match self.create_collection(request).await {
            // Another was faster.
            Err(error) if error.code() == Code::AlreadyExists => self.get_collection(&name).await,
            made => made,
        }
    }

    /// Shows a collection. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn get_collection(&self, name: &str) -> Result<Collection> {
        let service = self.collections();
        let request = v1::GetCollectionRequest { name: name.to_owned(), at_least: self.written.at_least() };
        let response = call(self.policy, methods::GET_COLLECTION, request, |request| {
            let mut service = service.clone();
            async move { service.get_collection(request).await }
        })
        .await?;
        Collection::from_wire(response.collection)
    }

    /// Adds fields to a collection; durable when it returns, and nothing is rewritten. A field that is there already with its type
    /// is passed over. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field, also where it has another type.
    pub async fn add_fields<N: Into<String>>(
        &self,
        name: &str,
        fields: impl IntoIterator<Item = (N, FieldType)>,
    ) -> Result<Collection> {
        let field = |request: UpdateCollection, (name, kind): (N, FieldType)| request.field(name, kind);
        self.update_collection(fields.into_iter().fold(UpdateCollection::new(name), field)).await
    }

    /// Has fields of a collection searched by word, new ones or string fields that points have, each with an analyser: `standard`,
    /// `code`, or a language, `english` (also if it is empty), `german` … Durable when it returns, and the words of points that are there
    /// are found; no point is rewritten. A field that is searched by word already, with this analyser, is passed over. It takes as
    /// long as indexing the texts; 60 s by default, after which the server goes on, and the same call waits for it.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field, also where it has another type or another analyser.
    pub async fn add_texts<N: Into<String>, A: Into<String>>(
        &self,
        name: &str,
        texts: impl IntoIterator<Item = (N, A)>,
    ) -> Result<Collection> {
        let text = |request: UpdateCollection, (name, analyzer): (N, A)| request.text(name, analyzer);
        self.update_collection(texts.into_iter().fold(UpdateCollection::new(name), text)).await
    }

    /// The same of fields and words together, and if that is asked for only if the collection is still what it was when it was read. 60 s by
    /// default.
    ///
    /// # Errors
    /// Those of [`add_fields`](Self::add_fields) and [`add_texts`](Self::add_texts); `Code::Aborted`, with the reason
    /// `PRECONDITION_FAILED`, if it has another etag by now.
    pub async fn update_collection(&self, request: UpdateCollection) -> Result<Collection> {
        let service = self.collections();
        let request = request.into_wire()?;
        let response = call(self.policy, updating(&request), request, |request| {
            let mut service = service.clone();
            async move { service.update_collection(request).await }
        })
        .await?;
        self.written.note(response.write_token);
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
    /// `Code::NotFound`.
    pub async fn delete_collection(&self, name: &str) -> Result<()> {
        self.delete_collection_with(name, String::new()).await
    }

    /// Removes a collection, if it is still what it was when it was read: [`Collection::etag`]. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::Aborted`, with the reason `PRECONDITION_FAILED`, if it has another etag by now.
    pub async fn delete_collection_if(&self, collection: &Collection) -> Result<()> {
        self.delete_collection_with(&collection.name, collection.etag.clone()).await
    }

    async fn delete_collection_with(&self, name: &str, etag: String) -> Result<()> {
        let service = self.collections();
        let request = v1::DeleteCollectionRequest { name: name.to_owned(), etag, request_id: request_id() };
        let response = call(self.policy, methods::DELETE_COLLECTION, request, |request| {
            let mut service = service.clone();
            async move { service.delete_collection(request).await }
        })
        .await?;
        self.written.note(response.write_token);
        Ok(())
    }

    pub(super) fn collections(&self) -> CollectionsServiceClient<Calling> {
        service!(self, CollectionsServiceClient)
    }
}

/// How a collection is updated. Made twice under an etag, the call would fail for what it did the first time.
fn updating(request: &v1::UpdateCollectionRequest) -> Method {
    match request.etag.is_empty() {
        true => methods::UPDATE_COLLECTION,
        false => methods::UPDATE_COLLECTION_IF,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::Repeat;

    #[test]
    fn an_update_that_rests_on_an_etag_is_not_made_twice() {
        let request = UpdateCollection::new("notes").field("year", FieldType::Int);
        assert_eq!(updating(&request.clone().into_wire().unwrap()).repeat, Repeat::Safe);
        assert_eq!(updating(&request.etag("x").into_wire().unwrap()).repeat, Repeat::IfNotBegun);
    }
}
