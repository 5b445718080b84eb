//! The kernels of Ragstone: what needs the processor's own instructions, or memory shared without locks.
//!
//! Every kernel has a scalar reference, one algorithm, thin files per instruction set and one dispatch; all
//! levels that a processor has ([`Isa::available`]) can be chosen by the caller and are tested against the
//! reference. Besides this crate only the engine's memory map and the Python module (Arrow's C interface, Python's buffers)
//! have `unsafe` code.
#![expect(
    unsafe_code,
    reason = "intrinsics and shared memory are this crate's purpose; each block has its SAFETY"
)]

mod arena;
mod bits;
mod codes;
mod distance;
mod halves;
mod isa;
pub mod matrix;
mod points;
mod pool;
mod prefetch;
mod sketch;
pub mod sync;
mod workers;

pub use arena::RowArena;
pub use bits::{ByteSet, KernelBits, Runs, STRIPS};
pub use codes::{
    BIT1_BLOCK, FindRow, INT4_BLOCK, KernelBit1, KernelInt4, KernelInt8, pack_int4, pack_planes, pack_signs,
};
pub use distance::{DistanceF32, KernelF32, norm};
pub use halves::{KernelF16, pack_f16, unpack_f16};
pub use isa::{ISA_VARIABLE, Isa};
pub use points::{KernelPoints, Near, POINTS, Points, Squares};
pub use pool::{CandidatePool, POOL_NODES_MAX};
pub use prefetch::prefetch;
pub use sketch::{
    KernelSketch, SKETCH_BLOCK, SKETCH_PLANES, SKETCH_WORD, SketchBound, SketchQuery, SketchRows,
    pack_factors, pack_sketch, sketch_bytes, unpack_factors,
};
pub use workers::Workers;
