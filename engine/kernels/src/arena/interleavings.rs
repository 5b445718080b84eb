//! The arena's promise in every interleaving (see [`sync`](crate::sync)). A chunk holds two rows here, the next four.

use std::sync::atomic::Ordering;

use super::RowArena;
use crate::sync::{Arc, AtomicUsize, in_every_interleaving, thread};

fn arena() -> Arc<RowArena<u64>> {
    Arc::new(RowArena::new(2))
}

#[test]
fn who_sees_the_length_sees_every_row_below_it() {
    in_every_interleaving(3, || {
        let arena = arena();
        let reader = arena.clone();
        let reader = thread::spawn(move || {
            for _ in 0..2 {
                for index in 0..reader.len() {
                    assert_eq!(reader.row(index), [index as u64; 2]);
                }
            }
        });
        for index in 0..3 {
            assert_eq!(arena.push(&[index as u64; 2]), index);
        }
        reader.join().unwrap();
    });
}

#[test]
fn writers_that_come_at_once_write_rows_of_their_own() {
    in_every_interleaving(3, || {
        let arena = arena();
        let other = arena.clone();
        let other = thread::spawn(move || [1, 2].map(|value| (other.push(&[value; 2]), value)));
        let mine = [3, 4].map(|value| (arena.push(&[value; 2]), value));
        let theirs = other.join().unwrap();
        assert_eq!(arena.len(), 4);
        let mut all = [mine, theirs].concat();
        all.sort_unstable();
        for (expected, (index, value)) in all.into_iter().enumerate() {
            assert_eq!((index, arena.row(index)), (expected, &[value; 2][..]));
        }
    });
}

#[test]
fn whoever_learns_of_a_row_can_read_it() {
    in_every_interleaving(3, || {
        let (arena, told) = (arena(), Arc::new(AtomicUsize::new(0)));
        let reader = (arena.clone(), told.clone());
        let reader = thread::spawn(move || {
            let (arena, told) = reader;
            if let Some(index) = told.load(Ordering::Acquire).checked_sub(1) {
                assert_eq!(arena.row(index), [index as u64; 2]);
            }
        });
        for value in 0..2 {
            let index = arena.push(&[value; 2]);
            told.store(index + 1, Ordering::Release);
        }
        reader.join().unwrap();
    });
}
