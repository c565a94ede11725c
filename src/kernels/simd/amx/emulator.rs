//! Runs AMX instructions on a CPU that has none, for the tests.
//!
//! An instruction that the CPU does not know raises SIGILL. The handler decodes
//! it where it stands, does its work on tiles of this thread in memory, and
//! returns behind it. So the very instructions of the kernel are tested, with
//! the addresses, strides and operands that they encode, wherever Linux runs on
//! x86-64; what is left to a CPU with AMX is that it does the same.
//!
//! Where permission for AMX has not been asked for, Linux raises the same signal
//! on a CPU that has it.

use std::cell::RefCell;
use std::sync::Once;

use libc::{c_int, c_void, siginfo_t, ucontext_t};

use super::AmxTiles;
use crate::kernels::simd::tiles::{self, ModelTiles, Product, TileUnit, tests::operands};

/// Rows of a tile, and bytes of a row.
const ROWS: usize = 16;
const ROW: usize = 64;

/// The unit: whether it is configured, and its tiles.
struct Unit {
    configured: bool,
    tiles: [[u8; ROWS * ROW]; 8],
}

thread_local! {
    static UNIT: RefCell<Unit> = const { RefCell::new(Unit { configured: false, tiles: [[0; ROWS * ROW]; 8] }) };
}

/// A decoded instruction of the VEX map 0F38: what distinguishes it, and its operands.
struct Instruction {
    opcode: u8,
    /// The prefix it stands for: 0 none, 1 0x66, 2 0xF3, 3 0xF2.
    prefix: u8,
    /// ModRM.reg, ModRM.rm, VEX.vvvv.
    registers: [usize; 3],
    memory: Option<Memory>,
    length: usize,
}

struct Memory {
    /// Base plus displacement.
    address: u64,
    /// The index register times its scale: AMX's distance from row to row.
    stride: u64,
}

/// General registers in the order of their numbers.
const REGISTERS: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Decodes at `code`; None if it is no three-byte VEX instruction of that map, of 128 bits and W0.
///
/// # Safety
/// `code` points to an instruction.
unsafe fn decode(code: *const u8, register: impl Fn(usize) -> u64) -> Option<Instruction> {
    // SAFETY: read byte by byte, only as far as the instruction goes by what was read before.
    let byte = |i: usize| unsafe { *code.add(i) };
    if byte(0) != 0xc4 || byte(1) & 0x1f != 2 || byte(2) & 0x84 != 0 {
        return None;
    }
    // R, X, B are the inverted fourth bits of reg, index and base.
    let fourth = |bit: u8| usize::from(byte(1) >> bit & 1 == 0) << 3;
    let modrm = byte(4);
    let (mode, rm) = (modrm >> 6, usize::from(modrm & 7));
    let mut length = 5;
    let memory = (mode != 3).then(|| {
        let (mut base, mut stride) = (rm | fourth(5), 0);
        if rm == 4 {
            let sib = byte(5);
            length += 1;
            base = usize::from(sib & 7) | fourth(5);
            let index = usize::from(sib >> 3 & 7) | fourth(6);
            stride = if index == 4 { 0 } else { register(index) << (sib >> 6) };
        }
        assert!(mode != 0 || base & 7 != 5, "relative to no register or to rip: not handled");
        let displacement = match mode {
            1 => i64::from(byte(length) as i8),
            2 => i64::from(i32::from_le_bytes(std::array::from_fn(|i| byte(length + i)))),
            _ => 0,
        };
        length += [0, 1, 4][usize::from(mode)];
        Memory { address: register(base).wrapping_add_signed(displacement), stride }
    });
    let vvvv = usize::from(!byte(2) >> 3 & 15);
    let registers = [usize::from(modrm >> 3 & 7) | fourth(7), rm, vvvv];
    Some(Instruction { opcode: byte(3), prefix: byte(2) & 3, registers, memory, length })
}

