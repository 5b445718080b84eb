//! The API keys of a server.

use std::time::Duration;

use anyhow::{Result, bail};
use ragstone_client as client;
use ragstone_server::access::{Claims, Limits};
use serde_json::Value as Json;

use super::Remote;
use crate::cli::backend::keys::{KeyAsk, KeyKeeper, KeyView, MadeKey};
use crate::cli::backend::operator::time;

impl KeyKeeper for Remote {
    fn create_key(&self, ask: KeyAsk) -> Result<MadeKey> {
        let KeyAsk { name, grants, claims, limits, expires } = ask;
        let mut key = grants.into_iter().fold(client::CreateKey::new(name), client::CreateKey::grant);
        for (name, value) in claims {
            let value = claim(&name, value)?;
            key = key.claim(name, value);
        }
        key = limits.per_second.into_iter().fold(key, client::CreateKey::per_second);
        key = limits.burst.into_iter().fold(key, client::CreateKey::burst);
        key = limits.per_day.into_iter().fold(key, client::CreateKey::per_day);
        key = expires.into_iter().fold(key, client::CreateKey::expires);
        let (key, secret) = self.call(self.client.create_key(key))?;
        Ok(MadeKey { key: view(key), secret })
    }

    fn keys(&self) -> Result<Vec<KeyView>> {
        Ok(self.call(self.client.list_keys())?.into_iter().map(view).collect())
    }

    fn revoke_key(&self, id: &str) -> Result<()> {
        self.call(self.client.revoke_key(id))
    }

    fn rotate_key(&self, id: &str, keep: Duration) -> Result<MadeKey> {
        let (key, secret) = self.call(self.client.rotate_key(id, keep))?;
        Ok(MadeKey { key: view(key), secret })
    }
}

/// A claim as the client has it.
fn claim(name: &str, value: Json) -> Result<client::Value> {
    Ok(match value {
        Json::Bool(value) => client::Value::Bool(value),
        Json::String(text) => client::Value::String(text),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => client::Value::Int(number),
            (None, Some(number)) => client::Value::Float(number),
            (None, None) => bail!("claim `{name}`: {number} is beyond what is counted"),
        },
        Json::Array(values) => {
            let mut texts = Vec::with_capacity(values.len());
            for value in values {
                let Json::String(text) = value else { bail!("claim `{name}`: a list is of texts") };
                texts.push(text);
            }
            client::Value::Strings(texts)
        }
        Json::Null | Json::Object(_) => bail!("claim `{name}`: it is a bool, a number or text"),
    })
}

fn view(key: client::Key) -> KeyView {
    let shown = |value: client::Value| match value {
        client::Value::Bool(value) => Json::from(value),
        client::Value::Int(value) | client::Value::Timestamp(value) => Json::from(value),
        client::Value::Float(value) => Json::from(value),
        client::Value::String(text) | client::Value::Json(text) => Json::from(text),
        client::Value::Strings(texts) => Json::from(texts),
        _ => Json::Null,
    };
    let claims: Claims = key.claims.into_iter().map(|(name, value)| (name, shown(value))).collect();
    let client::KeyLimits { per_second, burst, per_day } = key.limits;
    KeyView {
        id: key.id,
        name: key.name,
        grants: key.grants,
        claims,
        limits: Limits { per_second, burst, per_day },
        created: time(key.created),
        expires: key.expires.map(time),
        previous_until: key.previous_until.map(time),
    }
}
