//! Row filters whose values are what is known of the caller: `tenant = $claims.tenant and level in ($claims.levels)`.
//!
//! **Problem.** A value of a token must not become part of a text that is read as a filter: whoever has a say in it would write conditions.
//!
//! **Idea.** The text is read once, when it is configured, with a mark in the place of each claim. What a caller brings is put into the tree that came of it,
//! as values and nothing else.
//!
//! **Invariant.** A claim that is not there, or has no value that can stand in its place, voids the whole grant: nothing is allowed by it.

use std::sync::Arc;

use ragstone::{Filter, Range, RowFilter, Value};

/// What is known of a caller, by name: the claims of a token, or those that a key was made with.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// How a claim begins in the text.
const CLAIM: &str = "$claims.";
/// Begins a text that stands for a claim in the tree: no filter that people write has it.
const MARK: char = '\u{1}';

/// A row filter as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowRule(Filter);

impl RowRule {
    /// Reads it; the error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<RowRule, String> {
        if text.contains(MARK) {
            return Err("it has a control character".to_owned());
        }
        let filter = Filter::parse(&marked(text)?).map_err(|error| error.reason.to_string())?;
        RowFilter::new(filter.clone()).map_err(|error| error.to_string())?;
        Ok(RowRule(filter))
    }

    /// The filter for a caller; `None` if a claim is missing or cannot stand where it is to.
    pub(super) fn bind(&self, claims: &Claims) -> Option<Arc<RowFilter>> {
        RowFilter::new(bound(&self.0, claims)?).ok().map(Arc::new)
    }
}

