//! AMX: registers of sixteen rows of 64 bytes (*tiles*), two of which are multiplied in sixteen cycles.
//!
//! ```text
//! tmm0 tmm1    sums of rows 0-15 and columns 0-15, 16-31      tmm4  inputs of rows 0-15     tmm6  weights of columns 0-15
//! tmm2 tmm3    the same of rows 16-31                         tmm5  inputs of rows 16-31    tmm7  weights of columns 16-31
//! ```
//!
//! The instructions have no intrinsics in stable Rust, so each walk over a panel is one piece of assembly, between which nothing
//! is expected of the tiles but their shape. The compiler knows of no tiles and never uses them.

use std::arch::asm;

use super::super::avx512::Avx512;
use super::super::multiply::Job;
use super::{DEPTH_STEP, Int8Panels, PANEL_COLUMNS, Tile, TileKernel};

/// Bytes of a row of sums, and of four inputs of all columns of a panel.
const STRIDE: usize = 4 * PANEL_COLUMNS;

/// Whether the system lets this process use tiles. Linux wants to be asked, since what a thread must save grows by the tiles' 8 KiB;
/// to ask again changes nothing.
#[cfg(target_os = "linux")]
pub(super) fn is_allowed() -> bool {
    const ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let refused: isize;
    // SAFETY: the call changes what the system saves of this process's threads, and no memory of it; it clobbers `rcx` and `r11`.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => refused,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    refused == 0
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_allowed() -> bool {
    // Others are not known to save tiles.
    false
}

/// The shapes of the tiles, as `LDTILECFG` reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each tile.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Eight tiles of full size.
static WHOLE: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Tiles that have their shape: for as long as this value lives, on the thread that made it.
struct Tiles(());

impl Tiles {
    /// # Safety
    /// The processor has AMX, and the system lets us use it.
    unsafe fn shape() -> Tiles {
        // SAFETY: the configuration is valid, 64 bytes long, and outlives the instruction.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, preserves_flags)) };
        Tiles(())
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles are there, or there would be no value; without shapes, the system need not save them.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

impl TileKernel for &Tiles {
    type Input = u8;
    const ROWS: usize = 32;
    const WHOLE: bool = true;

    #[inline(always)]
    unsafe fn multiply(self, tile: &mut Tile<'_, u8>) {
        // SAFETY: the caller's obligation, passed on; `self` proves the tiles' shape. Sums and input have 32 rows whatever counts.
        unsafe { if tile.rows <= 16 { low(tile) } else { both(tile) } }
    }
}

/// The first sixteen rows.
///
/// # Safety
/// As [`TileKernel::multiply`]; tiles have their shape.
#[inline(always)]
unsafe fn low(tile: &mut Tile<'_, u8>) {
    // SAFETY: a step reads 64 bytes of each of sixteen rows, and 64 inputs of the panel's 32 columns: `depth / 64` steps are all of
    // both. Sums are sixteen rows of 32 numbers.
    unsafe {
        asm!(
            "tileloadd tmm0, [{sums} + {stride}]",
            "tileloadd tmm1, [{sums} + {stride} + 64]",
            "2:",
            "tileloadd tmm4, [{input} + {depth}]",
            "tileloadd tmm6, [{weights} + {stride}]",
            "tileloadd tmm7, [{weights} + {stride} + 64]",
            "tdpbusd tmm0, tmm4, tmm6",
            "tdpbusd tmm1, tmm4, tmm7",
            "add {input}, 64",
            "add {weights}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {stride}], tmm0",
            "tilestored [{sums} + {stride} + 64], tmm1",
            sums = in(reg) tile.sums.as_mut_ptr(),
            stride = in(reg) STRIDE,
            input = inout(reg) tile.input.as_ptr() => _,
            depth = in(reg) tile.depth,
            weights = inout(reg) tile.panel.as_ptr() => _,
            steps = inout(reg) tile.depth / DEPTH_STEP => _,
            options(nostack),
        );
    }
}

/// All 32 rows.
///
/// # Safety
/// As [`TileKernel::multiply`]; tiles have their shape.
#[inline(always)]
unsafe fn both(tile: &mut Tile<'_, u8>) {
    // SAFETY: as in `low`, with sixteen rows more of input and sums.
    unsafe {
        asm!(
            "tileloadd tmm0, [{sums} + {stride}]",
            "tileloadd tmm1, [{sums} + {stride} + 64]",
            "tileloadd tmm2, [{sums} + {stride} + 2048]",
            "tileloadd tmm3, [{sums} + {stride} + 2112]",
            "2:",
            "tileloadd tmm4, [{input} + {depth}]",
            "tileloadd tmm5, [{behind} + {depth}]",
            "tileloadd tmm6, [{weights} + {stride}]",
            "tileloadd tmm7, [{weights} + {stride} + 64]",
            "tdpbusd tmm0, tmm4, tmm6",
            "tdpbusd tmm1, tmm4, tmm7",
            "tdpbusd tmm2, tmm5, tmm6",
            "tdpbusd tmm3, tmm5, tmm7",
            "add {input}, 64",
            "add {behind}, 64",
            "add {weights}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {stride}], tmm0",
            "tilestored [{sums} + {stride} + 64], tmm1",
            "tilestored [{sums} + {stride} + 2048], tmm2",
            "tilestored [{sums} + {stride} + 2112], tmm3",
            sums = in(reg) tile.sums.as_mut_ptr(),
            stride = in(reg) STRIDE,
            input = inout(reg) tile.input.as_ptr() => _,
            behind = inout(reg) tile.input.as_ptr().add(16 * tile.depth) => _,
            depth = in(reg) tile.depth,
            weights = inout(reg) tile.panel.as_ptr() => _,
            steps = inout(reg) tile.depth / DEPTH_STEP => _,
            options(nostack),
        );
    }
}

/// See [`run`](super::run).
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ and VL and AMX, [`is_allowed`] has said so, and the job's pointers are valid as it says.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub(super) unsafe fn multiply(job: &Job<'_>, weights: &Int8Panels) {
    // SAFETY: the caller's obligation, passed on.
    unsafe {
        let tiles = Tiles::shape();
        super::run(Avx512::new(), &tiles, job, weights);
    }
}
