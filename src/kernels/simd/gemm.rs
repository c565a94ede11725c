//! Matrix products on packed panels: the inner loop of Winograd, Gram and direct convolution.
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

use super::{Simd, extent};

/// The arguments of a register tile: C (rows × TILE_VECTORS·LANES) = A·B [+ C].
#[derive(Clone, Copy)]
pub struct Operands {
    segments: usize,
    depth: usize,
    a: *const f32,
    a_stride: usize,
    a_segment: usize,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    accumulate: bool,
}

/// A, whose rows may lie apart, overlap, and consist of several pieces: the windows of a convolution
/// are such rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// From the first row on.
    pub data: &'a [f32],
    /// Elements from the start of a row to the start of the next.
    pub stride: usize,
    /// Pieces of a row, each as long as the others.
    pub segments: usize,
    /// Elements from the start of a piece to the start of the next.
    pub segment_stride: usize,
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
    c: (&mut [f32], usize),
    accumulate: bool,
) {
    let a = Rows { data: a, stride: a_stride, segments: 1, segment_stride: 0 };
    gemm_segments(simd, rows, a, b, c, accumulate);
}

/// [`gemm_block`] for rows of several pieces, which together are as long as B is deep.
///
/// # Panics
/// If a slice is too short for its shape, or B's depth no multiple of the pieces.
#[inline(always)]
pub fn gemm_segments<S: Simd>(
    simd: S,
    rows: usize,
    a: Rows<'_>,
    b: Panels<'_>,
    (c, c_stride): (&mut [f32], usize),
    accumulate: bool,
) {
    let width = panel_width::<S>();
    if rows == 0 || b.count == 0 {
        return;
    }
    assert!(a.segments > 0 && b.depth.is_multiple_of(a.segments), "{} pieces of depth {}", a.segments, b.depth);
    let depth = b.depth / a.segments;
    let a_end = extent(rows, a.stride, extent(a.segments, a.segment_stride, depth));
    assert!(a.data.len() >= a_end, "A has {} elements for {rows} rows", a.data.len());
    assert!(
        b.data.len() >= extent(b.count, b.stride, extent(b.depth, width, width)),
        "B has {} elements",
        b.data.len()
    );
    assert!(
        c.len() >= extent(rows, c_stride, extent(b.count, width, width)),
        "C has {} elements for {rows} rows",
        c.len()
    );
    for panel in 0..b.count {
        for (row, count) in tiles::<S>(rows) {
            // SAFETY: rows `row..row + count` of A and C and panel `panel` of B lie inside the slices, by the
            // assertions above; `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
            unsafe {
                let operands = Operands {
                    segments: a.segments,
                    depth,
                    a: a.data.as_ptr().add(row * a.stride),
                    a_stride: a.stride,
                    a_segment: a.segment_stride,
                    b: b.data.as_ptr().add(panel * b.stride),
                    c: c.as_mut_ptr().add(row * c_stride + panel * width),
                    c_stride,
                    accumulate,
                };
                simd.tile::<false>(count, operands);
            }
        }
    }
}

/// `C ← AᵀB` (or `C ← C + AᵀB`) of two panels of `depth` rows: C (width × width) has no gaps.
///
/// # Panics
/// If a slice is too short for its shape.
#[inline(always)]
pub fn gemm_panels_transposed<S: Simd>(simd: S, depth: usize, a: &[f32], b: &[f32], c: &mut [f32], accumulate: bool) {
    let width = panel_width::<S>();
    assert!(a.len() >= extent(depth, width, width), "A has {} elements for {depth} rows", a.len());
    assert!(b.len() >= extent(depth, width, width), "B has {} elements for {depth} rows", b.len());
    assert!(c.len() >= width * width, "C has {} elements", c.len());
    for (row, count) in tiles::<S>(width) {
        // SAFETY: columns `row..row + count` of A, all of B and rows `row..row + count` of C lie inside the
        // slices, by the assertions above; `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
        unsafe {
            let operands = Operands {
                segments: 1,
                depth,
                a: a.as_ptr().add(row),
                a_stride: 1,
                a_segment: 0,
                b: b.as_ptr(),
                c: c.as_mut_ptr().add(row * width),
                c_stride: width,
                accumulate,
            };
            simd.tile::<true>(count, operands);
        }
    }
}

/// Cuts rows into tiles as equal as can be: the first row of each and their number.
#[inline(always)]
fn tiles<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let height = rows.div_ceil(rows.div_ceil(S::TILE_ROWS));
    (0..rows).step_by(height).map(move |row| (row, height.min(rows - row)))
}

/// Calls `of` with the number of rows as a constant.
macro_rules! of_rows {
    ($of:ident, $transposed:ident, $token:expr, $rows:expr, $operands:expr, $($count:literal)*) => {
        match $rows {
            $($count => $of::<$count, $transposed>($token, $operands),)*
            rows => unreachable!("a tile has no {rows} rows"),
        }
    };
}
pub(super) use of_rows;

/// The register tile: `ROWS` × `VECTORS` accumulators live in registers through the whole loop over k.
///
/// What C held is added last, so that sums over a long k that is cut into several calls are sums of
/// short sums.
///
/// # Safety
/// A has `ROWS` rows of `segments` pieces of `depth` elements, at `a_stride` and `a_segment`; if
/// `TRANSPOSED`, it has `segments · depth` rows of `ROWS` elements at the stride of B. B has `segments ·
/// depth` rows of `VECTORS · LANES` elements; C has `ROWS` rows of `VECTORS · LANES` elements at
/// `c_stride`, and overlaps neither.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // Indices that are constants after unrolling keep the arrays in registers.
pub unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const TRANSPOSED: bool>(simd: S, o: Operands) {
    let zero = simd.splat(0.0);
    let (a_stride, a_step) = if TRANSPOSED { (1, VECTORS * S::LANES) } else { (o.a_stride, 1) };
    let mut sums = [[zero; VECTORS]; ROWS];
    // SAFETY: every access is inside the rows the caller promises.
    unsafe {
        let mut b_row = o.b;
        for segment in 0..o.segments {
            let piece = o.a.add(segment * o.a_segment);
            for k in 0..o.depth {
                let mut b = [zero; VECTORS];
                for v in 0..VECTORS {
                    b[v] = simd.load_from(b_row.add(v * S::LANES));
                }
                for r in 0..ROWS {
                    let a = simd.splat(*piece.add(r * a_stride + k * a_step));
                    for v in 0..VECTORS {
                        sums[r][v] = simd.fma(a, b[v], sums[r][v]);
                    }
                }
                b_row = b_row.add(VECTORS * S::LANES);
            }
        }
        for r in 0..ROWS {
            for v in 0..VECTORS {
                let c = o.c.add(r * o.c_stride + v * S::LANES);
                let sum = if o.accumulate { simd.add(simd.load_from(c), sums[r][v]) } else { sums[r][v] };
                simd.store_to(sum, c);
            }
        }
    }
}
