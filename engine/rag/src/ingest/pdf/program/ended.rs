//! Why a process has given no whole answer, by how it ended and what it said.
//!
//! Who stores a document is told whether that is at fault. What a file makes its reader do is the file's: memory or stack that run out, time, faults of
//! the reader. What ends a process from outside is not, nor is a process that ends by itself and says nothing.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use super::super::Unread;
use super::STACK_BYTES;
use crate::limits::{PDF_PROCESS_BYTES_MAX, PDF_PROCESS_SECONDS_MAX};

/// What a Rust program says where it ends as an allocation fails; the signal is that of any abort.
const NO_MEMORY: &str = "memory allocation of";
/// What it says of a stack.
const NO_STACK: &str = "has overflowed its stack";
/// Bytes of what it said that are shown.
const SHOWN_BYTES_MAX: usize = 200;

/// Signals by which others end a process, and the system where it has no memory left.
const FROM_OUTSIDE: [(i32, &str); 5] =
    [(1, "SIGHUP"), (2, "SIGINT"), (3, "SIGQUIT"), (9, "SIGKILL"), (15, "SIGTERM")];
/// Other signals that have a number in common on the systems that there are.
const OF_FAULTS: [(i32, &str); 4] = [(4, "SIGILL"), (6, "SIGABRT"), (8, "SIGFPE"), (11, "SIGSEGV")];
/// Processor time is at its bound.
const SIGXCPU: i32 = 24;

/// Why there is no text, of a process that ended so after so long a time.
pub(super) fn why(status: io::Result<ExitStatus>, said: &str, after: Duration) -> Unread {
    let seconds = after.as_secs_f64();
    let status = match status {
        Ok(status) => status,
        Err(error) => return Unread::Failed(format!("how its reader ended is not known: {error}")),
    };
    if said.contains(NO_MEMORY) {
        return Unread::Refused(format!(
            "its reader ran out of the {} MiB of memory that it may take (PDF_PROCESS_BYTES_MAX), after {seconds:.1} s: it is \
             damaged, or made to",
            PDF_PROCESS_BYTES_MAX >> 20
        ));
    }
    if said.contains(NO_STACK) {
        return Unread::Refused(format!(
            "its reader ran out of the {} MiB of stack that it may take, after {seconds:.1} s: it is damaged, or made to",
            STACK_BYTES >> 20
        ));
    }
    let Some(signal) = signal(status) else {
        let said = said.trim().lines().next().unwrap_or_default();
        let said = &said[..said.floor_char_boundary(SHOWN_BYTES_MAX)];
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        return Unread::Failed(format!(
            "its reader ended after {seconds:.1} s without an answer ({status}){said}"
        ));
    };
    if signal == SIGXCPU {
        return Unread::Refused(format!(
            "reading it takes more than PDF_PROCESS_SECONDS_MAX = {PDF_PROCESS_SECONDS_MAX} s of a processor's time"
        ));
    }
    if let Some(name) = name(&FROM_OUTSIDE, signal) {
        return Unread::Failed(format!(
            "its reader was killed by signal {signal} ({name}) after {seconds:.1} s: by somebody, or by the system as it had \
             no memory left"
        ));
    }
    let name = name(&OF_FAULTS, signal).map_or_else(String::new, |name| format!(" ({name})"));
    Unread::Refused(format!(
        "its reader was killed by signal {signal}{name} after {seconds:.1} s: it is damaged in a way that the reader does not \
         cope with"
    ))
}

fn name(of: &[(i32, &'static str)], signal: i32) -> Option<&'static str> {
    of.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name)
}

/// The signal that ended a process, if one did.
#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn each_end_has_its_own_reason() {
        let (by_signal, with_code) = (ExitStatus::from_raw, |code: i32| ExitStatus::from_raw(code << 8));
        let abort = by_signal(6);
        let no_memory = "memory allocation of 1073741824 bytes failed\n";
        let no_stack =
            "\nthread 'ragstone-pdf' (7) has overflowed its stack\nfatal runtime error: stack overflow\n";
        for (status, said, is_of_document, reason) in [
            (abort, no_memory, true, "ran out of the 512 MiB of memory that it may take"),
            (abort, no_stack, true, "ran out of the 64 MiB of stack"),
            (abort, "", true, "killed by signal 6 (SIGABRT) after 1.5 s"),
            (by_signal(11), "", true, "killed by signal 11 (SIGSEGV) after 1.5 s"),
            (by_signal(31), "", true, "killed by signal 31 after 1.5 s"),
            (by_signal(24), "", true, "PDF_PROCESS_SECONDS_MAX = 45 s of a processor's time"),
            (by_signal(9), "", false, "killed by signal 9 (SIGKILL) after 1.5 s"),
            (by_signal(15), "", false, "killed by signal 15 (SIGTERM) after 1.5 s"),
            (with_code(0), "", false, "without an answer (exit status: 0)"),
            (with_code(127), "libc.so.6 is missing\nmore", false, "(exit status: 127): libc.so.6 is missing"),
        ] {
            let unread = why(Ok(status), said, Duration::from_millis(1_500));
            let (found, is_refused) = match &unread {
                Unread::Refused(found) => (found, true),
                Unread::Failed(found) => (found, false),
                other => panic!("{status}: {other:?}"),
            };
            assert!(found.contains(reason) && is_refused == is_of_document, "{status}: {unread:?}");
        }
        let unknown = why(Err(io::Error::other("no child")), "", Duration::ZERO);
        assert!(matches!(unknown, Unread::Failed(reason) if reason.contains("no child")));
    }
}
