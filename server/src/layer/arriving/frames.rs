//! Where in its messages a body is.

use tonic::Status;

use crate::elements::{Refused, Scan};
use crate::limits::SHORT_MESSAGE_BYTES_MAX;
use crate::status;

/// What is wrong with a call of one message that has more.
const ONE_TOO_MANY: &str = "the call takes one message, and behind it another one begins";

/// Where in its messages a body is. A message begins with a prefix: a flag and its length in four bytes, big-endian.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) bytes_max: usize,
    /// Whether there is to be one message alone.
    pub(super) is_of_one: bool,
    prefix: [u8; 5],
    prefix_bytes: usize,
    /// Bytes of the message that are still to come.
    rest: u64,
    has_begun: bool,
    /// Looks through messages that are not compressed, and the parts that it found since they were asked for.
    pub(super) scan: Option<Scan>,
    pub(super) parts: usize,
    /// Whether the message is longer than [`SHORT_MESSAGE_BYTES_MAX`], and whether such a one has ended since that was asked for.
    is_long: bool,
    pub(super) long_ended: bool,
}

impl Frames {
    pub(super) fn new(bytes_max: usize) -> Frames {
        Frames {
            bytes_max,
            is_of_one: false,
            prefix: [0; 5],
            prefix_bytes: 0,
            rest: 0,
            has_begun: false,
            scan: None,
            parts: 0,
            is_long: false,
            long_ended: false,
        }
    }

    /// Whether a message has ended, and no other has begun.
    pub(super) fn are_between_messages(&self) -> bool {
        self.has_begun && self.rest == 0 && self.prefix_bytes == 0
    }

    /// Follows some bytes of the body.
    ///
    /// # Errors
    /// A message longer than may be, or none, or one too many; and how many of the bytes come before it.
    pub(super) fn pass(&mut self, mut data: &[u8]) -> Result<(), (usize, Status)> {
        let (bytes, mut before) = (data.len(), 0);
        while !data.is_empty() {
            if self.rest > 0 {
                let passed = usize::try_from(self.rest).unwrap_or(usize::MAX).min(data.len());
                self.rest -= passed as u64;
                if let [0, ..] = self.prefix
                    && let Some(scan) = &mut self.scan
                {
                    self.parts += scan.parts(&data[..passed]).map_err(|why| (before, refusal(why)))?;
                }
                self.long_ended |= self.is_long && self.rest == 0;
                data = &data[passed..];
                continue;
            }
            if self.prefix_bytes == 0 {
                before = bytes - data.len();
                if self.is_of_one && self.has_begun {
                    return Err((before, status::malformed(ONE_TOO_MANY)));
                }
            }
            self.has_begun = true;
            let wanted = &mut self.prefix[self.prefix_bytes..];
            let taken = wanted.len().min(data.len());
            wanted[..taken].copy_from_slice(&data[..taken]);
            data = &data[taken..];
            self.prefix_bytes += taken;
            if self.prefix_bytes == self.prefix.len() {
                let [_, length @ ..] = self.prefix;
                let length = u64::from(u32::from_be_bytes(length));
                if length > self.bytes_max as u64 {
                    return Err((before, status::request_too_large(self.bytes_max, length)));
                }
                (self.prefix_bytes, self.rest) = (0, length);
                self.is_long = length > SHORT_MESSAGE_BYTES_MAX;
                if let Some(scan) = &mut self.scan {
                    scan.begin(length);
                }
            }
        }
        Ok(())
    }
}

/// What the caller is told of a message that is not read to its end.
pub(super) fn refusal(why: Refused) -> Status {
    match why {
        Refused::Malformed { what, at } => {
            status::malformed(&format!("the request is no message of its type: before its byte {at}, {what}"))
        }
        Refused::TooMany { field, limit: (limit, max), items } => {
            status::beyond_limit(&field, limit, max as u64, items as u64)
        }
    }
}
