//! Compressed messages, decompressed before the codec reads them.
//!
//! **Problem.** A few kilobytes can become a message within its limit, and the codec decompresses and reads it in one step: what it became was in no bound of
//! memory, and its parts, which take a hundred times as much, were not counted by anybody.
//! **Idea.** Such a message is gathered, decompressed in pieces, and passed on as one that is not compressed. Each piece is counted and looked through
//! as if it had arrived so, and the message is refused with the first one too many. One that becomes longer than [`SHORT_MESSAGE_BYTES_MAX`] waits for its turn where it
//! does, for the rest of its decompression as for its reading.
//!
//! One message is decompressed at a time, when the codec asks for it. Those of such a call that are not compressed pass through as they come.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tonic::Status;

use super::frames::refusal;
use super::{Arriving, Turn, turn_of};
use crate::elements::Scan;
use crate::layer::headers::ENCODING;
use crate::limits::SHORT_MESSAGE_BYTES_MAX;
use crate::status;

/// Bytes of a flag and a length, with which a message begins.
const PREFIX_BYTES: usize = 5;
/// Bytes that are decompressed before they are counted.
const PIECE_BYTES: usize = 16 << 10;
/// The window of a message in zstd, as a power of two: what a decoder has room made for before it has read anything, and 128 MiB if a few bytes say so. 8 MiB
/// are what HTTP has (RFC 9659), and more than all but the slowest levels of compression ask for.
const WINDOW_LOG_MAX: u32 = 23;

