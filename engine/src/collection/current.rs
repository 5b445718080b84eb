//! A view without what has expired.
//!
//! What a view shows never changes but for rows that expire. So each read sees the view as of its moment, in which they are among the dead
//! (`segment/expiry.rs`). That is kept until the next row expires; where none does, the view itself is all there is. A copy that shows some
//! of its rows alone goes by what is known of it: handles make such a copy for each read. What is read in several
//! steps is read of a view that is stopped at one moment, so that no row is lost between two of them.

use std::ops::Range;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::state::ViewState;
use crate::clock::{Clock, NEVER};
use crate::segment::Expiring;

/// A view at a moment, and for a while after it.
#[derive(Debug)]
struct Current {
    from: i64,
    until: i64,
    view: Arc<ViewState>,
}

/// The last one that was asked for. A copy of a view begins without: it is going to be another.
#[derive(Debug, Default)]
pub(crate) struct CurrentCache {
    known: ArcSwapOption<Current>,
    /// Moments at which the view itself is without what has expired.
    is_without: Range<i64>,
    /// Whether the view is without what has expired, by a clock that stands still.
    is_stopped: bool,
}

impl Clone for CurrentCache {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl CurrentCache {
    /// Of a copy with the same rows and the same clock.
    pub(super) fn of_copy(&self) -> Self {
        let (is_without, is_stopped) = (self.is_without.clone(), self.is_stopped);
        Self { is_without, is_stopped, ..Self::default() }
    }
}

impl ViewState {
    /// Without what has expired by now.
    pub(crate) fn current(self: &Arc<Self>) -> Arc<Self> {
        // The clock is not asked in vain.
        let is_it = self.current.is_stopped || self.first_expiry() == NEVER;
        if is_it { self.clone() } else { self.at(self.now()) }
    }

    /// The same without what has expired by now, for whose readers no time passes.
    pub(crate) fn stopped(self: &Arc<Self>) -> Arc<Self> {
        if self.current.is_stopped || self.first_expiry() == NEVER {
            return self.clone();
        }
        let now = self.now();
        let mut view = Self::clone(&self.at(now));
        view.clock = Clock::new(move || now);
        view.current.is_stopped = true;
        Arc::new(view)
    }

    /// The time for reads: no earlier than that of the last write, for which what has expired is gone.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now_us().max(self.time_us)
    }

    /// Without what has expired by a moment.
    pub(crate) fn at(self: &Arc<Self>, now: i64) -> Arc<Self> {
        if self.current.is_without.contains(&now) || now < self.first_expiry() {
            return self.clone();
        }
        if let Some(known) = self.current.known.load().as_ref()
            && (known.from..known.until).contains(&now)
        {
            return known.view.clone();
        }
        let (mut view, mut until) = (Self::clone(self), NEVER);
        for segment in Arc::make_mut(&mut view.segments) {
            let (without_expired, next) = segment.without_expired(now);
            until = until.min(next);
            if let Some(without_expired) = without_expired {
                *segment = without_expired;
            }
        }
        view.current.is_without = now..until;
        let view = Arc::new(view);
        self.current.known.store(Some(Arc::new(Current { from: now, until, view: view.clone() })));
        view
    }

    /// When the next of its rows expires that does so after a moment, or may: earlier is no mistake.
    pub(crate) fn next_expiry(&self, after: i64) -> i64 {
        self.segments.iter().map(|segment| segment.next_expiry(after)).min().unwrap_or(NEVER)
    }

    /// When the first of all its rows expires, or did.
    pub(crate) fn first_expiry(&self) -> i64 {
        self.next_expiry(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::{Db, DbOptions, Filter, Point, RowFilter, Schema};

    /// Each read through a handle that shows some rows alone made the set of expired rows, and the bitmaps of its segments, anew.
    #[test]
    fn a_restricted_copy_goes_by_what_is_known_of_the_view() {
        let now = Arc::new(AtomicI64::new(1_000));
        let told = now.clone();
        let clock = Clock::new(move || told.load(Ordering::Relaxed));
        let db = Db::in_memory_with(DbOptions { background: false, clock, ..DbOptions::default() }).unwrap();
        let collection = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        let point = |id: u64| Point::new(id, [1.0, 0.0]).with("tenant", "a");
        collection.upsert(vec![point(1), point(2).expires_at(2_000), point(3).expires_at(3_000)]).unwrap();
        now.store(2_000, Ordering::Relaxed);
        let state = collection.view().state;
        let rows = Arc::new(RowFilter::new(Filter::eq("tenant", "a")).unwrap());
        let restricted = state.restricted(&rows);
        assert!(Arc::ptr_eq(&restricted.segments, &state.segments));
        assert!(Arc::ptr_eq(&restricted.current(), &restricted));
        assert_eq!(restricted.segments[0].live(), 2);
        now.store(3_000, Ordering::Relaxed);
        let later = restricted.current();
        assert_eq!((later.segments[0].live(), later.rows.is_some()), (1, true));
        assert!(Arc::ptr_eq(&later.current(), &later));
        // A stopped one stays as it is.
        assert!(Arc::ptr_eq(&later.stopped().restricted(&rows).segments, &later.segments));
    }
}
