//! Matrix products on packed panels: the inner loop of Winograd and Gram.
//!
//! ```text
//!            k ──▶                      TILE_VECTORS·LANES columns
//!        ┌────────────┐                ┌──────────┐
//!  rows  │ A, as it is│        B panel │ k rows   │  contiguous: one panel after the other
//!        └────────────┘                └──────────┘
//!     one element broadcast   ×   a row of vectors   +=   TILE_ROWS × TILE_VECTORS accumulators
//! ```
//!
//! Each element of C is one chain of fused multiply-adds over k from first to
//! last, wherever it falls in a tile. So the result does not depend on how the
//! rows were cut into blocks.

#![allow(unsafe_code)]

use super::Simd;

/// The arguments of a register tile: C (rows × TILE_VECTORS·LANES) = A·B [+ C].
#[derive(Clone, Copy)]
pub struct Operands {
    depth: usize,
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    accumulate: bool,
}

/// B (depth × columns) cut into panels of [`panel_width`] columns, zeros to the right of the last
/// column. Panels may lie apart, so that many matrices can be interleaved.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a> {
    /// From the first panel on.
    pub data: &'a [f32],
    /// Rows of B.
    pub depth: usize,
    /// Panels.
    pub count: usize,
    /// Elements from the start of a panel to the start of the next.
    pub stride: usize,
}

/// Columns of a panel.
#[must_use]
pub const fn panel_width<S: Simd>() -> usize {
    S::TILE_VECTORS * S::LANES
}

/// `C ← A·B` (or `C ← C + A·B`): A (rows × depth) with `a_stride` elements from row to row, C (rows ×
/// count·width) with `c_stride`.
///
/// # Panics
/// If a slice is too short for its shape.
#[inline(always)]
pub fn gemm_block<S: Simd>(
    simd: S,
    rows: usize,
    (a, a_stride): (&[f32], usize),
    b: Panels<'_>,
    (c, c_stride): (&mut [f32], usize),
    accumulate: bool,
) {
    let width = panel_width::<S>();
    if rows == 0 || b.count == 0 {
        return;
    }
    assert!(a.len() >= (rows - 1) * a_stride + b.depth, "A has {} elements for {rows} rows", a.len());
    assert!(b.data.len() >= (b.count - 1) * b.stride + b.depth * width, "B has {} elements", b.data.len());
    assert!(c.len() >= (rows - 1) * c_stride + b.count * width, "C has {} elements for {rows} rows", c.len());
    for panel in 0..b.count {
        let mut row = 0;
        while row < rows {
            let count = S::TILE_ROWS.min(rows - row);
            // SAFETY: rows `row..row + count` of A and C and panel `panel` of B lie inside the slices, by the
            // three assertions above; `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
            unsafe {
                let operands = Operands {
                    depth: b.depth,
                    a: a.as_ptr().add(row * a_stride),
                    a_stride,
                    b: b.data.as_ptr().add(panel * b.stride),
                    c: c.as_mut_ptr().add(row * c_stride + panel * width),
                    c_stride,
                    accumulate,
                };
                simd.tile(count, operands);
            }
            row += count;
        }
    }
}

/// Calls `of` with the number of rows as a constant.
macro_rules! of_rows {
    ($of:ident, $token:expr, $rows:expr, $operands:expr, $($count:literal)*) => {
        match $rows {
            $($count => $of::<$count>($token, $operands),)*
            rows => unreachable!("a tile has no {rows} rows"),
        }
    };
}
pub(super) use of_rows;

/// The register tile: `ROWS` × `VECTORS` accumulators live in registers through the whole loop over k.
///
/// # Safety
/// A has `ROWS` rows of `depth` elements at `a_stride`; B has `depth` rows of `VECTORS · LANES` elements; C has
/// `ROWS` rows of `VECTORS · LANES` elements at `c_stride`, and overlaps neither.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Indices that are constants after unrolling keep the arrays in registers.
pub unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(simd: S, o: Operands) {
    let zero = simd.splat(0.0);
    let mut sums = [[zero; VECTORS]; ROWS];
    // SAFETY: every access is inside the rows the caller promises.
    unsafe {
        if o.accumulate {
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    sums[r][v] = simd.load_from(o.c.add(r * o.c_stride + v * S::LANES));
                }
            }
        }
        for k in 0..o.depth {
            let b_row = o.b.add(k * VECTORS * S::LANES);
            let mut b = [zero; VECTORS];
            for v in 0..VECTORS {
                b[v] = simd.load_from(b_row.add(v * S::LANES));
            }
            for r in 0..ROWS {
                let a = simd.splat(*o.a.add(r * o.a_stride + k));
                for v in 0..VECTORS {
                    sums[r][v] = simd.fma(a, b[v], sums[r][v]);
                }
            }
        }
        for r in 0..ROWS {
            for v in 0..VECTORS {
                simd.store_to(sums[r][v], o.c.add(r * o.c_stride + v * S::LANES));
            }
        }
    }
}
