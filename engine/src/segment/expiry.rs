//! Which rows of a segment have expired by now.
//!
//! **Problem.** Rows expire between writes, by the clock alone, and a search must not return them. To compare each row with the
//! clock would make every search pay.
//!
//! **Idea.** Rows that expire are listed in the order in which they do: in runs for a growing segment and for patches, which are merged
//! like those of the ids, in an order in the file for a sealed one. So those that expired since some moment are a range of each
//! list. They are added to a set of bits, which is kept between queries and only grows; and the view that a query sees has them
//! among the dead, so that whatever passes over the dead passes over them. A row whose expiry an update changed stands in a list more than
//! once; what counts is what the row says.
//!
//! **Cost.** A segment without rows that expire, or before the first does, costs one comparison a query. Otherwise a row costs a bit when it
//! expires, and the view after each write a copy of the segment's bits.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use fixedbitset::FixedBitSet;

use super::sorted_runs::SortedRuns;
use super::{Segment, SegmentView};
use crate::clock::NEVER;

/// A moment and the row that expires then.
pub(crate) type Expiry = (i64, u32);

/// Rows that expire.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExpiryRuns(SortedRuns<Expiry>);

impl ExpiryRuns {
    /// These and some more.
    pub(crate) fn with(&self, expiries: Vec<Expiry>) -> Self {
        Self(self.0.with(expiries))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(<[Expiry]>::len).sum()
    }

    /// When the first row expires that does so after a moment.
    pub(crate) fn next(&self, after: i64) -> i64 {
        self.nth(after, 1)
    }

    /// When so many rows of one run have expired after a moment.
    fn nth(&self, after: i64, count: usize) -> i64 {
        let nth = |run: &[Expiry]| {
            let first = run.partition_point(|(at, _)| *at <= after);
            run.get(first + count - 1).map(|(at, _)| *at)
        };
        self.0.iter().filter_map(nth).min().unwrap_or(NEVER)
    }

    /// The rows that expire after a moment, and by another.
    pub(crate) fn between(&self, after: i64, by: i64) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(move |run| {
            let place = |moment: i64| run.partition_point(|(at, _)| *at <= moment);
            let start = place(after);
            run[start..place(by).max(start)].iter().map(|(_, slot)| *slot)
        })
    }
}

/// What had expired at a moment.
#[derive(Debug)]
pub(crate) struct Expired {
    at: i64,
    /// Nothing else does before.
    pub(crate) until: i64,
    pub(crate) slots: FixedBitSet,
}

/// Where a segment's rows stand that expire.
pub(crate) trait Expiring {
    /// When the first row expires that does so after a moment, or may: earlier is no mistake.
    fn next_expiry(&self, after: i64) -> i64;

    /// The rows that expire after a moment and by another; others may be among them, and some twice.
    fn expiring(&self, after: i64, by: i64) -> Box<dyn Iterator<Item = u32> + '_>;

    /// When a row expires.
    fn expires_at(&self, slot: u32) -> i64;
}

/// The expired rows of one state of a segment, as far as somebody asked.
#[derive(Debug, Default)]
pub(crate) struct ExpiredCache(ArcSwapOption<Expired>);

impl ExpiredCache {
    /// What has expired now. Of two that ask at once each may find it.
    pub(crate) fn get(&self, rows: &dyn Expiring, now: i64) -> Arc<Expired> {
        let known = self.0.load_full().filter(|known| known.at <= now);
        if let Some(known) = known.as_ref().filter(|known| now < known.until) {
            return known.clone();
        }
        let (after, mut slots) = match known {
            Some(known) => (known.at, known.slots.clone()),
            None => (i64::MIN, FixedBitSet::new()),
        };
        for slot in rows.expiring(after, now).filter(|slot| rows.expires_at(*slot) <= now) {
            slots.grow(slot as usize + 1);
            slots.insert(slot as usize);
        }
        let expired = Arc::new(Expired { at: now, until: rows.next_expiry(now), slots });
        self.0.store(Some(expired.clone()));
        expired
    }
}

