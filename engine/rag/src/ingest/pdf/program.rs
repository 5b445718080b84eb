//! A process for each PDF.
//!
//! What a PDF makes its reader do cannot be bounded from outside: filters unpack filters, objects refer to objects, and the reader
//! recurses into both. A thread isolates panics, not memory that runs out nor a stack that overflows, which end the process. So
//! whoever has a program to start has each file read in a process of its own, which bounds itself before it reads
//! ([`answer_pdf`] is all that it does then), and which is ended when it takes too long. Few are there at a time, and what they may
//! take together is bounded by that: the others wait ([`places`]), for a time. Whoever waits looks up meanwhile: where nobody wants the
//! text any more, the process is ended, and with it whatever it has started itself ([`group`]).
//!
//! The file goes to the program's standard input. Its answer comes from its standard output: `T` and the text, `R` and the reason why the file has none, or
//! `F` and the reason why it was not read, with the length between, in eight bytes, so that one that died in the middle is told from one that is done.
//! Why one died is told by its status and by its standard error ([`ended`]).

mod ended;
mod group;
mod places;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use self::places::Places;
use super::{READ_TIME_MAX, Unread, here};
use crate::embed::Wanted;
use crate::limits::{DOCUMENT_BYTES_MAX, PDF_PLACE_SECONDS_MAX, PDF_PROCESSES_MAX};
use crate::waiting::LOOK;

/// What a process may take beyond the time after which it gives up by itself.
const GRACE: Duration = Duration::from_secs(10);
/// What it may take to end after its answer.
const ENDING: Duration = Duration::from_secs(1);
/// Bytes of stack in the process. They count against its memory, unlike those of a thread elsewhere, and who needs more is stopped.
const STACK_BYTES: usize = 64 << 20;
/// Bytes of an answer beside the text: what is longer is none.
const ANSWER_BYTES_MAX: u64 = DOCUMENT_BYTES_MAX as u64 + (64 << 10);
/// Bytes of its standard error that are looked at.
const ERROR_BYTES_MAX: u64 = 16 << 10;
const TEXT: u8 = b'T';
const REASON: u8 = b'R';
const FAILURE: u8 = b'F';
/// What a process keeps of the environment: where its libraries are, and nothing that is secret.
const KEPT_VARIABLES: [&str; 3] = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SystemRoot"];

/// A program that reads PDFs, each in a process of its own: it calls [`answer_pdf`], which has it bound itself. Clones share
/// the [`PDF_PROCESSES_MAX`] places; a file waits for one at most [`PDF_PLACE_SECONDS_MAX`] seconds, and no longer than its call is wanted, with
/// which the process ends, too, and on Unix whatever it has started.
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
    places: Places,
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
            places: Places::new(PDF_PROCESSES_MAX, Duration::from_secs(PDF_PLACE_SECONDS_MAX)),
        }))
    }

    /// With so many places, each of which is waited for so long.
    #[cfg(all(test, unix))]
    pub(crate) fn with_places(mut self, max: usize, patience: Duration) -> PdfProgram {
        Arc::get_mut(&mut self.0).expect("it has no clones").places = Places::new(max, patience);
        self
    }

    /// The text of a PDF's pages, or why there is none.
    pub(super) fn to_text(&self, content: &[u8], wanted: Wanted<'_>) -> Result<String, Unread> {
        let _place = self.0.places.take(wanted)?;
        wanted.check().map_err(Unread::Unwanted)?;
        let not_started = |error: io::Error| {
            let program = self.0.program.display();
            Unread::Failed(format!("the program that reads PDFs, {program}, could not be started: {error}"))
        };
        let mut child = self.0.start().map_err(not_started)?;
        let began = Instant::now();
        let answer = self.0.answer(&mut child, content, wanted);
        // It has ended by itself, or was told to: either way it is waited for, so that nothing is left of it.
        let status = child.wait();
        let (answer, errors) = answer?;
        answer.unwrap_or_else(|| Err(ended::why(status, &errors, began.elapsed())))
    }
}

