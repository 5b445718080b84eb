//! The names of log files.

/// Files are numbered one by one, so that no log comes this far.
const NUMBER_MAX: u64 = 1 << 62;

/// The number in a name with this prefix, if it is one that a log comes to.
fn number(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    let number = (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()?;
    (number <= NUMBER_MAX).then_some(number)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The number after that of the last file was beyond all numbers.
    #[test]
    fn a_name_with_a_number_that_no_log_comes_to_is_that_of_no_log_file() {
        assert_eq!(file_number(&file_name(7)), Some(7));
        assert_eq!(kept_number(&kept_name(7)), Some(7));
        assert_eq!(file_number(&file_name(NUMBER_MAX)), Some(NUMBER_MAX));
        assert!(!is_log_file(&file_name(u64::MAX)) && kept_number(&kept_name(u64::MAX)).is_none());
    }
}
