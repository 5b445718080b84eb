//! What a server writes into its log, whatever it is asked to.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ragstone_tests::chat::{ChatService, Reply};
use serde_json::Value;

use crate::support::{Scratch, binary};

const KEY: &str = "sk-hunter2hunter2hunter2hunter2";
const TEXT: &str = "zanzibar quagmire xylophone vortex";

/// The first line of a log in JSON with this message, once there is one.
pub(crate) fn line(log: &str, message: &str) -> Value {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(log).unwrap();
        let mut entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(found) = entries.find(|entry| entry["message"] == message) {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no line `{message}`: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// With `RUST_LOG=trace` it had every byte that goes to a model's service: the operator's key, and texts.
#[test]
fn a_log_has_neither_keys_nor_texts() {
    let scratch = Scratch::new();
    let service = ChatService::start(|_| Reply::error(401, "not you"));
    let log = scratch.path("log");
    let mut child = Command::new(binary())
        .args(["--data", &scratch.path("data"), "serve", "--listen", "127.0.0.1:0"])
        .args(["--log-format", "json", "--load-default-model=false", "--allow-any-model"])
        .env("RUST_LOG", "trace,ureq_proto::util=trace")
        .env("RAGSTONE_EMBED_API_URL", service.base())
        .env("RAGSTONE_EMBED_API_KEY", KEY)
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let address = line(&log, "serving")["address"].as_str().unwrap().to_owned();
    let model = format!("{}#m", service.base());
    let failed = scratch.run(&["--url", &format!("http://{address}")], &["embed", "--model", &model, TEXT]);
    child.kill().unwrap();
    child.wait().unwrap();
    let asked = service.asked();
    assert!(!asked.is_empty(), "{}", String::from_utf8_lossy(&failed.stderr));
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {KEY}"));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains(r#""level":"DEBUG""#), "{text}");
    // A line of a dump has sixteen bytes.
    for secret in [&KEY[..8], &KEY[16..24], &TEXT[..8], &TEXT[16..24]] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

/// It stood beside the log alone, as text: who reads lines of JSON saw a server that was gone and no reason.
#[test]
fn why_a_server_failed_is_a_line_of_json() {
    let scratch = Scratch::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let serve = ["serve", "--listen", &address, "--log-format", "json"];
    let output = scratch.run(&["--data", &scratch.path("data")], &serve);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let mut entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let failed = entries.find(|entry| entry["message"] == "the server failed");
    let error = failed.as_ref().and_then(|entry| entry["error"].as_str());
    assert!(error.is_some_and(|error| error.contains("the address is in use")), "{text}");
}
