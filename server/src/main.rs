//! The `ragstone` binary: the server and the command line.

mod cli;

/// Calls begin on one thread and end on another, which costs allocators that think in threads less than those that lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
