//! Lists that are printed page by page.

use anyhow::{Result, ensure};
use ragstone_server::limits::PAGE_SIZE_MAX;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Session;
use crate::cli::args::Paging;
use crate::cli::backend::{Page, PageAsk};
use crate::cli::output;

impl Paging {
    /// Prints the pages that are asked for: each as it comes, or all as one JSON document, in which the items have this name.
    pub(super) fn print<T: Serialize>(
        &self,
        session: &Session,
        name: &'static str,
        mut page: impl FnMut(&PageAsk<'_>) -> Result<Page<T>>,
        show: impl Fn(&[T]) -> Result<()>,
    ) -> Result<()> {
        ensure!(self.limit > 0, "--limit: a page has at least one row");
        ensure!(
            self.limit <= PAGE_SIZE_MAX,
            "--limit: {} is beyond the limit PAGE_SIZE_MAX = {PAGE_SIZE_MAX}; --all turns page after page",
            self.limit
        );
        let (mut all, mut token) = (Vec::new(), self.page_token.clone());
        loop {
            let (items, next) = page(&PageAsk { limit: self.limit, token: &token })?;
            if session.json {
                all.extend(items);
            } else if !items.is_empty() || token.is_empty() {
                // Only of the first page does it say anything that there is nothing.
                show(&items)?;
            }
            match next {
                Some(next) if self.all => token = next,
                next => {
                    if session.json {
                        return output::json(&Pages { name, items: &all, next });
                    }
                    if let Some(token) = next {
                        output::note(format_args!("there are more: --page-token {token}"));
                    }
                    return Ok(());
                }
            }
        }
    }
}

/// What was read, and where the next page begins, if there is one.
struct Pages<'a, T> {
    name: &'static str,
    items: &'a [T],
    next: Option<String>,
}

impl<T: Serialize> Serialize for Pages<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.name, self.items)?;
        map.serialize_entry("next_page_token", &self.next)?;
        map.end()
    }
}
