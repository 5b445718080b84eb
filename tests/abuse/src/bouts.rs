//! What each kind of misbehaviour does.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use ragstone_proto::v1;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::connection::{framed, prefix};
use crate::{Connection, Failure, Target};

/// How long a bout holds on to what it has.
const HOLD: Duration = Duration::from_secs(2);
/// Calls of a bout of slow clients.
const CALLS: usize = 16;
/// Between two bytes of a slow client.
const BYTE: Duration = Duration::from_millis(100);
/// Connections of a silent client, of each kind.
const SILENT: usize = 8;
/// Streams of a bout of many.
const STREAMS: usize = 1_000;
/// What each of these asks at once, if it is one of reflection, which has room for one answer at a time.
const QUESTIONS: usize = 4;
/// Bytes that are asked to be sent beyond these, as many as a window may have.
const WINDOW_BYTES: usize = 1 << 20;
/// Bytes of a large message that is no message.
const GARBAGE_BYTES: usize = 8 << 20;
/// A field that no message has.
const UNKNOWN_FIELD: u32 = 1_000;
/// Points of a message in which each takes two bytes.
const EMPTY_POINTS: usize = 1 << 20;
/// One of them: the tag of `UpsertPointsRequest.points`, and no bytes.
const EMPTY_POINT: [u8; 2] = [0x12, 0x00];
/// Headers of a flood, each of about a hundred bytes.
const FLOOD: usize = 2_000;
/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// SplitMix64, for bytes that follow from a seed.
fn bits(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *state;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        noise.extend_from_slice(&bits(&mut state).to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

pub(crate) async fn slow_writers(target: &Target) -> Result<(), Failure> {
    let connection = Connection::open(target.grpc).await?;
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let path = if number % 2 == 0 { "SearchService/Query" } else { "PointsService/UpsertPoints" };
        let (answer, mut body) = connection.begin(path, &[]).await?;
        body.send_data(prefix(0, 64 << 10), false)?;
        calls.push((answer, body));
    }
    for _ in 0..HOLD.as_millis() / BYTE.as_millis() {
        sleep(BYTE).await;
        for (_, body) in &mut calls {
            body.send_data(Bytes::from_static(&[0]), false)?;
        }
    }
    Ok(())
}

pub(crate) async fn slow_readers(target: &Target) -> Result<(), Failure> {
    let connection = Connection::with_window(target.grpc, 1).await?;
    let vector = v1::Vector { values: vec![1.0; target.dimension] };
    let query = v1::QueryRequest {
        collection: target.collection.clone(),
        k: 1_000,
        query: Some(v1::query_request::Query::Vector(vector)),
        with_vectors: true,
        ..Default::default()
    };
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let (answer, mut body) = connection.begin("SearchService/Query", &[]).await?;
        body.send_data(framed(&query)?, true)?;
        calls.push((answer, body));
    }
    sleep(HOLD).await;
    Ok(())
}

/// Some say nothing at all, some stop within HTTP/2's first words, some within a request to the HTTP port, and some begin a call and then do not
/// even answer pings: a peer that is gone without a word looks the same.
pub(crate) async fn silent(target: &Target) -> Result<(), Failure> {
    let mut sockets = Vec::new();
    for said in [&b""[..], &PREFACE[..9], PREFACE] {
        for _ in 0..SILENT {
            sockets.push(say(target.grpc, said).await?);
        }
    }
    if let Some(http) = target.http {
        for said in [&b""[..], b"POST /v1/embeddings HTTP/1.1\r\nhost: local"] {
            for _ in 0..SILENT {
                sockets.push(say(http, said).await?);
            }
        }
    }
    let mut calls = Vec::new();
    for _ in 0..SILENT {
        let socket = TcpStream::connect(target.grpc).await?;
        let (sender, mut connection) = h2::client::handshake(socket).await?;
        let request = http::Request::post(format!("http://{}/ragstone.v1.SearchService/Query", target.grpc))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let mut sender = tokio::select! {
            sender = sender.ready() => sender?,
            ended = &mut connection => return Ok(ended?),
        };
        let (answer, mut body) = sender.send_request(request, false)?;
        body.send_data(prefix(0, 1_000), false)?;
        // Driven until it has been sent, and never again.
        let _ = timeout(Duration::from_millis(20), &mut connection).await;
        calls.push((answer, body, sender, connection));
    }
    sleep(HOLD).await;
    Ok(())
}

