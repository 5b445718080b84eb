//! Compressed messages among others, in pieces, that are too much, none, or long.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use ragstone_proto::v1;
use tonic::Code;
use tonic::body::Body;

use super::super::{Acknowledgements, Pace};
use super::*;
use crate::config::ServerConfig;
use crate::elements::Shapes;
use crate::limits::BATCH_OPS_MAX;
use crate::work::Work;

const BYTES_MAX: usize = 4 << 20;

/// A body that comes in these pieces.
struct Pieces(VecDeque<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

fn compress(compression: Compression, message: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(message).unwrap();
            writer.finish().unwrap()
        }
        Compression::Zstd => zstd::stream::encode_all(message, 3).unwrap(),
    }
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn arriving(pieces: &[&[u8]], scan: Option<Scan>) -> Arriving {
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
    let pace = Pace::Stream(Acknowledgements::default());
    Arriving::new(Body::new(Pieces(pieces)), BYTES_MAX, pace).counted(None, scan)
}

async fn next(body: &mut Decompressing) -> Option<Result<Bytes, Status>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

/// All that it becomes, or what it is refused with.
async fn all(mut body: Decompressing) -> Result<Vec<u8>, Status> {
    let mut all = Vec::new();
    while let Some(data) = next(&mut body).await {
        all.extend_from_slice(&data?);
    }
    Ok(all)
}

#[tokio::test]
async fn messages_come_out_as_if_they_had_not_been_compressed_whatever_they_are_cut_into() {
    let texts: [&[u8]; 5] = [b"first", &[7; 3_000], b"", b"not compressed", b"last"];
    let plain: Vec<u8> = texts.iter().flat_map(|text| framed(0, text)).collect();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let sent = texts.iter().enumerate().flat_map(|(place, text)| match place {
            3 => framed(0, text),
            _ => framed(1, &compress(compression, text)),
        });
        let sent: Vec<u8> = sent.collect();
        for cut in 0..=sent.len() {
            let (first, second) = sent.split_at(cut);
            let body = Decompressing::new(arriving(&[first, second], None), compression);
            assert_eq!(all(body).await.unwrap(), plain, "{compression:?}, cut at {cut}");
        }
        let bytes: Vec<&[u8]> = sent.chunks(1).collect();
        let body = Decompressing::new(arriving(&bytes, None), compression);
        assert_eq!(all(body).await.unwrap(), plain, "{compression:?}");
    }
}

