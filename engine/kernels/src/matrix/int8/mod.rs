//! Products in integers of eight bits: a choice of the user's, who trades a little of each vector for several times the speed.
//!
//! A weight is rounded to a signed byte with a scale for each output, a row of the left-hand side, when it is multiplied, to
//! unsigned bytes with a scale and a zero for each row (the range of its own numbers, which after an activation is lopsided):
//!
//! ```text
//! weight[o][i] ~ scale[o] * w[o][i]                   w in -127 ..= 127
//! input[r][i]  ~ scale[r] * (x[r][i] - zero[r])       x in 0 ..= 255
//! output[r][o] = scale[r] * scale[o] * (sum x w - zero[r] * sum w) + bias[o]
//! ```
//!
//! That is the scheme of Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
//! Inference" (2018), with the ranges of rows taken as they come. Sums of the same bytes are exact, hence the same on every
//! instruction set. What stands around them is written once over [`Vector`], but rounds twice where multiply-adds are not fused (the
//! scalar level): an input may be a step higher or lower there, and a product differ in what that is worth.
//!
//! Panels are 32 columns wide on every level: four inputs of a column side by side, as `VPDPBUSD` and the tiles of AMX want them,
//! inputs filled up with zeros to 64:
//!
//! ```text
//! panel: [inputs 0-3 of column 0][inputs 0-3 of column 1] .. [of column 31]  [inputs 4-7 of column 0] ..
//! ```
//!
//! A block of rows is rounded once, then all panels pass by; a panel's part stays in the first-level cache while the block's
//! tiles do.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vnni;

use super::Rows;
use super::math::activate;
use super::multiply::Job;
use super::pack::{Lines, Number};
use super::vector::Vector;
use crate::Isa;

/// Columns of a panel.
pub(super) const PANEL_COLUMNS: usize = 32;
/// Inputs are filled up to a multiple of this.
const DEPTH_STEP: usize = 64;
/// Inputs whose sum cannot overflow: 255 * 127 * 65,536 is below 2^31.
const INPUTS_MAX: usize = 1 << 16;
/// Rows whose scale is not above this count as zeros: nothing of them would be left, and the inverse must be finite.
const SCALE_MIN: f32 = 1e-30;
/// Rows that are rounded together.
const BLOCK_ROWS: usize = 96;
/// Rows of the tallest tile.
const TILE_ROWS_MAX: usize = 32;

/// Weights as signed bytes.
pub(super) struct Int8Panels {
    isa: Isa,
    panels: Lines<i8>,
    /// Inputs, filled up.
    depth: usize,
    /// One an output, filled up to whole panels.
    scales: Vec<f32>,
    /// The sum of each output's bytes.
    sums: Vec<i32>,
}

impl Int8Panels {
    /// Rounds `columns`, of which row `c` holds the weights of output `c`; none where they are not all finite, or too many for
    /// sums of 32 bits.
    pub(super) fn new(isa: Isa, columns: Rows<'_>) -> Option<Int8Panels> {
        let (inputs, outputs) = (columns.columns(), columns.rows());
        let finite = |column: usize| columns.row(column).iter().all(|weight| weight.is_finite());
        if inputs > INPUTS_MAX || !(0..outputs).all(finite) {
            return None;
        }
        let depth = inputs.next_multiple_of(DEPTH_STEP);
        let padded = outputs.next_multiple_of(PANEL_COLUMNS);
        let mut panels = Lines::new();
        panels.reset(depth * padded);
        let (mut scales, mut sums) = (vec![0.0; padded], vec![0; padded]);
        let bytes: &mut [i8] = panels.slice_mut();
        for column in 0..outputs {
            let weights = columns.row(column);
            let largest = weights.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
            let scale = largest / 127.0;
            scales[column] = scale;
            let panel = column / PANEL_COLUMNS * depth * PANEL_COLUMNS;
            for (input, weight) in weights.iter().enumerate() {
                // A scale of zero, or one so small that it is lost, leaves zeros; `as` brings the rest to its ends.
                let byte = if scale > 0.0 { (weight / scale).round_ties_even() as i8 } else { 0 };
                let at = input / 4 * 4 * PANEL_COLUMNS + column % PANEL_COLUMNS * 4 + input % 4;
                bytes[panel + at] = byte.max(-127);
                sums[column] += i32::from(byte.max(-127));
            }
        }
        Some(Int8Panels { isa: allowed(isa), panels, depth, scales, sums })
    }

