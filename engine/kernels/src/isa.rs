//! Which instructions this processor has: asked once, at the first use.
//!
//! Levels are ordered; each includes those below it. `RAGSTONE_ISA=scalar|avx2|avx512|avx512vnni|amx` forces a lower level, so that
//! every path can be tested and compared on one machine; a level that the processor lacks is never used. What names no level is told
//! to who asks ([`Isa::asked`]), and kernels go on as if it were not set.

use std::sync::OnceLock;

/// A level of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable code: the reference of every kernel.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL, with the bit instructions BMI1, BMI2, POPCNT and LZCNT.
    Avx512,
    /// The same with VNNI: products of bytes.
    Avx512Vnni,
    /// The same with AMX: products of tiles of bytes. Only those kernels use them that say so; the system is asked to let them
    /// when the first of these is made, and where it refuses they are those of the level below.
    Amx,
}

/// The environment variable that forces a lower level.
pub const ISA_VARIABLE: &str = "RAGSTONE_ISA";

impl Isa {
    /// The level that every kernel of this process uses.
    pub fn current() -> Isa {
        static CURRENT: OnceLock<Isa> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let detected = Isa::detected();
            Isa::asked().ok().flatten().map_or(detected, |wanted| wanted.min(detected))
        })
    }

    /// The level that [`ISA_VARIABLE`] names; none where that is not set, or to nothing.
    ///
    /// # Errors
    /// Why it names none.
    pub fn asked() -> Result<Option<Isa>, String> {
        std::env::var_os(ISA_VARIABLE).map_or(Ok(None), |name| Isa::named(&name.to_string_lossy()))
    }

    fn named(name: &str) -> Result<Option<Isa>, String> {
        match Isa::parse(name) {
            None if !name.is_empty() => {
                Err(format!("`{name}` is none of {}", Isa::ALL.map(Isa::name).join(", ")))
            }
            level => Ok(level),
        }
    }

    /// The highest level that this processor has. Kernels are made for each search and ask this, and the processor is asked once: a
    /// virtual machine answers that by leaving the guest, which takes tens of microseconds.
    pub fn detected() -> Isa {
        static DETECTED: OnceLock<Isa> = OnceLock::new();
        *DETECTED.get_or_init(Isa::detect)
    }

    fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma") && has!("f16c");
            let avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
            let bits = has!("bmi1") && has!("bmi2") && has!("popcnt") && has!("lzcnt");
            if avx2 && avx512 && bits {
                return match has!("avx512vnni") {
                    true if has_tiles() => Isa::Amx,
                    true => Isa::Avx512Vnni,
                    false => Isa::Avx512,
                };
            }
            if avx2 {
                return Isa::Avx2;
            }
        }
        Isa::Scalar
    }

    const ALL: [Isa; 5] = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni, Isa::Amx];

    /// Every level that this processor has, lowest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Self::ALL.into_iter().filter(|isa| *isa <= Isa::detected())
    }

    /// A level by its name; `None` for an unknown one.
    pub fn parse(name: &str) -> Option<Isa> {
        Self::ALL.into_iter().find(|isa| isa.name() == name)
    }

    /// The level's name, as the environment variable takes it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Amx => "amx",
        }
    }
}

/// Whether the processor has AMX for bytes, and the system keeps its tiles when threads change.
#[cfg(target_arch = "x86_64")]
fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    #[target_feature(enable = "xsave")]
    fn saved() -> u64 {
        // SAFETY: this function has the instruction.
        unsafe { _xgetbv(0) }
    }
    const TILES_AND_BYTES: u32 = 1 << 24 | 1 << 25;
    const SAVED_TILES: u64 = 1 << 17 | 1 << 18;
    let has = |bits: u32, of: u32| of & bits == bits;
    // The system has switched saving on, and leaf 7 is there.
    if !has(1 << 27, __cpuid(1).ecx) || __cpuid(0).eax < 7 {
        return false;
    }
    // SAFETY: the processor has `xgetbv`, as has just been asked.
    has(TILES_AND_BYTES, __cpuid_count(7, 0).edx) && unsafe { saved() } & SAVED_TILES == SAVED_TILES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_asked_for_by_its_name() {
        for level in Isa::ALL {
            assert_eq!(Isa::named(level.name()), Ok(Some(level)));
        }
        assert_eq!(Isa::named(""), Ok(None));
        let wrong = "`AVX2` is none of scalar, avx2, avx512, avx512vnni, amx";
        assert_eq!(Isa::named("AVX2"), Err(wrong.to_owned()));
    }
}
