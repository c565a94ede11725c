//! bf16, the upper half of an `f32`: its sign, its exponent, and seven bits of
//! its fraction.
//!
//! ```text
//!   f32  s eeeeeeee fffffff ffffffffffffffff
//!   bf16 s eeeeeeee fffffff
//! ```
//!
//! One bf16 keeps a number to 2⁻⁸ of itself at the worst, a sum of two to 2⁻¹⁷: products of
//! such sums are nearly as exact as those of `f32`s, which is what
//! [`split`] is for. Numbers are held as their bits, a `u16`. All functions are
//! straight-line arithmetic, so that loops over them become vector code in
//! whatever instruction set their caller is compiled for.

// ANCHOR: round
/// The nearest bf16, of two equally near ones the even one. NaN stays NaN, and what is too large becomes ∞.
#[inline(always)]
#[must_use]
pub fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    // Half a unit of the last place that is kept, or just less where that place is even: a carry rounds up.
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    // Cutting off a NaN's lower half could leave an infinity: the quiet bit is set.
    let quiet = bits >> 16 | 0x40;
    (if x.is_nan() { quiet } else { rounded }) as u16
}
// ANCHOR_END: round

/// The number itself.
#[inline(always)]
#[must_use]
pub fn widen(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// (hi, lo): the nearest bf16, and the nearest one to what is left, so that hi + lo is x to 2⁻¹⁷ of it.
/// Where hi is infinite or NaN, lo is 0.
#[inline(always)]
#[must_use]
pub fn split(x: f32) -> (u16, u16) {
    let high = round(x);
    let low = round(x - widen(high));
    (high, if high & 0x7f80 == 0x7f80 { 0 } else { low })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_the_half_crate_does() {
        // Every upper half, with the lower halves around the tie.
        for upper in 0..=u32::from(u16::MAX) {
            for lower in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits(upper << 16 | lower);
                let (found, expected) = (round(x), half::bf16::from_f32(x));
                if x.is_nan() {
                    assert!(widen(found).is_nan(), "{x:?} became {found:#06x}");
                } else {
                    assert_eq!(found, expected.to_bits(), "{x:?} = {:#010x}", x.to_bits());
                }
            }
        }
    }

    #[test]
    fn ties_go_to_even_and_the_largest_number_to_infinity() {
        assert_eq!(round(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(round(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(round(f32::MAX), 0x7f80);
        assert_eq!(round(f32::MIN), 0xff80);
        assert_eq!(round(f32::INFINITY), 0x7f80);
        assert_eq!(round(-0.0), 0x8000);
        // A denormal keeps its upper bits.
        assert_eq!(round(f32::from_bits(0x0003_0000)), 3);
    }

    #[test]
    fn widening_is_exact() {
        for x in 0..=u16::MAX {
            let same = round(widen(x));
            assert!(same == x || widen(x).is_nan() && same == x | 0x40, "{x:#06x} became {same:#06x}");
        }
    }

    #[test]
    fn the_two_halves_of_a_split_keep_sixteen_bits() {
        let mut bits = 1u32;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Exponents from 2⁻⁶³ to 2⁶⁴: the low half is then no denormal.
            let x = f32::from_bits(bits & 0x807f_ffff | (64 + (bits >> 23 & 0x7f)) << 23);
            let (high, low) = split(x);
            let error = (f64::from(widen(high)) + f64::from(widen(low)) - f64::from(x)).abs();
            assert!(error <= f64::from(x).abs() * 2f64.powi(-17), "{x:e}: {error:e}");
        }
    }

    #[test]
    fn what_has_no_finite_high_half_has_no_low_half() {
        for x in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX] {
            assert_eq!(split(x).1, 0, "{x}");
        }
        assert_eq!(split(0.0), (0, 0));
    }
}
