//! Answers to conditions on the columns of a sealed segment.
//!
//! **Problem.** A condition is tested on every row of a segment, which at 60,000 rows costs more than the walk it is
//! for; and applications ask with the same few conditions (a tenant, a language, a year) again and again.
//!
//! **Idea.** A sealed segment never changes, so the rows that meet a condition are the same for ever: the answers to the
//! last conditions asked are kept. Deletes do not concern them: they come in afterwards. Conditions are kept one by one,
//! so whatever combines known ones costs a few operations on words.
//!
//! **Cost.** A bit for each row and kept answer, at most [`BYTES_MAX`] a segment and [`ANSWERS_MAX`] in number.

use std::sync::{Arc, Mutex, PoisonError};

use fixedbitset::FixedBitSet;

use super::{FieldId, Test};

const ANSWERS_MAX: usize = 64;
const BYTES_MAX: usize = 4 << 20;
/// Conditions of more bytes than this are not kept: telling them apart would cost as much as testing them.
const CONDITION_BYTES_MAX: usize = 4 << 10;

#[derive(Debug)]
struct Answer {
    field: FieldId,
    test: Arc<Test>,
    rows: Arc<FixedBitSet>,
}

/// The last answers of one segment, the latest last.
#[derive(Debug, Default)]
pub(crate) struct FilterCache {
    /// Held to look through at most [`ANSWERS_MAX`] conditions.
    answers: Mutex<Vec<Answer>>,
}

impl FilterCache {
    /// The rows that meet a condition: as they were found before, or found now.
    pub(crate) fn get(
        &self,
        field: FieldId,
        test: &Arc<Test>,
        find: impl FnOnce() -> FixedBitSet,
    ) -> Arc<FixedBitSet> {
        let answers = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = {
            let mut answers = answers();
            let place = answers.iter().position(|answer| answer.field == field && answer.test == *test);
            place.map(|place| {
                let answer = answers.remove(place);
                let rows = answer.rows.clone();
                answers.push(answer);
                rows
            })
        };
        if let Some(rows) = known {
            return rows;
        }
        let rows = Arc::new(find());
        let row_bytes = rows.len().div_ceil(8).max(1);
        if test.size_bytes() <= CONDITION_BYTES_MAX && row_bytes <= BYTES_MAX {
            let mut answers = answers();
            while answers.len() >= ANSWERS_MAX.min(BYTES_MAX / row_bytes) {
                answers.remove(0);
            }
            answers.push(Answer { field, test: test.clone(), rows: rows.clone() });
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_once_while_it_is_kept() {
        let cache = FilterCache::default();
        let found = std::cell::Cell::new(0);
        let ask = |field: FieldId, value: i64| {
            let rows = cache.get(field, &Arc::new(Test::IntIn(vec![value])), || {
                found.set(found.get() + 1);
                let mut rows = FixedBitSet::with_capacity(100);
                rows.insert((i64::from(field) * 10 + value % 10) as usize);
                rows
            });
            assert_eq!(rows.ones().collect::<Vec<_>>(), [(i64::from(field) * 10 + value % 10) as usize]);
        };
        (0..3).for_each(|_| ask(1, 5));
        assert_eq!(found.get(), 1);
        ask(2, 5);
        ask(1, 6);
        assert_eq!(found.get(), 3, "another field or value is another condition");
        (0..ANSWERS_MAX as i64).for_each(|value| ask(3, value));
        let before = found.get();
        ask(1, 5);
        assert_eq!(found.get(), before + 1, "the oldest made room");
        ask(3, ANSWERS_MAX as i64 - 1);
        assert_eq!(found.get(), before + 1);
    }

    #[test]
    fn long_conditions_are_not_kept() {
        let cache = FilterCache::default();
        let test = Arc::new(Test::IntIn((0..10_000).collect()));
        cache.get(1, &test, || FixedBitSet::with_capacity(10));
        assert!(cache.answers.lock().unwrap().is_empty());
    }
}
