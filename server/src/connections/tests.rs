//! Connections, and what is written to them.

use std::convert::Infallible;
use std::pin::pin;
use std::task::Waker;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tonic::body::Body;

use super::*;
use crate::logs::lines::Lines;

const PATIENCE: Duration = Duration::from_secs(20);

impl Remote for DuplexStream {
    fn remote(&self) -> Option<SocketAddr> {
        None
    }
}

/// Both sides of some connections.
fn pairs(count: usize) -> (Vec<DuplexStream>, Vec<io::Result<DuplexStream>>) {
    (0..count).map(|_| tokio::io::duplex(64)).map(|(client, server)| (client, Ok(server))).unzip()
}

#[tokio::test(start_paused = true)]
async fn one_too_many_waits_for_another_to_end() {
    let (_clients, servers) = pairs(3);
    let mut incoming = pin!(bounded(tokio_stream::iter(servers), 2, PATIENCE));
    let first = incoming.next().await.unwrap().unwrap();
    let _second = incoming.next().await.unwrap().unwrap();
    assert!(tokio::time::timeout(10 * PATIENCE, incoming.next()).await.is_err(), "there is no place");
    drop(first);
    assert!(incoming.next().await.unwrap().is_ok());
}

/// Without TLS the system was asked again at once, for as long as it had no file descriptors, and nobody was told.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_accepted_is_told_and_tried_again_after_a_pause() {
    let (_client, server) = tokio::io::duplex(64);
    let failed = |why: &'static str| Err(io::Error::other(why));
    let servers = [failed("no file descriptors"), failed("still none"), Ok(server)];
    let (lines, began) = (Lines::begin(), tokio::time::Instant::now());
    let mut incoming = pin!(bounded(tokio_stream::iter(servers), 1, PATIENCE));
    assert!(incoming.next().await.unwrap().is_ok());
    assert!(began.elapsed() >= 2 * ACCEPT_PAUSE, "{:?}", began.elapsed());
    let text = lines.text();
    assert_eq!(text.matches("cannot accept a connection").count(), 2, "{text}");
    assert!(incoming.next().await.is_none());
}

