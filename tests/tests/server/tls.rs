//! TLS of both ports, over real sockets, with certificates that were made a moment ago.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ragstone::Db;
use ragstone_client::{Client, ClientBuilder, Code, Error};
use ragstone_rag::Rag;
use ragstone_rag::embed::{ModelOptions, Models};
use ragstone_server::{ServeError, ServerConfig, TlsFiles, bind, serve};
use ragstone_tests::certificates::{Authority, Issued};
use rustls::HandshakeKind;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::fixture::{Server, config};

const RELOAD_INTERVAL: Duration = Duration::from_millis(20);

/// Files of a server, in a directory that goes with them.
struct Files(TempDir);

impl Files {
    fn new(issued: &Issued) -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        files.replace(issued);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// One file after the other: for a moment they do not belong together.
    fn replace(&self, issued: &Issued) {
        self.write("cert.pem", &issued.cert);
        self.write("key.pem", &issued.key);
    }

    fn write(&self, name: &str, pem: &str) {
        let beside = self.path("beside");
        std::fs::write(&beside, pem).unwrap();
        std::fs::rename(&beside, self.path(name)).unwrap();
    }

    fn config(&self) -> ServerConfig {
        let (cert, key) = (Some(self.path("cert.pem")), Some(self.path("key.pem")));
        let tls = TlsFiles { cert, key, client_ca: None, reload_interval: RELOAD_INTERVAL };
        ServerConfig { tls, ..config() }
    }

    /// The same, for clients of this authority alone.
    fn config_for(&self, clients: &Authority) -> ServerConfig {
        self.write("clients.pem", &clients.pem());
        let mut config = self.config();
        config.tls.client_ca = Some(self.path("clients.pem"));
        config
    }
}

fn at(server: &Server) -> ClientBuilder {
    Client::builder(format!("https://{}", server.address)).retries(0)
}

/// The error of the first call, or of connecting: a server that wants a certificate says so behind the client's half of the handshake.
async fn refused(builder: ClientBuilder) -> Error {
    match builder.build().await {
        Ok(client) => client.list_collections().await.unwrap_err(),
        Err(error) => error,
    }
}

async fn works(builder: ClientBuilder) -> bool {
    match builder.build().await {
        Ok(client) => client.list_collections().await.is_ok(),
        Err(_) => false,
    }
}

/// What the HTTP port answers over TLS to who trusts an authority, and shows a certificate or none.
async fn get(server: &Server, path: &str, trusted: &Authority, shown: Option<&Issued>) -> io::Result<String> {
    Ok(get_as(server, path, &who_trusts(trusted, shown)).await?.0)
}

/// A client who trusts an authority, shows a certificate or none, and remembers sessions.
fn who_trusts(trusted: &Authority, shown: Option<&Issued>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        Some(Issued { cert, key }) => {
            let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    })
}

/// What the HTTP port answers to a client, and what kind of handshake came before.
async fn get_as(
    server: &Server,
    path: &str,
    client: &Arc<rustls::ClientConfig>,
) -> io::Result<(String, Option<HandshakeKind>)> {
    let stream = TcpStream::connect(server.http_address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = TlsConnector::from(Arc::clone(client)).connect(name, stream).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok((answer, stream.get_ref().1.handshake_kind()))
}

/// When the certificates end, as metrics tell it to who trusts an authority.
async fn told_end(server: &Server, trusted: &Authority) -> Option<u64> {
    let answer = get(server, "/metrics", trusted, None).await.unwrap();
    let name = "ragstone_certificate_expiration_timestamp_seconds";
    assert!(answer.contains(&format!("# TYPE {name} gauge")), "{answer}");
    answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Waits for something to come about, at most 20 s.
async fn until(what: &str, mut comes: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if comes().await {
            return;
        }
        tokio::time::sleep(RELOAD_INTERVAL).await;
    }
    panic!("{what} did not happen within 20 s");
}

#[tokio::test]
async fn both_ports_speak_tls_to_those_who_trust_them() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.issue("server"));
    let server = Server::start_with(files.config()).await;
    assert!(works(at(&server).tls_ca(authority.pem())).await);
    let by_name = Client::builder(format!("https://localhost:{}", server.address.port()));
    assert!(works(by_name.tls_ca(authority.pem())).await);
    let answer = get(&server, "/healthz", &authority, None).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused_and_so_is_plaintext() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&authority.issue("server"));
    let server = Server::start_with(files.config()).await;
    let error = refused(at(&server).tls_ca(other.pem())).await;
    assert!(error.code() == Code::Unavailable && error.message().contains("UnknownIssuer"), "{error:?}");
    let error = refused(at(&server)).await;
    assert!(error.message().contains("UnknownIssuer"), "the system's authorities: {error:?}");
    assert!(get(&server, "/healthz", &other, None).await.is_err());

    refused(Client::builder(server.url()).retries(0)).await;
    let mut plain = TcpStream::connect(server.http_address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // It may also be reset, which is no answer either.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert!(works(at(&server).tls_ca(authority.pem())).await, "the server goes on");
    server.stop().await;
}

