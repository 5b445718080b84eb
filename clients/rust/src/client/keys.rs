//! The calls of AdminService about API keys.

use std::time::Duration;

use ragstone_proto::v1;

use super::{Client, LIST_PAGE_SIZE};
use crate::call::{call, methods};
use crate::error::Result;
use crate::key::{CreateKey, Key, grace};

impl Client {
    /// Makes an API key; the text that comes second is the key itself, which nobody is told again. 60 s by default.
    ///
    /// # Errors
    /// `Code::InvalidArgument` for what it is to be; `Code::ResourceExhausted` beyond the keys that a server keeps.
    pub async fn create_key(&self, key: CreateKey) -> Result<(Key, String)> {
        let service = self.admin();
        let response = call(self.policy, methods::CREATE_KEY, key.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.create_key(request).await }
        })
        .await?;
        Ok((Key::from_wire(response.key)?, response.secret))
    }

    /// Shows the API keys, by id. 30 s a page by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_keys(&self) -> Result<Vec<Key>> {
        let service = self.admin();
        let (mut keys, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListKeysRequest { page_size: LIST_PAGE_SIZE, page_token };
            let response = call(self.policy, methods::LIST_KEYS, request, |request| {
                let mut service = service.clone();
                async move { service.list_keys(request).await }
            })
            .await?;
            for key in response.keys {
                keys.push(Key::from_wire(Some(key))?);
            }
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(keys);
            }
        }
    }

    /// Takes an API key back. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn revoke_key(&self, id: &str) -> Result<()> {
        let service = self.admin();
        let request = v1::RevokeKeyRequest { id: id.to_owned() };
        call(self.policy, methods::REVOKE_KEY, request, |request| {
            let mut service = service.clone();
            async move { service.revoke_key(request).await }
        })
        .await?;
        Ok(())
    }

    /// Gives an API key another secret, which comes second and which nobody is told again; the one before is taken for so long as well.
    /// 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn rotate_key(&self, id: &str, keep: Duration) -> Result<(Key, String)> {
        let service = self.admin();
        let request = v1::RotateKeyRequest { id: id.to_owned(), grace: Some(grace(keep)) };
        let response = call(self.policy, methods::ROTATE_KEY, request, |request| {
            let mut service = service.clone();
            async move { service.rotate_key(request).await }
        })
        .await?;
        Ok((Key::from_wire(response.key)?, response.secret))
    }
}
