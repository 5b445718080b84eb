//! The layer around a service that answers with what a test puts into a channel.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;
use tower::service_fn;

use super::*;
use crate::calls::Shape;
use crate::config::ServerConfig;
use crate::work::Kind;

mod lines;

const PATH: &str = "/ragstone.v1.TestService/Watch";

/// What a test has a stream do next.
enum Next {
    Data(&'static str),
    /// Its trailers.
    End(Code),
    /// Panics.
    Panic,
    /// Yields the kind of the place that it runs under.
    Tell,
    /// Yields nothing, and logs when it goes.
    LogItsEnd,
}

struct Channel {
    next: mpsc::UnboundedReceiver<Next>,
    logs_its_end: bool,
}

impl Drop for Channel {
    fn drop(&mut self) {
        if self.logs_its_end {
            tracing::info!("the stream goes");
        }
    }
}

impl HttpBody for Channel {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.next.poll_recv(context).map(|next| {
            Some(Ok(match next? {
                Next::Data(text) => Frame::data(text.into()),
                Next::Tell => Frame::data(format!("{:?}", Place::current().is_some()).into()),
                Next::End(code) => {
                    let mut trailers = HeaderMap::new();
                    Status::new(code, "said by the handler").add_header(&mut trailers).unwrap();
                    Frame::trailers(trailers)
                }
                Next::Panic => panic!("deliberate"),
                Next::LogItsEnd => {
                    self.logs_its_end = true;
                    Frame::data(Bytes::new())
                }
            }))
        })
    }
}

const STREAM: Shape = Shape { client_streams: false, server_streams: true };
const STREAM_TIMEOUT: Duration = Duration::from_secs(1_000);

/// A call: what makes its answer, and what the caller has of it.
struct Call {
    shape: Shape,
    work: Work,
    give_up: watch::Sender<bool>,
    next: mpsc::UnboundedSender<Next>,
    answer: Body,
}

impl Call {
    async fn begin(timeout: Option<&str>) -> Call {
        Call::begin_under(timeout, STREAM, STREAM_TIMEOUT).await
    }

    async fn begin_under(timeout: Option<&str>, shape: Shape, stream_timeout: Duration) -> Call {
        let request_timeout = Duration::from_secs(1);
        let times = [request_timeout, stream_timeout, 2 * STREAM_TIMEOUT];
        Call::begin_at(&Peer::at(None), timeout, shape, times).await
    }

    /// By a connection, within the longest times of a call of one message, and of one that streams, and with so long for who takes nothing.
    async fn begin_at(peer: &Peer, timeout: Option<&str>, shape: Shape, times: [Duration; 3]) -> Call {
        let [request_timeout, stream_timeout, answer_stall_timeout] = times;
        let config =
            ServerConfig { concurrent_streams_max: 1, concurrent_requests_max: 1, ..ServerConfig::default() };
        let work = Work::new(&config);
        let (give_up, give_up_seen) = watch::channel(false);
        let layer = RequestLayer {
            request_timeout,
            stream_timeout,
            answer_stall_timeout,
            request_bytes_max: 1_000,
            calls: Calls::with(PATH, shape),
            counts: None,
            work: work.clone(),
            watching: Watching::start(give_up_seen.clone()),
            give_up: give_up_seen,
        };
        let (next, answers) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(Some(answers)));
        let inner = service_fn(move |_: Request<Body>| {
            let answers = answers.lock().unwrap().take().expect("it is called once");
            let channel = Channel { next: answers, logs_its_end: false };
            async move { Ok::<_, Infallible>(Response::new(Body::new(channel))) }
        });
        let mut request = Request::post(PATH).extension(peer.clone());
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let response = layer.layer(inner).call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(response.headers().get("grpc-status").is_none());
        Call { shape, work, give_up, next, answer: response.into_body() }
    }

    /// The next frame: what it says, or the status that it ends with.
    async fn frame(&mut self) -> Option<Result<Bytes, Status>> {
        let answer = &mut self.answer;
        let frame = std::future::poll_fn(|context| Pin::new(&mut *answer).poll_frame(context)).await?;
        Some(match frame.expect("errors are told in trailers").into_data() {
            Ok(data) => Ok(data),
            Err(frame) => Err(Status::from_header_map(&frame.into_trailers().unwrap()).unwrap()),
        })
    }

    async fn says(&mut self, text: &str) {
        assert_eq!(self.frame().await.expect("it goes on").expect("it does not end"), text);
    }

    async fn ends(&mut self, code: Code) {
        assert_eq!(self.frame().await.expect("it is told how it ended").unwrap_err().code(), code);
        assert!(self.frame().await.is_none(), "nothing comes after the trailers");
    }

    fn has_its_place(&self) -> bool {
        self.work.admit(Kind::Read, self.shape.streams()).is_err()
    }

    fn is_gone(&self) -> bool {
        self.next.is_closed()
    }
}