#[tokio::test]
async fn only_clients_that_the_authority_vouches_for_are_let_in() {
    let (authority, clients, others) =
        (Authority::new("servers"), Authority::new("clients"), Authority::new("others"));
    let files = Files::new(&authority.issue("server"));
    let server = Server::start_with(files.config_for(&clients)).await;
    let (one, stranger) = (clients.issue("one"), others.issue("stranger"));
    let shows = |shown: &Issued| {
        at(&server).tls_ca(authority.pem()).tls_identity(shown.cert.as_str(), shown.key.as_str())
    };
    assert!(works(shows(&one)).await);
    let answer = get(&server, "/healthz", &authority, Some(&one)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    refused(shows(&stranger)).await;
    refused(at(&server).tls_ca(authority.pem())).await;
    for shown in [None, Some(&stranger)] {
        let answer = get(&server, "/healthz", &authority, shown).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    server.stop().await;
}

/// Whose certificate had ended came back by the session of a connection before, and by the one after that, and nobody looked.
#[tokio::test]
async fn a_session_stands_for_no_certificate() {
    let (authority, clients) = (Authority::new("servers"), Authority::new("clients"));
    let files = Files::new(&authority.issue("server"));
    let one = clients.issue("one");
    let cases = [
        (files.config(), who_trusts(&authority, None), HandshakeKind::Resumed),
        (files.config_for(&clients), who_trusts(&authority, Some(&one)), HandshakeKind::Full),
    ];
    for (config, client, expected) in cases {
        let server = Server::start_with(config).await;
        let first = get_as(&server, "/healthz", &client).await.unwrap();
        let second = get_as(&server, "/healthz", &client).await.unwrap();
        assert_eq!((first.1, second.1), (Some(HandshakeKind::Full), Some(expected)));
        assert!(second.0.starts_with("HTTP/1.1 200"), "{}", second.0);
        server.stop().await;
    }
}

#[tokio::test]
async fn new_files_hold_for_new_connections_and_broken_ones_for_none() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let files = Files::new(&before.issue("server"));
    let server = Server::start_with(files.config()).await;
    let open = at(&server).tls_ca(before.pem()).build().await.unwrap();
    open.list_collections().await.unwrap();
    assert_eq!(told_end(&server, &before).await, Some(67_090_118_400));

    files.replace(&after.issue_until("server", 2100));
    until("the new certificate", async || works(at(&server).tls_ca(after.pem())).await).await;
    assert!(!works(at(&server).tls_ca(before.pem())).await, "whom nobody has any more is not shown any more");
    assert_eq!(told_end(&server, &after).await, Some(4_102_444_800));
    open.list_collections().await.expect("a connection that was open stays as it is");

    for broken in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        files.write("cert.pem", broken);
        tokio::time::sleep(RELOAD_INTERVAL * 5).await;
        assert!(works(at(&server).tls_ca(after.pem())).await, "{broken:?}");
    }
    std::fs::remove_file(files.path("key.pem")).unwrap();
    tokio::time::sleep(RELOAD_INTERVAL * 5).await;
    assert!(works(at(&server).tls_ca(after.pem())).await);
    assert_eq!(told_end(&server, &after).await, Some(4_102_444_800), "of those that are shown still");

    files.replace(&before.issue("server"));
    until("a certificate that is whole again", async || works(at(&server).tls_ca(before.pem())).await).await;
    server.stop().await;
}

