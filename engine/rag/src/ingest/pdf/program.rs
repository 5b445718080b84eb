//! A process for each PDF.
//!
//! What a PDF makes its reader do cannot be bounded from outside: filters unpack filters, objects refer to objects, and the reader
//! recurses into both. A thread isolates panics, not memory that runs out nor a stack that overflows, which end the process. So
//! whoever has a program to start has each file read in a process of its own, which bounds itself before it reads
//! ([`answer_pdf`] is all that it does then), and which is ended when it takes too long. Few are there at a time, and what they may
//! take together is bounded by that: the others wait.
//!
//! The file goes to the program's standard input. Its answer comes from its standard output: `T` and the text or `R` and the reason why there is none, with
//! the length between, in eight bytes, so that one that died in the middle is told from one that is done.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{READ_TIME_MAX, here};
use crate::limits::{DOCUMENT_BYTES_MAX, PDF_PROCESSES_MAX};

/// What a process may take beyond the time after which it gives up by itself.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of stack in the process. They count against its memory, unlike those of a thread elsewhere, and who needs more is stopped.
const STACK_BYTES: usize = 64 << 20;
/// Bytes of an answer beside the text: what is longer is none.
const ANSWER_BYTES_MAX: u64 = DOCUMENT_BYTES_MAX as u64 + (64 << 10);
const TEXT: u8 = b'T';
const REASON: u8 = b'R';
/// What a process keeps of the environment: where its libraries are, and nothing that is secret.
const KEPT_VARIABLES: [&str; 3] = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SystemRoot"];

/// A program that reads PDFs, each in a process of its own: it bounds itself and calls [`answer_pdf`]. Clones share
/// the [`PDF_PROCESSES_MAX`] places.
///
/// Without one, PDFs are read on a thread of this process, which ends with it where a file was made to exhaust the stack
/// or the memory.
#[derive(Clone, Debug)]
pub struct PdfProgram(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    /// How long an answer is waited for.
    patience: Duration,
    busy: Mutex<usize>,
    freed: Condvar,
}

impl PdfProgram {
    /// A program with its arguments and with variables for its environment, which has nothing else of this process's.
    pub fn new<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
        variables: impl IntoIterator<Item = (A, A)>,
    ) -> PdfProgram {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        PdfProgram(Arc::new(Shared {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            variables,
            patience: READ_TIME_MAX + GRACE,
            busy: Mutex::new(0),
            freed: Condvar::new(),
        }))
    }

    /// The text of a PDF's pages, or why it has none.
    pub(super) fn to_text(&self, content: &[u8]) -> Result<String, String> {
        let _place = self.0.place();
        let mut child = self.0.start().map_err(|error| format!("no process to read it with: {error}"))?;
        let answer = self.0.answer(&mut child, content);
        // It has ended by itself, or was told to: either way it is waited for, so that nothing is left of it.
        let _ = child.wait();
        let answer = answer?;
        understood(&answer).unwrap_or_else(|| {
            Err("reading it takes more memory or stack than a document may: it is damaged, or made to"
                .to_owned())
        })
    }
}

impl Shared {
    /// Waits for one of the places; those before take a bounded time.
    fn place(&self) -> Place<'_> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while *busy >= PDF_PROCESSES_MAX {
            busy = self.freed.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        *busy += 1;
        Place(self)
    }

    fn start(&self) -> io::Result<Child> {
        let kept = KEPT_VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(kept);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // What a terminal tells all its processes is told to this one, which ends its work first.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    }

    /// All that a process answers; ends it.
    fn answer(&self, child: &mut Child, content: &[u8]) -> Result<Vec<u8>, String> {
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let no_thread = |error: io::Error| format!("no thread to read it with: {error}");
        thread::scope(|scope| {
            let named = |name: &str| thread::Builder::new().name(name.to_owned());
            // One that answers before it has read everything, or dies, breaks the pipe; what it answered counts.
            let write = move || input.map(|mut input| input.write_all(content));
            let asked = named("ragstone-pdf-in").spawn_scoped(scope, write).map_err(no_thread);
            let (sender, receiver) = sync_channel(1);
            let read = move || {
                let mut answer = Vec::new();
                let read = output.map(|output| output.take(ANSWER_BYTES_MAX).read_to_end(&mut answer));
                // Nobody waits any more for what came too late.
                let _ = sender.send(read.map(|_| answer));
            };
            let told = named("ragstone-pdf-out").spawn_scoped(scope, read).map_err(no_thread);
            let answer = asked.and(told).and_then(|_| {
                let late = |_| format!("reading it takes more than {} s", self.patience.as_secs());
                receiver.recv_timeout(self.patience).map_err(late)
            });
            // Both threads end with it, whatever it was at.
            let _ = child.kill();
            answer.map(Option::unwrap_or_default)
        })
    }
}

/// Room for one process.
struct Place<'a>(&'a Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

/// What an answer says, if it is whole.
fn understood(answer: &[u8]) -> Option<Result<String, String>> {
    let (kind, rest) = answer.split_first()?;
    let (length, said) = rest.split_first_chunk::<8>()?;
    let said =
        std::str::from_utf8(said).ok().filter(|said| said.len() as u64 == u64::from_le_bytes(*length))?;
    match *kind {
        TEXT => Some(Ok(said.to_owned())),
        REASON => Some(Err(said.to_owned())),
        _ => None,
    }
}

