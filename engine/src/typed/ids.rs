//! Ids in a user's type: each is what it holds, a number or a string, without a name around it.

use std::fmt;

use serde_core::de::{Error, Unexpected, Visitor};
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use crate::point::PointId;

impl Serialize for PointId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PointId::Num(id) => serializer.serialize_u64(*id),
            PointId::Str(id) => serializer.serialize_str(id),
        }
    }
}

impl<'de> Deserialize<'de> for PointId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = PointId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unsigned integer or a string")
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<PointId, E> {
        Ok(PointId::Num(id))
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<PointId, E> {
        u64::try_from(id).map(PointId::Num).map_err(|_| E::invalid_value(Unexpected::Signed(id), &self))
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<PointId, E> {
        Ok(id.into())
    }

    fn visit_string<E: Error>(self, id: String) -> Result<PointId, E> {
        Ok(id.into())
    }
}
