//! Names that stand twice in an object: nobody knows which of the two is meant, and a map keeps the last.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

/// What a JSON text says, if each name stands once in its object.
pub(crate) fn unambiguous(text: &str) -> serde_json::Result<Json> {
    // Vectors are long, and have no names.
    if text.contains('{') {
        serde_json::from_str::<NamesOnce>(text)?;
    }
    serde_json::from_str(text)
}

/// JSON in which each name stands once in its object; nothing is kept of it.
struct NamesOnce;

impl<'de> Deserialize<'de> for NamesOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesOnce)
    }
}

impl<'de> Visitor<'de> for NamesOnce {
    type Value = NamesOnce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<NamesOnce, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<NamesOnce, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NamesOnce, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NamesOnce, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NamesOnce, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<NamesOnce, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NamesOnce, A::Error> {
        while list.next_element::<NamesOnce>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<NamesOnce, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = object.next_key::<String>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("the name `{name}` stands twice")));
            }
            names.insert(name);
            object.next_value::<NamesOnce>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_stands_once_in_its_object() {
        let text = r#"[{"a": {"a": [null, true, -1, 1e3, "a"]}}, {"a": 18446744073709551615}]"#;
        let said = json!([{"a": {"a": [null, true, -1, 1e3, "a"]}}, {"a": u64::MAX}]);
        assert_eq!(unambiguous(text).unwrap(), said);
        for text in [r#"{"k": 1, "k": 2}"#, r#"[{"b": {"k": 1, "c": 1, "\u006b": 1}}]"#] {
            let refused = unambiguous(text).unwrap_err().to_string();
            assert!(refused.starts_with("the name `k` stands twice at line 1 column "), "{refused}");
        }
        assert!(unambiguous(r#"{"a": "#).is_err() && unambiguous("[1").is_err());
    }
}
