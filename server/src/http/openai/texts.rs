//! A field that is a text or a list of texts, read without keeping what it may not be.
//!
//! What a caller sends may be megabytes of numbers, which a general value of JSON would hold at many times their size. So the
//! field is looked at while it is read: only texts are kept, and no more of them than there may be.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What the field is; at most `MAX` texts are kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Texts<const MAX: usize> {
    Read(Vec<String>),
    /// A list with numbers or lists in it: tokens.
    Tokens,
    /// A list of more texts.
    TooMany,
    Other,
}

impl<'de, const MAX: usize> Deserialize<'de> for Texts<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor::<MAX>)
    }
}

struct TextsVisitor<const MAX: usize>;

impl<'de, const MAX: usize> Visitor<'de> for TextsVisitor<MAX> {
    type Value = Texts<MAX>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Texts::Read(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(item) = list.next_element::<Item>()? {
            let other = match item {
                Item::Text(text) if texts.len() < MAX => {
                    texts.push(text);
                    continue;
                }
                Item::Text(_) => Texts::TooMany,
                Item::Token => Texts::Tokens,
                Item::Other => Texts::Other,
            };
            // The rest is read past, and none of it is kept.
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(other);
        }
        Ok(Texts::Read(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Texts::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Texts::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Texts::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Texts::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Texts::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Texts::Other)
    }
}

/// An item of a list.
enum Item {
    Text(String),
    Token,
    Other,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Item, E> {
        Ok(Item::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Item::Token)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Item::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
        Ok(Item::Token)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
        Ok(Item::Token)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
        Ok(Item::Token)
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Texts<2> {
        serde_json::from_str(json).unwrap()
    }

    fn texts(texts: &[&str]) -> Texts<2> {
        Texts::Read(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn texts_are_kept_and_nothing_else_is() {
        assert_eq!(read(r#""a""#), texts(&["a"]));
        assert_eq!(read(r#"["a", "\u00e9"]"#), texts(&["a", "é"]));
        assert_eq!(read("[]"), texts(&[]));
        assert_eq!(read(r#"["a", "b", "c", 4, {"d": []}]"#), Texts::TooMany);
        for tokens in ["[1]", "[[1], [2]]", r#"["a", 1, "b"]"#, "[-1, 2.5]"] {
            assert_eq!(read(tokens), Texts::Tokens, "{tokens}");
        }
        for other in ["1", "-1", "1.5", "true", "null", r#"{"a": [1]}"#, "[null]", "[true]", r#"[{"a": 1}]"#]
        {
            assert_eq!(read(other), Texts::Other, "{other}");
        }
        assert!(serde_json::from_str::<Texts<2>>("[1").is_err());
    }
}
