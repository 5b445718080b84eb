//! Dense algebra for small transformers: products with packed weights, layer norm, softmax, activations.
//!
//! The work of a text encoder is products of a few to a few thousand rows with weights that never change. So weights
//! are packed once, in the order the inner loop reads them ([`Packed`]), the bias and the activation are fused into the
//! product, and nothing is padded: rows of different texts simply follow each other.
//!
//! Layers, from the inside out: `vector` (a register's operations) <- `multiply`, `math` (the algorithms, written once)
//! <- `scalar`, `avx2`, `avx512` (the algorithms compiled for a level) <- [`Kernels`] (the level, chosen once, and the
//! bounds checks that make the interface safe).
//!
//! Deliberately absent: packing of the left-hand side, since the inner loop runs at the peak of the processor's
//! multiply-adds without it (225 GFLOP/s of one Zen 5 core). Products in eight bits, which round both sides and not the weights
//! alone, are in `int8`, for who asks for them ([`Precision::Int8`]).

#![expect(unsafe_code, reason = "vector instructions, and tasks that write disjoint columns of one matrix")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod entry;
mod int8;
mod math;
mod multiply;
mod pack;
mod scalar;
#[cfg(test)]
mod tests;
mod vector;

use crate::Isa;
use multiply::Job;
use pack::Panels;
pub use pack::{Packed, Precision};

/// A function applied to each number of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The number itself.
    Identity,
    /// `x/2 (1 + erf(x / sqrt 2))`.
    Gelu,
    /// The approximation of [`Activation::Gelu`] by `tanh`.
    GeluTanh,
    /// `x sigmoid(1.702 x)`.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

/// Rows of numbers, equally far apart in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// `rows` rows of `columns` numbers, `stride` numbers apart.
    ///
    /// # Panics
    /// If the slice is too short or rows overlap.
    pub fn new(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Rows<'a> {
        check(values.len(), rows, columns, stride);
        Rows { values, rows, columns, stride }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How long a row is.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &'a [f32] {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        &self.values[index * self.stride..][..self.columns]
    }
}

/// Rows of numbers to write, equally far apart in a slice.
#[derive(Debug)]
pub struct RowsMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> RowsMut<'a> {
    /// As [`Rows::new`].
    ///
    /// # Panics
    /// If the slice is too short or rows overlap.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> RowsMut<'a> {
        check(values.len(), rows, columns, stride);
        RowsMut { values, rows, columns, stride }
    }
}

fn check(len: usize, rows: usize, columns: usize, stride: usize) {
    assert!(columns <= stride, "rows of {columns} numbers overlap at a stride of {stride}");
    let needed = rows.checked_sub(1).map_or(Some(0), |last| last.checked_mul(stride)?.checked_add(columns));
    assert!(
        needed.is_some_and(|needed| needed <= len),
        "{rows} rows at a stride of {stride} in {len} numbers"
    );
}

/// The learnt part of a layer norm.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Multiplied with each number of a row of variance 1.
    pub weight: &'a [f32],
    /// Added to each.
    pub bias: &'a [f32],
    /// Added to the variance before its root is taken.
    pub epsilon: f32,
}

/// How a product is computed.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// The right-hand side, and the bias.
    pub weights: &'a Packed,
    /// Applied to each number.
    pub activation: Activation,
    /// Add to what the output holds (before the activation) instead of replacing it.
    pub accumulate: bool,
    /// Share the columns among up to so many rayon tasks.
    pub tasks: usize,
}

impl<'a> Product<'a> {
    /// The plain product, by one task.
    pub fn new(weights: &'a Packed) -> Product<'a> {
        Product { weights, activation: Activation::Identity, accumulate: false, tasks: 1 }
    }
}

/// The kernels of one level of instructions.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    /// Never above what the processor has: that is what makes the methods safe.
    isa: Isa,
}

/// Calls the entry point of a level of instructions that the processor has.
macro_rules! dispatch {
    ($isa:expr, $function:ident($($argument:expr),*)) => {
        match $isa {
            // SAFETY: a level in `Kernels` or `Packed` is at most the processor's.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => unsafe { avx512::$function($($argument),*) },
            // SAFETY: a level in `Kernels` or `Packed` is at most the processor's.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::$function($($argument),*) },
            // SAFETY: portable code needs no instructions.
            _ => unsafe { scalar::$function($($argument),*) },
        }
    };
}

