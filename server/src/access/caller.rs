//! Who makes the call that a task answers, and what they see of the database.
//!
//! Handlers are tonic's to call and pass nothing on, so it is the task that knows. What is not known allows nothing: where callers are told apart and the
//! task knows none, no collection is seen.

use std::future::Future;
use std::sync::Arc;

use ragstone::{Filter, RowFilter, Scope, Sight};
use tonic::Status;

use super::action::Action;
use super::audit::Noted;
use super::grant::Bound;
use super::limiter::Limits;
use super::rules::{Reach, Rule};
use crate::work::Place;

/// A caller who is known.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// `key:<id>`, or `jwt:<subject>`: what logs and limits name.
    pub(super) name: Arc<str>,
    pub(super) grants: Arc<[Bound]>,
    pub(super) credentials: Credentials,
}

/// What they showed, for a call that lasts: whether it is good still.
#[derive(Clone, Debug)]
pub(super) enum Credentials {
    /// A key, by its id and what is kept of its secret.
    Key { id: Arc<str>, hash: Arc<str> },
    /// A token, which is good until this moment (microseconds since 1970, UTC).
    Token { until_us: u64 },
}

impl Caller {
    /// Whether the call may be begun.
    pub(super) fn may(&self, rule: Rule) -> bool {
        let mut covering = self.grants.iter().filter(|grant| grant.action.covers(rule.action));
        match rule.reach {
            Reach::Collections | Reach::Anywhere => covering.next().is_some(),
            Reach::Database => covering.any(Bound::is_on_all),
        }
    }

    /// Whether an action is allowed on all rows of a collection.
    pub(super) fn has_whole(&self, action: Action, collection: &str) -> bool {
        self.sight(action, collection) == Sight::Whole
    }

    /// Whether everything is allowed.
    pub(super) fn is_admin(&self) -> bool {
        self.grants.iter().any(|grant| grant.action == Action::Admin)
    }

    /// Whether a collection or an alias of this name may be made by who does this, beside those that are there.
    ///
    /// # Errors
    /// Everything that allows it has its number of them.
    fn check_room(&self, action: Action, name: &str, taken: &[&str]) -> ragstone::Result<()> {
        let mut refused = Ok(());
        for grant in self.grants.iter().filter(|grant| grant.action.covers(action) && grant.is_on(name)) {
            refused = grant.check_room(taken);
            if refused.is_ok() {
                break;
            }
        }
        refused
    }

    /// What is seen of a collection by who does this.
    fn sight(&self, action: Action, collection: &str) -> Sight {
        let on = || self.grants.iter().filter(move |grant| grant.is_on(collection));
        let mut rows: Vec<&Arc<RowFilter>> = Vec::new();
        for grant in on().filter(|grant| grant.action.covers(action)) {
            match &grant.rows {
                None => return Sight::Whole,
                // Said twice, as by two roles, it is asked once: few rows are listed by what all must meet, and mostly not by an `or`.
                Some(filter) if rows.contains(&filter) => {}
                Some(filter) => rows.push(filter),
            }
        }
        match *rows {
            [] if on().any(|grant| grant.action.covers(Action::Read)) => Sight::Refused,
            [] => Sight::Hidden,
            [one] => Sight::Rows(Arc::clone(one)),
            _ => {
                let any = Filter::Or(rows.iter().map(|rows| rows.filter().clone()).collect());
                RowFilter::new(any).map_or(Sight::Hidden, |rows| Sight::Rows(Arc::new(rows)))
            }
        }
    }
}

/// A call of a caller.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(super) caller: Caller,
    pub(super) action: Action,
    /// What the caller may ask for in some time.
    pub(super) limits: Limits,
    /// What the log is told of it.
    pub(super) noted: Arc<Noted>,
}

tokio::task_local! {
    /// The call that the task answers.
    static CALL: Call;
}

impl Call {
    /// The call that this task answers, if it is known.
    pub(crate) fn current() -> Option<Call> {
        CALL.try_with(Call::clone).ok()
    }

    /// Counts a place as one of the caller's.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: they have as many as they may.
    pub(crate) fn takes(&self, place: &Place) -> Result<(), Status> {
        place.of_caller(&self.caller.name).inspect_err(|_| {
            self.noted.not_begun("too many calls at a time");
        })
    }

    /// Notes that it was refused when it came to what it is about.
    pub(crate) fn note_refused(&self) {
        self.noted.refused();
    }
}

impl Scope for Call {
    fn sight(&self, collection: &str) -> Sight {
        self.noted.comes_to(collection);
        self.caller.sight(self.action, collection)
    }

    fn check_new_name(&self, name: &str, taken: &[&str]) -> ragstone::Result<()> {
        self.caller.check_room(self.action, name, taken)
    }
}

/// Sees nothing.
#[derive(Debug)]
pub(super) struct Nothing;

impl Scope for Nothing {
    fn sight(&self, _: &str) -> Sight {
        Sight::Hidden
    }
}

