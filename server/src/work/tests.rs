//! Gates and places.

use std::sync::mpsc;
use std::time::Duration;

use tonic::Code;

use super::*;
use crate::connections::Peer;
use crate::limits::{CALLER_PLACES_MIN, UNSHARED_BYTES_MAX};

fn work(concurrent_requests_max: usize, worker_threads_max: usize) -> Work {
    Work::new(&ServerConfig { concurrent_requests_max, worker_threads_max, ..ServerConfig::default() })
}

#[tokio::test]
async fn one_more_than_there_is_room_for_is_refused_and_the_rest_is_done() {
    let work = work(2, 1);
    let (release, held) = mpsc::channel::<()>();
    let first = tokio::spawn({
        let work = work.clone();
        async move { work.run(move || held.recv().is_ok()).await }
    });
    while work.0.reads.admitted.available_permits() > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let second = tokio::spawn({
        let work = work.clone();
        async move { work.run(|| 2).await }
    });
    while work.0.reads.admitted.available_permits() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let refused = work.run(|| 3).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    release.send(()).unwrap();
    assert!(first.await.unwrap().unwrap());
    assert_eq!(second.await.unwrap().unwrap(), 2);
    work.idle().await;
    assert_eq!(work.run(|| 4).await.unwrap(), 4);
}

/// The refusal waited for a turn among the long answers, just when there was memory for none.
#[test]
fn an_answer_that_is_refused_is_no_long_one() {
    let bytes = 2 * crate::limits::SHORT_MESSAGE_BYTES_MAX as usize;
    let work = Work::new(&ServerConfig { message_bytes_max: bytes, ..ServerConfig::default() });
    let [first, second] = [Kind::Read, Kind::Read].map(|kind| work.admit(kind, false).unwrap());
    first.take_answer(bytes).unwrap();
    assert_eq!(second.take_answer(bytes).unwrap_err().code(), Code::ResourceExhausted);
    assert!(first.answers_long() && !second.answers_long());
}

/// One connection that took its answers slowly had all the memory of messages for as long as a request may last.
#[test]
fn long_answers_of_a_connection_leave_memory_to_others() {
    let short = crate::limits::SHORT_MESSAGE_BYTES_MAX as usize;
    let work = Work::new(&ServerConfig { message_bytes_max: 8 * short, ..ServerConfig::default() });
    let [slow, other] = [Peer::at(None), Peer::at(None)];
    let place = |peer: &Peer| work.admit(Kind::Read, false).unwrap().by(Some(peer.clone()));
    let mut unread: Vec<Place> = (0..3).map(|_| place(&slow)).collect();
    unread.iter().for_each(|place| place.take_answer(2 * short).unwrap());
    let last = place(&slow);
    assert_eq!(last.take_answer(2 * short).unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(work.refused(Kind::Read, Refusal::CallerShare), 1);
    assert!(!last.answers_long());
    place(&slow).take_answer(UNSHARED_BYTES_MAX).expect("a short one has room");
    place(&other).take_answer(2 * short).unwrap();
    unread.pop();
    place(&slow).take_answer(2 * short).unwrap();
}

/// Requests of which the last bytes did not come had all the memory of messages, whatever their kinds, and everybody else's were refused.
#[test]
fn what_comes_of_a_callers_requests_leaves_memory_to_others() {
    const MIB: usize = 1 << 20;
    let work = Work::new(&ServerConfig { message_bytes_max: 16 * MIB, ..ServerConfig::default() });
    let place = |kind: Kind, caller: &str| {
        let place = work.admit(kind, false).unwrap();
        place.of_caller(&caller.into()).unwrap();
        place
    };
    let [first, second] = [Kind::Read, Kind::Write].map(|kind| place(kind, "a"));
    for _ in 0..7 {
        first.take(MIB).unwrap();
        second.take(MIB).unwrap();
    }
    let refused = first.take(MIB).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("CALLER_SHARE_MAX"), "{refused:?}");
    assert_eq!(Refusal::ALL.map(|refusal| work.refused(Kind::Read, refusal)), [0, 1, 0]);
    let other = place(Kind::Write, "b");
    other.take(2 * MIB).expect("what was refused is not counted");
    drop(other);

    // The one ends that was refused, and the other goes on. It never has all of it, however far its parts go beyond its bytes.
    drop(first);
    for _ in 0..7 {
        second.take(MIB).unwrap();
    }
    assert!(second.take(MIB).is_err());
    place(Kind::Read, "b").take(MIB).unwrap();

    // As of a stream, of which a message is acknowledged.
    second.give_back(7 * MIB);
    let third = place(Kind::Write, "a");
    third.take(7 * MIB).unwrap();
    assert!(second.take(MIB).is_err() && third.take(MIB).is_err());
    drop(second);
    third.take(7 * MIB).unwrap();
}