impl Expiring for SegmentView {
    fn next_expiry(&self, after: i64) -> i64 {
        let of_rows = match &self.segment {
            Segment::Growing(_) => self.expiring.next(after),
            Segment::Sealed(segment) => segment.nth_expiry(after, 1),
        };
        of_rows.min(self.patches.expiring().next(after))
    }

    fn expiring(&self, after: i64, by: i64) -> Box<dyn Iterator<Item = u32> + '_> {
        let of_patches = self.patches.expiring().between(after, by);
        match &self.segment {
            Segment::Growing(_) => Box::new(of_patches.chain(self.expiring.between(after, by))),
            Segment::Sealed(segment) => Box::new(of_patches.chain(segment.expiring(after, by))),
        }
    }

    fn expires_at(&self, slot: u32) -> i64 {
        if let Some(expires_at) = self.patches.get(slot).and_then(|patch| patch.expires_at) {
            return expires_at;
        }
        match &self.segment {
            Segment::Growing(segment) => segment.rows.get(slot).map_or(NEVER, |row| row.expires_at),
            Segment::Sealed(segment) => segment.expires_at(slot),
        }
    }
}

impl SegmentView {
    /// A moment before which fewer rows than so many, at least one, expire that do so after another; [`NEVER`] if so few do at all. It may be too early, where
    /// several lists have the rows, and where some of them are dead.
    pub(crate) fn no_sooner(&self, after: i64, count: usize) -> i64 {
        let patches = self.patches.expiring();
        let of_rows = match &self.segment {
            Segment::Growing(_) => self.expiring.0.iter().len(),
            Segment::Sealed(_) => 1,
        };
        // So many rows are in the lists only once one of these has its share.
        let share = count.div_ceil((of_rows + patches.0.iter().len()).max(1)).max(1);
        let first = match &self.segment {
            Segment::Growing(_) => self.expiring.nth(after, share),
            Segment::Sealed(segment) => segment.nth_expiry(after, share),
        };
        first.min(patches.nth(after, share))
    }

    /// The segment with what has expired among the dead, if anything has; and when there is more.
    pub(crate) fn without_expired(&self, now: i64) -> (Option<Self>, i64) {
        let first = self.next_expiry(i64::MIN);
        if now < first {
            return (None, first);
        }
        let known = self.known_expired.get(self, now);
        let mut view = self.clone();
        let newly: Vec<u32> = known.slots.difference(&self.dead.bits).map(|slot| slot as u32).collect();
        view.kill(&newly);
        view.expired += newly.len();
        (Some(view), known.until)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::SplitMix64;

    struct Rows(Vec<i64>, ExpiryRuns);

    impl Expiring for Rows {
        fn next_expiry(&self, after: i64) -> i64 {
            self.1.next(after)
        }
        fn expiring(&self, after: i64, by: i64) -> Box<dyn Iterator<Item = u32> + '_> {
            Box::new(self.1.between(after, by))
        }
        fn expires_at(&self, slot: u32) -> i64 {
            self.0[slot as usize]
        }
    }

    #[test]
    fn the_set_grows_to_what_comparing_each_row_finds() {
        let mut random = SplitMix64(3);
        let mut rows = Rows(Vec::new(), ExpiryRuns::default());
        for _ in 0..40 {
            let new: Vec<Expiry> = (0..random.next() % 7)
                .map(|number| ((random.next() % 100) as i64, rows.0.len() as u32 + number as u32))
                .collect();
            rows.0.extend(new.iter().map(|(at, _)| *at));
            rows.1 = rows.1.with(new);
        }
        assert!(rows.1.0.iter().len() < 9);
        let cache = ExpiredCache::default();
        for now in (0..=100).chain([50, 100]) {
            let found: BTreeSet<usize> = cache.get(&rows, now).slots.ones().collect();
            let expected = (0..rows.0.len()).filter(|slot| rows.0[*slot] <= now).collect();
            assert_eq!(found, expected, "{now}");
            let next = rows.0.iter().copied().filter(|at| *at > now).min().unwrap_or(NEVER);
            assert_eq!(rows.next_expiry(now), next);
        }
    }
}
