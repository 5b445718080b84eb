//! Who is let through, and what the log says of it.

use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tonic::Code;
use tonic::body::Body;

use super::*;
use crate::logs::lines::Lines;

const UPSERT: &str = "/ragstone.v1.PointsService/UpsertPoints";
const INGEST: &str = "/ragstone.v1.PointsService/IngestPoints";
const COUNT: &str = "/ragstone.v1.PointsService/CountPoints";
const DELETE: &str = "/ragstone.v1.CollectionsService/DeleteCollection";
const IMPORT: &str = "/ragstone.v1.AdminService/ImportCollection";
const REVOKE: &str = "/ragstone.v1.AdminService/RevokeKey";
const EXPORT: &str = "/ragstone.v1.AdminService/ExportCollection";

/// Somebody with a key, of which the id comes second and the secret last.
fn asking(grants: &[&str]) -> (Access, String, String) {
    let config = AccessConfig { required: true, ..AccessConfig::default() };
    let access = Access::new(&config, Db::in_memory().unwrap());
    let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
    let new = NewKey { name: "test".to_owned(), grants, ..NewKey::default() };
    let (key, secret) = access.keys().create(new).unwrap();
    (access, key.id, secret)
}

fn bearer(credentials: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {credentials}").parse().unwrap());
    headers
}

async fn code(access: &Access, path: &str, headers: &HeaderMap) -> Code {
    access.admit(path, headers, None).await.map_or_else(|refused| refused.code(), |_| Code::Ok)
}

#[tokio::test]
async fn a_key_that_is_taken_back_opens_nothing_from_then_on() {
    let (access, id, secret) = asking(&["read on *"]);
    let headers = bearer(&secret);
    assert_eq!(code(&access, COUNT, &headers).await, Code::Ok);
    assert_eq!(code(&access, UPSERT, &headers).await, Code::PermissionDenied);
    assert_eq!(code(&access, "/ragstone.v1.PointsService/Nothing", &headers).await, Code::Unimplemented);
    assert_eq!(code(&access, COUNT, &HeaderMap::new()).await, Code::Unauthenticated);
    let mut twice = headers.clone();
    twice.append(AUTHORIZATION, "Bearer x".parse().unwrap());
    assert_eq!(code(&access, COUNT, &twice).await, Code::Unauthenticated);
    access.keys().revoke(&id).unwrap();
    assert_eq!(code(&access, COUNT, &headers).await, Code::Unauthenticated);
}

/// Who imports a file reads what somebody exported, of whatever collection; who exports one may replace it.
#[tokio::test]
async fn files_of_all_are_for_who_manages_all() {
    for (grant, expected) in [("manage on mine-*", Code::PermissionDenied), ("manage on *", Code::Ok)] {
        let (access, _, secret) = asking(&[grant]);
        for path in [IMPORT, EXPORT] {
            assert_eq!(code(&access, path, &bearer(&secret)).await, expected, "{grant}, {path}");
        }
    }
}

#[tokio::test]
async fn the_log_names_who_was_refused_and_who_changes_something_and_no_secret() {
    let (access, id, secret) = asking(&["write on notes where tenant = 'hush'"]);
    let headers = bearer(&secret);
    let lines = Lines::begin();
    assert_eq!(code(&access, COUNT, &headers).await, Code::Ok);
    let peer = "192.0.2.7:4711".parse().unwrap();
    let call = access.admit(UPSERT, &headers, Some(peer)).await.unwrap().unwrap();
    // It comes to its collection, and another time.
    assert_ne!(ragstone::Scope::sight(&call, "notes"), ragstone::Sight::Hidden);
    assert_eq!(ragstone::Scope::sight(&call, "drafts"), ragstone::Sight::Hidden);
    call.note_refused();
    // One that comes to none is told of when it ends.
    drop(access.admit(UPSERT, &headers, None).await.unwrap());
    assert_eq!(code(&access, DELETE, &headers).await, Code::PermissionDenied);
    assert_eq!(code(&access, DELETE, &bearer("rsk_0123456789abcdef_hush")).await, Code::Unauthenticated);
    let text = lines.text();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("ragstone::audit")).collect();
    let caller = format!("key:{id}");
    let expected: [&[&str]; 5] = [
        &["allowed", &caller, UPSERT, "write", "\"notes\"", "192.0.2.7:4711"],
        &["denied", &caller, UPSERT, "out of scope", "\"notes\"", "192.0.2.7:4711"],
        &["allowed", &caller, UPSERT, "write"],
        &["denied", &caller, DELETE, "action not granted"],
        &["denied", DELETE, "key not known"],
    ];
    assert_eq!(told.len(), expected.len(), "reading is in no line: {text}");
    for (line, parts) in told.iter().zip(expected) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(!text.contains(secret.splitn(3, '_').last().unwrap()) && !text.contains("hush"), "{text}");
}

