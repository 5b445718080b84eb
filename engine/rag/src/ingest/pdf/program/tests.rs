//! A process for each file, by programs that are scripts.

use ragstone::CancelToken;

use super::*;
use crate::error::{Error, Result};

const NO_VARIABLES: [(&str, &str); 0] = [];
const LEASE: &[u8] = include_bytes!("../../../../tests/data/pdf/lease.pdf");

/// A program that is a script of the shell.
fn script(script: &str) -> PdfProgram {
    PdfProgram::new("/bin/sh", ["-c", script], NO_VARIABLES)
}

fn text(program: &PdfProgram, content: &[u8]) -> Result<String, Unread> {
    program.to_text(content, Wanted::always())
}

/// Why a file has no text, and why one was not read.
fn refused(read: Result<String, Unread>) -> String {
    match read {
        Err(Unread::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn failed(read: Result<String, Unread>) -> String {
    match read {
        Err(Unread::Failed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn answered(content: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    answer_pdf(|| Ok(()), content, &mut answer).unwrap();
    answer
}

#[test]
fn what_is_answered_is_understood() {
    let text = here(LEASE, STACK_BYTES).unwrap();
    assert!(text.contains("The roses are cut in March."));
    assert_eq!(understood(&answered(LEASE)).unwrap().unwrap(), text);
    assert!(refused(understood(&answered(b"no file")).unwrap()).contains("no PDF"));
    let whole = answered(LEASE);
    for cut in [0, 1, 8, 9, whole.len() - 1] {
        assert!(understood(&whole[..cut]).is_none(), "{cut} bytes");
    }
    assert!(understood(&[whole.as_slice(), b"x"].concat()).is_none());
    assert!(understood(b"X\0\0\0\0\0\0\0\0").is_none());
    assert!(understood(b"T\x01\0\0\0\0\0\0\0\xff").is_none());
}

/// Any file was "damaged, or made to" where the limits of a process could not be set.
#[test]
fn one_that_cannot_be_bounded_reads_nothing_and_says_so() {
    let mut answer = Vec::new();
    answer_pdf(|| Err(io::Error::other("its memory: not permitted")), LEASE, &mut answer).unwrap();
    let reason = failed(understood(&answer).unwrap());
    assert_eq!(reason, "its reader could not be bounded: its memory: not permitted");
}

#[test]
fn a_program_is_asked_and_believed() {
    let hello = r"cat >/dev/null; printf 'T\005\000\000\000\000\000\000\000hello'";
    assert_eq!(text(&script(hello), LEASE).unwrap(), "hello");
    let without_reading = r"printf 'R\003\000\000\000\000\000\000\000bad'";
    assert_eq!(refused(text(&script(without_reading), &vec![b'x'; 4 << 20])), "bad");
    let without_fault = r"printf 'F\003\000\000\000\000\000\000\000bad'";
    assert_eq!(failed(text(&script(without_fault), LEASE)), "bad");
}

/// All of them had taken "more memory or stack than a document may", and were refused for it.
#[test]
fn one_that_dies_leaves_a_reason() {
    for (died, reason) in [
        ("kill -SEGV $$", "signal 11 (SIGSEGV)"),
        ("kill -ABRT $$", "signal 6 (SIGABRT)"),
        ("echo memory allocation of 7 bytes failed >&2; kill -ABRT $$", "512 MiB of memory"),
        ("echo 'thread (1) has overflowed its stack' >&2; kill -ABRT $$", "64 MiB of stack"),
    ] {
        let found = refused(text(&script(died), LEASE));
        assert!(found.contains(reason), "{died}: {found}");
    }
    for (died, reason) in [
        ("kill -TERM $$", "signal 15 (SIGTERM)"),
        ("kill -KILL $$", "signal 9 (SIGKILL)"),
        ("exit 1", "(exit status: 1)"),
        ("true", "(exit status: 0)"),
        (r"printf 'T\377'", "(exit status: 0)"),
        ("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 3", "(exit status: 3): xxx"),
        ("exec cat", "(exit status: 0)"),
    ] {
        let found = failed(text(&script(died), LEASE));
        assert!(found.contains(reason), "{died}: {found}");
    }
    let absent = failed(text(&PdfProgram::new("/no/such/program", ["x"], NO_VARIABLES), LEASE));
    assert!(absent.contains("/no/such/program, could not be started"), "{absent}");
}

#[test]
fn one_that_takes_too_long_is_ended() {
    let mut slow = script("exec sleep 600");
    Arc::get_mut(&mut slow.0).unwrap().patience = Duration::from_millis(50);
    let began = Instant::now();
    let reason = refused(text(&slow, &vec![b'x'; 4 << 20]));
    assert!(reason.contains("takes more than"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(300), "it was not waited for to its own end");
    assert_eq!(slow.0.places.taken(), 0, "its place is free");
}

/// A call that nobody waited for any more had its process until that was done.
#[test]
fn one_whose_call_is_cancelled_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let slow = script(&format!("echo $$ >'{0}.new'; mv '{0}.new' '{0}'; exec sleep 600", begun.display()));
    let token = CancelToken::new();
    let check = || -> Result<()> {
        // It is under way by then.
        if begun.exists() {
            token.cancel();
        }
        if token.is_cancelled() { Err(ragstone::Error::Cancelled.into()) } else { Ok(()) }
    };
    let read = slow.to_text(LEASE, Wanted::while_ok(&check));
    assert!(matches!(read, Err(Unread::Unwanted(Error::Engine(ragstone::Error::Cancelled)))), "{read:?}");
    assert_eq!(slow.0.places.taken(), 0, "its place is free");
    let process = std::fs::read_to_string(&begun).unwrap();
    let mut is_there = Command::new("/bin/sh");
    is_there.args(["-c", &format!("kill -0 {}", process.trim())]).stderr(Stdio::null());
    assert!(!is_there.status().unwrap().success(), "process {process} is left");
}

/// What a program had started was left when that was ended, or had ended, and held who waited for the text for as long as it liked.
#[test]
fn what_it_has_started_ends_with_it() {
    let began = Instant::now();
    let ended =
        script(r"cat >/dev/null; sleep 600 >/dev/null & printf 'T\005\000\000\000\000\000\000\000hello'");
    assert_eq!(text(&ended, LEASE).unwrap(), "hello");
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let waits = script(&format!("sleep 600 & echo >'{}'; wait", begun.display()));
    let check =
        || -> Result<()> { if begun.exists() { Err(ragstone::Error::Cancelled.into()) } else { Ok(()) } };
    let read = waits.to_text(LEASE, Wanted::while_ok(&check));
    assert!(matches!(read, Err(Unread::Unwanted(_))), "{read:?}");
    assert!(began.elapsed() < Duration::from_secs(300), "it was not waited for to its own end");
}

#[test]
fn few_are_there_at_a_time() {
    let program = script(r"printf 'T\000\000\000\000\000\000\000\000'");
    let places: Vec<_> =
        (0..PDF_PROCESSES_MAX).map(|_| program.0.places.take(Wanted::always()).unwrap()).collect();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| text(&program, LEASE).unwrap());
        assert!(!waiting.is_finished());
        drop(places);
        assert_eq!(waiting.join().unwrap(), "");
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
    assert_eq!(text(&program, LEASE).unwrap(), "x");
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
    assert_eq!(text(&program, LEASE).unwrap(), "x");
}
