use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::generate::{FinishReason, Usage};

/// Callers who leave while connections are being made leave threads behind, which nothing else counts.
#[test]
fn requests_under_way_are_bounded() {
    let model = Arc::new(GenerateModel::parse("small=http://127.0.0.1:1/v1").unwrap());
    let mut under_way: Vec<Arc<()>> =
        (0..GENERATE_REQUESTS_MAX).map(|_| model.begin_request().unwrap()).collect();
    assert!(model.begin_request().is_none());
    // Nobody has the time for a pause before another try.
    let next = || Stream::new(Arc::clone(&model), b"{}".to_vec(), Some(Instant::now())).unwrap().next();
    let Err(Error::Generate { failure, reason, .. }) = next() else { panic!("it is one more than may be") };
    assert_eq!(failure, GenerateFailure::Busy { retry_after: None });
    assert!(reason.contains("GENERATE_REQUESTS_MAX = 512"), "{reason}");
    // With room again it is asked, where nobody listens; and its own request is counted no longer than it lasts.
    under_way.pop();
    let Err(Error::Generate { failure, .. }) = next() else { panic!("nobody listens there") };
    assert_eq!(failure, GenerateFailure::Unavailable);
    assert_eq!(Arc::strong_count(&under_way[0]), GENERATE_REQUESTS_MAX);
}

/// A service that sends these events, each so late behind the one before that an answer would be at its end, and leaves the connection open.
fn service(events: &'static [&'static str]) -> (Stream, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let named = format!("small=http://{}/v1?next_token_s=600&total_s=60", listener.local_addr().unwrap());
    let service = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 1 << 10];
        assert!(socket.read(&mut request).unwrap() > 0);
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").unwrap();
        for event in events {
            socket.write_all(event.as_bytes()).unwrap();
            std::thread::sleep(2 * CLOSING);
        }
        // Until the client leaves.
        while socket.read(&mut request).is_ok_and(|read| read > 0) {}
    });
    let model = Arc::new(GenerateModel::parse(&named).unwrap());
    (Stream::new(model, b"{}".to_vec(), None).unwrap(), service)
}

/// Where a service left the connection open, the end of each answer came as late as a token may.
#[test]
fn behind_the_reason_to_finish_nothing_is_waited_for_long() {
    let (mut stream, service) = service(&[concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"Yes\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n",
    )]);
    assert!(matches!(stream.next(), Ok(Heard::Text(text)) if text == "Yes"));
    let Ok(Heard::End { finish_reason, usage, is_told: true }) = stream.next() else { panic!("it is whole") };
    assert_eq!(finish_reason, FinishReason::Stop);
    assert_eq!(usage, Some(Usage { prompt_tokens: 3, completion_tokens: 1 }));
    assert_eq!(stream.watch.over(), Some(Over::TimedOut(Phase::NextToken)), "and not the whole");
    drop(stream);
    service.join().unwrap();
}

/// As some services give it that stand before Gemini's models.
#[test]
fn a_reason_to_finish_with_each_token_is_no_end() {
    let (mut stream, service) = service(&[
        "data: {\"choices\":[{\"delta\":{\"content\":\"Y\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"es\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ]);
    for piece in ["Y", "es"] {
        assert!(matches!(stream.next(), Ok(Heard::Text(text)) if text == piece));
    }
    assert!(matches!(stream.next(), Ok(Heard::End { is_told: true, .. })));
    drop(stream);
    service.join().unwrap();
}
