//! Answers to conditions on the columns of a sealed segment.
//!
//! **Problem.** Applications ask with the same few conditions (a tenant, a language, a year) again and again, and finding
//! the rows of one costs some microseconds.
//!
//! **Idea.** A sealed segment never changes, so the rows that meet a condition are the same for ever: the answers to the
//! last conditions asked are kept. Deletes do not concern them: they come in afterwards. Conditions are kept one by one,
//! so whatever combines known ones costs a few operations on words.
//!
//! Where a condition can do without an answer (`screen.rs`), one is made when it is asked for again: [`is_first`](FilterCache::is_first).
//!
//! A condition has [`WAYS`] places, given by its hash, each an atomic pointer: searches read and replace them without a
//! lock. A new answer takes the place among its own that was not asked for the longest; two at once may take the same, and one
//! is not kept then, which costs finding it again.
//!
//! **Cost.** A bit for each row and kept answer, at most what it is given, and [`ANSWERS_MAX`] in number.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use fixedbitset::FixedBitSet;

use super::{FieldId, Test};

const ANSWERS_MAX: usize = 64;
/// Places of a condition.
const WAYS: usize = 4;
/// Conditions of more bytes than this are not kept: telling them apart would cost as much as testing them.
const CONDITION_BYTES_MAX: usize = 4 << 10;

#[derive(Debug)]
struct Answer {
    field: FieldId,
    test: Arc<Test>,
    rows: Arc<FixedBitSet>,
    /// When it was asked for last, by the cache's count.
    asked_at: AtomicU64,
}

/// The last answers of one segment.
#[derive(Debug)]
pub(crate) struct FilterCache {
    /// Whole groups of [`WAYS`] places; none of a segment whose answers are too long to keep.
    places: Box<[ArcSwapOption<Answer>]>,
    /// Conditions asked.
    asked: AtomicU64,
    /// Hashes of conditions that were asked for and have no answer, each in the place that it gives.
    noted: Box<[AtomicU64]>,
}

impl FilterCache {
    /// For a segment of so many rows, whose answers may take so many bytes together.
    pub(crate) fn new(rows: usize, bytes_max: usize) -> Self {
        let count = ANSWERS_MAX.min(bytes_max / rows.div_ceil(8).max(1)) / WAYS * WAYS;
        let places = std::iter::repeat_with(ArcSwapOption::empty).take(count).collect();
        let noted = std::iter::repeat_with(AtomicU64::default).take(count).collect();
        Self { places, asked: AtomicU64::new(0), noted }
    }

    /// The hash of a condition and its places; `None` of one whose answer is not kept.
    fn places_of(&self, field: FieldId, test: &Test) -> Option<(u64, &[ArcSwapOption<Answer>])> {
        if self.places.is_empty() || test.size_bytes() > CONDITION_BYTES_MAX {
            return None;
        }
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((field, test));
        let group = hash as usize % (self.places.len() / WAYS) * WAYS;
        Some((hash, &self.places[group..group + WAYS]))
    }

    /// Whether a condition is asked for the first time, so that an answer is not worth making for its own sake: none is kept, and it was not
    /// noted before. It is noted now, unless another takes its place. Where answers are not kept every time is the first.
    pub(crate) fn is_first(&self, field: FieldId, test: &Test) -> bool {
        let Some((hash, places)) = self.places_of(field, test) else { return true };
        let is_of = |answer: &Answer| answer.field == field && *answer.test == *test;
        let is_kept = |place: &ArcSwapOption<Answer>| place.load().as_deref().is_some_and(is_of);
        // Other bits than those that choose the places of the answer.
        let noted = &self.noted[(hash >> 32) as usize % self.noted.len()];
        !places.iter().any(is_kept) && noted.swap(hash, Ordering::Relaxed) != hash
    }

