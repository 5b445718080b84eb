//! What the log has of calls.

use super::*;
use crate::logs::lines::Lines;

#[tokio::test]
async fn the_line_of_a_stream_comes_with_its_last_code() {
    let lines = Lines::begin();

    let mut call = Call::begin(None).await;
    call.next.send(Next::Data("one")).unwrap();
    call.says("one").await;
    assert_eq!(lines.text(), "", "the call is not over");
    call.next.send(Next::End(Code::NotFound)).unwrap();
    call.ends(Code::NotFound).await;
    assert!(lines.text().contains("code=NotFound"), "{}", lines.text());

    let call = Call::begin(None).await;
    drop(call.answer);
    assert!(lines.text().contains("code=Cancelled"), "{}", lines.text());
    assert_eq!(lines.text().lines().count(), 2);
}

/// What it logged had neither the method nor the trace of its call.
#[tokio::test]
async fn a_stream_goes_in_the_span_of_its_call_whoever_ends_it() {
    let lines = Lines::begin();
    for is_left in [true, false] {
        let mut call = Call::begin(None).await;
        call.next.send(Next::LogItsEnd).unwrap();
        call.says("").await;
        if is_left {
            drop(call.answer);
        } else {
            call.next.send(Next::End(Code::Ok)).unwrap();
            call.ends(Code::Ok).await;
        }
    }
    let text = lines.text();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("the stream goes")).collect();
    assert_eq!(told.len(), 2, "{text}");
    assert!(told.iter().all(|line| line.contains(&format!("rpc{{method={PATH:?}"))), "{text}");
}

/// The log had it that its caller had left.
#[tokio::test(start_paused = true)]
async fn the_line_of_an_answer_that_nobody_takes_says_how_it_ended() {
    let lines = Lines::begin();
    let mut call = Call::begin(Some("5S")).await;
    call.next.send(Next::Data("one")).unwrap();
    call.says("one").await;
    call.next.closed().await;
    drop(call.answer);
    assert!(lines.text().contains("code=DeadlineExceeded"), "{}", lines.text());
    assert_eq!(lines.text().lines().count(), 1);
}
