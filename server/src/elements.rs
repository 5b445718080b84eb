//! How many parts a message has, counted while its bytes arrive.
//!
//! **Problem.** An empty point takes two bytes on the wire and more than a hundred in memory, and so does an empty filter or query: a message
//! within its limit of bytes can become a hundred times as much before any handler sees that it has too many of anything.
//! **Idea.** The wire format says where each part begins, and the descriptors say which parts are messages, so parts are counted as bytes come, in
//! whatever pieces, by skipping over what is in none. What is no message of its type is counted as far as it is one; the codec refuses it.
//!
//! Not counted: what numbers take (eight bytes for one of the wire at most), and the parts of a compressed message, which are not seen here.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Levels that are looked into; the codec reads no more.
const DEPTH_MAX: usize = 100;

/// What a field's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// A message, by its place among the shapes.
    Message(usize),
    /// A text, or bytes.
    Text,
}

/// The messages of an API: of each the fields that are parts, by number.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    messages: Vec<HashMap<u64, Field>>,
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
        let fields = |message: &DescriptorProto| {
            let parts = message.field.iter().filter_map(|field| {
                let part = match field.r#type() {
                    Type::Message => {
                        places.get(field.type_name()).map_or(Field::Text, |at| Field::Message(*at))
                    }
                    Type::String | Type::Bytes => Field::Text,
                    _ => return None,
                };
                Some((u64::try_from(field.number()).ok()?, part))
            });
            parts.collect::<HashMap<u64, Field>>()
        };
        let messages = named.iter().map(|(_, message)| fields(message)).collect();
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
        Some(Scan { shapes: Arc::clone(self), root, open: Vec::new(), at: 0, state: State::default() })
    }
}

/// A message and those within it, with their full names.
fn collect<'a>(scope: &str, message: &'a DescriptorProto, named: &mut Vec<(String, &'a DescriptorProto)>) {
    let name = format!("{scope}.{}", message.name());
    message.nested_type.iter().for_each(|inner| collect(&name, inner, named));
    named.push((name, message));
}

/// A number on its way: seven bits a byte, the lowest first.
#[derive(Clone, Copy, Debug, Default)]
struct Varint {
    value: u64,
    shift: u32,
}

impl Varint {
    /// The number, if the byte is its last, or what there is of it.
    fn with(self, byte: u8) -> Result<u64, Varint> {
        let value = self.value | (u64::from(byte & 0x7f) << self.shift);
        // Ten bytes are the most that there are.
        if byte < 0x80 || self.shift >= 63 { Ok(value) } else { Err(Varint { value, shift: self.shift + 7 }) }
    }
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug)]
enum State {
    Tag(Varint),
    /// A number that is a field's value.
    Number(Varint),
    /// The length of a field's bytes.
    Length {
        field: u64,
        so_far: Varint,
    },
    /// Bytes that have no parts.
    Skip(u64),
}

impl Default for State {
    fn default() -> State {
        State::Tag(Varint::default())
    }
}

impl State {
    fn skip(bytes: u64) -> State {
        if bytes == 0 { State::default() } else { State::Skip(bytes) }
    }
}

/// A message that is looked through while it arrives.
#[derive(Debug)]
pub(crate) struct Scan {
    shapes: Arc<Shapes>,
    root: usize,
    /// The messages that the next byte is within: their shapes and ends.
    open: Vec<(usize, u64)>,
    at: u64,
    state: State,
}

impl Scan {
    /// Another message begins.
    pub(crate) fn begin(&mut self) {
        self.open.clear();
        (self.at, self.state) = (0, State::default());
    }

    /// The parts that begin in some further bytes of the message.
    pub(crate) fn parts(&mut self, mut data: &[u8]) -> usize {
        let mut parts = 0;
        while let Some((byte, rest)) = data.split_first() {
            if let State::Skip(bytes) = self.state {
                let passed = bytes.min(data.len() as u64);
                self.at += passed;
                self.state = State::skip(bytes - passed);
                data = &data[passed as usize..];
                continue;
            }
            data = rest;
            self.at += 1;
            self.state = match self.state {
                State::Tag(so_far) => {
                    if so_far.shift == 0 {
                        self.leave();
                    }
                    so_far.with(*byte).map_or_else(State::Tag, value_of)
                }
                State::Number(so_far) => so_far.with(*byte).map_or_else(State::Number, |_| State::default()),
                State::Length { field, so_far } => match so_far.with(*byte) {
                    Ok(length) => self.enter((field, length), &mut parts),
                    Err(so_far) => State::Length { field, so_far },
                },
                skipping @ State::Skip(_) => skipping,
            };
        }
        parts
    }

