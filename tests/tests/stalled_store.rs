//! A stream of points against a store whose disk stalls: nothing is acknowledged before it is durable, and the caller waits
//! instead of filling the server's memory. A process of its own: the fail points are the process's.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ragstone::{Db, faults};
use ragstone_client::{Client, CreateCollection};
use ragstone_proto::v1;
use ragstone_proto::v1::points_service_client::PointsServiceClient;
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_server::{ServerConfig, bind, serve};
use tokio_stream::StreamExt as _;

/// Bytes of a message, about.
const MESSAGE_BYTES: usize = 1 << 20;
const MESSAGES: u64 = 200;

/// Where writes wait before their sync, once it is shut.
#[derive(Default)]
struct Disk {
    is_shut: Mutex<bool>,
    opened: Condvar,
    waits: AtomicBool,
    synced: AtomicU64,
}

impl Disk {
    fn at(&self, point: &'static str) {
        match point {
            "write.written" => {
                let mut is_shut = self.is_shut.lock().unwrap();
                while *is_shut {
                    self.waits.store(true, Ordering::SeqCst);
                    is_shut = self.opened.wait(is_shut).unwrap();
                }
            }
            "write.synced" => {
                self.synced.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
    }

    fn shut(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.opened.notify_all();
    }
}

/// A message of one large point.
fn message(sequence: u64) -> v1::IngestPointsRequest {
    let text = v1::Value { kind: Some(v1::value::Kind::StringValue("x".repeat(MESSAGE_BYTES))) };
    v1::IngestPointsRequest {
        collection: "c".into(),
        sequence,
        points: vec![v1::Point {
            id: Some(v1::PointId { id: Some(v1::point_id::Id::Number(sequence)) }),
            payload: [("text".to_owned(), text)].into(),
            ..Default::default()
        }],
        request_id: format!("message {sequence}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_disk_holds_the_caller_back_and_nothing_is_acknowledged() {
    let disk = Arc::new(Disk::default());
    let hook = Arc::clone(&disk);
    faults::on_point(move |point| hook.at(point));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let db = tokio::task::spawn_blocking(move || Db::open(path).unwrap()).await.unwrap();
    let models = Models::new(ModelOptions {
        cache_dir: directory.path().join("models"),
        offline: true,
        ..ModelOptions::default()
    });
    let listener = bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let config = ServerConfig { load_default_model: false, ..ServerConfig::default() };
    let serving = tokio::spawn(serve(config, Rag::new(db, models), listener, async move {
        let _ = stopped.await;
    }));

    let client = Client::connect(&url).await.unwrap();
    let mut collection = CreateCollection::with_dimension("c", 2);
    collection = collection.field("text", ragstone_client::FieldType::String);
    client.create_collection(collection).await.unwrap();
    disk.shut(true);
    let synced = disk.synced.load(Ordering::SeqCst);

    let channel = tonic::transport::Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    let messages = tokio_stream::iter(0..MESSAGES).map(move |sequence| {
        counted.fetch_add(1, Ordering::SeqCst);
        message(sequence)
    });
    let mut service = PointsServiceClient::new(channel);
    let mut answers = service.ingest_points(messages).await.unwrap().into_inner();
    while !disk.waits.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Time enough to send all of it many times over, were there anybody to take it.
    let early = tokio::time::timeout(Duration::from_millis(500), answers.message()).await;
    assert!(early.is_err(), "acknowledged before it is durable: {early:?}");
    // What is being stored, the message behind it and one being read; and what lies in windows and sockets on the way.
    let under_way = taken.load(Ordering::SeqCst);
    assert!(under_way <= 24, "{under_way} messages of a megabyte were taken");

    disk.shut(false);
    let mut acknowledged = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(answer.sequence, acknowledged);
        assert_eq!((answer.upserted, answer.repeated, answer.refused.len()), (1, false, 0));
        acknowledged += 1;
        let durable = disk.synced.load(Ordering::SeqCst) - synced;
        assert!(acknowledged <= durable, "{acknowledged} acknowledged, {durable} synced");
    }
    assert_eq!(acknowledged, MESSAGES);
    assert_eq!(client.get_collection("c").await.unwrap().points, MESSAGES);
    drop(stop);
    drop((answers, service, client));
    serving.await.unwrap().unwrap();
}