    fn panel(&self, index: usize) -> &[i8] {
        let len = self.depth * PANEL_COLUMNS;
        &self.panels.slice()[index * len..][..len]
    }
}

/// The level whose tiles the system lets us use.
fn allowed(isa: Isa) -> Isa {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx && !amx::is_allowed() {
        return Isa::Avx512Vnni;
    }
    isa
}

/// Rows of the left-hand side, rounded to unsigned bytes, as a kernel reads them.
struct Block<I> {
    /// `depth` numbers a row; rows behind those that count are there for whole tiles, and hold anything.
    numbers: Lines<I>,
    depth: usize,
    scales: [f32; BLOCK_ROWS],
    zeros: [i32; BLOCK_ROWS],
}

/// A few rows times one panel: `sums[r * 32 + c] += sum of x[r][i] * w[c][i]`.
struct Tile<'a, I> {
    /// Whole rows of `depth` numbers: as many as the kernel's tile has, or more.
    input: &'a [I],
    rows: usize,
    depth: usize,
    panel: &'a [i8],
    sums: &'a mut [i32],
}

/// What multiplies tiles: a token, as [`Vector`]'s.
trait TileKernel: Copy {
    /// What the bytes of the left-hand side are kept as.
    type Input: Number + From<u8>;
    /// Rows of a tile.
    const ROWS: usize;
    /// Whether a tile costs the same whatever its rows, so that few whole ones are better than even ones.
    const WHOLE: bool;
    /// Computes the sums of a tile.
    ///
    /// # Safety
    /// The tile has at most [`Self::ROWS`](TileKernel::ROWS) rows, its slices are as long as [`Tile`] says, and the
    /// processor has the kernel's instructions.
    unsafe fn multiply(self, tile: &mut Tile<'_, Self::Input>);
}

/// Computes the job, on the level of its weights.
///
/// # Safety
/// The job's pointers are valid as [`Job`] says.
pub(super) unsafe fn multiply(job: &Job<'_>, weights: &Int8Panels) {
    // SAFETY: the level is at most the processor's, and the system lets us use it; the caller's obligation, passed on.
    unsafe {
        match weights.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => amx::multiply(job, weights),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => vnni::multiply(job, weights),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx2 => avx2::multiply(job, weights),
            _ => scalar::multiply(job, weights),
        }
    }
}

/// # Safety
/// The job's pointers are valid as [`Job`] says, and the processor has the instructions of both tokens.
#[inline(always)]
unsafe fn run<V: Vector, K: TileKernel>(v: V, kernel: K, job: &Job<'_>, weights: &Int8Panels) {
    let depth = weights.depth;
    let mut numbers = Lines::<K::Input>::new();
    // Rows of the last tile that do not count are read, and must be there.
    numbers.reset((job.rows.min(BLOCK_ROWS).next_multiple_of(K::ROWS) + K::ROWS) * depth);
    let mut block = Block { numbers, depth, scales: [0.0; BLOCK_ROWS], zeros: [0; BLOCK_ROWS] };
    let mut bytes = vec![0; depth];
    for first in (0..job.rows).step_by(BLOCK_ROWS) {
        let rows = first..job.rows.min(first + BLOCK_ROWS);
        for (at, row) in rows.clone().enumerate() {
            // SAFETY: the job's input has this row of `inputs` numbers.
            let numbers = unsafe {
                std::slice::from_raw_parts(job.input.add(row * job.input_stride), job.packed.inputs())
            };
            (block.scales[at], block.zeros[at]) = round(v, numbers, &mut bytes);
            let row = &mut block.numbers.slice_mut()[at * depth..][..depth];
            row.iter_mut().zip(&bytes).for_each(|(number, byte)| *number = (*byte).into());
        }
        for panel in job.panels.clone() {
            let tiles = rows.len().div_ceil(K::ROWS);
            for tile in 0..tiles {
                let tile = match K::WHOLE {
                    true => tile * K::ROWS..rows.len().min((tile + 1) * K::ROWS),
                    false => tile * rows.len() / tiles..(tile + 1) * rows.len() / tiles,
                };
                // SAFETY: the caller's obligation, passed on; the rows are those of the block.
                unsafe { run_tile(v, kernel, (job, weights), (&block, first), (panel, tile)) };
            }
        }
    }
}

