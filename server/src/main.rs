//! The `ragstone` binary: the server and the command line.

// Both panic where nobody reads what they print: `cli::output` has what does not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;

/// Calls begin on one thread and end on another, which costs allocators that think in threads less than those that lock.
///
/// It asks for no huge pages. The system clears one, two megabytes, when its first byte is written, and whoever else wants that processor waits: beside
/// clients that send much, that was more than half of the time for which threads were at work for longer than a millisecond at a stretch. Rows and segments in memory are no
/// allocator's, and ask for huge pages themselves. Where the system gives them to whoever does not ask (`transparent_hugepage/enabled` is `always`), it gives them here, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ops::Range;

    /// The addresses of a mapping, if that is what a line of the system's list begins with.
    fn addresses(line: &str) -> Option<Range<usize>> {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
    }

    /// Whether the mapping that holds an address has a flag.
    fn has_flag(mappings: &str, address: usize, flag: &str) -> bool {
        let is_before = |line: &&str| addresses(line).is_none_or(|within| !within.contains(&address));
        let mut lines = mappings.lines().skip_while(is_before).skip(1);
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:"));
        flags.expect("what is allocated is mapped").split(' ').any(|other| other == flag)
    }

    /// A call that touched a page waited until two megabytes were cleared.
    #[test]
    fn what_is_allocated_is_on_no_huge_pages() {
        let memory = std::hint::black_box(vec![1_u8; 8 << 20]);
        let mappings = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let address = memory.as_ptr().addr();
        assert!(has_flag(&mappings, address, "wr"), "{mappings}");
        assert!(!has_flag(&mappings, address, "hg"), "{mappings}");
    }
}
