//! Clients that misbehave: others are answered meanwhile, memory stays under its bound, and what was acknowledged is there.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ragstone::{Db, PointId};
use ragstone_abuse::{Abuse, Target};
use ragstone_client::{Client, CreateCollection, Point, Query};
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_server::limits::{METRICS_ANSWERS_MAX, REFLECTION_CALLS_MAX};
use ragstone_server::{Listeners, ServerConfig, bind, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::by_hand::ByHand;
use crate::fixture::{Server, config, details, eventually};
use crate::http::{metric_of, post_at};

/// Tells the test that is a server where its database is; without it that test is none.
const DATA: &str = "RAGSTONE_TEST_ABUSED_DATA";
/// What the server's addresses stand behind.
const SERVING: &str = "serving at";
const DIMENSION: usize = 64;
/// Points that are there before anybody misbehaves.
const POINTS: u64 = 2_000;
/// Ids of those that are written meanwhile begin here.
const WRITTEN: u64 = 1_000_000;
/// Bouts of each kind.
const BOUTS: u64 = 2;
const MIB: u64 = 1 << 20;
/// What the database and the allocator may take beyond what callers make the server take.
const SLACK: u64 = 96 * MIB;

fn abused() -> ServerConfig {
    ServerConfig {
        load_default_model: false,
        request_bytes_max: 16 << 20,
        response_bytes_max: 16 << 20,
        message_bytes_max: 64 << 20,
        concurrent_requests_max: 64,
        concurrent_streams_max: 32,
        concurrent_generations_max: 4,
        grpc_connections_max: 128,
        http_connections_max: 64,
        http_header_timeout: Duration::from_secs(2),
        answer_stall_timeout: Duration::from_secs(2),
        ..config()
    }
}

/// The bound that the table of limits states.
fn bound(config: &ServerConfig) -> u64 {
    // Of reads, writes and fetches each.
    let worked = 3 * (config.concurrent_requests_max + config.concurrent_streams_max);
    let few = REFLECTION_CALLS_MAX + METRICS_ANSWERS_MAX;
    let places = (worked + config.concurrent_generations_max + few) as u64;
    let connections = config.grpc_connections_max as u64 * MIB + config.http_connections_max as u64 * MIB / 4;
    2 * config.message_bytes_max as u64 + places * 3 * MIB / 2 + connections
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the server of another test, in a process of its own"]
async fn abused_server() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let db = tokio::task::spawn_blocking(move || Db::open(data).unwrap()).await.unwrap();
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    let (grpc, http) = (bind("127.0.0.1:0").await.unwrap(), bind("127.0.0.1:0").await.unwrap());
    println!("\n{SERVING} {} {}", grpc.local_addr().unwrap(), http.local_addr().unwrap());
    let listeners = Listeners { grpc, http: Some(http) };
    serve(abused(), Rag::new(db, models), listeners, std::future::pending()).await.unwrap();
}

/// The server's process, killed at the end.
struct Process {
    child: std::process::Child,
    target: Target,
}

impl Process {
    fn start(data: &Path) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "abuse::abused_server", "--ignored", "--nocapture"])
            .env(DATA, data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.find_map(|line| Some(line.split_once(SERVING)?.1.trim().to_owned()));
        let told = told.expect("the server tells where it is");
        let (grpc, http) = told.split_once(' ').unwrap();
        let target = Target {
            grpc: grpc.parse().unwrap(),
            http: Some(http.parse().unwrap()),
            collection: "c".to_owned(),
            dimension: DIMENSION,
        };
        // What else it prints is taken, so that it never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Process { child, target }
    }

    /// A line of its status in the system, in bytes (Linux; none elsewhere).
    fn status_bytes(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn vector(id: u64) -> Vec<f32> {
    (0..DIMENSION as u64).map(|place| ((id * 31 + place * 17) % 101) as f32 + 1.0).collect()
}

fn point(id: u64) -> Point {
    Point::new(id, vector(id)).with("text", "x".repeat(200))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_answered_nothing_is_lost_and_memory_stays_under_its_bound() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let process = Process::start(&data);
    // It comes back when it is told to, as clients do, and no more often.
    let client = Client::builder(format!("http://{}", process.target.grpc));
    let client = client.timeout(Duration::from_secs(60)).retries(50).build().await.unwrap();
    client.create_collection(CreateCollection::with_dimension("c", DIMENSION as u32)).await.unwrap();
    client.upsert_points("c", (0..POINTS).map(point)).await.unwrap();
    let before = process.status_bytes("VmRSS:");

    let counts: Vec<(Abuse, Arc<AtomicU64>)> =
        Abuse::ALL.into_iter().map(|abuse| (abuse, Arc::default())).collect();
    let mut abusing = JoinSet::new();
    for (abuse, bouts) in counts.clone() {
        let target = process.target.clone();
        abusing.spawn(async move { abuse.go_on(&target, 1, &bouts).await });
    }
    let (began, mut written) = (Instant::now(), 0);
    let few =
        || counts.iter().find(|(_, bouts)| bouts.load(Ordering::Relaxed) < BOUTS).map(|(abuse, _)| *abuse);
    while let Some(abuse) = few() {
        assert!(began.elapsed() < Duration::from_secs(300), "{abuse:?} does not come to its end");
        client.upsert_points("c", [point(WRITTEN + written)]).await.unwrap();
        written += 1;
        let query = Query::vector("c", vector(written), 10);
        assert_eq!(client.query(query).await.unwrap().hits.len(), 10);
    }
    if let (Some(before), Some(peak)) = (before, process.status_bytes("VmHWM:")) {
        let (grown, bound) = (peak.saturating_sub(before), bound(&abused()) + SLACK);
        assert!(grown <= bound, "{} MiB more, of {} MiB that may be", grown / MIB, bound / MIB);
    }
    abusing.shutdown().await;
    // Killed amid whatever it was at.
    drop(process);
    let found = tokio::task::spawn_blocking(move || {
        let db = Db::open(data).unwrap();
        let ids: Vec<PointId> = (WRITTEN..WRITTEN + written).map(PointId::from).collect();
        db.collection("c").unwrap().get(&ids).unwrap()
    });
    let found = found.await.unwrap();
    assert_eq!(found.len() as u64, written);
    assert!(found.iter().all(Option::is_some), "what was acknowledged is lost");
}

/// Four such connections, without credentials, held 400 MiB: 96 KiB of answers for each of a thousand streams, and full windows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reflection_tells_and_nobody_takes_costs_little_and_health_answers() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(&directory.path().join("data"));
    let before = process.status_bytes("VmRSS:");
    let mut bouts = JoinSet::new();
    for seed in 0..4 {
        let target = process.target.clone();
        bouts.spawn(async move { Abuse::Reflections.once(&target, seed).await.is_ok() });
    }
    let url = format!("http://{}", process.target.grpc);
    let channel = tonic::transport::Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let mut came_to_its_end = false;
    loop {
        health.check(HealthCheckRequest::default()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(50), bouts.join_next()).await;
        match ended {
            Ok(Some(ended)) => came_to_its_end |= ended.unwrap(),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert!(came_to_its_end, "nobody misbehaved");
    if let (Some(before), Some(peak)) = (before, process.status_bytes("VmHWM:")) {
        let grown = peak.saturating_sub(before);
        assert!(grown <= 96 * MIB, "{} MiB more", grown / MIB);
    }
}

/// Each part, of twelve bytes, was kept as a value of its own: twelve times the request, and as much for every one at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_by_the_million_of_a_conversation_are_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(&directory.path().join("data"));
    let before = process.status_bytes("VmRSS:");
    let http = process.target.http.unwrap();
    let refused = tokio::task::spawn_blocking(move || {
        let list = |item: &str| vec![item; (15 << 20) / (item.len() + 1)].join(",");
        let parts = format!(r#"{{"messages":[{{"role":"user","content":[{}]}}]}}"#, list(r#"{"type":""}"#));
        let texts = list(r#"{"type":"text","text":""}"#);
        let texts = format!(r#"{{"messages":[{{"role":"","content":[{texts}]}}]}}"#);
        let messages = format!(r#"{{"messages":[{}]}}"#, list(r#"{"role":""}"#));
        [parts, texts, messages].map(|body| post_at(http, "/v1/chat/completions", "application/json", &body))
    });
    for refused in refused.await.unwrap() {
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    if let (Some(before), Some(peak)) = (before, process.status_bytes("VmHWM:")) {
        let grown = peak.saturating_sub(before);
        assert!(grown <= 96 * MIB, "{} MiB more", grown / MIB);
    }
}

/// Their places ended with their handlers, and what they were answered was counted nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_over_http_that_nobody_takes_hold_their_place_until_they_are_given_up() {
    let stall = Duration::from_secs(5);
    let config = ServerConfig { concurrent_requests_max: 1, answer_stall_timeout: stall, ..config() };
    let server = Server::start_with(config).await;
    let (body, taken) =
        (serde_json::json!({"input": vec!["a"; 2_048]}).to_string(), r#"ragstone_places_taken{kind="read"}"#);
    let head = format!("host: localhost\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
    let mut stream = tokio::net::TcpStream::connect(server.http_address).await.unwrap();
    // More answers than the system's buffers hold, none of which is taken.
    let requests = format!("POST /v1/embeddings HTTP/1.1\r\n{head}\r\n\r\n{body}").repeat(32);
    stream.write_all(requests.as_bytes()).await.unwrap();
    let mut in_a_row = 0;
    eventually("an answer that is not taken has its place", || {
        std::thread::sleep(Duration::from_millis(20));
        in_a_row = if metric_of(&server, taken) == Some(1.0) { in_a_row + 1 } else { 0 };
        in_a_row == 20
    })
    .await;
    eventually("it is given up", || metric_of(&server, taken) == Some(0.0)).await;
    let address = server.http_address;
    let again = tokio::task::spawn_blocking(move || {
        post_at(address, "/v1/embeddings", "application/json", r#"{"input": "a"}"#)
    });
    assert_eq!(again.await.unwrap().status, 200);
    drop(stream);
    server.stop().await;
}

/// It had its place, and what it takes of the system, for as long as it liked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_says_nothing_is_hung_up_on_and_another_has_its_place() {
    let server = Server::start_with(ServerConfig {
        grpc_connections_max: 1,
        http_header_timeout: Duration::from_millis(500),
        ..config()
    })
    .await;
    let mut silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let client = server.client().await.with_timeout(Duration::from_secs(30));
    assert!(client.list_collections().await.unwrap().is_empty());
    // The server's own beginning, and then the end.
    let mut settings = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), silent.read_to_end(&mut settings)).await;
    assert!(read.is_ok(), "it is hung up on");
    server.stop().await;
}

/// A request that is small on the wire and large in memory is refused before it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_by_the_million_are_refused_before_they_are_read() {
    let server = Server::start_with(ServerConfig { message_bytes_max: 8 << 20, ..config() }).await;
    let client = server.client().await.with_retries(0);
    client.create_collection(CreateCollection::with_dimension("c", 2)).await.unwrap();
    let points = [0x12, 0x00].repeat(100_000);
    let compressed = zstd::stream::encode_all(&points[..], 3).unwrap();
    assert!(compressed.len() < 1_000, "{} bytes", compressed.len());
    for (flag, message, encoding) in [(0, &points, "identity"), (1, &compressed, "zstd")] {
        let path = "PointsService/UpsertPoints";
        let mut call = ByHand::begin(&server, path, &[("grpc-encoding", encoding)]).await;
        call.send_bytes(flag, message, true);
        let refused = call.refused().await;
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{encoding}: {refused:?}");
        assert!(refused.message().contains("MESSAGE_BYTES_MAX"), "{encoding}: {refused:?}");
    }
    // What it was counted for is free again.
    client.upsert_points("c", (0..2_000_u64).map(|id| Point::new(id, [1.0, id as f32]))).await.unwrap();
    assert_eq!(client.get_collection("c").await.unwrap().points, 2_000);
    server.stop().await;
}

/// What nobody would read is not waited for, and not gathered: the rest of these messages never comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_or_has_too_many_items_is_refused_before_its_end() {
    let server = Server::start().await;
    let points = [0x12, 0x00].repeat(100_001);
    let noise: &[u8] = &[0x0f; 64];
    for (begun, reason, field) in
        [(noise, "MALFORMED_MESSAGE", None), (points.as_slice(), "LIMIT_EXCEEDED", Some("points"))]
    {
        let mut call = ByHand::begin(&server, "PointsService/UpsertPoints", &[]).await;
        let prefix = [&[0_u8][..], &(8_u32 << 20).to_be_bytes()].concat();
        call.body.send_data([&prefix, begun].concat().into(), false).unwrap();
        let refused = call.refused().await;
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
        let details = details(&refused);
        assert_eq!(details.error_info().unwrap().reason, reason);
        let named = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
        assert_eq!(named.as_deref(), field);
    }
    server.stop().await;
}
