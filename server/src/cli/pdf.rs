//! This program as the one that reads PDFs ([`PdfProgram`]): it starts itself, and what it starts bounds itself before it reads a byte.
//!
//! No command of a user's, so it stands in no help: its input is a file, its output for the process that started it.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use ragstone_rag::ingest::{PdfProgram, answer_pdf};

/// The argument by which it is asked to.
pub(super) const COMMAND: &str = "read-pdf";
/// Blocks of address space that the allocator takes at first, in KiB. It would take a gigabyte before a bound can be set, and that much
/// more than the bound could then be used.
const ALLOCATED_AT_FIRST: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "32768");

/// This program, to read PDFs with.
pub(super) fn program() -> PdfProgram {
    // Whoever replaces the program's file while it runs does not replace this.
    let running = PathBuf::from("/proc/self/exe");
    // Where there is no /proc, it is what it was started as.
    let started_as = || std::env::args_os().next().map_or_else(|| PathBuf::from("ragstone"), PathBuf::from);
    let named = || std::env::current_exe().unwrap_or_else(|_| started_as());
    let program = if running.exists() { running } else { named() };
    PdfProgram::new(program, [COMMAND], [ALLOCATED_AT_FIRST])
}

/// Reads a PDF from the standard input.
pub(super) fn read() -> ExitCode {
    let read = answer_pdf(bound, io::stdin().lock(), io::stdout().lock());
    if read.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Bounds the memory, the processor time and the files of this process, for good.
#[cfg(target_os = "linux")]
fn bound() -> io::Result<()> {
    use ragstone_rag::limits::{PDF_PROCESS_BYTES_MAX, PDF_PROCESS_SECONDS_MAX};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let seconds = PDF_PROCESS_SECONDS_MAX;
    let bytes = mapped()? + PDF_PROCESS_BYTES_MAX as u64;
    let limits = [
        ("memory", Resource::As, bytes, bytes),
        // Who reaches the first is told so by a signal of its own; the second one kills, as anybody may.
        ("processor time", Resource::Cpu, seconds, seconds + 1),
        ("files", Resource::Fsize, 0, 0),
        ("core files", Resource::Core, 0, 0),
    ];
    for (name, resource, current, maximum) in limits {
        // Who started the server may have bounded it further, which cannot be undone.
        let further = getrlimit(resource).maximum;
        let least = |bound: u64| Some(further.map_or(bound, |further| further.min(bound)));
        let limit = Rlimit { current: least(current), maximum: least(maximum) };
        setrlimit(resource, limit).map_err(|error| io::Error::other(format!("its {name}: {error}")))?;
    }
    Ok(())
}

/// Elsewhere the process is not bounded, only ended: by its stack, by the system's memory, by its deadline.
#[cfg(not(target_os = "linux"))]
fn bound() -> io::Result<()> {
    Ok(())
}

/// Bytes of address space that this process has: the program, its libraries, what the allocator took at first.
#[cfg(target_os = "linux")]
fn mapped() -> io::Result<u64> {
    let unknown =
        |reason: String| io::Error::other(format!("its memory, without /proc/self/status: {reason}"));
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| unknown(error.to_string()))?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kibibytes = size.and_then(|size| size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.map(|size| size << 10).ok_or_else(|| unknown("it has no VmSize".to_owned()))
}
