//! The product of dense rows and packed weights.
//!
//! ```text
//! for a block of rows            (as many as stay in the second-level cache)
//!   for a block of inputs        (so that one panel's part stays in the first-level cache)
//!     for each panel
//!       for each tile of rows:  registers += rows x panel
//! ```
//!
//! The scheme is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), less the
//! packing of the left-hand side: its rows are read by broadcast loads, which need no order among the lanes.
//!
//! Invariant: an output is the sum of its products in the order of the inputs, whatever the number of rows, the tile
//! that a row falls into, or the number of tasks. So a text's vector does not depend on the texts beside it.

use std::ops::Range;

use super::Activation;
use super::pack::{Packed, Panels};
use super::vector::{Element, Vector};

/// Rows whose inputs stay in the second-level cache while all panels pass by.
const ROWS_MAX: usize = 240;
/// Inputs of one panel's part: 512 x 32 columns x 4 bytes are 64 KiB. Half as many are faster in products alone (6 %, AVX2), and slower in
/// the whole of a MiniLM (a tenth): sums are written and read once more.
const INPUTS_MAX: usize = 512;
/// Tiles from which on weights in half precision are widened once for all: widening takes a quarter of a tile's time on some processors.
const WIDENED_TILES: usize = 2;
/// Columns of the widest panel.
const PANEL_COLUMNS_MAX: usize = 32;
/// Inputs whose weights are asked for ahead of their use. The processor's own prefetching stops at every page, and
/// weights that are read once come from far away.
const PREFETCH_INPUTS: usize = 128;

/// A product of which some panels are to be computed.
///
/// Pointers, because tasks write disjoint columns of the same rows. Whoever makes a job guarantees: `input` is readable
/// for `rows` rows of `packed.inputs()` numbers, `output` writable for `rows` rows of `packed.outputs()` numbers, rows
/// being `input_stride` and `output_stride` numbers apart; nobody else touches the columns of `panels` meanwhile.
#[derive(Clone)]
pub(super) struct Job<'a> {
    pub(super) input: *const f32,
    pub(super) input_stride: usize,
    pub(super) rows: usize,
    pub(super) packed: &'a Packed,
    pub(super) output: *mut f32,
    pub(super) output_stride: usize,
    pub(super) panels: Range<usize>,
    pub(super) activation: Activation,
    /// Add to what the output holds.
    pub(super) accumulate: bool,
}

// SAFETY: the pointers are to plain numbers; the job's maker guarantees that tasks write disjoint ones.
unsafe impl Send for Job<'_> {}

/// A panel's part that is being multiplied.
struct Part<'a> {
    /// Index of the panel.
    panel: usize,
    /// The inputs of the part.
    inputs: Range<usize>,
    /// The rows of the block.
    rows: Range<usize>,
    job: &'a Job<'a>,
}

/// Computes the job.
///
/// # Safety
/// The job's pointers are valid as [`Job`] says.
#[inline(always)]
pub(super) unsafe fn run<V: Vector>(v: V, job: &Job<'_>) {
    let inputs = job.packed.inputs();
    for rows in even_ranges(job.rows, ROWS_MAX) {
        for inputs in even_ranges(inputs, INPUTS_MAX) {
            for panel in job.panels.clone() {
                let part = Part { panel, inputs: inputs.clone(), rows: rows.clone(), job };
                // SAFETY: the caller's obligation, passed on.
                unsafe { run_part(v, &part) };
            }
        }
    }
}

/// # Safety
/// The part's job is valid as [`Job`] says.
#[inline(always)]
unsafe fn run_part<V: Vector>(v: V, part: &Part<'_>) {
    let width = 2 * V::LANES;
    let packed = part.job.packed;
    let start = (part.panel * packed.inputs() + part.inputs.start) * width;
    let numbers = start..start + part.inputs.len() * width;
    match packed.panels() {
        // SAFETY: the caller's obligation, passed on; the slice is the part.
        Panels::Single(panels) => unsafe { run_tiles(v, part, panels[numbers].as_ptr()) },
        Panels::Half(panels) if part.rows.len() > WIDENED_TILES * V::TILE_ROWS => {
            let mut widened = Widened([std::mem::MaybeUninit::uninit(); INPUTS_MAX * PANEL_COLUMNS_MAX]);
            // SAFETY: the caller's obligation, passed on; the part is at most as long as what it is widened into.
            unsafe {
                let weights = widen(v, &panels[numbers], &mut widened);
                run_tiles(v, part, weights);
            }
        }
        // SAFETY: the caller's obligation, passed on; the slice is the part.
        Panels::Half(panels) => unsafe { run_tiles(v, part, panels[numbers].as_ptr()) },
        Panels::Int8(_) => unreachable!("`Kernels::multiply` sends these elsewhere"),
    }
}