/// Rounds a row to bytes; its scale and zero. A number that is not finite makes the scale such, and so every product of the row.
#[inline(always)]
fn round<V: Vector>(v: V, numbers: &[f32], bytes: &mut [u8]) -> (f32, i32) {
    let whole = numbers.len() / V::LANES * V::LANES;
    let mut tail = [0.0; super::vector::LANES_MAX];
    tail[..numbers.len() - whole].copy_from_slice(&numbers[whole..]);
    let zero = v.splat(0.0);
    // Zero is always within the range, so that it is one of the steps.
    let (mut least, mut most, mut tainted) = (zero, zero, zero);
    for chunk in numbers.chunks_exact(V::LANES).chain([&tail[..V::LANES]]) {
        let x = v.read(chunk);
        (least, most) = (v.least(x, least), v.most(x, most));
        tainted = v.multiply_add(x, zero, tainted);
    }
    let low = v.fold(least, 0.0, f32::min);
    let high = v.fold(most, 0.0, f32::max);
    let scale = (high - low) / 255.0;
    let steps = if scale > SCALE_MIN { 1.0 / scale } else { 0.0 };
    let zero_step = (-low * steps).round_ties_even();
    let (factor, shift) = (v.splat(steps), v.splat(zero_step));
    for (at, chunk) in (0..whole).step_by(V::LANES).zip(numbers.chunks_exact(V::LANES)) {
        v.write_bytes(&mut bytes[at..], v.multiply_add(v.read(chunk), factor, shift));
    }
    if whole < numbers.len() {
        let mut last = [0; super::vector::LANES_MAX];
        v.write_bytes(&mut last, v.multiply_add(v.read(&tail), factor, shift));
        bytes[whole..numbers.len()].copy_from_slice(&last[..numbers.len() - whole]);
    }
    (scale + v.fold(tainted, 0.0, |a, b| a + b), zero_step as i32)
}

/// # Safety
/// The job's pointers are valid as [`Job`] says; `block` holds its rows from `first` on, of which `tile` are to be multiplied.
#[inline(always)]
unsafe fn run_tile<V: Vector, K: TileKernel>(
    v: V,
    kernel: K,
    (job, weights): (&Job<'_>, &Int8Panels),
    (block, first): (&Block<K::Input>, usize),
    (panel, tile): (usize, std::ops::Range<usize>),
) {
    let column = panel * PANEL_COLUMNS;
    let mut buffer = SumBuffer([0; TILE_ROWS_MAX * PANEL_COLUMNS]);
    let sums = &mut buffer.0[..K::ROWS * PANEL_COLUMNS];
    let column_sums = &weights.sums[column..column + PANEL_COLUMNS];
    for (row, sums) in tile.clone().zip(sums.chunks_exact_mut(PANEL_COLUMNS)) {
        let zero = -block.zeros[row];
        sums.iter_mut().zip(column_sums).for_each(|(sum, of_column)| *sum = zero * *of_column);
    }
    let input = &block.numbers.slice()[tile.start * block.depth..][..K::ROWS * block.depth];
    let (rows, depth, of_panel) = (tile.len(), block.depth, weights.panel(panel));
    // SAFETY: `input` and `sums` have the rows of a whole tile, `of_panel` is a panel of the same depth.
    unsafe { kernel.multiply(&mut Tile { input, rows, depth, panel: of_panel, sums }) };
    let columns = PANEL_COLUMNS.min(job.packed.outputs() - column);
    for (row, sums) in tile.zip(buffer.0.chunks_exact(PANEL_COLUMNS)) {
        let mut values = [0.0_f32; PANEL_COLUMNS];
        // SAFETY: row and columns are within the job's output, which nobody else touches meanwhile.
        let output = unsafe {
            let from = job.output.add((first + row) * job.output_stride + column);
            std::slice::from_raw_parts_mut(from, columns)
        };
        if job.accumulate {
            values[..columns].copy_from_slice(output);
        }
        if let Some(bias) = job.packed.bias() {
            values.iter_mut().zip(&bias[column..]).for_each(|(value, bias)| *value += bias);
        }
        let scale = v.splat(block.scales[row]);
        for at in (0..PANEL_COLUMNS).step_by(V::LANES) {
            let sums = v.read_integers(&sums[at..]);
            let scale = v.multiply(scale, v.read(&weights.scales[column + at..]));
            let value = v.multiply_add(sums, scale, v.read(&values[at..]));
            v.write(&mut values[at..], value);
        }
        activate(v, job.activation, &mut values);
        output.copy_from_slice(&values[..columns]);
    }
}

/// Sums of a tile, aligned as their rows are loaded.
#[repr(C, align(64))]
struct SumBuffer([i32; TILE_ROWS_MAX * PANEL_COLUMNS]);
