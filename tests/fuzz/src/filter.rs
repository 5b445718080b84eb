//! Filters as text: whatever is typed is a filter that prints and reads back, or an error at a place in the text.

use std::collections::BTreeMap;

use ragstone::{FieldType, Filter};

/// Reads a text as a filter, without fields and with a field of each type. Whether it is one.
///
/// # Panics
/// If reading does, if an error points beside the text, or if what is printed reads back as another filter.
pub fn filter(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let fields: BTreeMap<String, FieldType> = [
        ("b", FieldType::Bool),
        ("i", FieldType::Int),
        ("f", FieldType::Float),
        ("s", FieldType::String),
        ("t", FieldType::Timestamp),
        ("l", FieldType::Strings),
        ("g", FieldType::Geo),
        ("j", FieldType::Json),
    ]
    .map(|(name, field_type)| (name.to_owned(), field_type))
    .into();
    let read = [Filter::parse(&text), Filter::parse_for(&text, &fields)];
    for result in &read {
        match result {
            Ok(filter) => assert_eq!(Filter::parse(&filter.to_string()).as_ref(), Ok(filter), "{text:?}"),
            Err(error) => {
                let line = text.split('\n').nth(error.line - 1).expect("the error's line is one of the text");
                assert!((1..=line.chars().count() + 1).contains(&error.column), "{text:?}: {error}");
            }
        }
    }
    read[0].is_ok()
}
