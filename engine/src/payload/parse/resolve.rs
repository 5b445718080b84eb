//! A tree as it is written against the fields of a collection: literals take the types of their fields.
//!
//! Without fields a literal has the type that it looks like.

use std::collections::BTreeMap;

use super::error::Problem;
use super::nearest::nearest;
use super::parser::NO_TIME;
use super::syntax::{Circle, Comparison, Condition, Literal, LiteralKind, Name, Node, NodeKind};
use super::time;
use crate::payload::{FieldType, Filter, GeoPoint, Range, Value};

type Result<T> = std::result::Result<T, Problem>;

/// What is known of a collection's fields.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// Their types; none where literals are taken as they look.
    pub(super) types: Option<&'a BTreeMap<String, FieldType>>,
    /// Which of them are searched by word; none where the collection is to say it.
    pub(super) is_text: Option<&'a dyn Fn(&str) -> bool>,
}

/// The filter that a tree means.
pub(super) fn resolve(node: Node, fields: Fields<'_>) -> Result<Filter> {
    let all = |nodes: Vec<Node>| nodes.into_iter().map(|node| resolve(node, fields)).collect::<Result<_>>();
    Ok(match node.kind {
        NodeKind::And(nodes) => Filter::And(all(nodes)?),
        NodeKind::Or(nodes) => Filter::Or(all(nodes)?),
        NodeKind::Not(node) => Filter::Not(Box::new(resolve(*node, fields)?)),
        NodeKind::AllTenants => Filter::AllTenants,
        NodeKind::Condition(name, condition) => condition_of(name, condition, fields)?,
    })
}

fn condition_of(name: Name, condition: Condition, fields: Fields<'_>) -> Result<Filter> {
    let field_type = fields.types.map(|types| type_of(&name, types)).transpose()?;
    let takes = |wanted: FieldType, word: &str| match field_type {
        Some(actual) if actual != wanted => {
            let reason = format!("`{}` is {actual}, and `{word}` is for {wanted} fields", name.text);
            Err(Problem::new(&name.span, reason))
        }
        _ => Ok(()),
    };
    match &condition {
        Condition::Eq(_) | Condition::In(_) | Condition::Range(_) | Condition::Exists => {}
        Condition::Prefix(_) => takes(FieldType::String, "prefix")?,
        Condition::Match(_) => {
            takes(FieldType::String, "match")?;
            if fields.is_text.is_some_and(|is_text| !is_text(&name.text)) {
                let reason = format!("`{}` has no lexical index, which `match` needs", name.text);
                return Err(Problem::new(&name.span, reason));
            }
        }
        Condition::Contains(_) => takes(FieldType::Strings, "contains")?,
        Condition::Within(..) => takes(FieldType::Geo, "within")?,
    }
    let value = |literal| value_of(literal, &name.text, field_type);
    Ok(match condition {
        Condition::Eq(literal) => Filter::Eq(name.text.clone(), value(literal)?),
        Condition::In(literals) => {
            let values = literals.into_iter().map(value).collect::<Result<_>>()?;
            Filter::In(name.text, values)
        }
        Condition::Prefix(text) => Filter::Prefix(name.text, text),
        Condition::Match(text) => Filter::Match(name.text, text),
        Condition::Contains(texts) => Filter::Contains(name.text, texts),
        Condition::Exists => Filter::Exists(name.text),
        Condition::Within(circle) => {
            let (center, metres) = circle_of(&circle)?;
            Filter::GeoRadius(name.text, center, metres)
        }
        Condition::Range(bounds) => {
            if field_type == Some(FieldType::Bool) {
                let reason = format!("`{}` is bool, which has no order", name.text);
                return Err(Problem::new(&name.span, reason));
            }
            let mut range = Range::default();
            for (comparison, literal) in bounds {
                *bound(&mut range, comparison) = Some(value(literal)?);
            }
            Filter::Range(name.text, range)
        }
    })
}