/// Reads what HTTP/2 begins with, and then that there is no more; says goodbye.
async fn serve(mut connection: Connection<DuplexStream>) {
    let mut read = [0; PREFACE_BYTES];
    connection.read_exact(&mut read).await.unwrap();
    assert_eq!(connection.read(&mut read).await.unwrap(), 0);
    connection.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_ends_for_another_and_says_goodbye() {
    let (mut clients, servers) = pairs(3);
    let mut incoming = pin!(bounded(tokio_stream::iter(servers), 2, PATIENCE));
    let mut served = Vec::new();
    for client in &mut clients[..2] {
        client.write_all(&[7; PREFACE_BYTES]).await.unwrap();
        served.push(tokio::spawn(serve(incoming.next().await.unwrap().unwrap())));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(incoming.next().await.unwrap().is_ok());
    let mut said = Vec::new();
    clients[0].read_to_end(&mut said).await.unwrap();
    assert_eq!(said, GO_AWAY, "the first has rested longer");
    served.remove(0).await.unwrap();
    assert!(!served[0].is_finished());
}

/// Its goodbye was waited for, for as long as its client took nothing, and its place with it.
#[tokio::test(start_paused = true)]
async fn one_that_takes_nothing_is_not_waited_for_when_it_ends() {
    let (mut clients, servers) = pairs(2);
    let mut incoming = pin!(bounded(tokio_stream::iter(servers), 1, PATIENCE));
    clients[0].write_all(&[7; PREFACE_BYTES]).await.unwrap();
    let mut first = incoming.next().await.unwrap().unwrap();
    let served = tokio::spawn(async move {
        let mut read = [0; PREFACE_BYTES];
        first.read_exact(&mut read).await.unwrap();
        // As much as there is room for on the way.
        first.write_all(&[7; 64]).await.unwrap();
        first.flush().await.unwrap();
        assert_eq!(first.read(&mut read).await.unwrap(), 0);
        first.shutdown().await.unwrap_err().kind()
    });
    assert!(incoming.next().await.unwrap().is_ok());
    assert_eq!(served.await.unwrap(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn one_that_works_is_let_be_until_it_rests() {
    let (mut clients, servers) = pairs(2);
    let mut incoming = pin!(bounded(tokio_stream::iter(servers), 1, PATIENCE));
    clients[0].write_all(&[7; PREFACE_BYTES]).await.unwrap();
    let first = incoming.next().await.unwrap().unwrap();
    let mut working = first.connect_info().work().unwrap();
    working.is_answered();
    let served = tokio::spawn(serve(first));
    assert!(tokio::time::timeout(10 * PATIENCE, incoming.next()).await.is_err());
    drop(working);
    assert!(incoming.next().await.unwrap().is_ok());
    served.await.unwrap();
}

/// Each answer was a write of its own, though others were a moment away.
#[tokio::test(start_paused = true)]
async fn what_calls_are_answered_that_are_about_to_run_goes_along() {
    let (mut clients, servers) = pairs(1);
    let mut incoming = pin!(bounded(tokio_stream::iter(servers), 1, PATIENCE));
    let mut connection = incoming.next().await.unwrap().unwrap();
    let service = connection.connect_info();
    let mut context = Context::from_waker(Waker::noop());
    connection.write_all(b"1").await.unwrap();
    assert!(Pin::new(&mut connection).poll_flush(&mut context).is_ready(), "no call is to run");
    let calls = [service.clone(), service.clone()];
    for (said, runs) in [b"2", b"3"].into_iter().zip(calls) {
        connection.write_all(said).await.unwrap();
        assert!(Pin::new(&mut connection).poll_flush(&mut context).is_pending());
        drop(runs);
    }
    connection.write_all(b"4").await.unwrap();
    assert!(Pin::new(&mut connection).poll_flush(&mut context).is_ready());

    // One that does not run is not waited for long, and who polls is woken for it.
    let _call = service.clone();
    for said in [b"5", b"6"] {
        connection.write_all(said).await.unwrap();
        tokio::time::timeout(PATIENCE, connection.flush()).await.unwrap().unwrap();
    }
    let mut read = [0; 6];
    clients[0].read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"123456");
}

/// Calls were known to have come once they ran only, and nothing was ever put off but by chance.
#[tokio::test(start_paused = true)]
async fn the_transport_makes_a_service_for_a_call_when_it_comes_and_drops_it_when_it_runs() {
    // How HTTP/2 begins, with settings as by default, and two calls: streams 1 and 3, each of which POSTs / over http and has no body.
    const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let call = |stream: u8| [0, 0, 3, 1, 5, 0, 0, 0, stream, 0x83, 0x86, 0x84];
    let asked = [&PREFACE[..], &SETTINGS, &call(1), &call(3)].concat();
    let (mut client, server) = tokio::io::duplex(1 << 10);
    client.write_all(&asked).await.unwrap();

    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let service = tower::service_fn(move |mut request: http::Request<Body>| {
        let tell = tell.clone();
        async move {
            let peer = request.extensions_mut().get_mut::<Peer>().expect("it is told to each call");
            peer.runs();
            tell.send(peer.has_calls_to_run()).unwrap();
            Ok::<_, Infallible>(http::Response::new(Body::empty()))
        }
    });
    let incoming = bounded(tokio_stream::iter([Ok(server)]), 1, PATIENCE);
    tonic::transport::Server::builder().serve_with_incoming(service, incoming).await.unwrap();
    let mut next = async || tokio::time::timeout(PATIENCE, told.recv()).await.unwrap();
    assert_eq!([next().await, next().await], [Some(true), Some(false)]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_must_begin_in_time_and_may_rest_then() {
    let (mut clients, servers) = pairs(3);
    let mut incoming = pin!(bounded(tokio_stream::iter(servers), 3, PATIENCE));
    let mut read = [0; PREFACE_BYTES];

    let mut silent = incoming.next().await.unwrap().unwrap();
    let error = silent.read_exact(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    let mut slow = incoming.next().await.unwrap().unwrap();
    clients[1].write_all(&[7; PREFACE_BYTES - 1]).await.unwrap();
    let error = slow.read_exact(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    let mut begun = incoming.next().await.unwrap().unwrap();
    clients[2].write_all(&[7; PREFACE_BYTES]).await.unwrap();
    begun.read_exact(&mut read).await.unwrap();
    assert!(tokio::time::timeout(10 * PATIENCE, begun.read_u8()).await.is_err(), "it rests");
    let working = begun.connect_info().work().unwrap();
    begun.write_all(b"8").await.unwrap();
    begun.flush().await.unwrap();
    assert_eq!(clients[2].read_u8().await.unwrap(), b'8');
    assert_eq!(working.taken(), 1);
}

#[tokio::test]
async fn others_are_looked_at_while_much_is_read() {
    const BYTES: usize = 256 << 10;
    let (mut client, server) = tokio::io::duplex(BYTES);
    let mut incoming = pin!(bounded(tokio_stream::iter([Ok(server)]), 1, PATIENCE));
    let mut connection = incoming.next().await.unwrap().unwrap();
    client.write_all(&vec![7_u8; BYTES]).await.unwrap();
    let mut room = vec![0; BYTES / 8];
    let (mut bytes, mut pauses) = (0, 0);
    while bytes < BYTES {
        let mut buffer = ReadBuf::new(&mut room);
        let read = |context: &mut Context<'_>| {
            Poll::Ready(Pin::new(&mut connection).poll_read(context, &mut buffer))
        };
        match std::future::poll_fn(read).await {
            Poll::Pending => pauses += 1,
            Poll::Ready(read) => read.unwrap(),
        }
        bytes += buffer.filled().len();
    }
    assert_eq!(pauses, 3, "behind each quarter but the last");
}
