//! Messages to bytes, with room for a whole message before its first byte. Bytes to messages is prost's.
//!
//! **Problem.** tonic begins a call with a buffer of 8 KiB. prost knows how long a message becomes, but only asks whether that many bytes could be
//! written, and then writes value by value: the buffer doubles again and again, what is there is copied each time to memory that nobody touched
//! before, and up to half of it remains empty. Of calls with long answers that was two fifths of the time in a profile.
//! **Idea.** As many bytes are reserved as the message has. A short one finds them in the buffer that is there, of tonic's size, in which tonic also
//! gathers those of a stream until there is enough to send; nothing of that changes, and no message is measured more often than prost measures it.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// The codec of every generated client and server, which `build.rs` names: `T` is written, `U` is read.
#[derive(Debug, Default)]
pub(crate) struct ReservingCodec<T, U>(PhantomData<(T, U)>);

/// Writes messages, each into room that was made for all of it.
#[derive(Debug)]
pub(crate) struct ReservingEncoder<T>(PhantomData<T>);

impl<T, U> Codec for ReservingCodec<T, U>
where
    T: Message + 'static,
    U: Message + Default + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ReservingEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> ReservingEncoder<T> {
        ReservingEncoder(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstDecoder::default()
    }
}

impl<T: Message> Encoder for ReservingEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.reserve(message.encoded_len());
        // Not `encode`: it walks the whole message for its length once more, to see whether there is room, and then does just this.
        message.encode_raw(into);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use tonic::Streaming;
    use tonic::codec::EncodeBody;
    use tonic::codegen::tokio_stream::{self, Stream as _};
    use tonic::codegen::{Body, Bytes};

    use super::*;
    use crate::v1;

    /// What stands before each message: whether it is compressed, and its length.
    const HEADER_BYTES: usize = 5;
    /// The buffer that tonic begins a call with.
    const FIRST_BUFFER_BYTES: usize = 8 << 10;

    type Page = v1::ScrollPointsResponse;

    /// A page of so many points, of about 1 KiB each.
    fn page(points: u64) -> Page {
        let text = |text: &str| v1::Value { kind: Some(v1::value::Kind::StringValue(text.into())) };
        let point = |number| v1::Point {
            id: Some(v1::PointId { id: Some(v1::point_id::Id::Number(number)) }),
            vector: Some(v1::Vector { values: vec![0.5; 256] }),
            payload: BTreeMap::from([("lang".into(), text("en")), ("title".into(), text("A title"))]),
            ..Default::default()
        };
        Page { points: (0..points).map(point).collect(), ..Default::default() }
    }

    fn codec() -> ReservingCodec<Page, Page> {
        ReservingCodec::default()
    }

    /// What tonic sends of these messages, which are there one after the other without waiting.
    fn sent(pages: Vec<Page>) -> impl Body<Data = Bytes, Error = Status> + Send + 'static {
        let pages = tokio_stream::iter(pages.into_iter().map(Ok::<Page, Status>));
        EncodeBody::new_client(codec().encoder(), pages, None, None)
    }

    /// That, in the pieces that tonic sends it in. Nobody else has any of them.
    fn frames(pages: Vec<Page>) -> Vec<Bytes> {
        let mut body = pin!(sent(pages));
        let mut context = Context::from_waker(Waker::noop());
        let mut frames = Vec::new();
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        frames
    }

    /// How long the buffer is that the bytes stand in.
    fn buffer_bytes(frame: Bytes) -> usize {
        frame.try_into_mut().unwrap().capacity()
    }

    #[test]
    fn a_long_message_has_room_for_its_bytes_and_no_more() {
        let page = page(64);
        let [frame] = <[Bytes; 1]>::try_from(frames(vec![page.clone()])).unwrap();
        assert!(frame[HEADER_BYTES..] == *page.encode_to_vec(), "other bytes than those that prost writes");
        let bytes = frame.len();
        assert_eq!(buffer_bytes(frame), bytes);
    }

    #[test]
    fn a_long_message_behind_others_of_a_stream_has_room_for_its_bytes_and_theirs() {
        let [first, second] = <[Bytes; 2]>::try_from(frames(vec![page(64), page(1), page(64)])).unwrap();
        let bytes = [first.len(), second.len()];
        assert_eq!([first, second].map(buffer_bytes), bytes);
    }

    #[test]
    fn short_messages_share_the_buffer_that_is_there() {
        let [frame] = <[Bytes; 1]>::try_from(frames(vec![page(1); 3])).unwrap();
        assert_eq!(frame.len(), 3 * (HEADER_BYTES + page(1).encoded_len()));
        assert_eq!(buffer_bytes(frame), FIRST_BUFFER_BYTES);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let pages: Vec<Page> = [0, 1, 64, 1, 40, 0].map(page).into();
        let mut reading = Streaming::new_request(codec().decoder(), sent(pages.clone()), None, None);
        let mut context = Context::from_waker(Waker::noop());
        let mut read = Vec::new();
        while let Poll::Ready(Some(page)) = Pin::new(&mut reading).poll_next(&mut context) {
            read.push(page.unwrap());
        }
        assert!(read == pages, "{} messages of {} were read, or others", read.len(), pages.len());
    }
}
