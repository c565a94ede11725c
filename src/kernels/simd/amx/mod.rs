//! The AMX unit of x86-64, with BF16 products, under Linux.
//!
//! The compiler knows nothing of it: its intrinsics are not stable, and no
//! function is compiled for it. All there is of it is one block of assembler per
//! kind of [`Product`], which configures the unit, runs every loop, and releases
//! the unit. No tile is alive in between, so nothing can disturb one.
//!
//! ```text
//!   tmm0 tmm1   sums of A0·B0, A0·B1       tmm4   A0      tmm6   B0
//!   tmm2 tmm3   sums of A1·B0, A1·B1       tmm5   A1      tmm7   B1
//! ```
//!
//! Tiles are 8 KiB of state in every thread, which Linux grants only to a
//! process that asks for it: [`AmxTiles::detect`] does.
//!
//! Sources: Intel 64 and IA-32 Architectures Software Developer's Manual,
//! volumes 1 (chapter 18) and 2; Linux, Documentation/arch/x86/xstate.rst.

#![allow(unsafe_code)]

#[cfg(test)]
pub mod emulator;

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, __get_cpuid_max};
use std::mem::offset_of;

use super::tiles::{Missing, Product, TileUnit};

/// Proof that the CPU has AMX with BF16, and that this process may use it.
#[derive(Clone, Copy, Debug)]
pub struct AmxTiles(());

impl AmxTiles {
    /// Asks the CPU, then asks Linux for permission, which then holds for every thread of the process.
    pub fn detect() -> Result<Self, Missing> {
        if !cpu_has_amx() {
            Err(Missing::Absent)
        } else if !request_permission() {
            Err(Missing::NoPermission)
        } else {
            Ok(AmxTiles(()))
        }
    }
}

/// AMX-TILE and AMX-BF16, eight tiles of 16 rows of 64 bytes, and a system that saves them.
fn cpu_has_amx() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const BF16_AND_TILE: u32 = 1 << 22 | 1 << 24;
    const TILE_STATE: u64 = 0b11 << 17;
    if __get_cpuid_max(0).0 < 0x1d || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // SAFETY: OSXSAVE says that XGETBV may be executed.
    let saved = unsafe { saved_state() };
    let palette = __cpuid_count(0x1d, 1);
    __cpuid_count(7, 0).edx & BF16_AND_TILE == BF16_AND_TILE
        && saved & TILE_STATE == TILE_STATE
        // Bytes of a tile and of all, bytes of a row and number of tiles, rows.
        && (palette.eax, palette.ebx, palette.ecx & 0xffff) == (1024 << 16 | 8192, 8 << 16 | 64, 16)
}

