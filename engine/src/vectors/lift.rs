//! Graphs for the inner product, which is no distance: a row need not be its own nearest.
//!
//! A graph for it is built on Euclidean distances, as the search for the largest product is that for the row nearest to
//! a query infinitely far away. Alone that leaves the long rows, which most such queries want, with links into the
//! crowd of the short ones. So a row shorter than the [`LIFT`] gets one more component that brings it up to that (a
//! reduction in the way of Bachrach et al. 2014, who bring all up to the longest, which one long row spoils):
//! `|x - y|^2 + (e(x) - e(y))^2` with `e(x)^2 = LIFT mean - |x|^2`, if positive. Rows of equal length are not
//! affected.
//!
//! Measured at equal width on clustered rows of lengths .5 to 1.5: recall .94 against .73 with plain
//! Euclidean distances, .81 with Bachrach's and .69 with the inner product itself; on log-normal lengths the
//! order is the same. Where a few rows are several times as long as the rest, walks need to be wider than
//! usual.

use super::{BLOCK, Rows, Slot};
use crate::schema::Metric;

/// The squared length that shorter rows are brought up to, in means of the squared lengths. One to two are
/// alike.
const LIFT: f32 = 1.5;

/// The squared length that shorter rows are brought up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lift(f32);

impl Lift {
    /// The lift of these rows; none but under the inner product.
    pub(super) fn new(metric: Metric, rows: &dyn Rows) -> Option<Self> {
        // Rows of databases from before lengths were bounded may be infinitely long on average, and infinity minus
        // infinity has no order.
        let lengths = (metric == Metric::Dot).then(|| rows.lengths())?;
        (!lengths.are_equal()).then(|| Self((LIFT * lengths.mean_squared()).min(f32::MAX)))
    }

    /// Adds what the lift adds to the distances from a row.
    pub(super) fn add(self, rows: &dyn Rows, from: Slot, slots: &[Slot], out: &mut [f32]) {
        let extra = |squared: f32| (self.0 - squared).max(0.0).sqrt();
        let mut squared = [0.0; BLOCK];
        rows.squared_lengths(&[from], &mut squared[..1]);
        let own = extra(squared[0]);
        for (slots, out) in slots.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let squared = &mut squared[..slots.len()];
            rows.squared_lengths(slots, squared);
            for (distance, squared) in out.iter_mut().zip(squared) {
                let difference = own - extra(*squared);
                *distance += difference * difference;
            }
        }
    }
}
