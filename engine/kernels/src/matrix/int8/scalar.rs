//! Portable code: the reference of the other files.

use super::super::multiply::Job;
use super::super::scalar::Scalar;
use super::{Int8Panels, PANEL_COLUMNS, Tile, TileKernel};

/// No instructions are needed.
#[derive(Clone, Copy)]
struct Portable;

impl TileKernel for Portable {
    type Input = u8;
    const ROWS: usize = 4;
    const WHOLE: bool = false;

    #[inline(always)]
    unsafe fn multiply(self, tile: &mut Tile<'_, u8>) {
        let rows = tile.input.chunks_exact(tile.depth).take(tile.rows);
        for (input, sums) in rows.zip(tile.sums.chunks_exact_mut(PANEL_COLUMNS)) {
            let groups = input.as_chunks::<4>().0.iter().zip(tile.panel.chunks_exact(4 * PANEL_COLUMNS));
            for (inputs, weights) in groups {
                for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
                    let products = inputs.iter().zip(weights).map(|(x, w)| i32::from(*x) * i32::from(*w));
                    *sum += products.sum::<i32>();
                }
            }
        }
    }
}

/// See [`run`](super::run).
///
/// # Safety
/// The job's pointers are valid as it says.
pub(super) unsafe fn multiply(job: &Job<'_>, weights: &Int8Panels) {
    // SAFETY: the caller's obligation, passed on.
    unsafe { super::run(Scalar, Portable, job, weights) }
}
