//! What can be done, in steps that include the ones before.

use std::fmt;

/// What a grant allows, and what a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Finds, reads, counts and exports rows to the caller; embeds and re-ranks texts.
    Read,
    /// The same, and writes rows and documents.
    Write,
    /// The same, and makes, changes and removes collections, aliases and what takes long on them.
    Manage,
    /// Everything: snapshots, models, keys; of the whole database.
    Admin,
    /// Metrics and what the database holds in numbers, and nothing else.
    Observe,
}

impl Action {
    /// Every action.
    pub(super) const ALL: [Action; 5] =
        [Action::Read, Action::Write, Action::Manage, Action::Admin, Action::Observe];

    /// Its name, as grants have it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Write => "write",
            Action::Manage => "manage",
            Action::Admin => "admin",
            Action::Observe => "observe",
        }
    }

    /// Whether who may do this may do the other.
    pub(super) fn covers(self, needed: Action) -> bool {
        match (self, needed) {
            (Action::Admin, _) | (Action::Observe, Action::Observe) => true,
            (Action::Observe, _) | (_, Action::Observe | Action::Admin) => false,
            (Action::Read, needed) => needed == Action::Read,
            (Action::Write, needed) => needed != Action::Manage,
            (Action::Manage, _) => true,
        }
    }

    /// Whether it may be restricted to collections, and be granted on them alone.
    pub(super) fn is_of_collections(self) -> bool {
        !matches!(self, Action::Admin | Action::Observe)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_includes_the_ones_before() {
        let steps = [Action::Read, Action::Write, Action::Manage, Action::Admin];
        for (index, action) in steps.into_iter().enumerate() {
            for (other, needed) in steps.into_iter().enumerate() {
                assert_eq!(action.covers(needed), other <= index, "{action}, {needed}");
            }
            assert_eq!(action.covers(Action::Observe), action == Action::Admin);
            assert!(!Action::Observe.covers(action));
        }
        assert!(Action::Observe.covers(Action::Observe));
    }
}
