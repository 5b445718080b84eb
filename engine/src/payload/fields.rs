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
    texts: BTreeMap<FieldId, Analyzer>,
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
        self.texts =
            texts.iter().filter_map(|(name, analyzer)| Some((self.find(name)?.0, *analyzer))).collect();
        self
    }

    /// How the texts of a field become terms, if it is searched by word.
    pub(crate) fn text(&self, field: FieldId) -> Option<Analyzer> {
        self.texts.get(&field).copied()
    }

    /// The fields that are searched by word.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (FieldId, Analyzer)> {
        self.texts.iter().map(|(field, analyzer)| (*field, *analyzer))
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
