//! The right-hand side of a product, laid out in the order in which the kernel reads it.
//!
//! Columns are cut into *panels* as wide as two registers. A panel holds, for each input, its columns' weights side by
//! side, so that the kernel streams it front to back:
//!
//! ```text
//! panel 0: [input 0: column 0 .. W-1][input 1: column 0 .. W-1] ...  panel 1: [input 0: column W .. 2W-1] ...
//! ```
//!
//! The last panel is filled up with zeros, which no output shows. Panels begin on cache lines. Weights may be kept in
//! half precision: they are widened again on their way into the registers, so arithmetic stays in `f32`, and half as
//! many bytes come from memory, which is what bounds a product with few rows.

use crate::Isa;

use super::Rows;
use super::int8::Int8Panels;

/// How packed weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    Single,
    /// Rounded to half precision, unless a weight is beyond its range (then as they are).
    Half,
    /// Rounded to eight bits with a scale for each output, and multiplied as integers with inputs rounded to eight bits, unless
    /// a weight is not finite or there are more than 65,536 inputs (then as they are).
    Int8,
}

/// One cache line; what aligns the panels.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Cache-aligned numbers of one kind.
pub(super) struct Lines<T> {
    lines: Vec<Line>,
    len: usize,
    kind: std::marker::PhantomData<T>,
}

/// Numbers of which every bit pattern is one.
pub(super) trait Number: Copy {}
impl Number for f32 {}
impl Number for u16 {}
impl Number for i16 {}
impl Number for u8 {}
impl Number for i8 {}

impl<T: Number> Lines<T> {
    pub(super) fn new() -> Lines<T> {
        Lines { lines: Vec::new(), len: 0, kind: std::marker::PhantomData }
    }

    /// Becomes `len` zeros; keeps its memory.
    pub(super) fn reset(&mut self, len: usize) {
        self.lines.clear();
        self.lines.resize((len * size_of::<T>()).div_ceil(64), Line([0; 64]));
        self.len = len;
    }

