//! The tokens of writes: what was written last, and what reads must find.

use std::sync::{Arc, Mutex, PoisonError};

/// Characters of a token that stand for its database.
const DATABASE: usize = 33;

/// What reads must find.
#[derive(Clone, Debug, Default)]
pub(super) enum AtLeast {
    #[default]
    Whatever,
    Token(String),
    /// What this client wrote, as far as it was acknowledged.
    OwnWrites,
}

/// Of a client; clones share what was written, and each has its own demand on what is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Empty before the first write. Locked to copy it in or out.
    last: Arc<Mutex<String>>,
    at_least: AtLeast,
}

impl Written {
    /// A write was acknowledged.
    pub(crate) fn note(&self, write_token: String) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Of two that came back in another order than they were written, the later one stays.
        let is_of_another = write_token.get(..DATABASE) != last.get(..DATABASE);
        if is_of_another || write_token > *last {
            *last = write_token;
        }
    }

    pub(super) fn last(&self) -> Option<String> {
        Some(self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()).filter(|last| !last.is_empty())
    }

    /// The same, with another demand on what is read.
    pub(super) fn reading(&self, at_least: AtLeast) -> Written {
        Written { last: Arc::clone(&self.last), at_least }
    }

    /// What a read asks for; empty for nothing.
    pub(super) fn at_least(&self) -> String {
        match &self.at_least {
            AtLeast::Whatever => String::new(),
            AtLeast::Token(token) => token.clone(),
            AtLeast::OwnWrites => self.last().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_was_written_and_the_latest_stays() {
        let written = Written::default();
        assert_eq!(written.last(), None);
        let own = written.clone().reading(AtLeast::OwnWrites);
        assert_eq!(own.at_least(), "");
        let token =
            |database: char, position: u64| format!("1{}{position:016x}", database.to_string().repeat(32));
        for position in [7, 300, 12] {
            written.note(token('a', position));
        }
        assert_eq!(own.at_least(), token('a', 300));
        assert_eq!(written.at_least(), "");
        // Of another database, as after a restore: positions of two databases do not compare.
        written.note(token('b', 2));
        assert_eq!(own.at_least(), token('b', 2));
        assert_eq!(own.reading(AtLeast::Token("x".into())).at_least(), "x");
    }
}
