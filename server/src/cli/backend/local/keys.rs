//! The API keys of a directory.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use ragstone_server::access::{Key, Keys, NewKey};

use super::Local;
use crate::cli::backend::keys::{KeyAsk, KeyKeeper, KeyView, MadeKey};
use crate::cli::backend::operator::time;

impl Local {
    fn key_store(&self, create: bool) -> Result<Keys> {
        Ok(Keys::new(self.rag(create)?.db().clone()))
    }
}

impl KeyKeeper for Local {
    fn create_key(&self, ask: KeyAsk) -> Result<MadeKey> {
        let KeyAsk { name, grants, claims, limits, expires } = ask;
        let since = expires.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default());
        let expires_us = since.map(|since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        let new = NewKey { name, grants, claims, limits, expires_us };
        let (key, secret) = self.key_store(true)?.create(new)?;
        Ok(MadeKey { key: view(key), secret })
    }

    fn keys(&self) -> Result<Vec<KeyView>> {
        Ok(self.key_store(false)?.list().into_iter().map(view).collect())
    }

    fn revoke_key(&self, id: &str) -> Result<()> {
        Ok(self.key_store(false)?.revoke(id)?)
    }

    fn rotate_key(&self, id: &str, keep: Duration) -> Result<MadeKey> {
        let (key, secret) = self.key_store(false)?.rotate(id, keep)?;
        Ok(MadeKey { key: view(key), secret })
    }
}

fn view(key: Key) -> KeyView {
    // No clock comes so far that it is not shown.
    let shown = |us: u64| {
        let at = UNIX_EPOCH.checked_add(Duration::from_micros(us));
        at.map_or_else(|| "never".to_owned(), time)
    };
    KeyView {
        id: key.id,
        name: key.name,
        grants: key.grants,
        claims: key.claims,
        limits: key.limits,
        created: shown(key.created_us),
        expires: key.expires_us.map(shown),
        previous_until: key.previous_until_us.map(shown),
    }
}