/// A panel's part of weights in half precision, widened.
#[repr(C, align(64))]
struct Widened([std::mem::MaybeUninit<f32>; INPUTS_MAX * PANEL_COLUMNS_MAX]);

/// Widens whole registers of weights; where they are then.
///
/// # Safety
/// There are at most as many weights as `into` has room for, and they are a multiple of `V::LANES`.
#[inline(always)]
unsafe fn widen<V: Vector>(v: V, weights: &[u16], into: &mut Widened) -> *const f32 {
    let to = into.0.as_mut_ptr().cast::<f32>();
    for at in (0..weights.len()).step_by(V::LANES) {
        // SAFETY: the caller's obligation.
        unsafe { v.store(to.add(at), v.load_half(weights.as_ptr().add(at))) };
    }
    to
}

/// Multiplies the rows of a part, tile by tile.
///
/// # Safety
/// The part's job is valid as [`Job`] says, and `weights` points to the part's weights.
#[inline(always)]
unsafe fn run_tiles<V: Vector, E: Element>(v: V, part: &Part<'_>, weights: *const E) {
    let job = part.job;
    let width = 2 * V::LANES;
    let column = part.panel * width;
    let columns = width.min(job.packed.outputs() - column);
    let first = part.inputs.start == 0;
    let last = part.inputs.end == job.packed.inputs();
    let bias = job.packed.bias().filter(|_| first).map(|bias| bias[column..column + width].as_ptr());
    let mut spare = [0.0_f32; 12 * PANEL_COLUMNS_MAX];
    for rows in even_ranges_at(&part.rows, V::TILE_ROWS) {
        // SAFETY: row and column are within the job's output.
        let output = unsafe { job.output.add(rows.start * job.output_stride + column) };
        // A ragged last panel is computed at full width in a spare tile.
        let direct = columns == width;
        if !direct && (!first || job.accumulate) {
            for row in 0..rows.len() {
                // SAFETY: `columns` numbers of the row are within the job's output and fit the spare tile's row.
                unsafe {
                    let from = output.add(row * job.output_stride);
                    std::ptr::copy_nonoverlapping(from, spare[row * width..].as_mut_ptr(), columns);
                }
            }
        }
        let (to, to_stride) = if direct { (output, job.output_stride) } else { (spare.as_mut_ptr(), width) };
        let start = Start { output: !first || job.accumulate, bias };
        // SAFETY: row and input are within the job's input.
        let input = unsafe { job.input.add(rows.start * job.input_stride + part.inputs.start) };
        let tile = Tile {
            input,
            input_stride: job.input_stride,
            inputs: part.inputs.len(),
            weights,
            output: to,
            output_stride: to_stride,
            start,
        };
        // SAFETY: the tile's pointers cover `rows` rows: of the job or of the spare tile.
        unsafe { run_tile(v, &tile, rows.len()) };
        for row in 0..rows.len() {
            // SAFETY: the tile's row holds `columns` numbers, of the job's output or of the spare tile.
            let values = unsafe { std::slice::from_raw_parts_mut(to.add(row * to_stride), columns) };
            if last {
                super::math::activate(v, job.activation, values);
            }
            if !direct {
                // SAFETY: `columns` numbers of the row are within the job's output, apart from the spare tile.
                unsafe {
                    let to = output.add(row * job.output_stride);
                    std::ptr::copy_nonoverlapping(values.as_ptr(), to, columns);
                }
            }
        }
    }
}

/// What the sums of a tile start from: the sum of these, which may be none.
#[derive(Clone, Copy)]
struct Start {
    /// What the output holds: sums over earlier inputs, or what the product is added to.
    output: bool,
    /// A bias, as wide as a panel.
    bias: Option<*const f32>,
}

