use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use super::Batcher;

fn batcher(weight_max: usize) -> Batcher<usize, usize> {
    Batcher::new(weight_max, |item| *item)
}

fn items(weights: &[usize]) -> Arc<[usize]> {
    weights.into()
}

fn tenfold(items: &[&usize]) -> Option<Vec<usize>> {
    Some(items.iter().map(|item| **item * 10).collect())
}

#[test]
fn a_lone_call_is_computed_at_once_and_slice_by_slice() {
    let passes = std::cell::RefCell::new(Vec::new());
    let pass = |items: &[&usize]| {
        passes.borrow_mut().push(items.iter().copied().copied().collect::<Vec<_>>());
        tenfold(items)
    };
    let batcher = batcher(8);
    assert_eq!(batcher.run(&items(&[]), pass), Some(vec![]));
    assert_eq!(batcher.run(&items(&[3, 3, 2, 9, 1]), pass), Some(vec![30, 30, 20, 90, 10]));
    assert_eq!(*passes.borrow(), [vec![3, 3, 2], vec![9], vec![1]]);
}

/// While a large call is computed others come; the next pass takes half of the large one and all of the small ones.
#[test]
fn who_waits_is_in_the_next_pass() {
    let (batcher, passes) = (batcher(8), Mutex::new(Vec::new()));
    let (begun, has_begun) = mpsc::channel();
    let (goes_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let pass = |items: &[&usize]| {
        let list: Vec<usize> = items.iter().copied().copied().collect();
        let is_first = {
            let mut passes = passes.lock().unwrap();
            passes.push(list);
            passes.len() == 1
        };
        if is_first {
            begun.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
        tenfold(items)
    };
    let (batcher, pass) = (&batcher, &pass);
    thread::scope(|scope| {
        let large = scope.spawn(move || batcher.run(&items(&[2; 8]), pass));
        has_begun.recv().unwrap();
        let call = |weight| scope.spawn(move || (weight, batcher.run(&items(&[weight]), pass)));
        let small = [1, 3].map(call);
        while super::lock(&batcher.queue).waiting.len() < 3 {
            thread::sleep(Duration::from_millis(1));
        }
        goes_on.send(()).unwrap();
        assert_eq!(large.join().unwrap(), Some(vec![20; 8]));
        for call in small {
            let (weight, made) = call.join().unwrap();
            assert_eq!(made, Some(vec![weight * 10]));
        }
    });
    // Of eight: four of the call that waits longest, then one and three.
    assert_eq!(*passes.lock().unwrap(), [vec![2, 2, 2, 2], vec![2, 2, 1, 3], vec![2, 2]]);
}

#[test]
fn everyone_gets_their_own() {
    const ROUNDS: usize = 200;
    let (batcher, passes, start) = (batcher(20), AtomicUsize::new(0), Barrier::new(8));
    let pass = |items: &[&usize]| {
        passes.fetch_add(1, Ordering::Relaxed);
        assert!(items.iter().copied().sum::<usize>() <= 20);
        // So that others come meanwhile, however few processors there are.
        thread::sleep(Duration::from_micros(20));
        tenfold(items)
    };
    thread::scope(|scope| {
        for caller in 0..8_usize {
            let (batcher, start) = (&batcher, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    let own = [1 + (caller + round) % 4];
                    assert_eq!(batcher.run(&items(&own), pass), Some(vec![own[0] * 10]));
                }
            });
        }
    });
    let passes = passes.load(Ordering::Relaxed);
    assert!(passes < 8 * ROUNDS, "{passes} passes for as many calls");
    assert!(!super::lock(&batcher.queue).is_led);
    assert!(super::lock(&batcher.queue).waiting.is_empty());
}

/// Seven fails and nine panics: who shares no pass with one of them gets what they asked for, and nobody is left waiting.
#[test]
fn a_pass_that_fails_or_panics_leaves_nobody_waiting() {
    // Whose an item is, and its weight.
    type Item = (usize, usize);
    let batcher: Batcher<Item, usize> = Batcher::new(30, |item| item.1);
    let (start, failed) = (Barrier::new(6), Mutex::new(HashSet::new()));
    let pass = |items: &[&Item]| {
        if items.iter().any(|item| item.1 >= 7) {
            failed.lock().unwrap().extend(items.iter().map(|item| item.0));
        }
        assert!(items.iter().all(|item| item.1 != 9), "made to panic");
        (!items.iter().any(|item| item.1 == 7)).then(|| items.iter().map(|item| item.0 * 10).collect())
    };
    let call = |name: usize, weight: usize| {
        let call = || batcher.run(&[(name, weight)].into(), pass);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).ok().flatten()
    };
    thread::scope(|scope| {
        for caller in 0..6 {
            let (call, start, failed) = (&call, &start, &failed);
            scope.spawn(move || {
                start.wait();
                for round in 0..100 {
                    let weight = match (caller, round % 5) {
                        (0, 0) => 7,
                        (1, 0) => 9,
                        _ => 1 + round % 4,
                    };
                    let name = caller * 100 + round;
                    match call(name, weight) {
                        Some(made) => assert_eq!((made, weight < 7), (vec![name * 10], true)),
                        None => assert!(failed.lock().unwrap().contains(&name), "{name} failed by itself"),
                    }
                }
            });
        }
    });
    assert_eq!(
        [(1_000, 1), (1_001, 7), (1_002, 9), (1_003, 2)].map(|(name, weight)| call(name, weight)),
        [Some(vec![10_000]), None, None, Some(vec![10_030]),]
    );
}
