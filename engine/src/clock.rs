//! What time it is, for rows that expire.
//!
//! Apply never asks the clock: each write is logged with its time, and rows are there for it, or not, by that. Reads ask when they
//! are made.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// When a row expires that never does.
pub(crate) const NEVER: i64 = i64::MAX;

/// Tells the time in microseconds since 1970 (UTC), by which rows [expire](crate::Point::expires_at).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicI64, Ordering};
///
/// use ragstone::{Clock, Db, DbOptions, Point, Schema};
///
/// let now = Arc::new(AtomicI64::new(1_000));
/// let mut options = DbOptions::default();
/// let told = now.clone();
/// options.clock = Clock::new(move || told.load(Ordering::Relaxed));
/// let db = Db::in_memory_with(options)?;
/// let sessions = db.create_collection("sessions", Schema::new(2)?)?;
/// sessions.upsert(vec![Point::new(1, [1.0, 0.0]).expires_at(2_000)])?;
/// assert_eq!(sessions.count(None)?, 1);
/// now.store(2_000, Ordering::Relaxed);
/// assert_eq!(sessions.count(None)?, 0);
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that calls a function, as tests like it.
    pub fn new(now_us: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_us))
    }

    /// What time it is.
    pub fn now_us(&self) -> i64 {
        (self.0)()
    }
}

/// The system's. One that is before 1970 reads as 1970.
impl Default for Clock {
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_micros()).unwrap_or(NEVER - 1)
        })
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}