#[tokio::test]
async fn a_stream_keeps_its_place_to_its_last_message_and_what_it_runs_knows_it() {
    let mut call = Call::begin(None).await;
    for next in [Next::Data("one"), Next::Tell, Next::End(Code::Ok)] {
        call.next.send(next).unwrap();
    }
    call.says("one").await;
    call.says("true").await;
    assert!(call.has_its_place());
    call.ends(Code::Ok).await;
    assert!(!call.has_its_place());
}

#[tokio::test]
async fn a_caller_who_leaves_ends_what_makes_the_answer() {
    let mut call = Call::begin(None).await;
    call.next.send(Next::Data("one")).unwrap();
    call.says("one").await;
    call.answer = Body::empty();
    assert!(call.is_gone() && !call.has_its_place());
}

/// The caller takes nothing, so nobody asks the body for anything: its end comes nevertheless.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_stream_that_nobody_reads() {
    let mut call = Call::begin(Some("5S")).await;
    call.next.send(Next::Data("one")).unwrap();
    call.says("one").await;
    assert!(call.has_its_place());
    let began = Instant::now();
    call.next.closed().await;
    assert_eq!(
        began.elapsed().as_secs(),
        4,
        "a little ahead of the deadline, not at the 1,000 s of the server"
    );
    assert!(!call.has_its_place());
    call.ends(Code::DeadlineExceeded).await;
}

/// It kept neither: a caller who takes nothing of large answers had the server hold as many as there are streams, for ever.
#[tokio::test(start_paused = true)]
async fn an_answer_of_one_message_keeps_its_place_and_its_deadline_while_it_is_sent() {
    let mut call = Call::begin_under(None, Shape::default(), STREAM_TIMEOUT).await;
    call.next.send(Next::Data("one")).unwrap();
    call.says("one").await;
    assert!(call.has_its_place());
    call.next.closed().await;
    assert!(!call.has_its_place());
    call.ends(Code::DeadlineExceeded).await;

    let mut call = Call::begin_under(None, Shape::default(), STREAM_TIMEOUT).await;
    call.next.send(Next::End(Code::Ok)).unwrap();
    assert!(call.has_its_place());
    call.ends(Code::Ok).await;
    assert!(!call.has_its_place());
}

/// The transport was given such a message whole, and had it until the connection ended.
#[tokio::test(start_paused = true)]
async fn what_nobody_takes_of_a_large_message_goes_with_its_answer() {
    let large: &'static str = "x".repeat(150_000).leak();
    let mut call = Call::begin_under(None, Shape::default(), STREAM_TIMEOUT).await;
    call.next.send(Next::Data(large)).unwrap();
    call.next.send(Next::End(Code::Ok)).unwrap();
    let mut taken = Vec::new();
    while let Ok(piece) = call.frame().await.unwrap() {
        assert!(!large.as_bytes().as_ptr_range().contains(&piece.as_ptr()), "it would keep all of it");
        taken.push(piece.len());
    }
    assert_eq!(taken, [64 << 10, 64 << 10, 150_000 - (128 << 10)]);

    let mut call = Call::begin_under(None, Shape::default(), STREAM_TIMEOUT).await;
    call.next.send(Next::Data(large)).unwrap();
    assert_eq!(call.frame().await.unwrap().unwrap().len(), 64 << 10);
    call.next.closed().await;
    call.ends(Code::DeadlineExceeded).await;
    assert!(!call.has_its_place());
}

/// After how many seconds a large answer has ended that is taken piece by piece, so many seconds after one another; none if all of it is taken. Its connection
/// takes so many bytes of others in each of these.
async fn ends_after(shape: Shape, pause_s: u64, others: usize) -> Option<u64> {
    let (peer, times) = (Peer::at(None), [STREAM_TIMEOUT, STREAM_TIMEOUT, Duration::from_secs(60)]);
    let mut call = Call::begin_at(&peer, None, shape, times).await;
    let large: &'static str = "x".repeat(20 * (64 << 10)).leak();
    call.next.send(Next::Data(large)).unwrap();
    call.next.send(Next::End(Code::Ok)).unwrap();
    let began = Instant::now();
    let ended = loop {
        match call.frame().await.unwrap() {
            Ok(_) => {
                for _ in 0..pause_s {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    peer.takes(others);
                }
            }
            Err(ended) => break ended,
        }
    };
    assert!(!call.has_its_place());
    (ended.code() != Code::Ok).then(|| {
        assert!(ended.message().contains("BODY_BYTES_PER_SECOND_MIN"), "{ended:?}");
        began.elapsed().as_secs()
    })
}

