//! The arguments of every command that lists page by page.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Paging {
    /// How many a page has, 1 to 1,000.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// The next page: the token that the page before printed.
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub(crate) page_token: String,
    /// Go through all pages, to the end.
    #[arg(long)]
    pub(crate) all: bool,
}