    pub(super) fn slice(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` numbers, 64-byte aligned, initialised, and every bit pattern is one.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub(super) fn slice_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `slice`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

enum Storage {
    Single(Lines<f32>),
    Half(Lines<u16>),
    Int8(Int8Panels),
}

/// Panels, borrowed.
#[derive(Clone, Copy)]
pub(super) enum Panels<'a> {
    Single(&'a [f32]),
    Half(&'a [u16]),
    Int8(&'a Int8Panels),
}

/// The right-hand side of a product, packed for one level of instructions.
pub struct Packed {
    isa: Isa,
    /// Columns of a panel of numbers: those of two registers.
    panel_columns: usize,
    inputs: usize,
    outputs: usize,
    storage: Storage,
    /// Padded to whole panels; empty without a bias.
    bias: Vec<f32>,
}

impl Packed {
    pub(super) fn empty(isa: Isa, panel_columns: usize) -> Packed {
        let storage = Storage::Single(Lines::new());
        Packed { isa, panel_columns, inputs: 0, outputs: 0, storage, bias: Vec::new() }
    }

    /// Rows of the left-hand side are so long.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Rows of the product are so long.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How the weights are kept; [`Precision::Single`] also where half precision was asked for and could not be.
    pub fn precision(&self) -> Precision {
        match self.storage {
            Storage::Single(_) => Precision::Single,
            Storage::Half(_) => Precision::Half,
            Storage::Int8(_) => Precision::Int8,
        }
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    pub(super) fn panel_count(&self) -> usize {
        self.outputs.div_ceil(self.width())
    }

    /// Columns of a panel of what is stored.
    fn width(&self) -> usize {
        if let Storage::Int8(_) = self.storage { super::int8::PANEL_COLUMNS } else { self.panel_columns }
    }

    pub(super) fn panels(&self) -> Panels<'_> {
        match &self.storage {
            Storage::Single(lines) => Panels::Single(lines.slice()),
            Storage::Half(lines) => Panels::Half(lines.slice()),
            Storage::Int8(panels) => Panels::Int8(panels),
        }
    }

    /// The bias of the panels, padded; none where there is none.
    pub(super) fn bias(&self) -> Option<&[f32]> {
        (!self.bias.is_empty()).then_some(self.bias.as_slice())
    }

    /// Packs `columns`, of which row `c` holds the weights of output `c` (the layout of a linear layer), without a
    /// bias, in single precision. Keeps its memory: made for the keys of attention, packed anew for each head.
    pub fn set_columns(&mut self, columns: Rows<'_>) {
        let width = self.panel_columns;
        let panels = self.reset(columns.columns(), columns.rows());
        for (panel, first) in
            panels.chunks_exact_mut(columns.columns().max(1) * width).zip((0..).step_by(width))
        {
            for column in first..(first + width).min(columns.rows()) {
                let slots = panel[column - first..].iter_mut().step_by(width);
                slots.zip(columns.row(column)).for_each(|(slot, weight)| *slot = *weight);
            }
        }
    }

    /// Packs `rows`, the right-hand side as it stands: row `i` holds the weights of input `i`. As
    /// [`Packed::set_columns`] otherwise; made for the values of attention.
    pub fn set_rows(&mut self, rows: Rows<'_>) {
        let width = self.panel_columns;
        let (inputs, outputs) = (rows.rows(), rows.columns());
        let panels = self.reset(inputs, outputs);
        for (panel, first) in panels.chunks_exact_mut(inputs.max(1) * width).zip((0..).step_by(width)) {
            let last = (first + width).min(outputs);
            for (line, input) in panel.chunks_exact_mut(width).zip(0..) {
                line[..last - first].copy_from_slice(&rows.row(input)[first..last]);
            }
        }
    }

    /// Sets the bias, one number an output.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn set_bias(&mut self, bias: &[f32]) {
        assert_eq!(bias.len(), self.outputs, "one bias an output");
        self.bias.clear();
        self.bias.extend_from_slice(bias);
        self.bias.resize(self.panel_count() * self.width(), 0.0);
    }

    /// Rounds the weights to half precision where every one is within its range and the processor widens them in
    /// hardware.
    pub(super) fn narrow(&mut self) {
        let Storage::Single(single) = &self.storage else { return };
        let within = |weight: &f32| weight.abs() <= half::f16::MAX.to_f32();
        if self.isa == Isa::Scalar || !single.slice().iter().all(within) {
            return;
        }
        let mut narrow = Lines::new();
        narrow.reset(single.len);
        for (to, from) in narrow.slice_mut().iter_mut().zip(single.slice()) {
            *to = half::f16::from_f32(*from).to_bits();
        }
        self.storage = Storage::Half(narrow);
    }

    /// Rounds `columns` to eight bits, as [`Packed::set_columns`] takes them; whether that is possible. Else nothing changes.
    pub(super) fn set_int8(&mut self, columns: Rows<'_>) -> bool {
        let Some(panels) = Int8Panels::new(self.isa, columns) else { return false };
        (self.inputs, self.outputs) = (columns.columns(), columns.rows());
        self.storage = Storage::Int8(panels);
        self.bias.clear();
        true
    }

    fn reset(&mut self, inputs: usize, outputs: usize) -> &mut [f32] {
        (self.inputs, self.outputs) = (inputs, outputs);
        self.bias.clear();
        if !matches!(self.storage, Storage::Single(_)) {
            self.storage = Storage::Single(Lines::new());
        }
        let len = inputs * self.panel_count() * self.panel_columns;
        match &mut self.storage {
            Storage::Single(lines) => {
                lines.reset(len);
                lines.slice_mut()
            }
            _ => unreachable!("replaced above"),
        }
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name =
            format!("Packed({} x {}, {:?}, {:?})", self.inputs, self.outputs, self.precision(), self.isa);
        f.write_str(&name)
    }
}