impl Unit {
    /// Does what the instruction says; false if it is none of AMX, or not allowed.
    ///
    /// # Safety
    /// Its memory may be accessed.
    unsafe fn execute(&mut self, instruction: &Instruction) -> bool {
        let [reg, rm, vvvv] = instruction.registers;
        let configuring = instruction.opcode == 0x49 && instruction.prefix == 0;
        if !self.configured && !configuring || reg >= 8 {
            return false;
        }
        let row = |memory: &Memory, i: usize| memory.address.wrapping_add(memory.stride * i as u64) as *mut u8;
        match (instruction.opcode, instruction.prefix, &instruction.memory) {
            // LDTILECFG: nothing else than the one configuration is emulated.
            (0x49, 0, Some(memory)) if reg == 0 => {
                // SAFETY: the caller's promise; a configuration is 64 bytes.
                let config = unsafe { std::slice::from_raw_parts(memory.address as *const u8, 64) };
                let columns = (0..8).all(|i| config[16 + 2 * i..][..2] == [64, 0]) && config[32..48] == [0; 16];
                let rows = config[48..56] == [16; 8] && config[56..] == [0; 8];
                self.configured = config[0] == 1 && config[1..16] == [0; 15] && columns && rows;
                self.tiles = [[0; ROWS * ROW]; 8];
                self.configured
            }
            // TILERELEASE
            (0x49, 0, None) if (reg, rm) == (0, 0) => {
                self.configured = false;
                true
            }
            // TILEZERO
            (0x49, 3, None) if rm == 0 => {
                self.tiles[reg].fill(0);
                true
            }
            // TILELOADD
            (0x4b, 3, Some(memory)) if rm == 4 => {
                for (i, bytes) in self.tiles[reg].chunks_exact_mut(ROW).enumerate() {
                    // SAFETY: the caller's promise.
                    bytes.copy_from_slice(unsafe { std::slice::from_raw_parts(row(memory, i), ROW) });
                }
                true
            }
            // TILESTORED
            (0x4b, 2, Some(memory)) if rm == 4 => {
                for (i, bytes) in self.tiles[reg].chunks_exact(ROW).enumerate() {
                    // SAFETY: the caller's promise.
                    unsafe { row(memory, i).copy_from_nonoverlapping(bytes.as_ptr(), ROW) };
                }
                true
            }
            // TDPBF16PS: equal tiles are not allowed.
            (0x5c, 2, None) if vvvv < 8 && reg != rm && rm != vvvv && vvvv != reg => {
                let operand = |tile: usize| -> [u16; tiles::TILE_ELEMENTS] {
                    std::array::from_fn(|i| u16::from_le_bytes([self.tiles[tile][2 * i], self.tiles[tile][2 * i + 1]]))
                };
                let (a, b) = (operand(rm), operand(vvvv));
                let mut c = [[0; 4]; ROWS * ROW / 4];
                c.as_flattened_mut().copy_from_slice(&self.tiles[reg]);
                let mut sums = c.map(f32::from_le_bytes);
                tiles::multiply_tile(&a, &b, &mut sums, ROW / 4);
                let bytes = sums.map(f32::to_le_bytes);
                self.tiles[reg].copy_from_slice(bytes.as_flattened());
                true
            }
            _ => false,
        }
    }
}

extern "C" fn on_illegal_instruction(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the context of the interrupted code.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let code = registers[libc::REG_RIP as usize];
    let register = |i: usize| registers[REGISTERS[i] as usize] as u64;
    // SAFETY: the instruction pointer points to an instruction.
    let instruction = unsafe { decode(code as *const u8, register) };
    let done = instruction.filter(|instruction| {
        UNIT.with_borrow_mut(|unit| {
            // SAFETY: the interrupted code is about to access this memory itself.
            unsafe { unit.execute(instruction) }
        })
    });
    match done {
        Some(instruction) => registers[libc::REG_RIP as usize] = code + instruction.length as i64,
        // SAFETY: plain system calls. Back at the same instruction, the process then ends as it would have without us.
        None => unsafe {
            libc::signal(libc::SIGILL, libc::SIG_DFL);
        },
    }
}

/// The unit, whatever this CPU has.
pub fn emulated() -> AmxTiles {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // SAFETY: a zeroed sigaction is a valid one; the handler has the signature that SA_SIGINFO asks for, and only
        // ever interrupts an instruction that cannot be executed, never a lock or an allocation.
        let result = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_illegal_instruction as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut())
        };
        assert_eq!(result, 0, "the handler is installed");
    });
    AmxTiles(())
}

#[test]
fn the_instructions_compute_what_the_model_does() {
    for low in [None, Some(tiles::tests::PLANE)] {
        let (a, b) = operands(if low.is_some() { 2 } else { 1 });
        let (pairs, steps) = (&tiles::tests::PAIRS, &tiles::tests::STEPS);
        for add in [false, true] {
            let product = Product { a: &a, pairs, steps, low, b: &b, add };
            let start = if add { tiles::tests::random(pairs.len() * 1024, 3) } else { vec![f32::NAN; 3 * 1024] };
            let (mut found, mut expected) = (start.clone(), start);
            emulated().multiply(&product, &mut found);
            ModelTiles.multiply(&product, &mut expected);
            // On a CPU with AMX the sums may be its own: equal to a few roundings of numbers below 100.
            let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(near, "low {low:?}, add {add}");
        }
    }
}

#[test]
fn one_step_and_one_pair_are_enough() {
    let (a, b) = operands(1);
    let product =
        Product { a: &a, pairs: &[[1, 2]], steps: &[3], low: None, b: &b[..2 * tiles::TILE_ELEMENTS], add: false };
    let (mut found, mut expected) = (vec![f32::NAN; 1024], vec![f32::NAN; 1024]);
    emulated().multiply(&product, &mut found);
    ModelTiles.multiply(&product, &mut expected);
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn detection_asks_without_fault_as_often_as_one_likes() {
    let first = AmxTiles::detect().map(|_| ());
    assert_eq!(AmxTiles::detect().map(|_| ()), first);
    println!("AMX: {first:?}");
}