async fn say(address: SocketAddr, said: &[u8]) -> Result<TcpStream, Failure> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(said).await?;
    Ok(socket)
}

pub(crate) async fn huge_messages(target: &Target, seed: u64) -> Result<(), Failure> {
    let connection = Connection::open(target.grpc).await?;
    // Longer than any message may be, by its own word.
    let (answer, mut body) = connection.begin("PointsService/UpsertPoints", &[]).await?;
    body.send_data(prefix(0, u32::MAX), false)?;
    answer.await?;
    // Long enough to be read, and no message, from the beginning. The server need not take all of it.
    let garbage = noise(seed, GARBAGE_BYTES);
    let _ = send_all(&connection, "PointsService/UpsertPoints", &garbage).await;
    // One that is found out with its last byte, which begins a field of a type that there is not.
    let mut late = Vec::with_capacity(garbage.len() + 16);
    encode_key(UNKNOWN_FIELD, WireType::LengthDelimited, &mut late);
    encode_varint(garbage.len() as u64, &mut late);
    late.extend_from_slice(&garbage);
    late.push(0x0f);
    let _ = send_all(&connection, "PointsService/UpsertPoints", &late).await;
    // Two bytes for each point on the wire, and much more once they are read.
    let collection = target.collection.clone();
    let mut empty = v1::UpsertPointsRequest { collection, ..Default::default() }.encode_to_vec();
    empty.extend_from_slice(&EMPTY_POINT.repeat(EMPTY_POINTS));
    let _ = send_all(&connection, "PointsService/UpsertPoints", &empty).await;
    // The same, of which a few hundred bytes come.
    let compressed = zstd::stream::encode_all(&empty[..], 1)?;
    let zstd = [("grpc-encoding", "zstd")];
    let (answer, mut body) = connection.begin("PointsService/UpsertPoints", &zstd).await?;
    body.send_data(prefix(1, u32::try_from(compressed.len())?), false)?;
    body.send_data(compressed.into(), true)?;
    answer.await?;
    Ok(())
}

/// A call with one message of these bytes, as fast as the windows let it; returns when there is an answer.
async fn send_all(connection: &Connection, path: &str, message: &[u8]) -> Result<(), Failure> {
    let (answer, mut body) = connection.begin(path, &[]).await?;
    body.send_data(prefix(0, u32::try_from(message.len())?), false)?;
    let mut rest = Bytes::copy_from_slice(message);
    while !rest.is_empty() {
        body.reserve_capacity(rest.len());
        let free = std::future::poll_fn(|context| body.poll_capacity(context)).await;
        let free = free.ok_or("the stream has ended")??;
        let piece = rest.split_to(free.min(rest.len()));
        body.send_data(piece, rest.is_empty())?;
    }
    answer.await?;
    Ok(())
}

/// Calls that are begun by the thousand on one connection, and reset; the rapid kind that HTTP/2 servers have fallen over.
pub(crate) async fn many_streams(target: &Target) -> Result<(), Failure> {
    let connection = Connection::open(target.grpc).await?;
    let mut calls = Vec::new();
    for number in 0..STREAMS {
        let begun = connection.begin("PointsService/IngestPoints", &[]);
        // Beyond what a connection may have at a time, the next one waits.
        let Ok(begun) = timeout(BYTE, begun).await else { break };
        let (answer, mut body) = begun?;
        if number % 2 == 0 {
            body.send_reset(h2::Reason::CANCEL);
        } else {
            calls.push((answer, body));
        }
    }
    sleep(HOLD / 2).await;
    Ok(())
}

