//! Handles that show some rows alone.

use std::sync::Arc;

use ragstone::{Collection, Filter, RowFilter, Scope, Sight};

use super::filters::{filter, whose};
use super::{Random, Store};

/// Shows these rows of every collection.
struct Only(Arc<RowFilter>);

impl Scope for Only {
    fn sight(&self, _: &str) -> Sight {
        Sight::Rows(self.0.clone())
    }
}

impl Store {
    /// The collection, through a handle that shows some rows alone.
    pub(crate) fn within(&self, rows: &RowFilter) -> Collection {
        self.db().within(Arc::new(Only(Arc::new(rows.clone())))).collection("c").unwrap()
    }
}

/// Which rows a handle shows: often many, so that there is something to read and to write.
pub(crate) fn of_handle(random: &mut Random, tenant: Option<&str>) -> RowFilter {
    loop {
        let rows = match random.below(3) {
            0 => filter(random, 2),
            1 => Filter::Not(Box::new(filter(random, 0))),
            _ => Filter::Or(vec![filter(random, 1), filter(random, 1)]),
        };
        let rows = match tenant {
            Some(key) if random.is_one_in(2) => Filter::And(vec![rows, whose(random, key)]),
            _ => rows,
        };
        // Some ask what a row by itself does not tell.
        if let Ok(rows) = RowFilter::new(rows) {
            break rows;
        }
    }
}
