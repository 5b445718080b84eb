//! Fields of records as ids, texts and metadata. What does not fit is a reason.

use ragstone::{FieldType, Json, Value};
use serde_json::Value as Given;

use super::Field;

/// A string or a whole number, not empty.
pub(super) fn id(field: Field) -> Result<String, String> {
    let id = match field {
        Field::Text(text) | Field::Json(Given::String(text)) => text,
        Field::Json(Given::Number(number)) if !number.is_f64() => number.to_string(),
        Field::Json(other) => {
            return Err(format!("an id is a string or a whole number, not {}", kind(&other)));
        }
    };
    if id.is_empty() { Err("an id must not be empty".to_owned()) } else { Ok(id) }
}

/// A string; `null` is an empty one.
pub(super) fn text(field: Field) -> Result<String, String> {
    match field {
        Field::Text(text) | Field::Json(Given::String(text)) => Ok(text),
        Field::Json(Given::Null) => Ok(String::new()),
        Field::Json(other) => Err(format!("it is to be a string, not {}", kind(&other))),
    }
}

/// The value of a field of some type, or of the type that it shows; nothing for `null` and empty fields of CSV.
pub(super) fn metadata(field: Field, wanted: Option<FieldType>) -> Result<Option<Value>, String> {
    let given = match field {
        Field::Json(Given::Null) => return Ok(None),
        Field::Text(text) if text.is_empty() => return Ok(None),
        Field::Text(text) | Field::Json(Given::String(text)) => return typed(text, wanted).map(Some),
        Field::Json(given) => given,
    };
    let is_wanted = |kind| wanted.is_none_or(|wanted| wanted == kind);
    Ok(Some(match &given {
        Given::Bool(value) if is_wanted(FieldType::Bool) => Value::Bool(*value),
        Given::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) if is_wanted(FieldType::Int) => Value::Int(value),
            (_, Some(value)) if wanted == Some(FieldType::Float) || (number.is_f64() && wanted.is_none()) => {
                Value::Float(value)
            }
            _ => return json(&given, wanted).map(Some),
        },
        Given::Array(elements) if is_wanted(FieldType::Strings) && elements.iter().all(Given::is_string) => {
            let strings = elements.iter().filter_map(Given::as_str).map(str::to_owned);
            Value::Strings(strings.collect())
        }
        _ => json(&given, wanted)?,
    }))
}

/// What has no other type: an object, a list of anything.
fn json(given: &Given, wanted: Option<FieldType>) -> Result<Value, String> {
    match wanted {
        None | Some(FieldType::Json) => {
            Json::new(given.to_string()).map(Value::Json).map_err(|error| error.to_string())
        }
        Some(wanted) => Err(format!("the field is declared {wanted}, this is {}", kind(given))),
    }
}

/// A text as a value of some type; as itself by default.
fn typed(text: String, wanted: Option<FieldType>) -> Result<Value, String> {
    let wrong = |wanted| {
        format!("the field is declared {wanted}, `{}` is none", text.chars().take(40).collect::<String>())
    };
    Ok(match wanted {
        None | Some(FieldType::String) => Value::String(text),
        // Spreadsheets write TRUE, and Python's programs True.
        Some(FieldType::Bool) => {
            Value::Bool(text.to_ascii_lowercase().parse().map_err(|_| wrong(FieldType::Bool))?)
        }
        Some(FieldType::Int) => Value::Int(text.parse().map_err(|_| wrong(FieldType::Int))?),
        Some(FieldType::Float) => {
            let number: f64 = text.parse().map_err(|_| wrong(FieldType::Float))?;
            Value::Float(
                Some(number).filter(|number| number.is_finite()).ok_or_else(|| wrong(FieldType::Float))?,
            )
        }
        Some(FieldType::Strings) => Value::Strings(vec![text]),
        Some(FieldType::Json) => Value::Json(Json::new(text).map_err(|error| error.to_string())?),
        Some(FieldType::Timestamp) => Value::timestamp(&text).ok_or_else(|| wrong(FieldType::Timestamp))?,
        Some(FieldType::Geo) => return Err("a place is no text; leave the field out".to_owned()),
    })
}

fn kind(given: &Given) -> &'static str {
    match given {
        Given::Null => "null",
        Given::Bool(_) => "a bool",
        Given::Number(_) => "a number",
        Given::String(_) => "a string",
        Given::Array(_) => "a list",
        Given::Object(_) => "an object",
    }
}
