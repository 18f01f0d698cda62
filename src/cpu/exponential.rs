//! The exponential of softmax weights, in vectors.

use super::panel::Panel;
use pulp::{Arch, Simd, WithSimd};

/// `exp(x)` for `x <= 0`, lane by lane; relative error below 2e-7, exactly 1 at 0 and 0 below -87.69.
pub(crate) fn exp_panel(values: &mut Panel) {
    Arch::new().dispatch(ExpPanel(values));
}

struct ExpPanel<'a>(&'a mut Panel);

impl WithSimd for ExpPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for value in S::as_mut_simd_f32s(self.0).0 {
            *value = exp(simd, *value);
        }
    }
}

/// [`exp_panel`] of one vector: Cephes' `expf`, `2^n` times a polynomial of the rest, with `n` read from the bits of a sum with 1.5 * 2^23.
/// The least `n` is -127, whose bits as a power are those of 0.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LOWEST: f32 = -88.0;
    let splat = |value| simd.splat_f32s(value);
    let magic = splat(12_582_912.0);
    let clamped = simd.max_f32s(x, splat(LOWEST));
    let shifted = simd.mul_add_e_f32s(clamped, splat(std::f32::consts::LOG2_E), magic);
    let n = simd.sub_f32s(shifted, magic);
    let rest = simd.mul_add_e_f32s(n, splat(-0.693_359_4), clamped);
    let rest = simd.mul_add_e_f32s(n, splat(2.121_944_4e-4), rest);
    let mut polynomial = splat(1.987_569_1e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        polynomial = simd.mul_add_e_f32s(polynomial, rest, splat(coefficient));
    }
    let square = simd.mul_f32s(rest, rest);
    let fraction = simd.mul_add_e_f32s(polynomial, square, simd.add_f32s(rest, splat(1.0)));
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(exponent, simd.splat_u32s(0x3f80_0000)));
    simd.mul_f32s(fraction, power)
}

#[cfg(test)]
mod tests {
    use super::super::panel::LANES;
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        for step in 0..8900 {
            let x = -(step as f32) * 0.01;
            let mut panel = [x; LANES];
            exp_panel(&mut panel);
            let truth = (x as f64).exp();
            if x >= -87.68 {
                assert!(((panel[3] as f64 - truth) / truth).abs() < 2e-7, "{x}: {} {truth}", panel[3]);
            } else if x <= -87.69 {
                assert_eq!(panel[3], 0.0);
            }
        }
        for x in [0.0, -0.0] {
            let mut panel = [x; LANES];
            exp_panel(&mut panel);
            assert_eq!(panel, [1.0; LANES]);
        }
        for x in [f32::NEG_INFINITY, f32::MIN] {
            let mut panel = [x; LANES];
            exp_panel(&mut panel);
            assert_eq!(panel, [0.0; LANES]);
        }
    }
}