/// As many large reads as there are places were all before a message that came behind them, and it was given up meanwhile.
#[tokio::test]
async fn a_long_message_waits_for_few_of_the_large_reads_that_wait() {
    let work = Work::new(&ServerConfig { large_requests_max: 1, ..ServerConfig::default() });
    let running = work.large_reads().take().await.unwrap();
    let waits = |turns: &Turns| {
        let turns = turns.clone();
        tokio::spawn(async move { turns.take().await.unwrap() })
    };
    let mut reads: Vec<_> = (0..10).map(|_| waits(work.large_reads())).collect();
    while work.large_reads().waiting() < 10 {
        tokio::task::yield_now().await;
    }
    let message = waits(work.large_messages());
    while work.large_messages().waiting() < 1 {
        tokio::task::yield_now().await;
    }
    drop(running);
    // The one that was next when it came.
    drop(reads.remove(0).await.unwrap());
    let _turn = message.await.unwrap();
    assert!(reads.iter().all(|read| !read.is_finished()));
}

/// All of one caller's large reads, as many as may wait, were before the single one of another.
#[tokio::test]
async fn a_large_read_waits_for_few_of_another_callers() {
    let work = Work::new(&ServerConfig { large_requests_max: 1, ..ServerConfig::default() });
    let connection = Peer::at(None);
    let waits = |caller: Option<&str>| {
        let place = work.admit(Kind::Read, false).unwrap().by(Some(connection.clone()));
        if let Some(caller) = caller {
            place.of_caller(&caller.into()).unwrap();
        }
        let turns = work.large_reads().clone();
        tokio::spawn(place.hold(async move { turns.take().await.unwrap() }))
    };
    for (one, other) in [(Some("a"), Some("b")), (None, Some("a"))] {
        let running = work.large_reads().take().await.unwrap();
        let mut reads: Vec<_> = (0..10).map(|_| waits(one)).collect();
        let single = waits(other);
        while work.large_reads().waiting() < 11 {
            tokio::task::yield_now().await;
        }
        drop(running);
        // The one that was next when the single one came.
        drop(reads.remove(0).await.unwrap());
        let turn = single.await.unwrap();
        assert!(reads.iter().all(|read| !read.is_finished()));
        drop(turn);
        for read in reads {
            drop(read.await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_panic_is_an_error_and_gives_its_place_back() {
    let work = work(1, 1);
    let status = work.run(|| -> u32 { panic!("deliberate") }).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(work.run(|| 1).await.unwrap(), 1);
}

#[tokio::test]
async fn writes_that_stall_leave_reads_alive() {
    let work = work(1, 1);
    let (release, held) = mpsc::channel::<()>();
    let write = work.admit(Kind::Write, false).unwrap();
    let stalled = tokio::spawn({
        let work = work.clone();
        write.hold(async move { work.run(move || held.recv().is_ok()).await })
    });
    assert_eq!(work.admit(Kind::Write, false).unwrap_err().code(), Code::ResourceExhausted);
    let read = work.admit(Kind::Read, false).unwrap();
    assert_eq!(read.hold(work.run(|| 1)).await.unwrap(), 1);
    release.send(()).unwrap();
    assert!(stalled.await.unwrap().unwrap());
    work.idle().await;
}

#[tokio::test]
async fn streams_leave_the_places_of_short_calls_alone() {
    let work = Work::new(&ServerConfig {
        concurrent_requests_max: 1,
        concurrent_streams_max: 1,
        ..Default::default()
    });
    let stream = work.admit(Kind::Read, true).unwrap();
    let refused = work.admit(Kind::Read, true).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("CONCURRENT_STREAMS_MAX = 1"), "{refused:?}");
    assert!(work.admit(Kind::Write, true).is_ok());
    let short = work.admit(Kind::Read, false).unwrap();
    assert_eq!(short.hold(work.run(|| 1)).await.unwrap(), 1);
    assert_eq!(stream.hold(work.run(|| 2)).await.unwrap(), 2);
    work.idle().await;
    assert!(work.admit(Kind::Read, true).is_ok());
}

/// Only those were counted that found every place taken.
#[test]
fn a_request_is_counted_once_among_the_refused_by_what_there_was_no_room_in() {
    let work = Work::new(&ServerConfig {
        concurrent_requests_max: CALLER_PLACES_MIN + 2,
        message_bytes_max: 1_000,
        caller_share_max: 0.1,
        ..ServerConfig::default()
    });
    let refused = || Refusal::ALL.map(|refusal| work.refused(Kind::Write, refusal));
    let of_caller = |caller: &str| {
        let place = work.admit(Kind::Write, false)?;
        place.of_caller(&caller.into()).map(|()| place)
    };
    let mut places: Vec<Place> = (0..CALLER_PLACES_MIN).map(|_| of_caller("a").unwrap()).collect();
    assert_eq!(refused(), [0, 0, 0]);
    assert!(of_caller("a").is_err());
    assert_eq!(refused(), [0, 1, 0]);
    places.extend([of_caller("b").unwrap(), of_caller("c").unwrap()]);
    assert!(of_caller("b").is_err());
    assert_eq!(refused(), [1, 1, 0]);
    places[0].take(900).unwrap();
    assert!(places[1].take(101).is_err());
    assert_eq!(refused(), [1, 1, 1]);
    assert_eq!(Refusal::ALL.map(|refusal| work.refused(Kind::Read, refusal)), [0, 0, 0], "another kind");
}

#[tokio::test]
async fn a_place_is_kept_until_the_work_is_done_though_its_caller_has_left() {
    let work = work(1, 1);
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (release, held) = mpsc::channel::<()>();
    let place = work.admit(Kind::Read, false).unwrap();
    let caller = tokio::spawn({
        let work = work.clone();
        place.hold(async move {
            let job = move || {
                begin.send(()).unwrap();
                held.recv().is_ok()
            };
            work.run(job).await
        })
    });
    begun.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert!(work.admit(Kind::Read, false).is_err());
    release.send(()).unwrap();
    work.idle().await;
    assert!(work.admit(Kind::Read, false).is_ok());
}

/// Stores of snapshots were asked in the turns of writes: where one did not answer, nobody wrote.
#[tokio::test]
async fn what_waits_for_a_store_holds_a_place_and_no_turn_of_writes() {
    let work = work(2, 1);
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (release, held) = mpsc::channel::<()>();
    let waits = tokio::spawn({
        let (work, place) = (work.clone(), work.admit(Kind::Write, false).unwrap());
        let job = move || {
            begin.send(()).unwrap();
            held.recv().is_ok()
        };
        place.hold(async move { work.beside(job).await })
    });
    begun.await.unwrap();
    assert_eq!(work.places(Kind::Write).0, 1);
    let write = work.admit(Kind::Write, false).unwrap();
    assert_eq!(write.hold(work.run(|| 1)).await.unwrap(), 1, "the only turn is free");
    release.send(()).unwrap();
    assert!(waits.await.unwrap().unwrap());
    work.idle().await;
    let panicked = work.beside(|| -> u32 { panic!("deliberate") }).await.unwrap_err();
    assert_eq!(panicked.code(), Code::Internal);
}

#[tokio::test]
async fn answers_that_wait_hold_a_place_and_no_turn() {
    let config = ServerConfig { concurrent_generations_max: 1, ..ServerConfig::default() };
    let work = Work::new(&ServerConfig { worker_threads_max: 1, ..config });
    let (release, held) = mpsc::channel::<()>();
    let place = work.admit(Kind::Generate, true).unwrap();
    let waits = {
        let work = work.clone();
        async move { work.wait(move || assert!(held.recv().is_ok())) }
    };
    place.hold(waits).await.unwrap();
    assert_eq!((work.places(Kind::Generate), work.refused(Kind::Generate, Refusal::Places)), ((1, 1), 0));
    let refused = work.admit(Kind::Generate, false).unwrap_err();
    assert!(refused.message().contains("CONCURRENT_GENERATIONS_MAX = 1"), "{refused}");
    assert_eq!(work.refused(Kind::Generate, Refusal::Places), 1);
    assert_eq!(work.run(|| 1).await.unwrap(), 1, "the only turn is free");
    release.send(()).unwrap();
    work.idle().await;
    assert_eq!(work.places(Kind::Generate), (0, 1));
}

/// As many reads that asked for much as there were turns left a short one its share of a processor.
#[tokio::test]
async fn what_asks_for_much_waits_for_its_like_and_others_do_not() {
    let work = Work::new(&ServerConfig { large_requests_max: 2, ..ServerConfig::default() });
    let kinds = [work.large_reads(), work.large_messages(), work.large_answers()];
    for (turns, other) in kinds.into_iter().zip(kinds.into_iter().cycle().skip(1)) {
        let first = turns.take().await.unwrap();
        let second = other.take().await.unwrap();
        let one_more = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take().await }
        });
        while turns.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(work.run(|| 1).await.unwrap(), 1, "a short one is done");
        drop(second);
        drop((first, one_more.await.unwrap().unwrap()));
        assert_eq!(turns.waiting(), 0);
    }
    let names = work.queues().map(Turns::name);
    assert_eq!(names, ["read", "write", "fetch", "generate", "large_read", "large_message", "large_answer"]);
}

