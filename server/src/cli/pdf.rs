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
    let named = || std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ragstone"));
    let program = if running.exists() { running } else { named() };
    PdfProgram::new(program, [COMMAND], [ALLOCATED_AT_FIRST])
}

/// Reads a PDF from the standard input.
pub(super) fn read() -> ExitCode {
    let read = bound().and_then(|()| answer_pdf(io::stdin().lock(), io::stdout().lock()));
    if read.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Bounds the memory, the processor time and the files of this process, for good.
#[cfg(target_os = "linux")]
fn bound() -> io::Result<()> {
    use ragstone_rag::limits::{PDF_PROCESS_BYTES_MAX, PDF_PROCESS_SECONDS_MAX};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limits = [
        (Resource::As, mapped()? + PDF_PROCESS_BYTES_MAX as u64),
        (Resource::Cpu, PDF_PROCESS_SECONDS_MAX),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, max) in limits {
        // Who started the server may have bounded it further, which cannot be undone.
        let max = getrlimit(resource).maximum.map_or(max, |hard| hard.min(max));
        setrlimit(resource, Rlimit { current: Some(max), maximum: Some(max) })?;
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
    let status = std::fs::read_to_string("/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kibibytes = size.and_then(|size| size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.map(|size| size << 10).ok_or_else(|| io::Error::other("/proc/self/status has no VmSize"))
}