/// What the program of [`PdfProgram`] does: reads a PDF and writes what becomes of it. Whoever calls this has bounded the
/// memory and the time of the process before.
///
/// # Errors
/// Those of reading and writing. What a PDF has no text for is no error, but an answer.
pub fn answer_pdf(from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut content = Vec::new();
    from.take(DOCUMENT_BYTES_MAX as u64).read_to_end(&mut content)?;
    let (kind, said) = match here(&content, STACK_BYTES) {
        Ok(text) => (TEXT, text),
        Err(reason) => (REASON, reason),
    };
    to.write_all(&[kind])?;
    to.write_all(&(said.len() as u64).to_le_bytes())?;
    to.write_all(said.as_bytes())?;
    to.flush()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Instant;

    use super::*;

    const NO_VARIABLES: [(&str, &str); 0] = [];
    const LEASE: &[u8] = include_bytes!("../../../tests/data/pdf/lease.pdf");

    /// A program that is a script of the shell.
    fn script(script: &str) -> PdfProgram {
        PdfProgram::new("/bin/sh", ["-c", script], NO_VARIABLES)
    }

    fn answered(content: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        answer_pdf(content, &mut answer).unwrap();
        answer
    }

    #[test]
    fn what_is_answered_is_understood() {
        let text = here(LEASE, STACK_BYTES).unwrap();
        assert!(text.contains("The roses are cut in March."));
        assert_eq!(understood(&answered(LEASE)), Some(Ok(text)));
        assert!(understood(&answered(b"no file")).unwrap().unwrap_err().contains("no PDF"));
        let whole = answered(LEASE);
        for cut in [0, 1, 8, 9, whole.len() - 1] {
            assert_eq!(understood(&whole[..cut]), None, "{cut} bytes");
        }
        assert_eq!(understood(&[whole.as_slice(), b"x"].concat()), None);
        assert_eq!(understood(b"X\0\0\0\0\0\0\0\0"), None);
        assert_eq!(understood(b"T\x01\0\0\0\0\0\0\0\xff"), None);
    }

    #[test]
    fn a_program_is_asked_and_believed() {
        let hello = r"cat >/dev/null; printf 'T\005\000\000\000\000\000\000\000hello'";
        assert_eq!(script(hello).to_text(LEASE), Ok("hello".to_owned()));
        let without_reading = r"printf 'R\003\000\000\000\000\000\000\000bad'";
        assert_eq!(script(without_reading).to_text(&vec![b'x'; 4 << 20]), Err("bad".to_owned()));
    }

    #[test]
    fn one_that_dies_leaves_a_reason() {
        for died in ["kill -SEGV $$", "kill -ABRT $$", "exit 1", "true", r"printf 'T\377'", "exec cat"] {
            let reason = script(died).to_text(LEASE).unwrap_err();
            assert!(reason.contains("memory or stack"), "{died}: {reason}");
        }
        let absent = PdfProgram::new("/no/such/program", ["x"], NO_VARIABLES).to_text(LEASE).unwrap_err();
        assert!(absent.contains("no process"), "{absent}");
    }

    #[test]
    fn one_that_takes_too_long_is_ended() {
        let mut slow = script("exec sleep 600");
        Arc::get_mut(&mut slow.0).unwrap().patience = Duration::from_millis(50);
        let began = Instant::now();
        let reason = slow.to_text(&vec![b'x'; 4 << 20]).unwrap_err();
        assert!(reason.contains("takes more than"), "{reason}");
        assert!(began.elapsed() < Duration::from_secs(300), "it was not waited for to its own end");
        assert_eq!(*slow.0.busy.lock().unwrap(), 0, "its place is free");
    }

    #[test]
    fn few_are_there_at_a_time() {
        let program = script(r"printf 'T\000\000\000\000\000\000\000\000'");
        let places: Vec<Place<'_>> = (0..PDF_PROCESSES_MAX).map(|_| program.0.place()).collect();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| program.to_text(LEASE));
            assert!(!waiting.is_finished());
            drop(places);
            assert_eq!(waiting.join().unwrap(), Ok(String::new()));
        });
    }

    /// Ctrl-C, upon which a server finishes what it was at, ended the process, and the file was refused as damaged.
    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_not_interrupted_by_the_terminal() {
        let program = script(
            "read -r _ _ _ _ group _ </proc/$$/stat; \
             test \"$group\" = $$ && printf 'T\\001\\000\\000\\000\\000\\000\\000\\000x'",
        );
        assert_eq!(program.to_text(LEASE), Ok("x".to_owned()));
    }

    #[test]
    fn it_is_told_nothing_of_the_environment() {
        let program = PdfProgram::new(
            "/bin/sh",
            [
                "-c",
                r#"cat >/dev/null; test -z "$HOME$CARGO_MANIFEST_DIR" && printf "T\001\000\000\000\000\000\000\000$SAID""#,
            ],
            [("SAID", "x")],
        );
        assert_eq!(program.to_text(LEASE), Ok("x".to_owned()));
    }
}
