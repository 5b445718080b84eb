//! API keys of a server.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp};
use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::operation::moment;
use crate::point::Value;

/// What a key may be used for in some time; nothing that is not set is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyLimits {
    /// Calls a second, on average.
    pub per_second: Option<f64>,
    /// Calls that may come at once; those of a second, and one at least, if it is not set.
    pub burst: Option<u32>,
    /// Calls a day, of UTC.
    pub per_day: Option<u64>,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Key {
    /// Names it.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub grants: Vec<String>,
    /// What `$claims.NAME` stands for in its grants: bools, numbers, texts and lists of texts.
    pub claims: BTreeMap<String, Value>,
    /// What it may be used for in some time.
    pub limits: KeyLimits,
    /// When it was made.
    pub created: SystemTime,
    /// When it ends, if it does.
    pub expires: Option<SystemTime>,
    /// Until when the key before the last rotation is taken as well.
    pub previous_until: Option<SystemTime>,
}

/// A key that is to be made.
///
/// ```
/// use ragstone_client::CreateKey;
///
/// let key = CreateKey::new("web shop")
///     .grant("read on products-* where tenant = $claims.tenant")
///     .claim("tenant", "a")
///     .per_second(50.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CreateKey(v1::CreateKeyRequest);

impl CreateKey {
    /// For this; it allows nothing yet, which is refused.
    pub fn new(name: impl Into<String>) -> Self {
        Self(v1::CreateKeyRequest { name: name.into(), ..Default::default() })
    }

    /// Allows this as well, such as `read on notes-*`, `write on * where tenant = "a"`, `manage on notes`, `admin`. While so many
    /// collections and aliases have names that it fits, `manage on notes-* max 20` makes no further one.
    #[must_use]
    pub fn grant(mut self, grant: impl Into<String>) -> Self {
        self.0.grants.push(grant.into());
        self
    }

    /// What `$claims.NAME` stands for: a bool, a number, a text or a list of texts.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let claims = self.0.claims.get_or_insert_default();
        claims.fields.insert(name.into(), claim_into_wire(value.into()));
        self
    }

    /// Calls a second, on average.
    #[must_use]
    pub fn per_second(mut self, rate: f64) -> Self {
        self.0.limits.get_or_insert_default().per_second = Some(rate);
        self
    }

    /// Calls that may come at once.
    #[must_use]
    pub fn burst(mut self, calls: u32) -> Self {
        self.0.limits.get_or_insert_default().burst = Some(calls);
        self
    }

    /// Calls a day.
    #[must_use]
    pub fn per_day(mut self, calls: u64) -> Self {
        self.0.limits.get_or_insert_default().per_day = Some(calls);
        self
    }

    /// Ends it then.
    #[must_use]
    pub fn expires(mut self, at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = i32::try_from(since.subsec_nanos()).unwrap_or_default();
        self.0.expire_time =
            Some(Timestamp { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos });
        self
    }

    pub(crate) fn into_wire(self) -> v1::CreateKeyRequest {
        self.0
    }
}

impl Key {
    pub(crate) fn from_wire(wire: Option<v1::Key>) -> Result<Key> {
        let wire = wire.ok_or_else(|| Error::missing("key"))?;
        let limits = wire.limits.unwrap_or_default();
        let claims = wire.claims.unwrap_or_default().fields.into_iter();
        Ok(Key {
            id: wire.id,
            name: wire.name,
            grants: wire.grants,
            claims: claims.filter_map(|(name, value)| Some((name, claim_from_wire(value)?))).collect(),
            limits: KeyLimits { per_second: limits.per_second, burst: limits.burst, per_day: limits.per_day },
            created: moment(wire.create_time),
            expires: wire.expire_time.map(|time| moment(Some(time))),
            previous_until: wire.previous_expire_time.map(|time| moment(Some(time))),
        })
    }
}

/// For how long the key before a rotation is taken, as the wire has it.
pub(crate) fn grace(grace: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(grace.subsec_nanos()).unwrap_or_default(),
    }
}

fn claim_into_wire(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Bool(value) => Kind::BoolValue(value),
        // JSON has one kind of numbers; beyond 2^53 they are not all there.
        Value::Int(value) | Value::Timestamp(value) => Kind::NumberValue(value as f64),
        Value::Float(value) => Kind::NumberValue(value),
        Value::String(text) | Value::Json(text) => Kind::StringValue(text),
        Value::Strings(texts) => {
            let texts =
                texts.into_iter().map(|text| prost_types::Value { kind: Some(Kind::StringValue(text)) });
            Kind::ListValue(ListValue { values: texts.collect() })
        }
        Value::Geo(place) => Kind::StructValue(Struct {
            fields: [("lat", place.lat), ("lon", place.lon)]
                .into_iter()
                .map(|(name, value)| {
                    (name.to_owned(), prost_types::Value { kind: Some(Kind::NumberValue(value)) })
                })
                .collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

fn claim_from_wire(value: prost_types::Value) -> Option<Value> {
    Some(match value.kind? {
        Kind::BoolValue(value) => Value::Bool(value),
        Kind::NumberValue(value) if value.fract() == 0.0 && value.abs() < 9e15 => Value::Int(value as i64),
        Kind::NumberValue(value) => Value::Float(value),
        Kind::StringValue(text) => Value::String(text),
        Kind::ListValue(list) => {
            let text = |value: prost_types::Value| match value.kind {
                Some(Kind::StringValue(text)) => Some(text),
                _ => None,
            };
            Value::Strings(list.values.into_iter().map(text).collect::<Option<_>>()?)
        }
        Kind::NullValue(_) | Kind::StructValue(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_come_back() {
        for value in [
            Value::Bool(true),
            Value::Int(-7),
            Value::Float(1.5),
            Value::String("a".into()),
            Value::Strings(vec!["a".into(), "b".into()]),
        ] {
            assert_eq!(claim_from_wire(claim_into_wire(value.clone())), Some(value));
        }
    }
}