/// A circle that there is: what no collection takes is refused where it stands, whatever the fields are.
fn circle_of(circle: &Circle) -> Result<(GeoPoint, f64)> {
    let Circle { lat, lon, metres } = circle;
    if metres.value < 0.0 || !metres.value.is_finite() {
        let reason = format!("a radius is a number of metres from zero on, not {}", metres.value);
        return Err(Problem::new(&metres.span, reason));
    }
    for (degrees, max) in [(lat, 90.0), (lon, 180.0)] {
        if degrees.value.abs() > max {
            let reason = format!("{} is not between -{max} and {max} degrees", degrees.value);
            return Err(Problem::new(&degrees.span, reason));
        }
    }
    Ok((GeoPoint { lat: lat.value, lon: lon.value }, metres.value))
}

fn bound(range: &mut Range, comparison: Comparison) -> &mut Option<Value> {
    match comparison {
        Comparison::Less => &mut range.lt,
        Comparison::LessOrEqual => &mut range.lte,
        Comparison::Greater => &mut range.gt,
        Comparison::GreaterOrEqual => &mut range.gte,
    }
}

fn type_of(name: &Name, fields: &BTreeMap<String, FieldType>) -> Result<FieldType> {
    fields.get(&name.text).copied().ok_or_else(|| {
        let known = nearest(&name.text, fields.keys());
        let hint = known.map_or(String::new(), |known| format!("; did you mean `{known}`?"));
        Problem::new(&name.span, format!("the collection has no field of this name{hint}"))
    })
}

fn value_of(literal: Literal, name: &str, field_type: Option<FieldType>) -> Result<Value> {
    let Literal { kind, span } = literal;
    let wrong = |what: &str, field_type: FieldType| {
        Problem::new(&span, format!("`{name}` is {field_type}, this is {what}"))
    };
    match (kind, field_type) {
        (LiteralKind::Bool(value), None | Some(FieldType::Bool)) => Ok(Value::Bool(value)),
        (LiteralKind::Text(text), None | Some(FieldType::String)) => Ok(Value::String(text)),
        (LiteralKind::Number(digits), Some(FieldType::Int)) => {
            int(&digits).map(Value::Int).map_err(|reason| Problem::new(&span, reason))
        }
        (LiteralKind::Number(digits), Some(FieldType::Float)) => float(&digits, &span),
        (LiteralKind::Number(digits), None) => {
            if digits.contains(['.', 'e', 'E']) {
                return float(&digits, &span);
            }
            int(&digits).map(Value::Int).map_err(|reason| Problem::new(&span, reason))
        }
        (LiteralKind::Timestamp(moment), None | Some(FieldType::Timestamp)) => Ok(Value::Timestamp(moment)),
        (LiteralKind::Text(text), Some(FieldType::Timestamp)) => {
            time::parse(&text).map(Value::Timestamp).ok_or_else(|| Problem::new(&span, NO_TIME))
        }
        (LiteralKind::Text(_), Some(FieldType::Strings)) => {
            Err(Problem::new(&span, format!("`{name}` is a list of strings: write `{name} contains` this")))
        }
        (LiteralKind::Timestamp(_), Some(field_type)) => Err(wrong("a timestamp", field_type)),
        (LiteralKind::Bool(_), Some(field_type)) => Err(wrong("bool", field_type)),
        (LiteralKind::Number(_), Some(field_type)) => Err(wrong("a number", field_type)),
        (LiteralKind::Text(_), Some(field_type)) => Err(wrong("a string", field_type)),
    }
}

/// A whole number, also one that is written with a point or an exponent.
fn int(digits: &str) -> std::result::Result<i64, &'static str> {
    // From here on one float stands for several ints.
    const EXACT_END: f64 = (1_i64 << 53) as f64;
    if !digits.contains(['.', 'e', 'E']) {
        return digits.parse().map_err(|_| "an int has 64 bits, and this number more");
    }
    match digits.parse::<f64>() {
        Ok(number) if number.fract() != 0.0 => Err("the field is int, and this is no whole number"),
        Ok(number) if number.abs() < EXACT_END => Ok(number as i64),
        _ => Err("write an int of this size in digits only"),
    }
}

fn float(digits: &str, span: &std::ops::Range<usize>) -> Result<Value> {
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Float(number)),
        _ => Err(Problem::new(span, "a float has 64 bits, and this number is beyond them")),
    }
}