#[tokio::test]
async fn an_authority_of_clients_is_taken_up_anew_too() {
    let (authority, first, second) =
        (Authority::new("servers"), Authority::new("first"), Authority::new("second"));
    let files = Files::new(&authority.issue("server"));
    let server = Server::start_with(files.config_for(&first)).await;
    let (one, two) = (first.issue("one"), second.issue("two"));
    let shows = |shown: &Issued| {
        at(&server).tls_ca(authority.pem()).tls_identity(shown.cert.as_str(), shown.key.as_str())
    };
    assert!(works(shows(&one)).await && !works(shows(&two)).await);
    files.write("clients.pem", &second.pem());
    until("the second authority", async || works(shows(&two)).await).await;
    assert!(!works(shows(&one)).await);
    server.stop().await;
}

/// Connections that never say a word keep nobody else waiting.
#[tokio::test]
async fn a_handshake_that_never_comes_keeps_nobody_waiting() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.issue("server"));
    let server = Server::start_with(files.config()).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
        silent.push(TcpStream::connect(server.http_address).await.unwrap());
    }
    assert!(works(at(&server).tls_ca(authority.pem())).await);
    assert!(get(&server, "/healthz", &authority, None).await.is_ok());
    // Nor do they keep it from ending.
    server.stop().await;
    drop(silent);
}

/// A server does not start with files that it could not serve, and says which.
#[tokio::test]
async fn a_server_does_not_start_with_broken_files() {
    let authority = Authority::new("ours");
    let (one, two) = (authority.issue("one"), authority.issue("two"));
    let files = Files::new(&one);
    let wrong = async |config: ServerConfig| {
        let (db, models) = (Db::in_memory().unwrap(), Models::new(ModelOptions::default()));
        let listener = bind("127.0.0.1:0").await.unwrap();
        let served = serve(config, Rag::new(db, models), listener, async {}).await;
        match served.unwrap_err() {
            ServeError::Tls(error) => (error.setting, error.reason),
            other => panic!("{other}"),
        }
    };
    let mut absent = files.config();
    absent.tls.client_ca = Some(files.path("absent.pem"));
    assert_eq!(wrong(absent).await.0, "tls.client_ca");
    files.write("key.pem", &two.key);
    let (setting, reason) = wrong(files.config()).await;
    assert!(setting == "tls.key" && reason.contains("KeyMismatch"), "{reason}");
    files.write("key.pem", &one.cert);
    let (setting, reason) = wrong(files.config()).await;
    assert_eq!((setting, reason.as_str()), ("tls.key", "no private key is in it"));
    files.replace(&one);
    files.write("cert.pem", "");
    let (setting, reason) = wrong(files.config()).await;
    assert_eq!((setting, reason.as_str()), ("tls.cert", "no certificate is in it"));
}

/// Who must show a certificate is asked who they are; whoever may come without one is not, TLS or none.
#[tokio::test]
async fn beyond_this_machine_clients_show_certificates() {
    let (authority, clients) = (Authority::new("servers"), Authority::new("clients"));
    let files = Files::new(&authority.issue("server"));
    let served = async |config: ServerConfig| {
        let options = ModelOptions { offline: true, ..ModelOptions::default() };
        let rag = Rag::new(Db::in_memory().unwrap(), Models::new(options));
        let config = ServerConfig { load_default_model: false, ..config };
        serve(config, rag, bind("0.0.0.0:0").await.unwrap(), async {}).await
    };
    let refused = served(files.config()).await;
    assert!(matches!(refused, Err(ServeError::Insecure { .. })), "{refused:?}");
    served(files.config_for(&clients)).await.unwrap();
}
