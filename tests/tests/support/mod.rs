//! Processes and scratch directories for the tests of the command line.

mod binary;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Once, mpsc};
use std::time::Duration;

use serde_json::Value;

pub(crate) use self::binary::binary;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The default model's name, once it is in the cache: it is fetched as it is for any user, where it is not there yet.
pub(crate) fn model() -> &'static str {
    static PULLED: Once = Once::new();
    PULLED.call_once(|| {
        let output = Command::new(binary()).args(["model", "pull"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    "all-MiniLM-L6-v2"
}

/// A directory that goes when the test ends.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The program with these arguments, whatever the environment says.
    pub(crate) fn command(&self, place: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.0.path()).args(place).args(arguments);
        for variable in ["RAGSTONE_URL", "RAGSTONE_DATA", "RAGSTONE_OFFLINE", "RAGSTONE_API_KEY"] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, place: &[&str], arguments: &[&str]) -> Output {
        self.command(place, arguments).output().unwrap()
    }

    /// Runs with `--json`; the one document that it prints.
    pub(crate) fn json(&self, place: &[&str], arguments: &[&str]) -> Value {
        self.json_with_code(place, arguments, 0)
    }

    /// Runs with `--json` something that ends with this exit code; the one document that it prints.
    pub(crate) fn json_with_code(&self, place: &[&str], arguments: &[&str], code: i32) -> Value {
        let output = self.run(place, &[&["--json"], arguments].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}:\n{out}\n{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}:\n{out}"))
    }

    /// Runs something that must fail in good order, with an error that has every one of these words.
    pub(crate) fn fails(&self, place: &[&str], arguments: &[&str], words: &[&str]) {
        let output = self.run(place, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
        for word in words {
            assert!(error.contains(word), "{arguments:?}: the error does not name {word:?}: {error}");
        }
    }
}

/// A server process on a free port.
pub(crate) struct Server {
    child: Child,
    address: String,
    /// Where the HTTP port is, if there is one.
    pub(crate) http_address: Option<String>,
}

impl Server {
    pub(crate) fn start(data: &str) -> Self {
        Self::start_with(data, &[])
    }

    /// With further arguments.
    pub(crate) fn start_with(data: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args([
            "--data",
            data,
            "--offline",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
        ]);
        command.args(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        // Reads on after the first line, so that the server never waits for a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let entry: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
                if let Some(address) = entry["address"].as_str() {
                    let http_address = entry["http_address"].as_str().map(str::to_owned);
                    let _ = sender.send((address.to_owned(), http_address));
                }
            }
        });
        let (address, http_address) = receiver.recv_timeout(PATIENCE).expect("the server names its address");
        Self { child, address, http_address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
