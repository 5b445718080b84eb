//! The fields of a collection and their numbers.
//!
//! A field gets the next number when the schema declares it or when the first write brings it; a number is never
//! given to another field. So values carry two bytes instead of a name, and two replicas that apply the same writes
//! number alike.

use std::collections::{BTreeMap, HashMap};

use super::FieldType;
use crate::text::Analyzer;

/// The number of a field in its collection.
pub(crate) type FieldId = u16;

/// Names, types and numbers of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldTable {
    fields: Vec<(String, FieldType)>,
    numbers: HashMap<String, FieldId>,
    /// Those that are searched by word.
    texts: BTreeMap<FieldId, Text>,
}

/// How a field is searched by word.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Text {
    analyzer: Analyzer,
    /// The number of the write that said so; 0 if the segments that the manifest names had it from the beginning.
    since: u64,
}

impl FieldTable {
    /// The declared fields, in the order of their names.
    pub(crate) fn declared(fields: &BTreeMap<String, FieldType>) -> Self {
        let mut table = Self::default();
        for (name, field_type) in fields {
            table.add(name, *field_type);
        }
        table
    }

    /// The same, these fields searched by word; each is one of them.
    pub(crate) fn with_texts(mut self, texts: &BTreeMap<String, Analyzer>) -> Self {
        let text = |(name, analyzer): (&String, &Analyzer)| {
            Some((self.find(name)?.0, Text { analyzer: *analyzer, since: 0 }))
        };
        self.texts = texts.iter().filter_map(text).collect();
        self
    }

    /// What a manifest says that counts the writes up to one as stored. The write that had a field searched by word finds a table that
    /// does not yet when it is replayed, as do those before it, which may change its texts in place.
    pub(crate) fn stored(&self, up_to: u64) -> Self {
        let mut table = self.clone();
        table.texts.retain(|_, text| text.since <= up_to);
        table.texts.values_mut().for_each(|text| text.since = 0);
        table
    }

    /// Has a string field searched by word from a write on.
    pub(crate) fn set_text(&mut self, field: FieldId, analyzer: Analyzer, since: u64) {
        self.texts.insert(field, Text { analyzer, since });
    }

    /// The fields that are searched by word, by name.
    pub(crate) fn texts_by_name(&self) -> BTreeMap<String, Analyzer> {
        self.texts().map(|(field, analyzer)| (self.name(field).to_owned(), analyzer)).collect()
    }

    /// How the texts of a field become terms, if it is searched by word.
    pub(crate) fn text(&self, field: FieldId) -> Option<Analyzer> {
        self.texts.get(&field).map(|text| text.analyzer)
    }

    /// The fields that are searched by word.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (FieldId, Analyzer)> {
        self.texts.iter().map(|(field, text)| (*field, text.analyzer))
    }

    /// The number of a field, which is added if it is new. The caller checked type and count.
    pub(crate) fn add(&mut self, name: &str, field_type: FieldType) -> FieldId {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = FieldId::try_from(self.fields.len()).expect("FIELDS_MAX is below 65,536");
        self.fields.push((name.to_owned(), field_type));
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// A field by name.
    pub(crate) fn find(&self, name: &str) -> Option<(FieldId, FieldType)> {
        self.numbers.get(name).map(|&number| (number, self.fields[usize::from(number)].1))
    }

    /// The name of a field that the table gave out.
    pub(crate) fn name(&self, field: FieldId) -> &str {
        &self.fields[usize::from(field)].0
    }

    /// The type of a field that the table gave out.
    pub(crate) fn field_type(&self, field: FieldId) -> FieldType {
        self.fields[usize::from(field)].1
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Names and types in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, FieldType)> {
        self.fields.iter().map(|(name, field_type)| (name.as_str(), *field_type))
    }

    /// Names and types in the order of the names.
    pub(crate) fn to_map(&self) -> BTreeMap<String, FieldType> {
        self.fields.iter().cloned().collect()
    }
}
