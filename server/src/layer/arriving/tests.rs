//! Bodies that a test fills, on a clock that only waiting moves.

use std::future::poll_fn;

use tokio::sync::mpsc;
use tonic::Code;

use super::*;
use crate::config::ServerConfig;
use crate::elements::Shapes;
use crate::limits::SHORT_MESSAGE_BYTES_MAX;
use crate::work::Work;

fn message(bytes: usize) -> Vec<u8> {
    [&[0u8][..], &u32::try_from(bytes).unwrap().to_be_bytes(), &vec![7; bytes]].concat()
}

#[test]
fn lengths_are_seen_through_any_cut_of_the_frames() {
    let messages = [message(3), message(0), message(1_000)].concat();
    for cut in 0..messages.len() {
        for (bytes_max, fits) in [(1_000, true), (999, false)] {
            let mut frames = Frames::new(bytes_max);
            let (first, second) = messages.split_at(cut);
            let outcome = frames.pass(first).and_then(|()| frames.pass(second));
            assert_eq!(outcome.is_ok(), fits, "cut at {cut}");
            assert_eq!(frames.are_between_messages(), fits, "cut at {cut}");
        }
    }
}

#[test]
fn between_messages_is_neither_before_the_first_nor_within_one() {
    let message = message(20);
    for cut in 0..=message.len() {
        let mut frames = Frames::new(20);
        frames.pass(&message[..cut]).unwrap();
        assert_eq!(frames.are_between_messages(), cut == message.len(), "cut at {cut}");
    }
}

/// A body that a test fills.
struct Filled(mpsc::UnboundedReceiver<Bytes>);

impl HttpBody for Filled {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.poll_recv(context).map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}

fn body(pace: Pace) -> (mpsc::UnboundedSender<Bytes>, Arriving) {
    let (fill, filled) = mpsc::unbounded_channel();
    (fill, Arriving::new(Body::new(Filled(filled)), 1_000, pace))
}

/// The code that a body fails with, and after how many seconds; it must not yield anything before.
async fn fails(body: &mut Arriving) -> (Code, u64) {
    let began = Instant::now();
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
    (frame.expect("it does not end").expect_err("it fails").code(), began.elapsed().as_secs())
}