/// Calls of reflection on a connection whose windows are shut: what is made for them is taken by nobody. Some go on asking, until the server's windows are full.
pub(crate) async fn reflections(target: &Target) -> Result<(), Failure> {
    let connection = Connection::with_window(target.grpc, 0).await?;
    let mut message = Vec::new();
    // `ServerReflectionRequest.file_containing_symbol`.
    prost::encoding::string::encode(4, &"ragstone.v1.CollectionsService".to_owned(), &mut message);
    let question = [&prefix(0, u32::try_from(message.len())?)[..], &message].concat();
    let mut calls = Vec::new();
    for _ in 0..STREAMS {
        let begun = connection.begin("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[]);
        let Ok(begun) = timeout(BYTE, begun).await else { break };
        let (answer, mut body) = begun?;
        body.send_data(question.repeat(QUESTIONS).into(), false)?;
        calls.push((answer, body));
    }
    for (_, body) in &mut calls {
        body.reserve_capacity(WINDOW_BYTES);
        let free = timeout(BYTE / 10, std::future::poll_fn(|context| body.poll_capacity(context))).await;
        // Refused, or there is no room any more.
        let Ok(Some(Ok(free))) = free else { continue };
        let _ = body.send_data(question.repeat(free / question.len()).into(), false);
    }
    sleep(HOLD).await;
    Ok(())
}

pub(crate) async fn header_floods(target: &Target) -> Result<(), Failure> {
    let names: Vec<String> = (0..FLOOD).map(|number| format!("x-flood-{number}")).collect();
    let value = "x".repeat(80);
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    let connection = Connection::open(target.grpc).await?;
    let (answer, _body) = connection.begin("SearchService/Query", &headers).await?;
    // Refused, in whatever way.
    let _ = timeout(HOLD, answer).await;
    if let Some(http) = target.http {
        let mut flood = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n".to_vec();
        for name in &names {
            flood.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let mut socket = TcpStream::connect(http).await?;
        let _ = timeout(HOLD, socket.write_all(&flood)).await;
    }
    endless_headers(target.grpc).await
}

/// A header block in frames none of which is the last.
async fn endless_headers(address: SocketAddr) -> Result<(), Failure> {
    let mut socket = say(address, PREFACE).await?;
    socket.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    socket.write_all(&frame(HEADERS, 0, 1, &[0x82])).await?;
    // A field that is not indexed, of two bytes each: as small as many headers can be.
    let block = [0x00, 0x01, b'a', 0x01, b'b'].repeat(3_000);
    for _ in 0..200 {
        socket.write_all(&frame(CONTINUATION, 0, 1, &block)).await?;
    }
    Ok(())
}

const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const CONTINUATION: u8 = 0x9;

/// A frame of HTTP/2; of at most 16 KiB.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

pub(crate) async fn random_bytes(target: &Target, seed: u64) -> Result<(), Failure> {
    let begun = [
        Vec::new(),
        PREFACE.to_vec(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, 0x4, 1, &noise(seed, 60))].concat(),
    ];
    let ports = [Some(target.grpc), target.http];
    for (number, begun) in begun.iter().enumerate() {
        for port in ports.into_iter().flatten() {
            let said = [begun.as_slice(), &noise(seed.wrapping_add(number as u64), 16 << 10)].concat();
            // It may hang up within.
            let _ = say(port, &said).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_its_length_kind_and_stream() {
        assert_eq!(frame(CONTINUATION, 4, 258, &[7; 3]), [0, 0, 3, 9, 4, 0, 0, 1, 2, 7, 7, 7]);
    }

    #[test]
    fn noise_follows_from_its_seed() {
        assert_eq!(noise(1, 13), noise(1, 13));
        assert_ne!(noise(1, 13), noise(2, 13));
        assert_eq!(noise(1, 13).len(), 13);
    }
}