/// What messages may be compressed with: as much as the services accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::layer) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// That of the messages under these headers; of one that is not known the codec tells the caller.
    pub(in crate::layer) fn of(headers: &HeaderMap) -> Option<Compression> {
        match headers.get(&ENCODING)?.as_bytes() {
            b"gzip" => Some(Compression::Gzip),
            b"zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// What a message becomes.
    fn reader(self, compressed: Bytes) -> std::io::Result<Box<dyn Read + Send>> {
        let compressed = compressed.reader();
        Ok(match self {
            Compression::Gzip => Box::new(flate2::bufread::GzDecoder::new(compressed)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }
}

/// A body whose messages are not compressed any more.
pub(in crate::layer) struct Decompressing {
    inner: Arriving,
    compression: Compression,
    /// Looks through what messages become; that of the body may be within another already.
    scan: Option<Scan>,
    /// What has come and is not passed on.
    held: BytesMut,
    within: Within,
    unpacking: Option<Unpacking>,
}

/// What the bytes that are held begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// A message.
    Prefix,
    /// So many bytes to pass on.
    Plain(usize),
    /// A compressed message of so many bytes, without its prefix.
    Compressed(usize),
}

/// A message that is being decompressed.
struct Unpacking {
    reader: Box<dyn Read + Send>,
    /// Room for its prefix, and what it has become so far.
    message: Vec<u8>,
    /// What it waits for once it is long.
    turn: Option<Turn>,
}

impl Decompressing {
    pub(in crate::layer) fn new(inner: Arriving, compression: Compression) -> Decompressing {
        let scan = inner.frames.scan.clone();
        let (held, within) = (BytesMut::new(), Within::Prefix);
        Decompressing { inner, compression, scan, held, within, unpacking: None }
    }

    /// What of the bytes that are held is to be passed on, if that is anything; or a message begins to be decompressed.
    fn advance(&mut self) -> Result<Option<Bytes>, Status> {
        if let (Within::Prefix, Some([flag, length @ ..])) =
            (self.within, self.held.first_chunk::<PREFIX_BYTES>().copied())
        {
            let length = u32::from_be_bytes(length) as usize;
            self.within = match flag {
                1 => {
                    self.held.advance(PREFIX_BYTES);
                    Within::Compressed(length)
                }
                // What another flag means the codec does not know either, and says so.
                _ => Within::Plain(length.saturating_add(PREFIX_BYTES)),
            };
        }
        match self.within {
            Within::Plain(rest) if !self.held.is_empty() => {
                let passed = rest.min(self.held.len());
                self.within = if passed == rest { Within::Prefix } else { Within::Plain(rest - passed) };
                Ok(Some(self.held.split_to(passed).freeze()))
            }
            Within::Compressed(length) if self.held.len() >= length => {
                self.within = Within::Prefix;
                let compressed = self.held.split_to(length).freeze();
                let reader = self.compression.reader(compressed).map_err(|error| undecompressible(&error))?;
                if let Some(scan) = &mut self.scan {
                    // How long it becomes is found when it is.
                    scan.begin(u64::MAX);
                }
                self.unpacking = Some(Unpacking { reader, message: vec![0; PREFIX_BYTES], turn: None });
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// The message, once it is decompressed and, if it is long, has its turn.
    fn poll_unpacked(
        &mut self,
        unpacking: &mut Unpacking,
        context: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Status>> {
        if let Some(turn) = &mut unpacking.turn {
            let turn = ready!(turn.as_mut().poll(context));
            unpacking.turn = None;
            self.inner.has_turn(turn?);
            // Who polls it looks whether that takes long before it does so again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let turns = self.inner.turns.as_ref().filter(|(_, told)| !told.takes_long());
        let turns = turns.map(|(turns, _)| turns.clone());
        let pause = if turns.is_some() { SHORT_MESSAGE_BYTES_MAX as usize } else { usize::MAX };
        if !self.unpack(unpacking, pause)?
            && let Some(turns) = turns
        {
            unpacking.turn = Some(turn_of(turns));
            return self.poll_unpacked(unpacking, context);
        }
        let mut message = std::mem::take(&mut unpacking.message);
        let length = u32::try_from(message.len() - PREFIX_BYTES);
        let length = length.map_err(|_| status::decompressed_too_large(u32::MAX as usize))?;
        message[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        Poll::Ready(Ok(message.into()))
    }

    /// Decompresses a message until it has more bytes than that; whether it is whole before.
    fn unpack(&mut self, unpacking: &mut Unpacking, pause: usize) -> Result<bool, Status> {
        let bytes_max = self.inner.frames.bytes_max;
        let mut piece = [0; PIECE_BYTES];
        loop {
            let length = unpacking.message.len() - PREFIX_BYTES;
            if length > pause {
                return Ok(false);
            }
            if length > 0 {
                // No task waits for this thread (`giving_way.rs`), but other threads may for its processor.
                std::thread::yield_now();
            }
            let read = unpacking.reader.read(&mut piece).map_err(|error| undecompressible(&error))?;
            if read == 0 {
                return Ok(true);
            }
            if length + read > bytes_max {
                return Err(status::decompressed_too_large(bytes_max));
            }
            if let Some(scan) = &mut self.scan {
                self.inner.frames.parts += scan.parts(&piece[..read]).map_err(refusal)?;
            }
            self.inner.count(read)?;
            unpacking.message.extend_from_slice(&piece[..read]);
        }
    }
}

/// A message is not compressed as its headers say.
fn undecompressible(error: &std::io::Error) -> Status {
    status::malformed(&format!("the request cannot be decompressed: {error}"))
}

impl HttpBody for Decompressing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        loop {
            if let Some(mut unpacking) = this.unpacking.take() {
                let polled = this.poll_unpacked(&mut unpacking, context);
                if polled.is_pending() {
                    this.unpacking = Some(unpacking);
                }
                return polled.map(|message| Some(message.map(Frame::data)));
            }
            match this.advance() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) if this.unpacking.is_some() => continue,
                Ok(None) => {}
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.held.extend_from_slice(&data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                // Within one that is passed on, the codec says so.
                None if matches!(this.within, Within::Compressed(_)) || !this.held.is_empty() => {
                    (this.within, this.held) = (Within::Prefix, BytesMut::new());
                    return Poll::Ready(Some(Err(status::malformed("the request ends within a message"))));
                }
                failed_or_ended => return Poll::Ready(failed_or_ended),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.unpacking.is_none()
            && self.held.is_empty()
            && !matches!(self.within, Within::Compressed(_))
            && self.inner.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