/// A tile: a few rows times one panel's part.
struct Tile<E> {
    input: *const f32,
    input_stride: usize,
    inputs: usize,
    weights: *const E,
    output: *mut f32,
    output_stride: usize,
    start: Start,
}

/// # Safety
/// The tile's pointers cover `rows` rows, which are at most `V::TILE_ROWS`.
#[inline(always)]
unsafe fn run_tile<V: Vector, E: Element>(v: V, tile: &Tile<E>, rows: usize) {
    // SAFETY: the caller's obligation, passed on.
    unsafe {
        match rows {
            1 => kernel::<V, E, 1>(v, tile),
            2 => kernel::<V, E, 2>(v, tile),
            3 => kernel::<V, E, 3>(v, tile),
            4 => kernel::<V, E, 4>(v, tile),
            5 if V::TILE_ROWS >= 5 => kernel::<V, E, 5>(v, tile),
            6 if V::TILE_ROWS >= 6 => kernel::<V, E, 6>(v, tile),
            7 if V::TILE_ROWS >= 7 => kernel::<V, E, 7>(v, tile),
            8 if V::TILE_ROWS >= 8 => kernel::<V, E, 8>(v, tile),
            9 if V::TILE_ROWS >= 9 => kernel::<V, E, 9>(v, tile),
            10 if V::TILE_ROWS >= 10 => kernel::<V, E, 10>(v, tile),
            11 if V::TILE_ROWS >= 11 => kernel::<V, E, 11>(v, tile),
            12 if V::TILE_ROWS >= 12 => kernel::<V, E, 12>(v, tile),
            _ => unreachable!("a tile has at most TILE_ROWS rows"),
        }
    }
}

/// The inner loop: two registers of sums for each row.
///
/// # Safety
/// The tile's pointers cover `ROWS` rows.
#[inline(always)]
unsafe fn kernel<V: Vector, E: Element, const ROWS: usize>(v: V, tile: &Tile<E>) {
    let mut sums = [[v.splat(0.0); 2]; ROWS];
    // SAFETY: offsets stay within the rows, the part and the bias that the caller vouches for.
    unsafe {
        if let Some(bias) = tile.start.bias {
            sums = [[v.load(bias), v.load(bias.add(V::LANES))]; ROWS];
        }
        if tile.start.output {
            for (row, sums) in sums.iter_mut().enumerate() {
                let from = tile.output.add(row * tile.output_stride);
                sums[0] = v.add(sums[0], v.load(from));
                sums[1] = v.add(sums[1], v.load(from.add(V::LANES)));
            }
        }
        let (mut weights, mut input) = (tile.weights, tile.input);
        for _ in 0..tile.inputs {
            let ahead = weights.cast::<u8>().wrapping_add(PREFETCH_INPUTS * 2 * V::LANES * size_of::<E>());
            for line in (0..2 * V::LANES * size_of::<E>()).step_by(64) {
                v.prefetch(ahead.wrapping_add(line));
            }
            let left = E::load(v, weights);
            let right = E::load(v, weights.add(V::LANES));
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = v.splat(*input.add(row * tile.input_stride));
                sums[0] = v.multiply_add(factor, left, sums[0]);
                sums[1] = v.multiply_add(factor, right, sums[1]);
            }
            weights = weights.add(2 * V::LANES);
            input = input.add(1);
        }
        for (row, sums) in sums.iter().enumerate() {
            let to = tile.output.add(row * tile.output_stride);
            v.store(to, sums[0]);
            v.store(to.add(V::LANES), sums[1]);
        }
    }
}

/// `0..len` cut into the fewest ranges of at most `max`, of nearly equal length.
#[inline(always)]
fn even_ranges(len: usize, max: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = len.div_ceil(max);
    (0..parts).map(move |part| part * len / parts..(part + 1) * len / parts)
}

#[inline(always)]
fn even_ranges_at(range: &Range<usize>, max: usize) -> impl Iterator<Item = Range<usize>> {
    let start = range.start;
    even_ranges(range.len(), max).map(move |part| start + part.start..start + part.end)
}
