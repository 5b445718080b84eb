//! What a TOML file says, line by line.

use std::ffi::OsString;
use std::ops::Range;

use toml::de::{DeArray, DeTable, DeValue};

use super::field::Field;
use super::{Setting, all, find};

/// A setting as it is written, or what is wrong with it.
pub(super) type Entry = Result<(&'static Setting, Vec<OsString>), String>;

/// Every value of the file with its line, from the first to the last. A text that is no TOML is one error.
pub(super) fn entries(text: &str) -> Vec<(usize, Entry)> {
    let line = |place: Option<Range<usize>>| {
        let start = place.map_or(0, |place| place.start).min(text.len());
        1 + text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count()
    };
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => return vec![(line(error.span()), Err(error.message().to_owned()))],
    };
    let mut values = Vec::new();
    flatten(document.get_ref(), "", &mut values);
    let read =
        |(key, place, value): (String, Range<usize>, &DeValue<'_>)| (line(Some(place)), entry(&key, value));
    let mut entries: Vec<(usize, Entry)> = values.into_iter().map(read).collect();
    entries.sort_by_key(|(line, _)| *line);
    entries
}

/// The values of a table and of the sections in it, with their keys, `section.key`, and where these stand.
fn flatten<'a, 'i>(
    table: &'a DeTable<'i>,
    section: &str,
    values: &mut Vec<(String, Range<usize>, &'a DeValue<'i>)>,
) {
    for (name, value) in table {
        let key = match section {
            "" => name.get_ref().to_string(),
            section => format!("{section}.{}", name.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(inner) if is_section(&key) => flatten(inner, &key, values),
            value => values.push((key, name.span(), value)),
        }
    }
}

/// Whether settings stand in a section of this name.
fn is_section(key: &str) -> bool {
    all().any(|setting| setting.key().strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn entry(key: &str, value: &DeValue<'_>) -> Entry {
    let Some(setting) = find(key) else {
        return Err(match value {
            DeValue::Table(_) => format!(
                "`{key}` is no section; settings stand above all sections, or in {}",
                sections().join(", ")
            ),
            _ => format!("`{key}` is no setting{}", meant(key)),
        });
    };
    let written = written(setting.field(), value).map_err(|what| format!("{key} {what}"))?;
    Ok((setting, written))
}

/// The sections that settings stand in, as a file has them.
fn sections() -> Vec<String> {
    let mut sections: Vec<&str> =
        all().filter_map(|setting| Some(setting.key().rsplit_once('.')?.0)).collect();
    sections.dedup();
    sections.into_iter().map(|section| format!("[{section}]")).collect()
}

/// The last part of a key.
fn without_section(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

/// What may have been meant by a key that is none. In TOML whatever stands below `[tls]` is in that section, so a setting of this name elsewhere comes
/// first; then the key that takes the fewest changes to come to.
fn meant(key: &str) -> String {
    let own = without_section(key);
    let elsewhere = all().map(Setting::key).find(|known| without_section(known) == own);
    match elsewhere.map(|known| known.rsplit_once('.')) {
        Some(Some((section, _))) => format!("; `{own}` is one of the section [{section}]"),
        Some(None) => format!("; `{own}` stands above all sections"),
        None => {
            let nearest = all().map(Setting::key).min_by_key(|known| strsim::damerau_levenshtein(known, key));
            nearest.map_or_else(String::new, |nearest| format!("; the nearest is `{nearest}`"))
        }
    }
}

/// A value of the type that the setting has, as a flag would have it.
fn written(field: Field, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let (wanted, text) = match field {
        Field::Switch(_) => ("true or false", value.as_bool().map(|is_on| is_on.to_string())),
        Field::Number(_) | Field::CountIf { .. } => ("a number", integer(value)),
        Field::RateIf(_) => ("a number", float(value).or_else(|| integer(value))),
        Field::Share(_) => ("a number from 0 to 1", float(value).or_else(|| integer(value))),
        Field::Bytes(_) => {
            ("a number, or a text such as \"32MiB\"", integer(value).or_else(|| string(value)))
        }
        Field::Time(_) => ("a text such as \"30s\"", string(value)),
        Field::Texts(_) | Field::Lines { .. } => {
            let texts = |array: &DeArray<'_>| {
                array.iter().map(|item| string(item.get_ref())).collect::<Option<Vec<String>>>()
            };
            let texts = value.as_array().and_then(texts);
            let texts = texts.ok_or_else(|| format!("is a list of texts, not {}", shown_type(value)))?;
            return Ok(texts.into_iter().map(OsString::from).collect());
        }
        Field::Text(_) | Field::TextIf(_) | Field::Path(_) | Field::PathIf(_) | Field::Choice { .. } => {
            ("a text", string(value))
        }
    };
    match text {
        Some(text) => Ok(vec![text.into()]),
        None => Err(format!("is {wanted}, not {}", shown_type(value))),
    }
}

fn string(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// An integer in decimal, however it is written.
fn integer(value: &DeValue<'_>) -> Option<String> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok().map(|integer| integer.to_string())
}

/// A number with a fraction, as it is written.
fn float(value: &DeValue<'_>) -> Option<String> {
    value.as_float().map(|float| float.as_str().to_owned())
}

fn shown_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time of a calendar",
        DeValue::Array(_) => "such a list",
        DeValue::Table(_) => "a table",
    }
}
