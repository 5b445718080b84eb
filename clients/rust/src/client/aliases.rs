//! The calls of CollectionsService about aliases, and about moving a collection to another model.

use ragstone_proto::v1;

use super::{Client, LIST_PAGE_SIZE};
use crate::call::{call, methods};
use crate::error::{Error, Result};
use crate::operation::Operation;

/// A further name of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alias {
    /// The name.
    pub alias: String,
    /// The collection that it names.
    pub collection: String,
}

impl Alias {
    fn from_wire(wire: v1::Alias) -> Self {
        Self { alias: wire.alias, collection: wire.collection }
    }
}

impl Client {
    /// Has an alias name a collection, whether it is new or named another: calls by it go to the one or the other, and never to none.
    /// Durable when it returns. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::AlreadyExists` if a collection has the name; `Code::InvalidArgument`.
    pub async fn set_alias(&self, alias: &str, collection: &str) -> Result<Alias> {
        let service = self.collections();
        let request = v1::SetAliasRequest { alias: alias.to_owned(), collection: collection.to_owned() };
        let response = call(self.policy, methods::SET_ALIAS, request, |request| {
            let mut service = service.clone();
            async move { service.set_alias(request).await }
        })
        .await?;
        response.alias.map(Alias::from_wire).ok_or_else(|| Error::missing("alias"))
    }

    /// Removes an alias; the collection stays. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn delete_alias(&self, alias: &str) -> Result<()> {
        let service = self.collections();
        let request = v1::DeleteAliasRequest { alias: alias.to_owned() };
        call(self.policy, methods::DELETE_ALIAS, request, |request| {
            let mut service = service.clone();
            async move { service.delete_alias(request).await }
        })
        .await?;
        Ok(())
    }

    /// Shows the aliases of a collection, or all, in the order of their names. 30 s a page by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_aliases(&self, collection: Option<&str>) -> Result<Vec<Alias>> {
        let service = self.collections();
        let collection = collection.unwrap_or_default().to_owned();
        let (mut aliases, mut page_token) = (Vec::new(), String::new());
        loop {
            let page_size = LIST_PAGE_SIZE;
            let request = v1::ListAliasesRequest { collection: collection.clone(), page_size, page_token };
            let response = call(self.policy, methods::LIST_ALIASES, request, |request| {
                let mut service = service.clone();
                async move { service.list_aliases(request).await }
            })
            .await?;
            aliases.extend(response.aliases.into_iter().map(Alias::from_wire));
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(aliases);
            }
        }
    }

    /// Begins to move a collection to another model, the server's default one if it is empty, while it serves. `text_field` names the field
    /// with the texts of points that are not chunks of documents and have a vector. 120 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::AlreadyExists` while it is being moved; `Code::FailedPrecondition` if it has no model;
    /// `Code::InvalidArgument` if it has this one, or a text is wanting.
    pub async fn reembed_collection(
        &self,
        name: &str,
        model: &str,
        text_field: Option<&str>,
    ) -> Result<Operation> {
        let service = self.collections();
        let request = v1::ReembedCollectionRequest {
            name: name.to_owned(),
            model: model.to_owned(),
            text_field: text_field.unwrap_or_default().to_owned(),
        };
        let response = call(self.policy, methods::REEMBED_COLLECTION, request, |request| {
            let mut service = service.clone();
            async move { service.reembed_collection(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }
}
