//! An HTTP server on the loopback for tests: real requests over a real socket, answered by a function.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    /// By lower-case name.
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Break off after so many bytes of the body.
    pub(super) cut: Option<usize>,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, body: body.into(), ..Answer::default() }
    }
}

/// The server; it ends with the value.
pub(super) struct StandIn {
    pub(super) url: String,
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    pub(super) fn start(mut answer: impl FnMut(&Request) -> Answer + Send + 'static) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ending = Arc::new(AtomicBool::new(false));
        let (seen, end) = (requests.clone(), ending.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                // A client that went away is no concern of the server's.
                if let Ok(stream) = stream
                    && let Some(request) = read(&stream)
                {
                    seen.lock().unwrap().push(request.clone());
                    write(stream, &answer(&request));
                }
            }
        });
        StandIn { url: format!("http://{address}"), address, requests, ending, thread: Some(thread) }
    }

    /// Every request so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the stand-in panicked");
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body })
}

fn write(mut stream: TcpStream, answer: &Answer) {
    let mut head = format!("HTTP/1.1 {} Answer\r\nconnection: close\r\n", answer.status);
    head += &format!("content-length: {}\r\n", answer.body.len());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
    // A client that went away is no concern of the server's.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)));
}