/// A few hundred bytes were a hundred thousand points before anybody had counted them.
#[tokio::test]
async fn what_it_becomes_is_looked_through_and_bounded() {
    let shapes = Arc::new(Shapes::of(&[v1::FILE_DESCRIPTOR_SET]).unwrap());
    let scan = || shapes.of_request("/ragstone.v1.PointsService/UpsertPoints");
    let points = |count: usize| [0x12, 0x00].repeat(count);
    let text = v1::UpsertPointsRequest { collection: "x".repeat(2 * BYTES_MAX), ..Default::default() };
    type Refused = Option<(Code, &'static str)>;
    let cases: [(Vec<u8>, Refused); 4] = [
        (points(BATCH_OPS_MAX), None),
        (points(BATCH_OPS_MAX + 1), Some((Code::InvalidArgument, "BATCH_OPS_MAX"))),
        (vec![0x0f, 0x00], Some((Code::InvalidArgument, "no message of its type"))),
        // The first bytes say so, but not how long the whole will be.
        (text.encode_to_vec(), Some((Code::ResourceExhausted, "REQUEST_BYTES_MAX"))),
    ];
    for compression in [Compression::Gzip, Compression::Zstd] {
        for (message, refused) in &cases {
            let sent = framed(1, &compress(compression, message));
            let outcome = all(Decompressing::new(arriving(&[&sent], scan()), compression)).await;
            match (outcome, refused) {
                (Ok(_), None) => {}
                (Err(status), Some((code, says))) if status.code() == *code => {
                    assert!(status.message().contains(says), "{compression:?}: {status:?}");
                }
                (outcome, refused) => {
                    panic!("{compression:?}: {:?}, {refused:?}", outcome.map(|all| all.len()))
                }
            }
        }
        let bomb = framed(1, &compress(compression, &vec![7; BYTES_MAX + 1]));
        let refused = all(Decompressing::new(arriving(&[&bomb], None), compression)).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        let whole = framed(1, &compress(compression, &vec![7; BYTES_MAX]));
        let passed = all(Decompressing::new(arriving(&[&whole], None), compression)).await.unwrap();
        assert_eq!(passed.len(), PREFIX_BYTES + BYTES_MAX);
    }
}

/// Sixteen bytes had 128 MiB asked of the system, and that for each place.
#[tokio::test]
async fn a_window_of_zstd_is_bounded() {
    let text = b"short";
    // A frame (RFC 8878) that says nothing of its length: magic, descriptor, window, and one raw block, which is its last.
    let frame = |window_log: u8| {
        let head = [0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
        let block = ((u32::try_from(text.len()).unwrap() << 3) | 1).to_le_bytes();
        framed(1, &[&head[..], &block[..3], text].concat())
    };
    for (window_log, is_taken) in [(10, true), (23, true), (24, false), (27, false), (31, false)] {
        let sent = frame(window_log);
        let outcome = all(Decompressing::new(arriving(&[&sent], None), Compression::Zstd)).await;
        match is_taken {
            true => assert_eq!(outcome.unwrap(), framed(0, text), "{window_log}"),
            false => assert_eq!(outcome.unwrap_err().code(), Code::InvalidArgument, "{window_log}"),
        }
    }
}

#[tokio::test]
async fn what_is_damaged_or_cut_short_is_no_message() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = compress(compression, b"a message");
        let cut = framed(1, &whole[..whole.len() - 1]);
        let (noise, unfinished) = (framed(1, b"neither of these"), framed(1, &whole));
        for sent in [&cut[..], &noise[..], &unfinished[..8], &[1, 0][..]] {
            let refused = all(Decompressing::new(arriving(&[sent], None), compression)).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{compression:?}, {sent:?}: {refused:?}");
        }
    }
}

/// It is short as it comes, so nobody waited with it.
#[tokio::test(start_paused = true)]
async fn what_becomes_long_waits_for_its_turn_and_what_stays_short_does_not() {
    const SOON: Duration = Duration::from_millis(10);
    const SHORT: usize = SHORT_MESSAGE_BYTES_MAX as usize;
    let work = Work::new(&ServerConfig { large_requests_max: 1, ..ServerConfig::default() });
    let (turns, told) = (work.large_messages(), Acknowledgements::default());
    let begin = |bytes: usize| {
        let sent = framed(1, &compress(Compression::Zstd, &vec![7; bytes]));
        let body = arriving(&[&sent], None).taking_turns(turns.clone(), told.clone());
        Decompressing::new(body, Compression::Zstd)
    };
    let others = turns.take().await.unwrap();
    let short = next(&mut begin(SHORT)).await.unwrap().unwrap();
    assert_eq!(short.len(), PREFIX_BYTES + SHORT);
    let mut long = begin(2 * SHORT);
    assert!(tokio::time::timeout(SOON, next(&mut long)).await.is_err() && !told.takes_long());
    drop(others);
    let is_held = poll_fn(|context| Poll::Ready(Pin::new(&mut long).poll_frame(context).is_pending())).await;
    assert!(is_held && told.takes_long(), "who polls it is to know before it comes");
    assert_eq!(next(&mut long).await.unwrap().unwrap().len(), PREFIX_BYTES + 2 * SHORT);
    assert!(tokio::time::timeout(SOON, turns.take()).await.is_err(), "it is being read");
    told.was_read();
    assert!(turns.take().await.is_ok());
}