impl Kernels {
    /// The kernels of a level, or of the processor's where that is lower.
    pub fn new(isa: Isa) -> Kernels {
        Kernels { isa: isa.min(Isa::detected()) }
    }

    /// The level.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// An empty right-hand side, to be set again and again.
    pub fn packed(&self) -> Packed {
        let panel_columns = match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => avx512::PANEL_COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::PANEL_COLUMNS,
            _ => scalar::PANEL_COLUMNS,
        };
        Packed::empty(self.isa, panel_columns)
    }

    /// A linear layer: row `o` of `columns` holds the weights of output `o`; `bias` one number an output, or nothing.
    ///
    /// # Panics
    /// If the bias is neither empty nor one number an output.
    pub fn linear(&self, columns: Rows<'_>, bias: &[f32], precision: Precision) -> Packed {
        let mut packed = self.packed();
        if precision != Precision::Int8 || !packed.set_int8(columns) {
            packed.set_columns(columns);
        }
        if precision == Precision::Half {
            packed.narrow();
        }
        if !bias.is_empty() {
            packed.set_bias(bias);
        }
        packed
    }

    /// `output = activation([output +] input x weights + bias)`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn multiply(&self, input: Rows<'_>, product: &Product<'_>, output: RowsMut<'_>) {
        let weights = product.weights;
        assert_eq!(input.columns, weights.inputs(), "inputs of the weights");
        assert_eq!(output.columns, weights.outputs(), "outputs of the weights");
        assert_eq!(input.rows, output.rows, "rows");
        assert!(weights.inputs() > 0, "a product over nothing");
        if input.rows == 0 || output.columns == 0 {
            return;
        }
        let job = Job {
            input: input.values.as_ptr(),
            input_stride: input.stride,
            rows: input.rows,
            packed: weights,
            output: output.values.as_mut_ptr(),
            output_stride: output.stride,
            panels: 0..weights.panel_count(),
            activation: product.activation,
            accumulate: product.accumulate,
        };
        split(job, product.tasks);
    }

    /// Applies an activation to every value.
    pub fn activate(&self, activation: Activation, values: &mut [f32]) {
        dispatch!(self.isa, activate(activation, values));
    }

    /// Brings each row, as long as the norm's weight, to mean 0 and variance 1, then scales and shifts it.
    ///
    /// # Panics
    /// If weight and bias differ in length, or the values are no whole number of rows.
    pub fn layer_norm(&self, norm: &Norm<'_>, values: &mut [f32]) {
        assert_eq!(norm.weight.len(), norm.bias.len(), "weight and bias of a norm");
        assert!(
            !norm.weight.is_empty() && values.len().is_multiple_of(norm.weight.len()),
            "whole rows of {} numbers",
            norm.weight.len()
        );
        dispatch!(self.isa, layer_norm(norm, values));
    }

    /// Makes each row positive and of sum 1: `e^x` over its sum.
    ///
    /// # Panics
    /// If rows have no columns.
    pub fn softmax(&self, rows: RowsMut<'_>) {
        assert!(rows.columns > 0, "a softmax over nothing");
        let Some(last) = rows.rows.checked_sub(1) else { return };
        let values = &mut rows.values[..last * rows.stride + rows.columns];
        dispatch!(self.isa, softmax(rows.columns, rows.stride, values));
    }
}

/// Halves the panels until there is one task.
fn split(job: Job<'_>, tasks: usize) {
    let count = job.panels.len();
    if tasks <= 1 || count <= 1 {
        if let Panels::Int8(weights) = job.packed.panels() {
            // SAFETY: `multiply` checked the shapes against slices that outlive the job, and tasks have disjoint panels.
            return unsafe { int8::multiply(&job, weights) };
        }
        // SAFETY: `multiply` checked the shapes against slices that outlive the job, and tasks have disjoint panels.
        return dispatch!(job.packed.isa(), multiply(&job));
    }
    let (left_tasks, middle) = (tasks / 2, count * (tasks / 2) / tasks);
    let middle = job.panels.start + middle.max(1);
    let left = Job { panels: job.panels.start..middle, ..job.clone() };
    let right = Job { panels: middle..job.panels.end, ..job };
    rayon::join(move || split(left, left_tasks), move || split(right, tasks - left_tasks));
}