/// The text with a marked text in the place of each claim.
fn marked(text: &str) -> Result<String, String> {
    let (mut out, mut rest, mut quote) = (String::with_capacity(text.len()), text, None);
    while let Some(first) = rest.chars().next() {
        if quote.is_none()
            && let Some(behind) = rest.strip_prefix(CLAIM)
        {
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let length = behind.find(|c| !is_of_name(c)).unwrap_or(behind.len());
            if length == 0 {
                return Err(format!("a claim's name follows `{CLAIM}`"));
            }
            out.extend(['"', MARK]);
            out.push_str(&behind[..length]);
            out.push('"');
            rest = &behind[length..];
            continue;
        }
        let mut taken = first.len_utf8();
        match (quote, first) {
            (Some(_), '\\') => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            (Some(open), first) if first == open => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(first),
            _ => {}
        }
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Ok(out)
}

fn bound(filter: &Filter, claims: &Claims) -> Option<Filter> {
    let all = |filters: &[Filter]| {
        filters.iter().map(|filter| bound(filter, claims)).collect::<Option<Vec<Filter>>>()
    };
    Some(match filter {
        Filter::Eq(name, value) => match values(value, claims)? {
            Values::One(value) => Filter::Eq(name.clone(), value),
            Values::Many(values) => Filter::In(name.clone(), values),
        },
        Filter::In(name, given) => {
            let mut all = Vec::with_capacity(given.len());
            for value in given {
                all.extend(values(value, claims)?.into_list());
            }
            Filter::In(name.clone(), all)
        }
        Filter::Contains(name, given) => {
            let mut all = Vec::with_capacity(given.len());
            for text in given {
                for value in values(&Value::from(text.as_str()), claims)?.into_list() {
                    all.push(value.as_str()?.to_owned());
                }
            }
            Filter::Contains(name.clone(), all)
        }
        Filter::Prefix(name, prefix) => {
            let value = one(&Value::from(prefix.as_str()), claims)?;
            let bound = value.as_str()?;
            // Everything begins with nothing, which no claim is to say.
            if bound.is_empty() && !prefix.is_empty() {
                return None;
            }
            Filter::Prefix(name.clone(), bound.to_owned())
        }
        Filter::Range(name, Range { gt, gte, lt, lte }) => {
            let end = |value: &Option<Value>| match value {
                Some(value) => one(value, claims).map(Some),
                None => Some(None),
            };
            let range = Range { gt: end(gt)?, gte: end(gte)?, lt: end(lt)?, lte: end(lte)? };
            Filter::Range(name.clone(), range)
        }
        Filter::And(filters) => Filter::And(all(filters)?),
        Filter::Or(filters) => Filter::Or(all(filters)?),
        Filter::Not(filter) => Filter::Not(Box::new(bound(filter, claims)?)),
        other => other.clone(),
    })
}

enum Values {
    One(Value),
    Many(Vec<Value>),
}

impl Values {
    fn into_list(self) -> Vec<Value> {
        match self {
            Values::One(value) => vec![value],
            Values::Many(values) => values,
        }
    }
}

/// What stands in the place of a value: it, or what the claim is that it stands for.
fn values(value: &Value, claims: &Claims) -> Option<Values> {
    let Some(claim) = value.as_str().and_then(|text| text.strip_prefix(MARK)) else {
        return Some(Values::One(value.clone()));
    };
    match claims.get(claim)? {
        serde_json::Value::Array(items) => {
            items.iter().map(scalar).collect::<Option<Vec<Value>>>().map(Values::Many)
        }
        item => scalar(item).map(Values::One),
    }
}

/// The same, where there must be one value.
fn one(value: &Value, claims: &Claims) -> Option<Value> {
    match values(value, claims)? {
        Values::One(value) => Some(value),
        Values::Many(_) => None,
    }
}

fn scalar(value: &serde_json::Value) -> Option<Value> {
    match value {
        serde_json::Value::Bool(value) => Some(Value::Bool(*value)),
        serde_json::Value::String(text) => Some(Value::from(text.as_str())),
        serde_json::Value::Number(number) => match (number.as_i64(), number.is_f64()) {
            (Some(number), _) => Some(Value::Int(number)),
            (None, true) => number.as_f64().map(Value::Float),
            (None, false) => None,
        },
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bind(rule: &str, claims: serde_json::Value) -> Option<String> {
        let rule = RowRule::parse(rule).unwrap();
        let claims = claims.as_object().unwrap().clone();
        rule.bind(&claims).map(|rows| rows.filter().to_string())
    }

    #[test]
    fn claims_stand_in_the_place_of_values() {
        let cases = [
            ("tenant = $claims.tenant", json!({"tenant": "a"}), r#"tenant = "a""#),
            ("tenant = $claims.tenant", json!({"tenant": ["a", "b"]}), r#"tenant in ("a", "b")"#),
            ("tenant in ($claims.tenant, 'x')", json!({"tenant": ["a"]}), r#"tenant in ("a", "x")"#),
            ("level <= $claims.level", json!({"level": 3}), "level <= 3"),
            ("path prefix $claims.path", json!({"path": "/a"}), r#"path prefix "/a""#),
            (
                "tags contains any ($claims.groups)",
                json!({"groups": ["g", "h"]}),
                r#"tags contains any ("g", "h")"#,
            ),
            (
                "open = true or not (tenant != $claims.t)",
                json!({"t": 7}),
                "open = true or not not tenant = 7",
            ),
        ];
        for (rule, claims, expected) in cases {
            let bound = bind(rule, claims).unwrap();
            assert_eq!(Filter::parse(&bound).unwrap(), Filter::parse(expected).unwrap(), "{rule}");
        }
    }

    #[test]
    fn what_a_claim_says_is_a_value_and_no_condition() {
        for evil in ["x\" or true or tenant = \"b", "$claims.other", "\u{1}other", "`", "\\"] {
            let rule = RowRule::parse("tenant = $claims.tenant").unwrap();
            let claims = json!({"tenant": evil, "other": "b"}).as_object().unwrap().clone();
            assert_eq!(rule.bind(&claims).unwrap().filter(), &Filter::eq("tenant", evil));
        }
        // Within quotes it is a text.
        let rule = RowRule::parse("tenant = '$claims.tenant'").unwrap();
        assert_eq!(rule.bind(&Claims::new()).unwrap().filter(), &Filter::eq("tenant", "$claims.tenant"));
    }

    #[test]
    fn what_cannot_be_told_allows_nothing() {
        for claims in
            [json!({}), json!({"t": null}), json!({"t": {}}), json!({"t": [["a"]]}), json!({"t": u64::MAX})]
        {
            assert_eq!(bind("tenant = $claims.t", claims.clone()), None, "{claims}");
            assert_eq!(bind("not (tenant = $claims.t)", claims.clone()), None, "{claims}");
            assert_eq!(bind("tenant in ('a', $claims.t)", claims.clone()), None, "{claims}");
        }
        assert_eq!(bind("path prefix $claims.t", json!({"t": ""})), None);
        assert_eq!(bind("path prefix $claims.t", json!({"t": 3})), None);
        assert_eq!(bind("level <= $claims.t", json!({"t": [1, 2]})), None);
        for wrong in [
            "",
            "tenant =",
            "tenant = $claims.",
            "all tenants",
            "text match 'x'",
            "tenant = $other.t",
            "a = \u{1}",
        ] {
            assert!(RowRule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