#[test]
fn every_call_has_its_kind() {
    let of = |service: &str, method: &str| Kind::of(&format!("/ragstone.v1.{service}/{method}"));
    assert_eq!(of("PointsService", "UpsertPoints"), Some(Kind::Write));
    for method in ["IngestPoints", "IngestDocuments"] {
        assert_eq!(of("AnyService", method), Some(Kind::Write), "{method}");
    }
    assert_eq!(of("SearchService", "Query"), Some(Kind::Read));
    assert_eq!(of("InferenceService", "PullModel"), Some(Kind::Fetch));
    assert_eq!(of("RagService", "Generate"), Some(Kind::Generate));
    assert_eq!(Kind::of("/grpc.health.v1.Health/Check"), None);
    assert_eq!(Kind::of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), None);
}

/// What tells where it wrote is a write.
#[test]
fn whatever_has_a_write_token_is_a_write() {
    use prost::Message as _;

    let files = prost_types::FileDescriptorSet::decode(ragstone_proto::v1::FILE_DESCRIPTOR_SET).unwrap().file;
    let messages: Vec<_> = files.iter().flat_map(|file| &file.message_type).collect();
    let has_token = |name: &str| {
        let message = messages.iter().find(|message| name.ends_with(&format!(".{}", message.name())));
        message.is_some_and(|message| message.field.iter().any(|field| field.name() == "write_token"))
    };
    let mut writes = 0;
    for (file, service) in
        files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)))
    {
        for method in service.method.iter().filter(|method| has_token(method.output_type())) {
            let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
            assert_eq!(Kind::of(&path), Some(Kind::Write), "{path}");
            writes += 1;
        }
    }
    assert!(writes >= 10, "{writes}");
}
