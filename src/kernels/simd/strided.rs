//! Vectors that lie a fixed distance apart, their bounds checked once for all of them.

#![allow(unsafe_code)]

use super::{Element, Simd, extent};

/// `N` vectors of which each starts `stride` elements after the one before.
///
/// # Panics
/// If `from` is too short.
#[inline(always)]
pub fn load_strided<S: Simd, E: Element, const N: usize>(simd: S, from: &[E], stride: usize) -> [S::Vector; N] {
    assert!(from.len() >= extent(N, stride, S::LANES), "{} elements for vectors {stride} apart", from.len());
    let mut vectors = [simd.splat(0.0); N];
    for (i, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: i < N, so the LANES elements from i·stride on are in the slice, by the assertion.
        *vector = E::load(simd, unsafe { from.get_unchecked(i * stride..i * stride + S::LANES) });
    }
    vectors
}

/// Writes `N` vectors, each starting `stride` elements after the one before.
///
/// # Panics
/// If `to` is too short.
#[inline(always)]
pub fn store_strided<S: Simd, const N: usize>(simd: S, vectors: [S::Vector; N], to: &mut [f32], stride: usize) {
    assert!(to.len() >= extent(N, stride, S::LANES), "{} elements for vectors {stride} apart", to.len());
    for (i, vector) in vectors.into_iter().enumerate() {
        // SAFETY: i < N, so the LANES elements from i·stride on are in the slice, by the assertion.
        unsafe { simd.store_to(vector, to.as_mut_ptr().add(i * stride)) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Isa, Kernel};
    use super::*;

    /// Numbers from `from`, three vectors apart by 21 elements, then a square turned round.
    struct Move<'a>(&'a [f32], &'a mut [f32], &'a mut [f32]);

    impl Kernel for Move<'_> {
        type Output = usize;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> usize {
            let vectors: [S::Vector; 3] = load_strided(simd, self.0, 21);
            store_strided(simd, vectors, self.1, 17);
            simd.transpose(self.0, 19, self.2, 23);
            S::LANES
        }
    }

    #[test]
    fn vectors_and_squares_move_in_every_instruction_set() {
        let from: Vec<f32> = (0..400).map(|i| i as f32).collect();
        for isa in Isa::available() {
            let (mut moved, mut turned) = (vec![-1.0; 64], vec![-1.0; 400]);
            let lanes = isa.dispatch(Move(&from, &mut moved, &mut turned));
            for i in 0..3 {
                assert_eq!(moved[i * 17..][..lanes], from[i * 21..][..lanes], "{isa:?}");
            }
            for (place, &value) in turned.iter().enumerate() {
                let (i, j) = (place / 23, place % 23);
                let expected = if i < lanes && j < lanes { from[j * 19 + i] } else { -1.0 };
                assert_eq!(value, expected, "{isa:?} row {i}, column {j}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "elements for vectors 8 apart")]
    fn a_slice_that_is_too_short_is_refused() {
        struct Short;
        impl Kernel for Short {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) {
                let _: [S::Vector; 2] = load_strided(simd, &vec![0.0; 7 + S::LANES], 8);
            }
        }
        Isa::available()[0].dispatch(Short);
    }
}