/// XCR0: the parts of the CPU's state that the system saves for each thread.
///
/// # Safety
/// The system has enabled XSAVE.
unsafe fn saved_state() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise; only the named registers are written.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags)) }
    u64::from(high) << 32 | u64::from(low)
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA)`, which succeeds as often as it is asked.
fn request_permission() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: the call reads no memory of ours and writes none; a kernel that does not know it returns an error. A
    // system call changes rax, rcx, r11 and nothing else.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// What LDTILECFG reads: palette 1, eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Everything the assembler needs, which has fewer registers than there are numbers.
#[repr(C)]
struct Work {
    config: Config,
    a: *const u16,
    b: *const u16,
    steps: *const usize,
    steps_end: *const usize,
    pairs_end: *const [usize; 2],
    /// Bytes from hi to lo.
    low: usize,
    /// 0 if C starts from zero.
    add: usize,
}

impl Work {
    fn new(product: &Product<'_>) -> Self {
        let first_eight = |i: usize, value| if i < 8 { value } else { 0 };
        Work {
            config: Config {
                palette: 1,
                start_row: 0,
                reserved: [0; 14],
                row_bytes: std::array::from_fn(|i| first_eight(i, 64)),
                rows: std::array::from_fn(|i| first_eight(i, 16) as u8),
            },
            a: product.a.as_ptr(),
            b: product.b.as_ptr(),
            steps: product.steps.as_ptr(),
            steps_end: product.steps.as_ptr_range().end,
            pairs_end: product.pairs.as_ptr_range().end,
            low: product.low.unwrap_or(0) * size_of::<u16>(),
            add: usize::from(product.add),
        }
    }
}

/// The assembler around `$step`, which multiplies one step's tiles and moves {b} to the next.
///
/// Registers: {a0}, {a1} and {x0}, {x1} are the addresses of A's tiles before and after the step's shift is added. A
/// row of A or B is 64 bytes long, one of C 128: {stride} is either.
macro_rules! multiply {
    ($work:expr, $pairs:expr, $c:expr, [$($step:literal),* $(,)?] $(, $name:ident = $offset:expr)?) => {
        asm!(
            "ldtilecfg [{work} + {config}]",
            // A pair.
            "2:",
            "mov {x0}, [{work} + {a}]",
            "mov {a0}, [{pairs}]",
            "mov {a1}, [{pairs} + 8]",
            "lea {a0}, [{x0} + 2*{a0}]",
            "lea {a1}, [{x0} + 2*{a1}]",
            "mov {b}, [{work} + {b_start}]",
            "mov {steps}, [{work} + {steps_start}]",
            "cmp qword ptr [{work} + {add}], 0",
            "jne 3f",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "jmp 4f",
            "3:",
            "mov {stride}, 128",
            "tileloadd tmm0, [{c} + 1*{stride}]",
            "tileloadd tmm1, [{c} + 1*{stride} + 64]",
            "tileloadd tmm2, [{c} + 1*{stride} + 2048]",
            "tileloadd tmm3, [{c} + 1*{stride} + 2112]",
            "4:",
            "mov {stride}, 64",
            // A step.
            "5:",
            "mov {x1}, [{steps}]",
            "lea {x0}, [{a0} + 2*{x1}]",
            "lea {x1}, [{a1} + 2*{x1}]",
            $($step,)*
            "add {steps}, 8",
            "cmp {steps}, [{work} + {steps_end}]",
            "jne 5b",
            "mov {stride}, 128",
            "tilestored [{c} + 1*{stride}], tmm0",
            "tilestored [{c} + 1*{stride} + 64], tmm1",
            "tilestored [{c} + 1*{stride} + 2048], tmm2",
            "tilestored [{c} + 1*{stride} + 2112], tmm3",
            "add {c}, 4096",
            "add {pairs}, 16",
            "cmp {pairs}, [{work} + {pairs_end}]",
            "jne 2b",
            "tilerelease",
            work = in(reg) $work,
            pairs = inout(reg) $pairs => _,
            c = inout(reg) $c => _,
            a0 = out(reg) _,
            a1 = out(reg) _,
            x0 = out(reg) _,
            x1 = out(reg) _,
            b = out(reg) _,
            steps = out(reg) _,
            stride = out(reg) _,
            config = const offset_of!(Work, config),
            a = const offset_of!(Work, a),
            b_start = const offset_of!(Work, b),
            steps_start = const offset_of!(Work, steps),
            steps_end = const offset_of!(Work, steps_end),
            pairs_end = const offset_of!(Work, pairs_end),
            add = const offset_of!(Work, add),
            $($name = const $offset,)?
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

impl TileUnit for AmxTiles {
    fn multiply(self, product: &Product<'_>, c: &mut [f32]) {
        product.check(c);
        let work = Work::new(product);
        let (work, pairs, c) = (&raw const work, product.pairs.as_ptr(), c.as_mut_ptr());
        if product.low.is_none() {
            // SAFETY: the token proves that the unit may be used. `check` has seen that there is a pair and a step, so
            // that both loops end where their slices do, and that the tiles of every pair and step lie in `a`, those
            // of every step in `b`, and a block of 32 × 32 sums per pair in `c`, which nothing else can see. The
            // unit is released, and every tile and register that is written is named.
            unsafe {
                multiply!(
                    work,
                    pairs,
                    c,
                    [
                        "tileloadd tmm4, [{x0} + 1*{stride}]",
                        "tileloadd tmm6, [{b} + 1*{stride}]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{b} + 1*{stride} + 1024]",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{x1} + 1*{stride}]",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {b}, 2048",
                    ]
                );
            }
        } else {
            // Eight tiles loaded for twelve products: hi·lo, then hi·hi with the same A, then lo·hi with the same B.
            // SAFETY: as above; with `low`, `check` has seen that every tile of lo lies in `a` too, and that a step of
            // `b` is four tiles.
            unsafe {
                multiply!(
                    work,
                    pairs,
                    c,
                    [
                        "tileloadd tmm4, [{x0} + 1*{stride}]",
                        "tileloadd tmm6, [{b} + 1*{stride} + 2048]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{b} + 1*{stride} + 3072]",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{x1} + 1*{stride}]",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        "tileloadd tmm6, [{b} + 1*{stride}]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        "tileloadd tmm7, [{b} + 1*{stride} + 1024]",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {x0}, [{work} + {low}]",
                        "add {x1}, [{work} + {low}]",
                        "tileloadd tmm4, [{x0} + 1*{stride}]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{x1} + 1*{stride}]",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {b}, 4096",
                    ],
                    low = offset_of!(Work, low)
                );
            }
        }
    }
}
