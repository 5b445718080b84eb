//! gRPC over plain HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::Request;
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Failure;

/// The flow-control window of streams where nothing else is asked for; HTTP/2's own default.
const WINDOW_BYTES: u32 = 65_535;

/// A connection; it ends with the value.
pub struct Connection {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<()>,
    address: SocketAddr,
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn open(address: SocketAddr) -> Result<Connection, Failure> {
        Connection::with_window(address, WINDOW_BYTES).await
    }

    /// One on whose streams the server may send so many bytes before it waits to be told that they were taken.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn with_window(address: SocketAddr, bytes: u32) -> Result<Connection, Failure> {
        let socket = TcpStream::connect(address).await?;
        let (sender, connection) =
            Builder::new().initial_window_size(bytes).handshake::<_, Bytes>(socket).await?;
        let driver = tokio::spawn(async move {
            // How it ends is of no account: its calls tell.
            let _ = connection.await;
        });
        Ok(Connection { sender, driver, address })
    }

    /// Begins a call (`SearchService/Query`, or with its package where that is one of gRPC's own) with some headers beside those of every call.
    ///
    /// # Errors
    /// The server takes no more streams, or has hung up.
    pub async fn begin(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Failure> {
        let package = if path.starts_with("grpc.") { "" } else { "ragstone.v1." };
        let mut request = Request::post(format!("http://{}/{package}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sender = self.sender.clone().ready().await;
        Ok(sender?.send_request(request.body(())?, false)?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The prefix of a message: a flag, 1 if it is compressed, and how long it is.
pub(crate) fn prefix(flag: u8, length: u32) -> Bytes {
    let mut prefix = vec![flag];
    prefix.extend_from_slice(&length.to_be_bytes());
    prefix.into()
}

/// A message with its prefix.
pub(crate) fn framed(message: &impl Message) -> Result<Bytes, Failure> {
    let encoded = message.encode_to_vec();
    let mut frame = prefix(0, u32::try_from(encoded.len())?).to_vec();
    frame.extend_from_slice(&encoded);
    Ok(frame.into())
}