impl Shared {
    fn start(&self) -> io::Result<Child> {
        let kept = KEPT_VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(kept);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // What a terminal tells all its processes is told to this one, which ends its work first.
        group::of_its_own(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// What a process answers, if that is whole, and the first of what it says on its standard error; ends it.
    fn answer(
        &self,
        child: &mut Child,
        content: &[u8],
        wanted: Wanted<'_>,
    ) -> Result<(Option<Answer>, String), Unread> {
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            let named = |name: &str| thread::Builder::new().name(name.to_owned());
            // One that answers before it has read everything, or dies, breaks the pipe; what it answered counts.
            let write = move || input.map(|mut input| input.write_all(content));
            let (sender, receiver) = sync_channel(1);
            let read = move || {
                let mut answer = Vec::new();
                let _ = output.map(|output| output.take(ANSWER_BYTES_MAX).read_to_end(&mut answer));
                // Nobody waits any more for what came too late.
                let _ = sender.send(answer);
            };
            let complain = move || errors.map(first_of).unwrap_or_default();
            let complaining = named("ragstone-pdf-in")
                .spawn_scoped(scope, write)
                .and_then(|_| named("ragstone-pdf-out").spawn_scoped(scope, read))
                .and_then(|_| named("ragstone-pdf-err").spawn_scoped(scope, complain));
            let answer = match &complaining {
                Ok(_) => self.wait_for(&receiver, wanted).map(|answer| understood(&answer)),
                Err(error) => Err(Unread::Failed(format!("there is no thread to read it with: {error}"))),
            };
            if matches!(answer, Ok(None)) {
                let_end(child);
            }
            // The threads end with it, whatever it was at: with all who could hold the other ends of its pipes.
            group::kill(child);
            let errors = complaining.ok().and_then(|complaining| complaining.join().ok());
            Ok((answer?, errors.unwrap_or_default()))
        })
    }

    /// Waits for an answer, as long as it may take and is wanted.
    fn wait_for(&self, answer: &Receiver<Vec<u8>>, wanted: Wanted<'_>) -> Result<Vec<u8>, Unread> {
        let began = Instant::now();
        loop {
            let left = self.patience.saturating_sub(began.elapsed());
            match answer.recv_timeout(left.min(LOOK)) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    let seconds = self.patience.as_secs();
                    return Err(Unread::Refused(format!("reading it takes more than {seconds} s")));
                }
                Err(RecvTimeoutError::Timeout) => wanted.check().map_err(Unread::Unwanted)?,
            }
        }
    }
}

/// Lets a process end by itself that has closed its output: how it does tells why it gave no answer.
fn let_end(child: &mut Child) {
    let began = Instant::now();
    while group::is_running(child) && began.elapsed() < ENDING {
        thread::sleep(LOOK);
    }
}

/// The first that a process says on its standard error. What comes behind is taken, so that it waits for nobody.
fn first_of(mut errors: impl Read) -> String {
    let mut said = Vec::new();
    let _ = errors.by_ref().take(ERROR_BYTES_MAX).read_to_end(&mut said);
    let _ = io::copy(&mut errors, &mut io::sink());
    String::from_utf8_lossy(&said).into_owned()
}

/// What a process answers: the text, or why there is none.
type Answer = Result<String, Unread>;

/// What an answer says, if it is whole.
fn understood(answer: &[u8]) -> Option<Answer> {
    let (kind, rest) = answer.split_first()?;
    let (length, said) = rest.split_first_chunk::<8>()?;
    let said =
        std::str::from_utf8(said).ok().filter(|said| said.len() as u64 == u64::from_le_bytes(*length))?;
    match *kind {
        TEXT => Some(Ok(said.to_owned())),
        REASON => Some(Err(Unread::Refused(said.to_owned()))),
        FAILURE => Some(Err(Unread::Failed(said.to_owned()))),
        _ => None,
    }
}

/// What the program of [`PdfProgram`] does: bounds the memory and the time of its process, then reads a PDF, and writes what becomes of it. Where it
/// cannot be bounded nothing is read, and that is what it answers.
///
/// # Errors
/// Those of reading and writing. That there is no text is no error, but an answer.
pub fn answer_pdf(
    bound: impl FnOnce() -> io::Result<()>,
    from: impl Read,
    mut to: impl Write,
) -> io::Result<()> {
    let (kind, said) = match bound() {
        Ok(()) => answer(from)?,
        Err(error) => (FAILURE, format!("its reader could not be bounded: {error}")),
    };
    to.write_all(&[kind])?;
    to.write_all(&(said.len() as u64).to_le_bytes())?;
    to.write_all(said.as_bytes())?;
    to.flush()
}

fn answer(from: impl Read) -> io::Result<(u8, String)> {
    let mut content = Vec::new();
    from.take(DOCUMENT_BYTES_MAX as u64).read_to_end(&mut content)?;
    Ok(match here(&content, STACK_BYTES) {
        Ok(text) => (TEXT, text),
        Err(Unread::Refused(reason)) => (REASON, reason),
        Err(unread) => (FAILURE, unread.to_string()),
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
