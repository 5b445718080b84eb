//! The promises of [`AppendVec`] in every interleaving (see `ragstone_kernels::sync`). A chunk holds two elements here.

use std::sync::atomic::Ordering;

use ragstone_kernels::sync::{Arc, AtomicU32, in_every_interleaving, thread};

use super::AppendVec;

#[test]
fn what_a_view_counts_is_there() {
    in_every_interleaving(3, || {
        // As a view does: the count is published after the rows that it counts.
        let (rows, visible) = (Arc::new(AppendVec::new()), Arc::new(AtomicU32::new(0)));
        let reader = (rows.clone(), visible.clone());
        let reader = thread::spawn(move || {
            let (rows, visible) = reader;
            let counted = visible.load(Ordering::Acquire);
            assert!((0..counted).all(|index| rows.get(index) == Some(&index)), "{counted} rows");
        });
        for value in 0..3 {
            let index = rows.push(value);
            visible.store(index + 1, Ordering::Release);
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_reader_ahead_of_the_writer_sees_nothing_or_a_whole_element() {
    in_every_interleaving(3, || {
        let rows = Arc::new(AppendVec::new());
        let reader = rows.clone();
        let reader = thread::spawn(move || {
            assert!(reader.get(0).is_none_or(|value| *value == 5));
            assert!(reader.get(2).is_none_or(|value| *value == 7));
        });
        assert_eq!([5, 6, 7].map(|value| rows.push(value)), [0, 1, 2]);
        reader.join().unwrap();
    });
}

#[test]
fn writers_at_once_get_places_of_their_own() {
    in_every_interleaving(3, || {
        let rows = Arc::new(AppendVec::new());
        let other = rows.clone();
        let other = thread::spawn(move || [1, 2].map(|value| (other.push(value), value)));
        let mine = [3, 4].map(|value| (rows.push(value), value));
        let mut all = [mine, other.join().unwrap()].concat();
        all.sort_unstable();
        for (expected, (index, value)) in (0..).zip(all) {
            assert_eq!((index, rows.get(index)), (expected, Some(&value)));
        }
    });
}
