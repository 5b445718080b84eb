//! Bytes on disk, read and written one way: little-endian, explicit widths, lengths before contents.
//!
//! A [`Decoder`] never trusts a length: whatever it reads lies inside the bytes it was given, and every failure says
//! at which of them. It allocates no more than the input holds.

use crate::point::PointId;

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Raw bytes, whose length the reader knows.
    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// A length of four bytes, then the text.
    pub(crate) fn str(&mut self, value: &str) {
        self.u32(
            u32::try_from(value.len()).expect("texts are limited far below 4 GiB before they are encoded"),
        );
        self.raw(value.as_bytes());
    }

    /// A length of four bytes, then the bytes.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.u32(
            u32::try_from(value.len()).expect("bytes are limited far below 4 GiB before they are encoded"),
        );
        self.raw(value);
    }

    pub(crate) fn f32s(&mut self, values: &[f32]) {
        self.bytes.reserve(values.len() * 4);
        for value in values {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// `0 u64` or `1 text`.
    pub(crate) fn id(&mut self, id: &PointId) {
        match id {
            PointId::Num(number) => {
                self.u8(0);
                self.u64(*number);
            }
            PointId::Str(text) => {
                self.u8(1);
                self.str(text);
            }
        }
    }
}

/// What a [`Decoder`] could not read, and where.
#[derive(Debug)]
pub(crate) struct DecodeError {
    /// Byte of the input.
    pub(crate) offset: usize,
    pub(crate) reason: String,
}

pub(crate) type Decoded<T> = Result<T, DecodeError>;

/// Reads values from bytes, in the order that an [`Encoder`] wrote them.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// An error at the current position.
    pub(crate) fn error<T>(&self, reason: impl Into<String>) -> Decoded<T> {
        Err(DecodeError { offset: self.position, reason: reason.into() })
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Refuses bytes after the last value.
    pub(crate) fn finish(self) -> Decoded<()> {
        if self.remaining() == 0 { Ok(()) } else { self.error("bytes after the last value") }
    }

    pub(crate) fn raw(&mut self, length: usize) -> Decoded<&'a [u8]> {
        if length > self.remaining() {
            return self.error(format!("{length} bytes expected, {} left", self.remaining()));
        }
        let value = &self.bytes[self.position..self.position + length];
        self.position += length;
        Ok(value)
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let mut value = [0; N];
        value.copy_from_slice(self.raw(N)?);
        Ok(value)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => self.error(format!("0 or 1 expected, {other} found")),
        }
    }

    /// A count of things of at least `bytes_each` bytes, so that a damaged count cannot ask for memory.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Decoded<usize> {
        let count = self.u32()? as usize;
        if count.saturating_mul(bytes_each) > self.remaining() {
            return self.error(format!("a count of {count} does not fit into {} bytes", self.remaining()));
        }
        Ok(count)
    }

    pub(crate) fn bytes(&mut self) -> Decoded<&'a [u8]> {
        let length = self.u32()? as usize;
        self.raw(length)
    }

    pub(crate) fn str(&mut self) -> Decoded<&'a str> {
        let bytes = self.bytes()?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => self.error("text is not UTF-8"),
        }
    }

    pub(crate) fn f32s(&mut self, count: usize) -> Decoded<Vec<f32>> {
        let bytes = self.raw(count.saturating_mul(4))?;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    pub(crate) fn id(&mut self) -> Decoded<PointId> {
        match self.u8()? {
            0 => Ok(PointId::Num(self.u64()?)),
            1 => Ok(PointId::Str(self.str()?.to_owned())),
            other => self.error(format!("unknown kind of id {other}")),
        }
    }
}

/// The `index`-th little-endian u64 of an array.
pub(crate) fn u64_at(bytes: &[u8], index: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
    u64::from_le_bytes(value)
}

/// The `index`-th little-endian u32 of an array.
pub(crate) fn u32_at(bytes: &[u8], index: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[index * 4..index * 4 + 4]);
    u32::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_in_order() {
        let mut encoder = Encoder::new();
        encoder.u8(7);
        encoder.u16(300);
        encoder.u64(u64::MAX);
        encoder.str("grün");
        encoder.f32s(&[1.5, -0.0]);
        encoder.id(&PointId::Num(9));
        encoder.id(&PointId::Str("x".into()));
        let bytes = encoder.into_bytes();
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.u8().unwrap(), 7);
        assert_eq!(decoder.u16().unwrap(), 300);
        assert_eq!(decoder.u64().unwrap(), u64::MAX);
        assert_eq!(decoder.str().unwrap(), "grün");
        assert_eq!(decoder.f32s(2).unwrap(), [1.5, -0.0]);
        assert_eq!(decoder.id().unwrap(), PointId::Num(9));
        assert_eq!(decoder.id().unwrap(), PointId::Str("x".into()));
        decoder.finish().unwrap();
    }

    #[test]
    fn a_length_beyond_the_input_is_an_error_at_its_place() {
        let mut decoder = Decoder::new(&[255, 255, 255, 255, 1]);
        assert_eq!(decoder.str().unwrap_err().offset, 4);
        let mut decoder = Decoder::new(&[255, 255, 255, 255, 1]);
        assert!(decoder.count(1).is_err());
    }
}