/// Of a key that was made or taken back, and whose caller had left before the answer, there was no line.
#[tokio::test]
async fn a_change_of_a_key_is_noted_where_it_is_done_and_not_where_it_is_answered() {
    let (access, id, secret) = asking(&["admin"]);
    let call = access.admit(REVOKE, &bearer(&secret), None).await.unwrap();
    let note = within(call, async { access.noting_key("revoked") }).await;
    let lines = Lines::begin();
    note("0123456789abcdef");
    let text = lines.text();
    for part in
        [format!("key:{id}"), "changed".to_owned(), "revoked".to_owned(), "0123456789abcdef".to_owned()]
    {
        assert!(text.contains(&part), "{part}: {text}");
    }
}

/// Whoever had no credentials wrote into the log whatever they put behind a route, as much as a request's head may have.
#[tokio::test]
async fn a_route_is_logged_without_what_the_caller_puts_behind_it() {
    let (access, _, _) = asking(&["read on *"]);
    let lines = Lines::begin();
    let path = format!("/v1/models/{}", "hush".repeat(1_000));
    assert_eq!(code(&access, &path, &HeaderMap::new()).await, Code::Unauthenticated);
    let text = lines.text();
    assert!(text.contains(r#""/v1/models""#) && !text.contains("hush"), "{text}");
}

/// A stream was counted once, and went on for a day though its key had been taken back.
#[tokio::test]
async fn messages_of_a_stream_wait_for_their_rate_and_end_with_the_day_or_the_key() {
    let config = AccessConfig { required: true, ..AccessConfig::default() };
    let access = Access::new(&config, Db::in_memory().unwrap());
    let limits = Limits { per_second: Some(100.0), burst: Some(1), per_day: Some(4) };
    let new = NewKey {
        name: "test".to_owned(),
        grants: vec!["write on *".to_owned()],
        limits,
        ..NewKey::default()
    };
    let (key, secret) = access.keys().create(new).unwrap();
    let began = Instant::now();
    let call = access.admit(UPSERT, &bearer(&secret), None).await.unwrap();
    within(call, async {
        access.next_message(true).await.unwrap();
        for _ in 0..3 {
            access.next_message(false).await.unwrap();
        }
        assert!(
            began.elapsed() >= Duration::from_millis(29),
            "the first is the call's own, and three come in 30 ms"
        );
        let status = access.next_message(false).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "the day has four");
        access.keys().revoke(&key.id).unwrap();
        assert_eq!(access.next_message(true).await.unwrap_err().code(), Code::Unauthenticated);
    })
    .await;
    assert!(access.next_message(false).await.is_ok(), "of nobody who is known");
}

#[tokio::test]
async fn a_call_goes_on_until_its_key_or_token_ends() {
    let (access, _, secret) = asking(&["read on *"]);
    let mut call = access.admit(COUNT, &bearer(&secret), None).await.unwrap().unwrap();
    assert!(access.goes_on(&call).is_ok());
    for (until_us, is_good) in [(keys::now_us() + 60_000_000, true), (keys::now_us(), false)] {
        call.caller.credentials = Credentials::Token { until_us };
        assert_eq!(access.goes_on(&call).is_ok(), is_good);
    }
}

/// The answer to a stream has a good status in its headers, and what was refused in its trailers, where nobody looked.
#[tokio::test]
async fn what_is_refused_within_a_stream_is_in_the_log() {
    let (access, _, secret) = asking(&["write on notes where tenant = 'a'"]);
    let lines = Lines::begin();
    let trailers = |code: Code| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", (code as i32).into());
        Ok::<_, Status>(Frame::<bytes::Bytes>::trailers(trailers))
    };
    for code in [Code::Ok, Code::PermissionDenied] {
        let call = access.admit(INGEST, &bearer(&secret), None).await.unwrap().unwrap();
        let frames = tokio_stream::once(trailers(code));
        let inner = Body::new(StreamBody::new(frames));
        let answer = streaming::Streaming { inner, call, access: access.clone(), ends_with_key: false };
        assert!(answer.collect().await.unwrap().trailers().is_some());
    }
    let refused = lines.text().lines().filter(|line| line.contains("out of scope")).count();
    assert_eq!(refused, 1, "{}", lines.text());
}

/// Whoever watched something went on being told after their key had been taken back.
#[tokio::test]
async fn an_answer_that_streams_ends_with_the_key() {
    let (access, id, secret) = asking(&["read on *"]);
    let call = access.admit(COUNT, &bearer(&secret), None).await.unwrap().unwrap();
    let piece = || Ok::<_, Status>(Frame::data(bytes::Bytes::from_static(b"x")));
    let inner = Body::new(StreamBody::new(tokio_stream::iter([piece(), piece(), piece()])));
    let mut answer = streaming::Streaming { inner, call, access: access.clone(), ends_with_key: true };
    assert!(answer.frame().await.unwrap().unwrap().is_data());
    access.keys().revoke(&id).unwrap();
    assert_eq!(answer.frame().await.unwrap().unwrap_err().code(), Code::Unauthenticated);
    assert!(answer.frame().await.is_none());
}