/// The future, as a part of a call; of none where callers are not told apart.
pub(crate) async fn within<F: Future>(call: Option<Call>, future: F) -> F::Output {
    match call {
        Some(call) => CALL.scope(call, future).await,
        None => future.await,
    }
}

/// The future, as a part of the call that this task answers: for a task of its own.
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    within(Call::current(), future)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::audit::Asked;
    use crate::access::claims::Claims;
    use crate::access::grant::Grant;

    fn caller(grants: &[&str]) -> Caller {
        let bind = |grant: &&str| grant.parse::<Grant>().unwrap().bind(&Claims::new()).unwrap();
        let grants = grants.iter().map(bind).collect();
        Caller { name: "key:x".into(), grants, credentials: Credentials::Token { until_us: u64::MAX } }
    }

    fn rule(action: Action, reach: Reach) -> Rule {
        Rule { action, reach }
    }

    #[test]
    fn a_collection_is_seen_by_what_is_granted_on_it() {
        let caller =
            caller(&["read on a*", "write on ab where t = 1", "write on ab where t = 2", "manage on m"]);
        let sight = |action, collection: &str| caller.sight(action, collection);
        assert_eq!(sight(Action::Read, "ab"), Sight::Whole);
        assert_eq!(sight(Action::Manage, "ab"), Sight::Refused);
        assert_eq!(sight(Action::Write, "ac"), Sight::Refused);
        assert_eq!(sight(Action::Read, "b"), Sight::Hidden);
        assert_eq!(sight(Action::Write, "m"), Sight::Whole);
        assert_eq!(sight(Action::Admin, "m"), Sight::Refused);
        let Sight::Rows(rows) = sight(Action::Write, "ab") else { panic!("some rows") };
        assert_eq!(rows.filter(), &Filter::Or(vec![Filter::eq("t", 1), Filter::eq("t", 2)]));
        assert!(!caller.is_admin() && caller.has_whole(Action::Manage, "m"));
    }

    /// Whoever might read some rows and write the same ones had each read ask twice, and with a tenant key it was refused.
    #[test]
    fn what_is_granted_twice_is_one_condition() {
        let shown = |grants: &[&str]| match caller(grants).sight(Action::Read, "a") {
            Sight::Rows(rows) => rows.filter().clone(),
            other => panic!("{other:?}"),
        };
        let (one, two) = (Filter::eq("t", 1), Filter::eq("t", 2));
        assert_eq!(shown(&["read on a where t = 1", "write on a where t = 1"]), one);
        let three = ["read on a where t = 1", "read on a* where t = 2", "write on a where t = 1"];
        assert_eq!(shown(&three), Filter::Or(vec![one, two]));
    }

    #[test]
    fn a_name_is_given_where_some_grant_has_room_for_it() {
        let caller =
            caller(&["manage on a* max 1", "manage on ab* max 2", "write on a* where t = 1", "read on *"]);
        let check = |name: &str, taken: &[&str]| caller.check_room(Action::Manage, name, taken);
        assert!(check("a", &["b", "c"]).is_ok() && check("ab", &["a", "ab-1"]).is_ok());
        let full = check("a", &["ab"]).unwrap_err().to_string();
        assert!(full.contains("GRANT_NAMES_MAX = 1"), "{full}");
        let full = check("ab", &["ab-1", "ab-2"]).unwrap_err().to_string();
        assert!(full.contains("GRANT_NAMES_MAX = 2"), "{full}");
        let other = self::caller(&["manage on a* max 1", "manage on *"]);
        assert!(other.check_room(Action::Manage, "a", &["ab"]).is_ok(), "another grant has no number");
    }

    #[test]
    fn what_is_of_the_database_needs_all_of_it() {
        let manage = rule(Action::Manage, Reach::Database);
        assert!(caller(&["manage on *"]).may(manage) && caller(&["admin"]).may(manage));
        assert!(!caller(&["manage on a*"]).may(manage) && !caller(&["read on *"]).may(manage));
        let read = rule(Action::Read, Reach::Collections);
        assert!(caller(&["write on a where t = 1"]).may(read) && !caller(&["observe"]).may(read));
        assert!(!caller(&["manage on *"]).may(rule(Action::Observe, Reach::Database)));
        assert!(caller(&["observe"]).may(rule(Action::Observe, Reach::Database)));
    }

    #[tokio::test]
    async fn a_task_of_its_own_is_a_part_of_the_call_that_begins_it() {
        let (caller, action) = (caller(&["read on a"]), Action::Read);
        let asked = Asked { caller: "key:x", call: "/x", peer: None };
        let noted = Arc::new(Noted::new(asked, action));
        let call = Call { caller, action, limits: Limits::default(), noted };
        let of = || Call::current().map(|call| call.caller.name.to_string());
        assert_eq!(of(), None);
        let (within_it, carried_on, lost) = within(Some(call), async {
            let carried = tokio::spawn(carried(async move { of() }));
            let lost = tokio::spawn(async move { of() });
            (of(), carried.await.unwrap(), lost.await.unwrap())
        })
        .await;
        assert_eq!((within_it, carried_on, lost), (Some("key:x".into()), Some("key:x".into()), None));
    }
}