/// Any piece that was taken gave it as long again, for as long as a call may take.
#[tokio::test(start_paused = true)]
async fn the_one_message_of_an_answer_may_not_be_taken_slowly_and_those_of_a_stream_may() {
    // As fast as it must be: a piece has the bytes of four seconds.
    assert_eq!(ends_after(Shape::default(), 4, 0).await, None);
    // Every ten seconds wear six down.
    assert_eq!(ends_after(Shape::default(), 10, 0).await, Some(100));
    assert_eq!(ends_after(STREAM, 10, 0).await, None);
    assert_eq!(ends_after(STREAM, 61, 0).await, Some(61));
}

/// Of a hundred large answers over a slow network, each was given up for the part of it that the others had.
#[tokio::test(start_paused = true)]
async fn what_its_connection_takes_of_others_counts_for_an_answer_of_which_something_is_taken() {
    let second = crate::limits::BODY_BYTES_PER_SECOND_MIN as usize;
    assert_eq!(ends_after(Shape::default(), 10, second).await, None);
    assert_eq!(ends_after(Shape::default(), 45, second).await, None);
    // Half of what it must be: of its patience, sixty seconds, none is left after twice as many.
    assert_eq!(ends_after(Shape::default(), 25, second / 2).await, Some(125));
    assert_eq!(ends_after(Shape::default(), 61, 100 * second).await, Some(61));
}

/// A deadline that no clock reaches panicked, outside of what catches panics.
#[tokio::test]
async fn a_timeout_may_be_longer_than_clocks_count() {
    let mut call = Call::begin_under(None, STREAM, Duration::MAX).await;
    call.next.send(Next::Data("one")).unwrap();
    call.says("one").await;
    call.next.send(Next::End(Code::Ok)).unwrap();
    call.ends(Code::Ok).await;
}

#[tokio::test(start_paused = true)]
async fn the_servers_own_deadline_of_streams_is_not_that_of_other_calls() {
    let mut call = Call::begin(None).await;
    let began = Instant::now();
    call.ends(Code::DeadlineExceeded).await;
    assert_eq!(began.elapsed().as_secs(), 999);
}

#[tokio::test]
async fn streams_are_given_up_when_the_grace_of_the_server_ends() {
    let mut call = Call::begin(None).await;
    call.give_up.send_replace(true);
    call.ends(Code::Unavailable).await;
    assert!(call.is_gone() && !call.has_its_place());
}

#[tokio::test]
async fn a_panic_in_a_stream_is_an_error_of_it() {
    let mut call = Call::begin(None).await;
    call.next.send(Next::Panic).unwrap();
    call.ends(Code::Internal).await;
    assert!(call.is_gone() && !call.has_its_place());
}

#[tokio::test]
async fn a_panic_becomes_an_error() {
    let mut well = pin!(async { 1 });
    assert!(poll_fn(|context| caught(well.as_mut(), context)).await.is_ok());
    let mut badly = pin!(async { panic!("deliberate") });
    assert!(poll_fn(|context| caught(badly.as_mut(), context)).await.is_err());
}

#[test]
fn what_tonic_says_gets_details_and_what_it_adds_stays() {
    let detailed = |status: Status| {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        headers.insert("grpc-accept-encoding", "gzip".parse().unwrap());
        let headers = with_details(headers);
        assert_eq!(headers["grpc-accept-encoding"], "gzip");
        assert!(headers.contains_key("grpc-status-details-bin"));
        Status::from_header_map(&headers).unwrap().code()
    };
    assert_eq!(detailed(Status::new(Code::Unimplemented, "")), Code::Unimplemented);
    assert_eq!(
        detailed(Status::new(Code::Unimplemented, "Content is compressed with `x` which isn't supported")),
        Code::Unimplemented
    );
    assert_eq!(detailed(Status::internal("failed to decode Protobuf message: x")), Code::InvalidArgument);
}