    /// Leaves the messages that end before the tag whose first byte has just come.
    fn leave(&mut self) {
        while self.open.last().is_some_and(|(_, end)| *end < self.at) {
            self.open.pop();
        }
    }

    /// A field of some bytes begins behind what has come.
    fn enter(&mut self, (field, length): (u64, u64), parts: &mut usize) -> State {
        let shape = self.open.last().map_or(self.root, |(shape, _)| *shape);
        let part = self.shapes.messages.get(shape).and_then(|fields| fields.get(&field)).copied();
        *parts += usize::from(part.is_some());
        match part {
            Some(Field::Message(shape)) if self.open.len() < DEPTH_MAX => {
                self.open.push((shape, self.at.saturating_add(length)));
                State::default()
            }
            _ => State::skip(length),
        }
    }
}

/// What comes behind a tag. Groups, which are of no part of the API, are read as if their fields were those of the message.
fn value_of(tag: u64) -> State {
    match tag & 7 {
        0 => State::Number(Varint::default()),
        1 => State::Skip(8),
        2 => State::Length { field: tag >> 3, so_far: Varint::default() },
        5 => State::Skip(4),
        _ => State::default(),
    }
}

#[cfg(test)]
mod tests {
    use ragstone_proto::v1;

    use super::*;

    const UPSERT: &str = "/ragstone.v1.PointsService/UpsertPoints";

    fn scan(path: &str) -> Scan {
        let shapes = Shapes::of(&[v1::FILE_DESCRIPTOR_SET]).unwrap();
        Arc::new(shapes).of_request(path).expect("a call of the API")
    }

    fn request() -> v1::UpsertPointsRequest {
        let value = v1::Value { kind: Some(v1::value::Kind::StringValue("blue".to_owned())) };
        let point = v1::Point {
            id: Some(v1::PointId { id: Some(v1::point_id::Id::Number(7)) }),
            vector: Some(v1::Vector { values: vec![1.0; 300] }),
            payload: [("colour".to_owned(), value)].into(),
            expires_at: Some(5),
            ..Default::default()
        };
        v1::UpsertPointsRequest {
            collection: "c".to_owned(),
            points: vec![point, v1::Point::default(), v1::Point::default()],
            ..Default::default()
        }
    }

    /// The collection's name; three points; of the first its id, its vector, an entry with its key, its value and the text of that.
    const PARTS: usize = 1 + 3 + 2 + 1 + 1 + 1 + 1;

    #[test]
    fn parts_are_counted_through_any_cut_of_the_bytes() {
        let bytes = request().encode_to_vec();
        let mut scan = scan(UPSERT);
        for cut in 0..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            scan.begin();
            assert_eq!(scan.parts(first) + scan.parts(second), PARTS, "cut at {cut}");
        }
        scan.begin();
        assert_eq!(bytes.iter().map(|byte| scan.parts(&[*byte])).sum::<usize>(), PARTS);
    }

    #[test]
    fn what_takes_two_bytes_is_a_part() {
        let empty = [0x12, 0x00].repeat(1_000);
        assert_eq!(scan(UPSERT).parts(&empty), 1_000);
        // The same bytes as a text are one.
        let text = v1::GetCollectionRequest { name: String::from_utf8(empty).unwrap(), ..Default::default() };
        let path = "/ragstone.v1.CollectionsService/GetCollection";
        assert_eq!(scan(path).parts(&text.encode_to_vec()), 1);
    }

    /// However deep, and whatever lengths say: what counts takes no more than what it counts.
    #[test]
    fn what_is_no_message_is_looked_through_too() {
        let mut state = 1_u64;
        for length in 0..2_000 {
            let noise: Vec<u8> = (0..length)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            let mut scan = scan_of_query();
            assert!(scan.parts(&noise) <= length && scan.open.len() <= DEPTH_MAX, "{length}");
        }
        let deep = [0x2a, 0xff, 0xff, 0x7f].repeat(10_000);
        let mut scan = scan_of_query();
        scan.parts(&deep);
        assert!(scan.open.len() <= DEPTH_MAX);
        assert!(Arc::new(Shapes::default()).of_request(UPSERT).is_none());
    }

    fn scan_of_query() -> Scan {
        scan("/ragstone.v1.SearchService/Query")
    }
}
