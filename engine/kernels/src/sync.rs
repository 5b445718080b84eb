//! The atomics, locks and once-cells that structures shared without locks are made of.
//!
//! **Problem.** A protocol that is right on one machine by luck (x86 hardly reorders) and in one test run by timing is
//! not right. **Idea.** Such structures take their atomics from here. In every ordinary build these are the standard
//! library's own, at no cost. In a build with `--cfg ragstone_loom` they are those of [loom](https://docs.rs/loom),
//! which runs a small test in every interleaving that the C11 memory model allows, stale reads included, up to a
//! bound on preemptions; `cargo xtask loom` runs those tests (modules named `interleavings`), and
//! `cargo xtask loom-mutants` shows that they fail when an ordering or an order of stores is wrong.
//!
//! Loom instead of shuttle, because shuttle treats every ordering as sequentially consistent: it would not see a
//! `Release` that became `Relaxed`.
//!
//! loom has no `OnceLock`, no zeroed slice of atomics, and cannot look into mapped memory; the first two are written
//! here from its parts, and [`RaceWitness`] stands for the third. Locks that guard plain values outside of such
//! protocols stay the standard library's.

#[cfg(not(ragstone_loom))]
pub use real::*;

#[cfg(ragstone_loom)]
pub use checked::*;

#[cfg(not(ragstone_loom))]
mod real {
    pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
    pub use std::sync::{Mutex, MutexGuard, OnceLock, RwLock};

    /// Fresh words, all zero. Zeroed by the allocator: pages that nobody uses are never touched.
    pub fn zeroed_words(count: usize) -> Box<[AtomicU32]> {
        bytemuck::allocation::zeroed_slice_box(count)
    }

    /// Tells the checker of accesses to memory that it cannot see; nothing in an ordinary build.
    #[derive(Debug)]
    pub struct RaceWitness;

    impl RaceWitness {
        /// A witness of so many places, each of which is written and read as a whole.
        pub fn new(_places: usize) -> Self {
            Self
        }

        /// A place is written now.
        #[inline(always)]
        pub fn write(&self, _place: usize) {}

        /// A place may be read from now on.
        #[inline(always)]
        pub fn read(&self, _place: usize) {}
    }
}

#[cfg(ragstone_loom)]
mod checked {
    pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
    pub use loom::sync::{Arc, Mutex, MutexGuard, RwLock};
    pub use loom::thread;

    use std::sync::PoisonError;
    use std::sync::atomic::Ordering;

    use loom::cell::UnsafeCell;

    /// Runs a test in every interleaving with at most so many preemptions: switches away from a thread that could
    /// go on. Bugs of ordering show with one or two (Musuvathi and Qadeer 2007), and the number of interleavings
    /// grows with a power of it.
    ///
    /// Let the test's own thread write and the threads that it spawns read. loom remembers one last access of an
    /// atomic, so a writer's load hides the reader's load before it, and a reader that runs first may be all that is
    /// tried. A reader that comes second is given every value that the memory model allows it.
    pub fn in_every_interleaving(preemptions_max: usize, test: impl Fn() + Sync + Send + 'static) {
        let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = runs.clone();
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions_max);
        model.max_branches = 100_000;
        model.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            test();
        });
        let runs = runs.load(Ordering::Relaxed);
        println!("{runs} interleavings");
        assert!(runs > 1, "the threads of the test never meet");
    }

    /// Fresh words, all zero.
    pub fn zeroed_words(count: usize) -> Box<[AtomicU32]> {
        std::iter::repeat_with(|| AtomicU32::new(0)).take(count).collect()
    }

    /// Tells loom of accesses to memory that it cannot see: it fails on a read or write that is not ordered after
    /// every write to the same place.
    #[derive(Debug)]
    pub struct RaceWitness {
        places: Box<[UnsafeCell<()>]>,
    }

    // SAFETY: the cells hold nothing; they only stand for the order of accesses, which loom checks.
    unsafe impl Send for RaceWitness {}
    // SAFETY: as above.
    unsafe impl Sync for RaceWitness {}

    impl RaceWitness {
        /// A witness of so many places, each of which is written and read as a whole.
        pub fn new(places: usize) -> Self {
            Self { places: std::iter::repeat_with(|| UnsafeCell::new(())).take(places).collect() }
        }

        /// A place is written now.
        pub fn write(&self, place: usize) {
            self.places[place].with_mut(|_| ());
        }

        /// A place may be read from now on.
        pub fn read(&self, place: usize) {
            self.places[place].with(|_| ());
        }
    }

    /// `std::sync::OnceLock` as its documentation describes it, made of loom's parts: who sees the value sees all
    /// that happened before it was set.
    #[derive(Debug)]
    pub struct OnceLock<T> {
        is_set: AtomicBool,
        setting: Mutex<()>,
        value: UnsafeCell<Option<T>>,
    }

    // SAFETY: the value is written once, by the thread that holds `setting` while `is_set` is false, and shared only
    // after `is_set` was read as true; loom checks the order.
    unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> OnceLock<T> {
        /// Without a value.
        pub fn new() -> Self {
            Self { is_set: AtomicBool::new(false), setting: Mutex::new(()), value: UnsafeCell::new(None) }
        }

        /// The value, once it is set.
        pub fn get(&self) -> Option<&T> {
            if !self.is_set.load(Ordering::Acquire) {
                return None;
            }
            // SAFETY: `is_set` was read with acquire ordering, and the value is never written after it was set.
            self.value.with(|value| unsafe { (*value).as_ref() })
        }

        /// The value, made now if there is none.
        pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            if self.get().is_none() {
                let _alone = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
                if !self.is_set.load(Ordering::Acquire) {
                    self.store(make());
                }
            }
            match self.get() {
                Some(value) => value,
                None => unreachable!("it was set above, here or by another thread before `setting` was free"),
            }
        }

        /// Sets the value, or gives it back if there is one.
        pub fn set(&self, value: T) -> Result<(), T> {
            let _alone = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
            if self.is_set.load(Ordering::Acquire) {
                return Err(value);
            }
            self.store(value);
            Ok(())
        }

        /// The caller holds `setting`, and no value is set.
        fn store(&self, value: T) {
            // SAFETY: nobody reads the value before `is_set`, and `setting` keeps other writers away.
            self.value.with_mut(|place| unsafe { *place = Some(value) });
            self.is_set.store(true, Ordering::Release);
        }
    }
}
