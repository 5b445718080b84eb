//! Calls that come while the model is busy, computed together.
//!
//! **Problem.** A question of sixteen tokens streams all weights of the model for a few rows; sixteen questions at once, each for itself,
//! stream them sixteen times, and a question beside the import of a folder waits for its turn among hundreds of texts.
//!
//! **Idea.** One pass at a time. Who finds nobody at work makes a pass at once, with nothing but its own items: a lone call
//! waits for nobody and for no timer. Who comes meanwhile waits, and the next pass takes what all have that wait, as much as
//! a pass may weigh: half of it from the call that waits longest, so that nothing starves, then from those that have
//! least left, so that questions go first. Its leader's call waits longest, so each pass has some of that. Large calls are computed slice by slice. Passes are made by one of the callers, the
//! *leader*, and no thread is kept for it; a leader whose items are done hands over to the call that waits longest.
//!
//! ```text
//! waiting -> leading -> done | failed
//! waiting -> done | failed
//! ```
//! **When a pass fails** or panics, it is not known whose items it was: every call that had some in it is told so, and computes its
//! own by itself. A panic goes on in the leader's call.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Passes over items of calls at once. See the module's text.
pub(super) struct Batcher<T, R> {
    /// What the items of a pass weigh at most; one that weighs more has a pass of its own.
    weight_max: usize,
    weigh: fn(&T) -> usize,
    /// Held to join, to choose what a pass takes and to hand over, never during a pass.
    queue: Mutex<Queue<T, R>>,
}

struct Queue<T, R> {
    is_led: bool,
    /// Calls with items that no pass has taken, in the order in which they came.
    waiting: Vec<Arc<Call<T, R>>>,
}

struct Call<T, R> {
    items: Arc<[T]>,
    /// Held to look or to change; what changes is said by `changed`.
    progress: Mutex<Progress<R>>,
    changed: Condvar,
}

struct Progress<R> {
    /// Items that passes have taken: the first ones.
    taken: usize,
    /// What the passes that are over gave for them.
    made: Vec<R>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Leading,
    Done,
    Failed,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a pass takes of a call.
struct Slice<T, R> {
    call: Arc<Call<T, R>>,
    items: Range<usize>,
}

impl<T, R> Batcher<T, R> {
    pub(super) fn new(weight_max: usize, weigh: fn(&T) -> usize) -> Self {
        let queue = Mutex::new(Queue { is_led: false, waiting: Vec::new() });
        Self { weight_max, weigh, queue }
    }

    /// One result an item, in order. `pass` computes items of this call and of others, and gives nothing if it fails: so does this then,
    /// if some of its items were among those.
    pub(super) fn run(&self, items: &Arc<[T]>, pass: impl Fn(&[&T]) -> Option<Vec<R>>) -> Option<Vec<R>> {
        if items.is_empty() {
            return Some(Vec::new());
        }
        let call = self.join(items.clone());
        let mut progress = lock(&call.progress);
        loop {
            match progress.state {
                State::Waiting => {
                    progress = call.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                }
                State::Leading => {
                    drop(progress);
                    let mut leader = Leader { batcher: self, own: &call, slices: Vec::new() };
                    while leader.makes_pass(&pass) {}
                    drop(leader);
                    progress = lock(&call.progress);
                }
                State::Done => return Some(std::mem::take(&mut progress.made)),
                State::Failed => return None,
            }
        }
    }

    fn join(&self, items: Arc<[T]>) -> Arc<Call<T, R>> {
        let mut queue = lock(&self.queue);
        let state = if queue.is_led { State::Waiting } else { State::Leading };
        queue.is_led = true;
        let made = Vec::with_capacity(items.len());
        let progress = Mutex::new(Progress { taken: 0, made, state });
        let call = Arc::new(Call { items, progress, changed: Condvar::new() });
        queue.waiting.push(call.clone());
        call
    }

