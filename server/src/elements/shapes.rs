//! What the descriptors of an API say of its messages: which fields are parts, and how many items each may have.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

use super::Scan;
use super::items::{self, Limit};

/// What a field's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A message, by its place among the shapes.
    Message(usize),
    /// A text, or bytes.
    Text,
    /// A list of numbers that take from one byte of the wire each, and so many in memory.
    Numbers(u64),
}

/// A field whose values are parts.
#[derive(Debug)]
pub(super) struct Part {
    number: u64,
    pub(super) name: String,
    pub(super) field: Field,
    pub(super) limit: Limit,
}

/// The messages of an API: of each the fields that are parts, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    messages: Vec<Vec<Part>>,
    /// The requests of calls, by path.
    requests: HashMap<String, usize>,
}

impl Shapes {
    /// Of some encoded `FileDescriptorSet`s.
    ///
    /// # Errors
    /// One of them is none.
    pub(crate) fn of(descriptors: &[&[u8]]) -> Result<Shapes, prost::DecodeError> {
        let sets = descriptors.iter().map(|encoded| FileDescriptorSet::decode(*encoded));
        let sets = sets.collect::<Result<Vec<FileDescriptorSet>, _>>()?;
        let files = || sets.iter().flat_map(|set| &set.file);
        let mut named = Vec::new();
        for file in files() {
            for message in &file.message_type {
                collect(&format!(".{}", file.package()), message, &mut named);
            }
        }
        let places: HashMap<&str, usize> =
            named.iter().enumerate().map(|(place, (name, _))| (name.as_str(), place)).collect();
        let fields = |(of, message): &(String, &DescriptorProto)| {
            let parts = message.field.iter().filter_map(|described| {
                let field = match described.r#type() {
                    Type::Message => {
                        places.get(described.type_name()).map_or(Field::Text, |at| Field::Message(*at))
                    }
                    Type::String | Type::Bytes => Field::Text,
                    number if described.label() == Label::Repeated => Field::Numbers(width(number)?),
                    _ => return None,
                };
                let number = u64::try_from(described.number()).ok()?;
                let name = described.name();
                Some(Part { number, name: name.to_owned(), field, limit: items::limit(of, name) })
            });
            let mut parts: Vec<Part> = parts.collect();
            parts.sort_by_key(|part| part.number);
            parts
        };
        let messages = named.iter().map(fields).collect();
        let mut requests = HashMap::new();
        for file in files() {
            for service in &file.service {
                for method in &service.method {
                    if let Some(place) = places.get(method.input_type()) {
                        let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                        requests.insert(path, *place);
                    }
                }
            }
        }
        Ok(Shapes { messages, requests })
    }

    /// What counts the parts of a call's requests.
    pub(crate) fn of_request(self: &Arc<Self>, path: &str) -> Option<Scan> {
        let root = *self.requests.get(path)?;
        Some(Scan { shapes: Arc::clone(self), root, ..Scan::default() })
    }

    /// The field of a message that has a number, if its values are parts.
    pub(super) fn part(&self, shape: usize, number: u64) -> Option<&Part> {
        let parts = self.messages.get(shape)?;
        parts.get(parts.binary_search_by_key(&number, |part| part.number).ok()?)
    }
}

/// Bytes in memory of a number that may take a single one of the wire; none of others, which take as many there.
fn width(number: Type) -> Option<u64> {
    match number {
        Type::Bool => Some(1),
        Type::Int32 | Type::Uint32 | Type::Sint32 | Type::Enum => Some(4),
        Type::Int64 | Type::Uint64 | Type::Sint64 => Some(8),
        _ => None,
    }
}

/// A message and those within it, with their full names.
pub(super) fn collect<'a>(
    scope: &str,
    message: &'a DescriptorProto,
    named: &mut Vec<(String, &'a DescriptorProto)>,
) {
    let name = format!("{scope}.{}", message.name());
    message.nested_type.iter().for_each(|inner| collect(&name, inner, named));
    named.push((name, message));
}
