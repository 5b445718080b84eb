//! How many parts a message has, counted while its bytes arrive.
//!
//! **Problem.** An empty point takes two bytes on the wire and more than a hundred in memory, and so does an empty filter or query: a message
//! within its limit of bytes can become a hundred times as much before any handler sees that it has too many of anything.
//! **Idea.** The wire format says where each part begins, and the descriptors say which parts are messages, so parts are counted as bytes come, in
//! whatever pieces, by skipping over what is in none. A list of numbers counts for as many parts as it would take in memory if each were a byte of the wire. What
//! cannot be a message any more, and what has more items of a field than anything may have ([`BATCH_OPS_MAX`]), is refused there and then, by the limit that the field
//! has: nobody gathers, reads and throws away what is left of it. What else is wrong with a message is the codec's to find.
//!
//! A compressed message is looked through as what it becomes. Not counted: numbers of a list that come one by one, of which each has a tag on the wire, too.

mod items;
mod shapes;

use std::sync::Arc;

use crate::limits::BATCH_OPS_MAX;
use crate::memory::PART_BYTES;

use items::Limit;
use shapes::Field;
pub(crate) use shapes::Shapes;

/// Levels that are looked into; the codec reads no more.
const DEPTH_MAX: usize = 100;

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

/// Why a message is refused while it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is none, whatever else comes: what is wrong, and before which byte.
    Malformed { what: &'static str, at: u64 },
    /// So many items of a field, named from the message down, are more than [`BATCH_OPS_MAX`]; what holds of the field may be less.
    TooMany { field: String, limit: Limit, items: usize },
}

/// A message within the one that arrives, or a group, which is of no part of the API.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// The number of the field that it is a value of.
    field: u64,
    /// None of a group, in which the codec looks for nothing that the API knows.
    shape: Option<usize>,
    /// Of a group, that of what it is in.
    end: u64,
}

/// How often a field has come so far, of the message within so many others.
#[derive(Clone, Copy, Debug)]
struct Items {
    depth: usize,
    field: u64,
    count: usize,
}

/// A message that is looked through while it arrives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scan {
    shapes: Arc<Shapes>,
    root: usize,
    /// The messages that the next byte is within.
    open: Vec<Open>,
    /// Of these and of the whole, the innermost last.
    items: Vec<Items>,
    at: u64,
    end: u64,
    state: State,
}

impl Scan {
    /// Another message begins, which has so many bytes.
    pub(crate) fn begin(&mut self, length: u64) {
        self.open.clear();
        self.items.clear();
        (self.at, self.end, self.state) = (0, length, State::default());
    }

    /// The parts that begin in some further bytes of the message.
    ///
    /// # Errors
    /// With these bytes it is not to be read.
    pub(crate) fn parts(&mut self, mut data: &[u8]) -> Result<usize, Refused> {
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
                    match so_far.with(*byte) {
                        Ok(tag) => self.value_of(tag)?,
                        Err(so_far) => State::Tag(so_far),
                    }
                }
                State::Number(so_far) => so_far.with(*byte).map_or_else(State::Number, |_| State::default()),
                State::Length { field, so_far } => match so_far.with(*byte) {
                    Ok(length) => self.enter((field, length), &mut parts)?,
                    Err(so_far) => State::Length { field, so_far },
                },
                skipping @ State::Skip(_) => skipping,
            };
        }
        Ok(parts)
    }

    /// Leaves the messages that end before the tag whose first byte has just come.
    fn leave(&mut self) {
        while self.open.last().is_some_and(|open| open.end < self.at) {
            self.open.pop();
        }
        while self.items.last().is_some_and(|items| items.depth > self.open.len()) {
            self.items.pop();
        }
    }

    /// What the next byte is in: its shape, and its end.
    fn within(&self) -> (Option<usize>, u64) {
        self.open.last().map_or((Some(self.root), self.end), |open| (open.shape, open.end))
    }

    /// What comes behind a tag.
    fn value_of(&mut self, tag: u64) -> Result<State, Refused> {
        let field = tag >> 3;
        if field == 0 || tag > u64::from(u32::MAX) {
            return Err(self.malformed("a field has a number that no field has"));
        }
        Ok(match tag & 7 {
            0 => State::Number(Varint::default()),
            1 => State::Skip(8),
            2 => State::Length { field, so_far: Varint::default() },
            5 => State::Skip(4),
            3 => self.begin_group(field),
            4 => match self.open.last() {
                Some(Open { field: begun, shape: None, .. }) if *begun == field => {
                    self.open.pop();
                    State::default()
                }
                _ => return Err(self.malformed("a group ends that has not begun")),
            },
            _ => return Err(self.malformed("a field is of a wire type that there is not")),
        })
    }

    fn begin_group(&mut self, field: u64) -> State {
        let (_, end) = self.within();
        if self.open.len() >= DEPTH_MAX {
            return State::skip(end.saturating_sub(self.at));
        }
        self.open.push(Open { field, shape: None, end });
        State::default()
    }

    /// A field of some bytes begins behind what has come.
    fn enter(&mut self, (field, length): (u64, u64), parts: &mut usize) -> Result<State, Refused> {
        let (shape, within) = self.within();
        let end = self.at.saturating_add(length);
        if end > within {
            return Err(self.malformed("a field is longer than what it is in"));
        }
        let part = shape.and_then(|shape| self.shapes.part(shape, field)).map(|part| part.field);
        let Some(part) = part else { return Ok(State::skip(length)) };
        if let Field::Numbers(width) = part {
            *parts += length.saturating_mul(width).div_ceil(PART_BYTES as u64) as usize;
            return Ok(State::skip(length));
        }
        *parts += 1;
        self.count(field)?;
        Ok(match part {
            // One without bytes has ended already: nobody is to open and leave a hundred thousand of them.
            Field::Message(shape) if length > 0 && self.open.len() < DEPTH_MAX => {
                self.open.push(Open { field, shape: Some(shape), end });
                State::default()
            }
            _ => State::skip(length),
        })
    }

    /// Counts a value of a field of the innermost message.
    fn count(&mut self, field: u64) -> Result<(), Refused> {
        let depth = self.open.len();
        let mut here = self.items.iter_mut().rev().take_while(|items| items.depth == depth);
        let count = match here.find(|items| items.field == field) {
            Some(items) => {
                items.count += 1;
                items.count
            }
            None => {
                self.items.push(Items { depth, field, count: 1 });
                1
            }
        };
        match count > BATCH_OPS_MAX {
            true => Err(self.too_many(field, count)),
            false => Ok(()),
        }
    }

    /// Why so many values of a field of the innermost message are not taken: its name, behind those that lead there, and its limit.
    fn too_many(&self, field: u64, items: usize) -> Refused {
        let (mut names, mut limit, mut shape) = (Vec::new(), items::OF_ANY, self.root);
        for number in self.open.iter().map(|open| open.field).chain([field]) {
            let Some(part) = self.shapes.part(shape, number) else { break };
            names.push(part.name.as_str());
            limit = part.limit;
            if let Field::Message(inner) = part.field {
                shape = inner;
            }
        }
        Refused::TooMany { field: names.join("."), limit, items }
    }

    /// Why what has come can be no message.
    fn malformed(&self, what: &'static str) -> Refused {
        Refused::Malformed { what, at: self.at }
    }
}

#[cfg(test)]
mod tests;