async fn passes(body: &mut Arriving) {
    poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_comes_before_too_long_a_message_is_passed_on() {
    let (fill, mut body) = body(Pace::Stream(Acknowledgements::default()));
    fill.send([message(3), message(7), message(2_000)].concat().into()).unwrap();
    let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap();
    assert_eq!(*frame.data_ref().unwrap(), [message(3), message(7)].concat());
    let refused = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap();
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
}

/// They were read and thrown away, and each was counted as this call's: one call had all the memory of messages, for as long as a byte came now and then.
#[tokio::test]
async fn further_messages_of_a_call_that_takes_one_are_refused() {
    let (fill, mut together) = body(Pace::Message);
    fill.send([message(3), message(7)].concat().into()).unwrap();
    let frame = poll_fn(|context| Pin::new(&mut together).poll_frame(context)).await.unwrap().unwrap();
    assert_eq!(*frame.data_ref().unwrap(), message(3));
    assert_eq!(fails(&mut together).await.0, Code::InvalidArgument);
    for first in [message(0), message(3)] {
        let (fill, mut apart) = body(Pace::Message);
        fill.send(first.into()).unwrap();
        passes(&mut apart).await;
        fill.send(Bytes::from_static(&[0])).unwrap();
        assert_eq!(fails(&mut apart).await.0, Code::InvalidArgument);
    }
}

/// A message that could be none was gathered to its end, and read.
#[tokio::test]
async fn what_comes_before_no_message_is_passed_on_and_its_end_is_not_waited_for() {
    let shapes = Arc::new(Shapes::of(&[ragstone_proto::v1::FILE_DESCRIPTOR_SET]).unwrap());
    let scan = shapes.of_request("/ragstone.v1.PointsService/IngestPoints");
    let (fill, body) = body(Pace::Stream(Acknowledgements::default()));
    let mut body = body.counted(None, scan);
    // A message without fields, and one of 900 bytes of which the first two come: a field of no wire type.
    let broken = [&[0_u8][..], &900_u32.to_be_bytes(), &[0x0f, 0x00]].concat();
    fill.send([message(0), broken].concat().into()).unwrap();
    let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap();
    assert_eq!(*frame.data_ref().unwrap(), message(0));
    let refused = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
}

/// Many that were read at a time left others none of the processors.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_long_message_waits_for_its_turn_and_is_told_of_first() {
    const LONG: usize = SHORT_MESSAGE_BYTES_MAX as usize + 1;
    const SOON: Duration = Duration::from_millis(10);
    let work = Work::new(&ServerConfig { large_requests_max: 1, ..ServerConfig::default() });
    let (turns, told) = (work.large_messages(), Acknowledgements::default());
    let begin = |bytes| {
        let (fill, filled) = mpsc::unbounded_channel();
        fill.send(Bytes::from(message(bytes))).unwrap();
        let body = Arriving::new(Body::new(Filled(filled)), LONG, Pace::Message);
        body.taking_turns(turns.clone(), told.clone())
    };
    let others = turns.take().await.unwrap();
    passes(&mut begin(LONG - 1)).await;
    let mut long = begin(LONG);
    assert!(tokio::time::timeout(SOON, passes(&mut long)).await.is_err() && !told.takes_long());
    drop(others);
    let is_held = poll_fn(|context| Poll::Ready(Pin::new(&mut long).poll_frame(context).is_pending())).await;
    assert!(is_held && told.takes_long(), "who polls it is to know before it comes");
    passes(&mut long).await;
    assert!(tokio::time::timeout(SOON, turns.take()).await.is_err(), "it is being read");
    told.was_read();
    assert!(!told.takes_long() && turns.take().await.is_ok());
}

/// With the beginning of a message in its last frame that is refused, it was read without a turn, where other tasks waited for the thread.
#[tokio::test(start_paused = true)]
async fn a_long_message_waits_for_its_turn_whatever_comes_behind_it() {
    const LONG: usize = SHORT_MESSAGE_BYTES_MAX as usize + 1;
    let work = Work::new(&ServerConfig { large_requests_max: 1, ..ServerConfig::default() });
    let (turns, told) = (work.large_messages(), Acknowledgements::default());
    let others = turns.take().await.unwrap();
    let (fill, filled) = mpsc::unbounded_channel();
    fill.send(Bytes::from([message(LONG), message(LONG + 1)].concat())).unwrap();
    let body = Arriving::new(Body::new(Filled(filled)), LONG, Pace::Stream(told.clone()));
    let mut body = body.taking_turns(turns.clone(), told.clone());
    assert!(tokio::time::timeout(Duration::from_millis(10), passes(&mut body)).await.is_err());
    drop(others);
    let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap();
    assert_eq!(frame.data_ref().unwrap().len(), message(LONG).len());
    assert!(told.takes_long());
    assert_eq!(fails(&mut body).await.0, Code::ResourceExhausted);
}

/// All that had come was looked through and copied in one go, and other tasks of the thread waited.
#[tokio::test]
async fn others_are_looked_at_between_the_pieces_of_much_that_has_come() {
    const PIECE: usize = 16 << 10;
    const PIECES: usize = 64;
    let (fill, filled) = mpsc::unbounded_channel();
    let whole = Bytes::from(message(PIECES * PIECE - 5));
    for piece in 0..PIECES {
        fill.send(whole.slice(piece * PIECE..(piece + 1) * PIECE)).unwrap();
    }
    drop(fill);
    let mut body = Arriving::new(Body::new(Filled(filled)), PIECES * PIECE, Pace::Message);
    let (mut pieces, mut pauses) = (0, 0);
    loop {
        match poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context))).await {
            Poll::Pending => pauses += 1,
            Poll::Ready(Some(frame)) => pieces += frame.map(|_| 1).unwrap(),
            Poll::Ready(None) => break,
        }
    }
    assert_eq!((pieces, pauses), (PIECES, PIECES / 4));
}

