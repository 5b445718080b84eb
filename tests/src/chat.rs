//! A service that speaks the OpenAI chat protocol over HTTP, for tests: a real server on the loopback interface whose answers, delays
//! and failures the test decides. A thread a connection; an answer's body is chunked, as such services send it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// How long anything is waited for before a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `/v1/chat/completions`.
    pub path: String,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Value,
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// An event of the stream.
    Event(String),
    /// Bytes as they are, a chunk of the body.
    Raw(Vec<u8>),
    /// Nothing more until the caller leaves, which [`ChatService::wait_until_left`] sees.
    Hang,
    /// Nothing more until [`ChatService::open`].
    Wait,
    /// The connection breaks.
    Break,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub steps: Vec<Step>,
}

impl Reply {
    /// A stream of these steps.
    pub fn stream(steps: Vec<Step>) -> Reply {
        Reply { status: 200, headers: vec![("content-type", "text/event-stream".to_owned())], steps }
    }

    /// These pieces, then the reason to stop, the usage and the closing event.
    pub fn answer(pieces: &[&str]) -> Reply {
        let first = event(&json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}));
        let pieces = pieces.iter().map(|text| piece(text));
        Reply::stream([first].into_iter().chain(pieces).chain(end("stop")).collect())
    }

    /// An error in the protocol's form.
    pub fn error(status: u16, message: &str) -> Reply {
        let body = json!({"error": {"message": message, "type": "server_error"}}).to_string();
        let headers = vec![("content-type", "application/json".to_owned())];
        Reply { status, headers, steps: vec![Step::Raw(body.into_bytes())] }
    }

    /// The same with a further header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Reply {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// An event with this data.
pub fn event(data: &Value) -> Step {
    Step::Event(data.to_string())
}

/// A piece of an answer.
pub fn piece(text: &str) -> Step {
    event(&json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

/// What ends an answer: the reason, the tokens that it took, the closing event.
pub fn end(reason: &str) -> [Step; 3] {
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18});
    [
        event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})),
        event(&json!({"choices": [], "usage": usage})),
        Step::Event("[DONE]".to_owned()),
    ]
}

/// What the threads of a service share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ending: AtomicBool,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    left: usize,
    open: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until it holds; whether it does.
    fn wait(&self, holds: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, |state| !holds(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Makes the answer to a request.
type Replier = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// The service; it ends with the value.
pub struct ChatService {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl ChatService {
    /// Listens on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub fn start(reply: impl FnMut(&Asked) -> Reply + Send + 'static) -> ChatService {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        let reply: Arc<Mutex<Replier>> = Arc::new(Mutex::new(Box::new(reply)));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.ending.load(Ordering::SeqCst) {
                    return;
                }
                // A client that went away is no concern of the service's.
                let Ok(stream) = stream else { continue };
                let (seen, reply) = (seen.clone(), reply.clone());
                std::thread::spawn(move || converse(&stream, &seen, &reply));
            }
        });
        ChatService { address, shared, thread: Some(thread) }
    }

    /// Its base, as clients are given it.
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// `NAME=URL`, as operators write it.
    pub fn named(&self, name: &str) -> String {
        format!("{name}={}", self.base())
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }

    /// Lets go on what waits at [`Step::Wait`].
    pub fn open(&self) {
        self.shared.change(|state| state.open = true);
    }

    /// Returns when so many callers have left at [`Step::Hang`].
    ///
    /// # Panics
    /// If they do not.
    pub fn wait_until_left(&self, callers: usize) {
        assert!(self.shared.wait(|state| state.left >= callers), "{callers} callers did not leave");
    }

    /// Returns when so many requests have come.
    ///
    /// # Panics
    /// If they do not.
    pub fn wait_until_asked(&self, requests: usize) {
        assert!(self.shared.wait(|state| state.asked.len() >= requests), "{requests} requests did not come");
    }
}

impl Drop for ChatService {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        self.open();
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Answers one request. A client that goes away ends it, and is no concern of the service's.
fn converse(stream: &TcpStream, shared: &Shared, reply: &Mutex<Replier>) -> Option<()> {
    let asked = read(stream)?;
    let reply = (reply.lock().unwrap_or_else(PoisonError::into_inner))(&asked);
    shared.change(|state| state.asked.push(asked));
    let mut out = stream;
    let mut head =
        format!("HTTP/1.1 {} Answer\r\nconnection: close\r\ntransfer-encoding: chunked\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    out.write_all((head + "\r\n").as_bytes()).ok()?;
    for step in reply.steps {
        let bytes = match step {
            Step::Event(data) => format!("data: {data}\n\n").into_bytes(),
            Step::Raw(bytes) => bytes,
            Step::Hang => {
                // Nothing else comes over this connection, so what ends the wait is the caller's leaving.
                let _ = out.read(&mut [0]);
                shared.change(|state| state.left += 1);
                return None;
            }
            Step::Wait => {
                shared.wait(|state| state.open);
                continue;
            }
            Step::Break => return None,
        };
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
        out.write_all(&chunk).ok()?;
    }
    out.write_all(b"0\r\n\r\n").ok()
}

fn read(stream: &TcpStream) -> Option<Asked> {
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
    Some(Asked { path, headers, body: serde_json::from_slice(&body).ok()? })
}
