//! API keys.

use std::time::Duration;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use ragstone_proto::v1;
use tonic::Status;

use super::operation::timestamp;
use crate::access::{Claims, Key, Limits, NewKey};
use crate::status;

/// A key that is to be made.
pub(crate) fn new_key(wire: v1::CreateKeyRequest) -> Result<NewKey, Status> {
    let v1::CreateKeyRequest { name, grants, claims, limits, expire_time } = wire;
    let claims = claims.unwrap_or_default().fields.into_iter().map(
        |(name, value)| -> Result<(String, serde_json::Value), Status> {
            let unusable = || {
                let reason = "a claim is a bool, a number, a text or a list of such";
                status::invalid(&format!("claims.{name}"), reason)
            };
            let value = claim_in(value, true).ok_or_else(unusable)?;
            Ok((name, value))
        },
    );
    let expires_us = expire_time.map(moment_in).transpose()?;
    let claims = claims.collect::<Result<Claims, Status>>()?;
    Ok(NewKey { name, grants, claims, limits: limits_in(limits), expires_us })
}

/// A key, without its secret.
pub(crate) fn key(key: Key) -> v1::Key {
    let Limits { per_second, burst, per_day } = key.limits;
    v1::Key {
        id: key.id,
        name: key.name,
        grants: key.grants,
        claims: Some(Struct {
            fields: key.claims.into_iter().map(|(name, value)| (name, claim_out(value))).collect(),
        }),
        limits: Some(v1::KeyLimits { per_second, burst, per_day }),
        create_time: Some(timestamp(key.created_us)),
        expire_time: key.expires_us.map(timestamp),
        previous_expire_time: key.previous_until_us.map(timestamp),
    }
}

/// For how long the key before a rotation is taken.
pub(crate) fn grace_in(wire: Option<prost_types::Duration>) -> Result<Duration, Status> {
    let wire = wire.unwrap_or_default();
    Duration::try_from(wire).map_err(|_| status::invalid("grace", "it is no time from 0 on"))
}

fn limits_in(wire: Option<v1::KeyLimits>) -> Limits {
    let v1::KeyLimits { per_second, burst, per_day } = wire.unwrap_or_default();
    Limits { per_second, burst, per_day }
}

/// Microseconds since 1970 (UTC).
fn moment_in(wire: prost_types::Timestamp) -> Result<u64, Status> {
    let micros = u64::try_from(wire.seconds)
        .ok()
        .zip(u64::try_from(wire.nanos).ok())
        .and_then(|(seconds, nanos)| seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000));
    micros.ok_or_else(|| status::invalid("expire_time", "it is no moment from 1970 on"))
}

/// A claim as JSON has it; lists within lists are none.
fn claim_in(value: prost_types::Value, may_be_list: bool) -> Option<serde_json::Value> {
    Some(match value.kind? {
        Kind::BoolValue(value) => value.into(),
        // The wire has one kind of numbers, and whole ones are asked for of fields of ints.
        Kind::NumberValue(value) if value.fract() == 0.0 && value.abs() < 9e15 => (value as i64).into(),
        Kind::NumberValue(value) => serde_json::Number::from_f64(value)?.into(),
        Kind::StringValue(text) => text.into(),
        Kind::ListValue(ListValue { values }) if may_be_list => {
            let items = values.into_iter().map(|value| claim_in(value, false));
            items.collect::<Option<Vec<serde_json::Value>>>()?.into()
        }
        Kind::ListValue(_) | Kind::NullValue(_) | Kind::StructValue(_) => return None,
    })
}

fn claim_out(value: serde_json::Value) -> prost_types::Value {
    let kind = match value {
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(claim_out).collect() })
        }
        // No key has these: the wire's are refused, and those of the command line too.
        serde_json::Value::Null | serde_json::Value::Object(_) => Kind::NullValue(0),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_come_back() {
        for value in [json!(true), json!(-7), json!(1.5), json!("a"), json!(["a", 3, false])] {
            assert_eq!(claim_in(claim_out(value.clone()), true), Some(value));
        }
        for none in [json!(null), json!({"a": 1}), json!([["a"]]), json!([null])] {
            assert_eq!(claim_in(claim_out(none.clone()), true), None, "{none}");
        }
    }
}
