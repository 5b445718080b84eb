//! The names of log files.

/// The number in a name with this prefix.
fn number(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The number in the name of a log file.
pub(crate) fn file_number(name: &str) -> Option<u64> {
    number(name, "log-")
}

/// The number in the name of a log file that was cut and is kept.
pub(crate) fn kept_number(name: &str) -> Option<u64> {
    number(name, "kept-")
}

/// Tells whether a file name is that of a log file.
pub(crate) fn is_log_file(name: &str) -> bool {
    file_number(name).is_some()
}

/// The name of a log file.
pub(crate) fn file_name(number: u64) -> String {
    format!("log-{number:016x}")
}

/// Its name once it was cut, if it is kept.
pub(crate) fn kept_name(number: u64) -> String {
    format!("kept-{number:016x}")
}
