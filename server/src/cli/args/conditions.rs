//! The arguments of every command that is about some rows only.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Conditions {
    /// Only rows for which this holds, for instance 'lang = "en" and year >= 2020 and not tags contains "draft"'.
    ///
    /// Operators: = != < <= > >= in (…) between … and … contains "x" contains any (…) prefix "x" match "words" exists is null
    /// within 2 km of (48.2, 16.37), with and, or, not and parentheses. Times are written "2024-05-01" or
    /// "2024-05-01T12:00:00Z", names with odd characters in backquotes.
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Only rows whose field has this value (write a time as 2027-01-01T00:00:00Z); may be repeated, and then all must hold.
    #[arg(long = "where", value_name = "NAME=VALUE")]
    pub(crate) conditions: Vec<String>,
}