    /// What the next pass computes.
    fn take(&self) -> Vec<Slice<T, R>> {
        let mut queue = lock(&self.queue);
        let mut left = self.weight_max;
        let mut slices: Vec<Slice<T, R>> = Vec::new();
        let mut order: Vec<(usize, Arc<Call<T, R>>)> =
            queue.waiting.iter().map(|call| (self.weight_left(call), call.clone())).collect();
        if let Some((_, oldest)) = order.first().cloned() {
            let most = self.weight_max.div_ceil(2);
            left -= self.take_of(&oldest, most, true, &mut slices).min(left);
            order.sort_by_key(|(weight, _)| *weight);
            for (_, call) in &order {
                left -= self.take_of(call, left, false, &mut slices).min(left);
            }
        }
        queue.waiting.retain(|call| lock(&call.progress).taken < call.items.len());
        slices
    }

    fn weight_left(&self, call: &Call<T, R>) -> usize {
        let taken = lock(&call.progress).taken;
        call.items[taken..].iter().map(self.weigh).sum()
    }

    /// Takes the next items of a call, at most of some weight or, if it must be, one. Returns their weight.
    fn take_of(
        &self,
        call: &Arc<Call<T, R>>,
        weight_max: usize,
        at_least_one: bool,
        slices: &mut Vec<Slice<T, R>>,
    ) -> usize {
        let mut progress = lock(&call.progress);
        let (start, mut weight) = (progress.taken, 0);
        for item in &call.items[start..] {
            let more = weight + (self.weigh)(item);
            if more > weight_max && !(at_least_one && progress.taken == start) {
                break;
            }
            weight = more;
            progress.taken += 1;
        }
        if progress.taken > start {
            slices.push(Slice { call: call.clone(), items: start..progress.taken });
        }
        weight
    }

    /// Lets the call lead that waits longest; nobody, if none waits.
    fn hand_over(&self) {
        let mut queue = lock(&self.queue);
        queue.is_led = !queue.waiting.is_empty();
        if let Some(next) = queue.waiting.first() {
            next.becomes(State::Leading);
        }
    }
}

impl<T, R> Call<T, R> {
    fn becomes(&self, state: State) {
        lock(&self.progress).state = state;
        self.changed.notify_one();
    }
}

/// A leader at work. However it ends, nobody waits for it afterwards.
struct Leader<'a, T, R> {
    batcher: &'a Batcher<T, R>,
    own: &'a Call<T, R>,
    /// Of the pass that is under way.
    slices: Vec<Slice<T, R>>,
}

impl<T, R> Leader<'_, T, R> {
    /// Makes a pass. Returns whether it should make another.
    fn makes_pass(&mut self, pass: impl Fn(&[&T]) -> Option<Vec<R>>) -> bool {
        self.slices = self.batcher.take();
        let slices = self.slices.iter();
        let items: Vec<&T> = slices.flat_map(|slice| &slice.call.items[slice.items.clone()]).collect();
        let Some(made) = pass(&items).filter(|made| made.len() == items.len()) else { return false };
        let mut made = made.into_iter();
        for Slice { call, items } in self.slices.drain(..) {
            let mut progress = lock(&call.progress);
            progress.made.extend(made.by_ref().take(items.len()));
            if progress.made.len() == call.items.len() {
                progress.state = State::Done;
                call.changed.notify_one();
            }
        }
        lock(&self.own.progress).state == State::Leading
    }
}

impl<T, R> Drop for Leader<'_, T, R> {
    fn drop(&mut self) {
        // Slices are left by a pass that failed.
        for Slice { call, .. } in std::mem::take(&mut self.slices) {
            lock(&self.batcher.queue).waiting.retain(|waiting| !Arc::ptr_eq(waiting, &call));
            call.becomes(State::Failed);
        }
        self.batcher.hand_over();
    }
}

#[cfg(test)]
#[path = "batching_tests.rs"]
mod tests;
