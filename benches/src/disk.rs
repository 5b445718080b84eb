//! What a program does to its disk: bytes of its files, at most and now, and bytes that it had written.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Between two looks at a directory.
const PAUSE: Duration = Duration::from_millis(20);

/// Bytes of the files in a directory and in those within. What goes away meanwhile counts nothing.
pub fn bytes_of(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Bytes that this process gave to the system to write, to files of any kind; none where the system does not count them.
pub fn written_bytes() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/self/io").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("wchar:"))?.trim().parse().ok()
}

/// Runs some work; what it made, and the most bytes that the directory's files had meanwhile.
pub fn peak_of<T>(directory: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let (is_done, most) = (AtomicBool::new(false), AtomicU64::new(bytes_of(directory)));
    let made = std::thread::scope(|scope| {
        // Also when the work panics, which would wait for the watcher otherwise.
        let _end = End(&is_done);
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                most.fetch_max(bytes_of(directory), Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
        });
        work()
    });
    most.fetch_max(bytes_of(directory), Ordering::Relaxed);
    (made, most.into_inner())
}

/// Tells whoever watches that there is nothing left to watch.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_however_deep_and_even_when_they_are_gone_again() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("deep");
        std::fs::create_dir(&deep).unwrap();
        std::fs::write(directory.path().join("a"), [0; 10]).unwrap();
        let (gone, most) = peak_of(directory.path(), || {
            std::fs::write(deep.join("b"), [0; 5]).unwrap();
            std::thread::sleep(PAUSE * 10);
            std::fs::remove_file(deep.join("b"))
        });
        gone.unwrap();
        assert_eq!((bytes_of(directory.path()), most), (10, 15));
    }

    #[test]
    fn what_is_written_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let Some(before) = written_bytes() else { return };
        std::fs::write(directory.path().join("a"), vec![0; 1 << 16]).unwrap();
        assert!(written_bytes().unwrap() >= before + (1 << 16));
    }
}
