//! A server that is asked to stop, and asked again.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::logs::line;
use crate::support::{Scratch, binary};

/// How long what is to happen is waited for.
const WAIT: Duration = Duration::from_secs(60);

/// A process that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ctrl-C a second time did nothing: whoever had set a long `shutdown_grace` had to look for the process and kill it.
#[test]
fn who_asks_twice_does_not_wait_for_requests_under_way() {
    let scratch = Scratch::new();
    let log = scratch.path("log");
    let child = Command::new(binary())
        .args(["--data", &scratch.path("data"), "--offline", "serve", "--listen", "127.0.0.1:0"])
        .args(["--http-listen", "127.0.0.1:0", "--log-format", "json", "--load-default-model=false"])
        .args(["--shutdown-grace", "1h"])
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut server = Ending(child);
    let id = server.0.id().to_string();
    let interrupt = || assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let address = line(&log, "serving")["http_address"].as_str().unwrap().to_owned();
    let mut request = TcpStream::connect(&address).unwrap();
    request.set_read_timeout(Some(WAIT)).unwrap();
    let head = "content-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue";
    write!(request, "POST /v1/embeddings HTTP/1.1\r\nhost: {address}\r\n{head}\r\n\r\n").unwrap();
    let mut goes_on = [0; 12];
    request.read_exact(&mut goes_on).unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100", "its body is waited for");
    interrupt();
    line(&log, "draining");
    let began = Instant::now();
    let status = loop {
        // Again and again: it listens a moment after the first.
        interrupt();
        if let Some(status) = server.0.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < WAIT, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
}