    /// The rows that meet a condition: as they were found before, or found now; `None` if they were not found to the end.
    pub(crate) fn get(
        &self,
        field: FieldId,
        test: &Arc<Test>,
        find: impl FnOnce() -> Option<FixedBitSet>,
    ) -> Option<Arc<FixedBitSet>> {
        let Some((_, places)) = self.places_of(field, test) else {
            return find().map(Arc::new);
        };
        // A count that orders what was asked; nothing else is handed over with it.
        let now = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut oldest = (u64::MAX, 0);
        for (number, place) in places.iter().enumerate() {
            let answer = place.load();
            let asked_at = match &*answer {
                Some(answer) if answer.field == field && answer.test == *test => {
                    answer.asked_at.store(now, Ordering::Relaxed);
                    return Some(answer.rows.clone());
                }
                Some(answer) => answer.asked_at.load(Ordering::Relaxed),
                None => 0,
            };
            oldest = oldest.min((asked_at, number));
        }
        let rows = Arc::new(find()?);
        let asked_at = AtomicU64::new(now);
        places[oldest.1].store(Some(Arc::new(Answer {
            field,
            test: test.clone(),
            rows: rows.clone(),
            asked_at,
        })));
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 4 << 20;

    fn rows_of(field: FieldId, value: i64) -> FixedBitSet {
        let mut rows = FixedBitSet::with_capacity(100);
        rows.insert((i64::from(field) * 10 + value % 10) as usize);
        rows
    }

    #[test]
    fn an_answer_is_found_once_while_it_is_kept() {
        let cache = FilterCache::new(100, BYTES_MAX);
        let found = std::cell::Cell::new(0);
        let ask = |field: FieldId, value: i64| {
            let rows = cache.get(field, &Arc::new(Test::IntIn(vec![value])), || {
                found.set(found.get() + 1);
                Some(rows_of(field, value))
            });
            assert_eq!(*rows.unwrap(), rows_of(field, value));
        };
        (0..3).for_each(|_| ask(1, 5));
        assert_eq!(found.get(), 1);
        ask(2, 5);
        ask(1, 6);
        assert_eq!(found.get(), 3, "another field or value is another condition");
        // One that is asked for all the time stays, the others make room.
        for value in 0..20 * ANSWERS_MAX as i64 {
            ask(3, value);
            ask(1, 5);
        }
        assert_eq!(found.get(), 3 + 20 * ANSWERS_MAX);
        ask(1, 6);
        assert_eq!(found.get(), 4 + 20 * ANSWERS_MAX);
    }

    #[test]
    fn a_condition_is_asked_for_the_first_time_once() {
        let cache = FilterCache::new(100, BYTES_MAX);
        let test = |value: i64| Arc::new(Test::IntIn(vec![value]));
        assert!(cache.is_first(1, &test(5)));
        assert!(!cache.is_first(1, &test(5)));
        assert!(cache.is_first(2, &test(5)), "of another field");
        cache.get(3, &test(5), || Some(rows_of(3, 5)));
        assert!(!cache.is_first(3, &test(5)), "its answer is kept");
        // Others take its place.
        (6..6 + 100 * ANSWERS_MAX as i64).for_each(|value| assert!(cache.is_first(1, &test(value))));
        assert!(cache.is_first(1, &test(5)));
        let keeping_none = FilterCache::new(100, 0);
        assert!((0..3).all(|_| keeping_none.is_first(1, &test(5))));
    }

    #[test]
    fn threads_at_once_get_what_they_asked_for() {
        let cache = FilterCache::new(100, BYTES_MAX);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let cache = &cache;
                scope.spawn(move || {
                    for number in 0..5_000 {
                        let (field, value) = (number % 3, i64::from(number) * (thread + 1) % 97);
                        let test = Arc::new(Test::IntIn(vec![value]));
                        let rows = cache.get(field, &test, || Some(rows_of(field, value)));
                        assert_eq!(*rows.unwrap(), rows_of(field, value));
                    }
                });
            }
        });
    }

    #[test]
    fn long_conditions_and_long_answers_are_not_kept() {
        let test = Arc::new(Test::IntIn((0..10_000).collect()));
        let cache = FilterCache::new(10, BYTES_MAX);
        cache.get(1, &test, || Some(FixedBitSet::with_capacity(10)));
        assert!(cache.places.iter().all(|place| place.load().is_none()));
        assert!(FilterCache::new(100 << 20, BYTES_MAX).places.is_empty());
        let found = || Some(FixedBitSet::default());
        FilterCache::new(100 << 20, BYTES_MAX).get(1, &Arc::new(Test::IntIn(vec![1])), found).unwrap();
    }

    #[test]
    fn what_is_not_found_to_the_end_is_not_kept() {
        let cache = FilterCache::new(100, BYTES_MAX);
        let test = Arc::new(Test::IntIn(vec![1]));
        assert_eq!(cache.get(1, &test, || None), None);
        assert_eq!(*cache.get(1, &test, || Some(rows_of(1, 1))).unwrap(), rows_of(1, 1));
        assert_eq!(*cache.get(1, &test, || None).unwrap(), rows_of(1, 1), "it is there now");
    }

    /// Eighty rows take ten bytes an answer.
    #[test]
    fn the_answers_keep_to_their_bytes() {
        let places = |bytes_max| FilterCache::new(80, bytes_max).places.len();
        assert_eq!([0, 39, 40, 79, 80, usize::MAX].map(places), [0, 0, 4, 4, 8, ANSWERS_MAX]);
        assert_eq!(FilterCache::new(0, usize::MAX).places.len(), ANSWERS_MAX);
    }
}