const STALLED: (Code, u64) = (Code::DeadlineExceeded, BODY_IDLE_SECONDS_MAX);
const RESTED: (Code, u64) = (Code::DeadlineExceeded, STREAM_IDLE_SECONDS_MAX);

#[tokio::test(start_paused = true)]
async fn a_message_must_keep_coming_also_on_a_stream() {
    for pace in [Pace::Message, Pace::Stream(Acknowledgements::default())] {
        let (_fill, mut nothing) = body(pace.clone());
        assert_eq!(fails(&mut nothing).await, STALLED, "{pace:?}");
        let (fill, mut begun) = body(pace.clone());
        fill.send(message(20)[..9].to_vec().into()).unwrap();
        passes(&mut begun).await;
        assert_eq!(fails(&mut begun).await, STALLED, "{pace:?}");
    }
}

/// Byte by byte a place could be held for as long as a request may take.
#[tokio::test(start_paused = true)]
async fn a_message_must_not_come_byte_by_byte() {
    for pace in [Pace::Message, Pace::Stream(Acknowledgements::default())] {
        let (fill, mut body) = body(pace.clone());
        let (began, message) = (Instant::now(), message(1_000));
        let mut bytes = message.iter();
        let failed = loop {
            fill.send(Bytes::copy_from_slice(&[*bytes.next().unwrap()])).unwrap();
            passes(&mut body).await;
            let more = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            if let Ok(frame) = tokio::time::timeout(Duration::from_secs(3), more).await {
                break frame.unwrap().unwrap_err();
            }
        };
        assert_eq!((failed.code(), began.elapsed().as_secs()), (STALLED.0, STALLED.1), "{pace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_network_is_none_that_stalls() {
    const MESSAGE: usize = 20 << 20;
    let (fill, filled) = mpsc::unbounded_channel();
    let mut body = Arriving::new(Body::new(Filled(filled)), MESSAGE, Pace::Message);
    let message = Bytes::from(message(MESSAGE));
    let began = Instant::now();
    // A second's worth in each second, of which nothing comes for ten at a time.
    for second in message.chunks(10 * BODY_BYTES_PER_SECOND_MIN as usize) {
        let more = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        assert!(tokio::time::timeout(Duration::from_secs(10), more).await.is_err(), "{:?}", began.elapsed());
        fill.send(Bytes::copy_from_slice(second)).unwrap();
        passes(&mut body).await;
    }
    assert!(began.elapsed() > 5 * BODY_IDLE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_rest_between_messages_and_longer_while_it_is_owed_something() {
    let owed = Acknowledgements::default();
    let (fill, mut body) = body(Pace::Stream(owed.clone()));
    fill.send(message(20).into()).unwrap();
    passes(&mut body).await;
    let acknowledgement = owed.owe();
    let patient = Duration::from_secs(5 * STREAM_IDLE_SECONDS_MAX);
    assert!(tokio::time::timeout(patient, fails(&mut body)).await.is_err(), "it is owed something");
    fill.send(message(0).into()).unwrap();
    passes(&mut body).await;
    drop(acknowledgement);
    assert_eq!(fails(&mut body).await, RESTED);
}

#[tokio::test(start_paused = true)]
async fn only_waiting_counts() {
    let (fill, mut body) = body(Pace::Stream(Acknowledgements::default()));
    fill.send(message(20).into()).unwrap();
    passes(&mut body).await;
    // The handler stores what came, for an hour, and asks for nothing: neither can the caller send anything.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(fails(&mut body).await, RESTED, "counted from when more was asked for");
}
