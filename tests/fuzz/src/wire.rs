//! What reaches a server's ports: frames, compressed or not, messages, tokens and cursors in them, credentials, and bodies in JSON.
//!
//! A server of this process is asked over its sockets, as anybody would ask it. A panic anywhere in it is a failure, though the server catches it and goes
//! on; so is an answer that does not come. Whatever else a request is answered with is right.
//!
//! - `server.rs`: the server, and one call of it;
//! - `requests.rs`: sound requests, which inputs change: of points, and of searches;
//! - `papers.rs`: of documents, prompts and models;
//! - `operator.rs`: of what an operator asks.
//!
//! Deliberately absent: calls that begin an operation where there is nothing to refuse it (ReembedCollection, TakeSnapshot), that fetch a model (PullModel), and
//! that keep what only they take away again (RegisterTemplate): a run is to leave the server as it was. Their messages are a few texts.

mod operator;
mod papers;
mod requests;
mod server;

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use crate::input::{Input, edit};
use requests::{BODIES, CLAIMS, HEADER, Requests};
use server::{PANICS, Server};

/// Changes of one request at most.
const CHANGES_MAX: usize = 6;
/// Pieces that a body is sent in at most.
const PIECES_MAX: usize = 64;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
static REQUESTS: LazyLock<Requests> = LazyLock::new(|| Requests::new(&SERVER));

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answered {
    /// With a code of gRPC.
    Grpc(u32),
    /// With a status of HTTP.
    Http(u16),
    /// Without either: it was no request, and the server hung up, or it could not even be sent.
    HungUp,
}

/// Makes a request as `input` says, and sends it.
///
/// # Panics
/// If anything in the server does, or if no answer comes.
pub fn exercise_wire(input: &[u8]) -> Answered {
    let _named = crate::NamedOnPanic(input);
    let (server, requests) = (&*SERVER, &*REQUESTS);
    let before = PANICS.load(Ordering::SeqCst);
    let mut input = Input(input);
    let answered = match input.byte() % 4 {
        3 => http(server, &mut input),
        _ => grpc(server, requests, &mut input),
    };
    assert_eq!(PANICS.load(Ordering::SeqCst), before, "the server panicked");
    server.tidy();
    answered
}

fn change(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..CHANGES_MAX {
        if input.is_empty() {
            break;
        }
        edit(bytes, input);
    }
}

fn grpc(server: &Server, requests: &Requests, input: &mut Input<'_>) -> Answered {
    let (path, mut message) = requests.pick(input.byte());
    let how = input.byte();
    let credentials = format!("Bearer {}", credentials(server, input));
    let piece_bytes = 1 + usize::from(input.byte()) % 64;
    let compression = [None, Some("gzip"), Some("zstd"), Some("gzip")][usize::from(how % 4)];
    // Under the last of these the message is as it was, which is allowed as well.
    let is_compressed = matches!(how % 4, 1 | 2);
    let damages_frames = how & 4 == 4;
    if !damages_frames {
        change(&mut message, input);
    }
    let mut body = framed(&message, compression.filter(|_| is_compressed));
    if how & 8 == 8 {
        body.extend_from_within(..);
    }
    if damages_frames {
        change(&mut body, input);
    }
    let piece_bytes = match how & 16 == 16 {
        true => piece_bytes.max(body.len() / PIECES_MAX),
        false => body.len(),
    };
    let pieces = body.chunks(piece_bytes.max(1)).map(<[u8]>::to_vec).collect();
    let mut headers = vec![("authorization", credentials.as_str()), ("grpc-timeout", "5S")];
    headers.extend(compression.map(|name| ("grpc-encoding", name)));
    server.call(path, &headers, pieces).map_or(Answered::HungUp, |(code, _)| Answered::Grpc(code))
}

/// A message with its prefix, compressed if it is to be.
fn framed(message: &[u8], compression: Option<&str>) -> Vec<u8> {
    let compressed = match compression {
        Some("gzip") => requests::gzip(message),
        Some(_) => requests::zstd(message),
        None => message.to_vec(),
    };
    let mut body = vec![u8::from(compression.is_some())];
    body.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
    body.extend_from_slice(&compressed);
    body
}

/// The key; now and then a changed one, or a token that is signed as it should be over a changed head or changed claims.
fn credentials(server: &Server, input: &mut Input<'_>) -> String {
    let how = input.byte() % 16;
    match how {
        0 => {
            let mut key = server.key().as_bytes().to_vec();
            edit(&mut key, input);
            let readable = |byte: u8| if byte.is_ascii_graphic() { byte } else { b'!' + byte % 94 };
            key.into_iter().map(|byte| char::from(readable(byte))).collect()
        }
        1..4 => {
            let (mut header, mut claims) = (HEADER.to_vec(), CLAIMS.to_vec());
            match how {
                1 => edit(&mut header, input),
                2 => edit(&mut claims, input),
                _ => {}
            }
            server.token(&header, &claims)
        }
        _ => server.key().to_owned(),
    }
}

fn http(server: &Server, input: &mut Input<'_>) -> Answered {
    let (path, body) = BODIES[usize::from(input.byte()) % BODIES.len()];
    let how = input.byte();
    let (key, mut body) = (credentials(server, input), body.as_bytes().to_vec());
    let damages_head = how.is_multiple_of(4);
    if !damages_head {
        change(&mut body, input);
    }
    let method = if body.is_empty() { "GET" } else { "POST" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         authorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut request = [head.as_bytes(), &body].concat();
    if damages_head {
        change(&mut request, input);
    }
    server.http(&request, damages_head).map_or(Answered::HungUp, Answered::Http)
}
