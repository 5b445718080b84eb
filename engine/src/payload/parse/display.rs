//! A filter as text that reads back as the same filter.

use std::fmt::{Display, Formatter, Result, Write};

use super::lexer::is_of_word;
use super::syntax::Comparison;
use super::time;
use crate::payload::{Filter, GeoPoint, Range, Value};

/// Words that mean something at some place: as names they stand in backquotes.
const KEYWORDS: [&str; 11] =
    ["timestamp", "all", "and", "any", "between", "false", "in", "not", "of", "or", "true"];

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Filter::Eq(name, value) => write!(f, "{} = {}", Name(name), Literal(value)),
            Filter::In(name, values) => {
                write!(f, "{} in ", Name(name))?;
                list(f, values.iter().map(Literal))
            }
            Filter::Range(name, range) => {
                Name(name).fmt(f)?;
                bounds(f, range)
            }
            Filter::Prefix(name, text) => write!(f, "{} prefix {}", Name(name), Quoted(text)),
            Filter::Match(name, text) => write!(f, "{} match {}", Name(name), Quoted(text)),
            Filter::Exists(name) => write!(f, "{} exists", Name(name)),
            Filter::Contains(name, texts) => match &texts[..] {
                [text] => write!(f, "{} contains {}", Name(name), Quoted(text)),
                texts => {
                    write!(f, "{} contains any ", Name(name))?;
                    list(f, texts.iter().map(|text| Quoted(text)))
                }
            },
            Filter::GeoRadius(name, GeoPoint { lat, lon }, metres) => {
                write!(f, "{} within {metres:?} m of ({lat:?}, {lon:?})", Name(name))
            }
            Filter::AllTenants => f.write_str("all tenants"),
            Filter::And(filters) => chain(f, filters, ["all of ", " and "]),
            Filter::Or(filters) => chain(f, filters, ["any of ", " or "]),
            Filter::Not(filter) => match &**filter {
                Filter::Eq(name, value) => write!(f, "{} != {}", Name(name), Literal(value)),
                Filter::Exists(name) => write!(f, "{} is null", Name(name)),
                filter => write!(f, "not {}", Operand(filter)),
            },
        }
    }
}

/// Several filters with a word between them; of none and of one alone no such text would tell.
fn chain(f: &mut Formatter<'_>, filters: &[Filter], [of, between]: [&str; 2]) -> Result {
    if filters.len() < 2 {
        f.write_str(of)?;
        return list(f, filters.iter());
    }
    separated(f, filters.iter().map(Operand), between)
}

fn list<T: Display>(f: &mut Formatter<'_>, items: impl Iterator<Item = T>) -> Result {
    f.write_char('(')?;
    separated(f, items, ", ")?;
    f.write_char(')')
}

fn separated<T: Display>(f: &mut Formatter<'_>, items: impl Iterator<Item = T>, between: &str) -> Result {
    for (place, item) in items.enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

fn bounds(f: &mut Formatter<'_>, range: &Range) -> Result {
    if let Range { gte: Some(low), lte: Some(high), gt: None, lt: None } = range {
        return write!(f, " between {} and {}", Literal(low), Literal(high));
    }
    let bounds = [
        (Comparison::Greater, &range.gt),
        (Comparison::GreaterOrEqual, &range.gte),
        (Comparison::Less, &range.lt),
        (Comparison::LessOrEqual, &range.lte),
    ];
    let given = bounds.iter().filter_map(|(comparison, bound)| Some((comparison, (*bound).as_ref()?)));
    for (place, (comparison, bound)) in given.enumerate() {
        let and = if place > 0 { " and" } else { "" };
        write!(f, "{and} {} {}", comparison.symbol(), Literal(bound))?;
    }
    Ok(())
}

/// A filter as a part of another one.
struct Operand<'a>(&'a Filter);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Filter::And(filters) | Filter::Or(filters) if filters.len() > 1 => write!(f, "({})", self.0),
            filter => filter.fmt(f),
        }
    }
}

/// A field's name.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let starts_well = self.0.starts_with(|first: char| first.is_alphabetic() || first == '_');
        let is_keyword = KEYWORDS.iter().any(|keyword| self.0.eq_ignore_ascii_case(keyword));
        if starts_well && !is_keyword && self.0.chars().all(is_of_word) {
            return f.write_str(self.0);
        }
        quoted(f, self.0, '`')
    }
}

/// A value.
struct Literal<'a>(&'a Value);

impl Display for Literal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            // With a point or an exponent, so that it stays a float.
            Value::Float(value) => write!(f, "{value:?}"),
            Value::String(text) => quoted(f, text, '"'),
            Value::Timestamp(moment) => match time::format(*moment) {
                Some(text) => write!(f, "timestamp \"{text}\""),
                None => write!(f, "timestamp {moment}"),
            },
            // No condition takes these: they are shown, not read back.
            Value::Strings(texts) => list(f, texts.iter().map(|text| Quoted(text))),
            Value::Geo(GeoPoint { lat, lon }) => write!(f, "({lat:?}, {lon:?})"),
            Value::Json(json) => quoted(f, json.as_str(), '"'),
        }
    }
}

/// A text in quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        quoted(f, self.0, '"')
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str, quote: char) -> Result {
    f.write_char(quote)?;
    for character in text.chars() {
        match character {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            _ if character == quote => write!(f, "\\{character}")?,
            _ if character.is_control() => write!(f, "\\u{{{:x}}}", u32::from(character))?,
            _ => f.write_char(character)?,
        }
    }
    f.write_char(quote)
}
