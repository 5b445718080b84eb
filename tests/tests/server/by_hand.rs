//! gRPC over plain HTTP/2, for what a client library would hide: bodies that stop, windows that stay shut, headers as they are.

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use prost::Message;
use tonic::Status;

use crate::fixture::Server;

/// A call under way.
pub(crate) struct ByHand {
    pub(crate) response: ResponseFuture,
    pub(crate) body: SendStream<Bytes>,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl ByHand {
    /// Begins a call (`SearchService/Query`, or with its package) with some headers beside those of every call.
    pub(crate) async fn begin(server: &Server, path: &str, headers: &[(&str, &str)]) -> ByHand {
        let socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (sender, connection) = h2::client::handshake(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let package = if path.contains('.') { "" } else { "ragstone.v1." };
        let mut request = http::Request::post(format!("{}/{package}{path}", server.url()))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, body) =
            sender.ready().await.unwrap().send_request(request.body(()).unwrap(), false).unwrap();
        ByHand { response, body, connection }
    }

    /// Sends a message, the last one or not.
    pub(crate) fn send(&mut self, message: &impl Message, is_last: bool) {
        self.send_bytes(0, &message.encode_to_vec(), is_last);
    }

    /// Sends the bytes of a message under a flag: 1 if they are compressed.
    pub(crate) fn send_bytes(&mut self, flag: u8, message: &[u8], is_last: bool) {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let frame = [&[flag][..], &length, message].concat();
        self.body.send_data(frame.into(), is_last).unwrap();
    }

    /// The headers of the answer, and its body.
    pub(crate) async fn answer(self) -> (http::HeaderMap, Body) {
        let (head, stream) = self.response.await.unwrap().into_parts();
        (head.headers, Body { stream, read: Vec::new(), _sender: self.body, connection: self.connection })
    }

    /// The error that comes in the headers.
    pub(crate) async fn refused(self) -> Status {
        let (headers, _body) = self.answer().await;
        Status::from_header_map(&headers).expect("an error comes in the headers")
    }
}

/// The body of an answer.
pub(crate) struct Body {
    stream: RecvStream,
    read: Vec<u8>,
    _sender: SendStream<Bytes>,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Body {
    /// The next message, as its flag and its bytes; none after the last.
    pub(crate) async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((prefix, rest)) = self.read.split_first_chunk::<5>() {
                let [flag, length @ ..] = *prefix;
                let length = u32::from_be_bytes(length) as usize;
                if rest.len() >= length {
                    let message = rest[..length].to_vec();
                    self.read.drain(..5 + length);
                    return Some((flag, message));
                }
            }
            let data = self.stream.data().await?.unwrap();
            self.stream.flow_control().release_capacity(data.len()).unwrap();
            self.read.extend_from_slice(&data);
        }
    }

    /// What its trailers say.
    pub(crate) async fn ended(&mut self) -> Status {
        let trailers = self.stream.trailers().await.unwrap().expect("trailers");
        Status::from_header_map(&trailers).unwrap()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
