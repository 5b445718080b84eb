//! The calls of AdminService about API keys.

use ragstone_proto::v1::{
    CreateKeyRequest, CreateKeyResponse, ListKeysRequest, ListKeysResponse, RevokeKeyRequest,
    RevokeKeyResponse, RotateKeyRequest, RotateKeyResponse,
};
use tonic::{Response, Status};

use super::Services;
use crate::{convert, page, status};

impl Services {
    pub(super) async fn make_key(
        &self,
        request: CreateKeyRequest,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let (keys, new) = (self.access().keys().clone(), convert::new_key(request)?);
        let note = self.access().noting_key("created");
        let made = self.work().run(move || keys.create(new).inspect(|(key, _)| note(&key.id))).await?;
        let (key, secret) = made.map_err(status::key)?;
        Ok(Response::new(CreateKeyResponse { key: Some(convert::key(key)), secret }))
    }

    pub(super) async fn show_keys(
        &self,
        request: ListKeysRequest,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let list = page::List::new(&["ListKeys"]);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        let keys = self.access().keys().clone();
        let listed = self.work().run(move || {
            let (keys, next) = page::cut(keys.list(), after.as_deref(), size, |key| key.id.as_str());
            let next_page_token = next.map(|key| list.token(&key)).unwrap_or_default();
            ListKeysResponse { keys: keys.into_iter().map(convert::key).collect(), next_page_token }
        });
        listed.await.map(Response::new)
    }

    pub(super) async fn take_key_back(
        &self,
        RevokeKeyRequest { id }: RevokeKeyRequest,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let (keys, note) = (self.access().keys().clone(), self.access().noting_key("revoked"));
        let revoked = self.work().run(move || keys.revoke(&id).inspect(|()| note(&id))).await?;
        revoked.map_err(status::key)?;
        Ok(Response::new(RevokeKeyResponse {}))
    }

    pub(super) async fn turn_key(
        &self,
        RotateKeyRequest { id, grace }: RotateKeyRequest,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let (keys, grace) = (self.access().keys().clone(), convert::grace_in(grace)?);
        let note = self.access().noting_key("rotated");
        let turned = self.work().run(move || keys.rotate(&id, grace).inspect(|_| note(&id))).await?;
        let (key, secret) = turned.map_err(status::key)?;
        Ok(Response::new(RotateKeyResponse { key: Some(convert::key(key)), secret }))
    }
}
