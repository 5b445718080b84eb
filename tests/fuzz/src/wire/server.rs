//! A server of this process, over a database in memory.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ragstone::{Analyzer, Db, FieldType, MultiOptions, Point, Schema, SparseVector};
use ragstone_abuse::{Connection, Failure};
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_server::access::{AccessConfig, Grant, JwtConfig, Keys, NewKey};
use ragstone_server::{Listeners, ServerConfig, bind, serve};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::papers::{PAPERS, make_papers, model};
use super::requests::{AUDIENCE, COLLECTION, ISSUER, KEY_ID, OTHER_KEYS};
use crate::sample::options;

/// How long an answer may take before it is taken for none.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a message: few, so that what becomes more is met soon.
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Rows of a collection before it is made anew.
const ROWS_MAX: u64 = 200;

/// Panics of any thread. The server catches its own, and libFuzzer ends at each.
pub(super) static PANICS: AtomicUsize = AtomicUsize::new(0);

/// The server.
pub(super) struct Server {
    runtime: Runtime,
    grpc: SocketAddr,
    http: SocketAddr,
    db: Db,
    rag: Rag,
    key: String,
    signer: Ed25519KeyPair,
    /// Has the keys that tokens are checked by.
    _folder: TempDir,
}

impl Server {
    pub(super) fn start() -> Self {
        count_panics();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("the system has threads");
        let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any 32 bytes are a seed");
        let folder = tempfile::tempdir().expect("a scratch directory");
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, key_set(&signer)).expect("a file can be written");
        let db = Db::in_memory_with(options()).expect("a database in memory opens");
        make_notes(&db);
        let new = NewKey { name: "fuzz".to_owned(), grants: vec!["admin".to_owned()], ..NewKey::default() };
        let (_, key) = Keys::new(db.clone()).create(new).expect("a key is made");
        let mut jwt = JwtConfig::new(keys.to_str().expect("a path of ours"), ISSUER, AUDIENCE);
        let grants = ["read on *", "write on * where year >= $claims.year"];
        let grants = grants.map(|grant| grant.parse::<Grant>().expect("it is a grant"));
        jwt.roles = [("some".to_owned(), grants.into())].into();
        let config = ServerConfig {
            load_default_model: false,
            request_bytes_max: REQUEST_BYTES_MAX,
            access: AccessConfig { required: true, jwt, ..AccessConfig::default() },
            ..ServerConfig::default()
        };
        let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
        models.insert(model());
        let rag = Rag::new(db.clone(), models);
        make_papers(&rag);
        let served = rag.clone();
        let (grpc, http) = runtime.block_on(async {
            let grpc = bind("127.0.0.1:0").await.expect("there is a free port");
            let http = bind("127.0.0.1:0").await.expect("there is a free port");
            let addresses = (grpc.local_addr(), http.local_addr());
            let listeners = Listeners { grpc, http: Some(http) };
            tokio::spawn(serve(config, served, listeners, std::future::pending()));
            (addresses.0.expect("it has an address"), addresses.1.expect("it has an address"))
        });
        Self { runtime, grpc, http, db, rag, key, signer, _folder: folder }
    }

    /// A key that may do everything.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// A token with these parts, whatever they are, and the signature over them.
    pub(super) fn token(&self, header: &[u8], claims: &[u8]) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signer.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    /// Makes a call with a body that comes in these pieces: the code that it ends with, and what came before.
    ///
    /// # Errors
    /// The server hung up.
    pub(super) fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        pieces: Vec<Vec<u8>>,
    ) -> Result<(u32, Vec<u8>), Failure> {
        let called = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, call(self.grpc, path, headers, pieces)).await });
        called.unwrap_or_else(|_| panic!("{path} does not end"))
    }

    /// Sends bytes to the HTTP port: the status of the answer, if one came. Behind a head that makes no sense nothing more will come, which
    /// the server is told.
    pub(super) fn http(&self, request: &[u8], ends: bool) -> Option<u16> {
        let mut stream = TcpStream::connect(self.http).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time that is not 0");
        // It may have hung up already: the answer tells.
        let _ = stream.write_all(request);
        if ends {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!is_late, "a request to the HTTP port does not end");
        }
        let status = answer.strip_prefix(b"HTTP/1.1 ").or_else(|| answer.strip_prefix(b"HTTP/1.0 "))?;
        std::str::from_utf8(status.get(..3)?).ok()?.parse().ok()
    }

    /// Undoes what requests may have done: collections that are too many or too large.
    pub(super) fn tidy(&self) {
        for (alias, _) in self.db.aliases() {
            let _ = self.db.delete_alias(&alias);
        }
        for info in self.db.collections() {
            if ![COLLECTION, PAPERS].contains(&info.name.as_str()) || info.points > ROWS_MAX {
                let _ = self.db.delete_collection(&info.name);
            }
        }
        if self.db.collection(COLLECTION).is_err() {
            make_notes(&self.db);
        }
        if self.db.collection(PAPERS).is_err() {
            make_papers(&self.rag);
        }
    }
}

async fn call(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    pieces: Vec<Vec<u8>>,
) -> Result<(u32, Vec<u8>), Failure> {
    let connection = Connection::open(address).await?;
    let (answer, mut sending) = connection.begin(path, headers).await?;
    for piece in pieces {
        // It may have answered already.
        if sending.send_data(Bytes::from(piece), false).is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = sending.send_data(Bytes::new(), true);
    let (head, mut body) = answer.await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?;
    let status = head.headers.get("grpc-status").or_else(|| trailers.as_ref()?.get("grpc-status"));
    let code = status.and_then(|status| status.to_str().ok()?.parse().ok());
    Ok((code.ok_or("an answer without a status")?, bytes))
}

/// The keys of an identity provider: that of the signer among others.
fn key_set(signer: &Ed25519KeyPair) -> String {
    let x = URL_SAFE_NO_PAD.encode(signer.public_key().as_ref());
    let own =
        format!(r#"{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"{KEY_ID}","x":"{x}"}}"#);
    format!(r#"{{"keys":[{own},{OTHER_KEYS}]}}"#)
}

fn make_notes(db: &Db) {
    let schema = Schema::builder(2)
        .multi("late", MultiOptions::new(2))
        .sparse("words")
        .field("year", FieldType::Int)
        .field("place", FieldType::Geo)
        .text("text", Analyzer::English);
    let schema = schema.build().expect("the schema is valid");
    // An operation may have the name for a moment yet.
    let Ok(notes) = db.create_collection(COLLECTION, schema) else { return };
    let point = |id: u64| {
        let words = SparseVector { indices: vec![id as u32, 100], values: vec![1.0, 0.5] };
        let point = Point::new(id, [1.0, id as f32]).with("year", 2_000 + id as i64);
        let point = point.with("text", format!("green tea {id}")).with_vector("words", words);
        point.with_vector("late", vec![vec![1.0, id as f32], vec![0.5, 1.0]])
    };
    notes.upsert((0..20).map(point).collect()).expect("rows are written");
}

/// Counts panics from now on, and tells whoever was told of them before.
fn count_panics() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        told(panic);
    }));
}
