//! How the elements of tensors are stored.

use crate::named::by_name;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// How queries, keys, values and output are stored.
///
/// Everything is computed in float32, sums between kernels among it, whatever the element. In `f16` the output is rounded once, at the end: to the
/// nearest, to even between two, and to ±65504 where it is larger. No feature of a device is needed, nor of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Element {
    /// IEEE binary32, four bytes.
    #[default]
    F32,
    /// IEEE binary16, two bytes.
    F16,
}

impl Element {
    /// Every element.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Its name, `f32` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// Bytes of one.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// Bytes of so many.
    #[cfg(feature = "gpu")]
    pub(crate) fn bytes_of(self, elements: usize) -> u64 {
        self.bytes() as u64 * elements as u64
    }
}

by_name!(Element, "element");

/// A type that host slices may be of: `f32` and [`half::f16`]. Sealed.
pub trait Stored: Number {
    /// The element that a problem must have for such slices.
    const ELEMENT: Element;
}

impl Stored for f32 {
    const ELEMENT: Element = Element::F32;
}

impl Stored for f16 {
    const ELEMENT: Element = Element::F16;
}

use sealed::Number;

mod sealed {
    /// What is done with stored numbers.
    pub trait Number: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {
        /// [`Number::magnitude`] of infinity.
        const INFINITE: i32;

        /// The bits without the sign, which are ordered as the magnitudes are, infinity and NaN above.
        fn magnitude(self) -> i32;

        /// The number of a magnitude.
        fn of_magnitude(magnitude: i32) -> f32;

        /// The same number in float32.
        fn wide(self) -> f32;

        fn bytes(numbers: &[Self]) -> &[u8];

        fn bytes_mut(numbers: &mut [Self]) -> &mut [u8];

        /// The numbers, if they are float32.
        fn floats(numbers: &[Self]) -> Option<&[f32]>;

        fn floats_mut(numbers: &mut [Self]) -> Option<&mut [f32]>;

        /// Widens as many numbers as there is room for.
        fn widen(numbers: &[Self], wide: &mut [f32]);

        /// The inverse: to the nearest, to even between two, finite numbers to finite ones.
        fn narrow(wide: &[f32], numbers: &mut [Self]);
    }
}

impl Number for f32 {
    const INFINITE: i32 = Self::INFINITY.to_bits() as i32;

    #[inline(always)]
    fn magnitude(self) -> i32 {
        self.abs().to_bits() as i32
    }

    fn of_magnitude(magnitude: i32) -> f32 {
        Self::from_bits(magnitude as u32)
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }

    fn bytes(numbers: &[Self]) -> &[u8] {
        bytemuck::cast_slice(numbers)
    }

    fn bytes_mut(numbers: &mut [Self]) -> &mut [u8] {
        bytemuck::cast_slice_mut(numbers)
    }

    fn floats(numbers: &[Self]) -> Option<&[f32]> {
        Some(numbers)
    }

    fn floats_mut(numbers: &mut [Self]) -> Option<&mut [f32]> {
        Some(numbers)
    }

    fn widen(numbers: &[Self], wide: &mut [f32]) {
        wide.copy_from_slice(numbers);
    }

    fn narrow(wide: &[f32], numbers: &mut [Self]) {
        numbers.copy_from_slice(wide);
    }
}

impl Number for f16 {
    const INFINITE: i32 = Self::INFINITY.to_bits() as i32;

    #[inline(always)]
    fn magnitude(self) -> i32 {
        (self.to_bits() & 0x7fff).into()
    }

    fn of_magnitude(magnitude: i32) -> f32 {
        Self::from_bits(magnitude as u16).to_f32()
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        self.to_f32()
    }

    fn bytes(numbers: &[Self]) -> &[u8] {
        bytemuck::cast_slice(numbers.reinterpret_cast())
    }

    fn bytes_mut(numbers: &mut [Self]) -> &mut [u8] {
        bytemuck::cast_slice_mut(numbers.reinterpret_cast_mut())
    }

    fn floats(_: &[Self]) -> Option<&[f32]> {
        None
    }

    fn floats_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }

    fn widen(numbers: &[Self], wide: &mut [f32]) {
        numbers.convert_to_f32_slice(wide);
    }

    fn narrow(wide: &[f32], numbers: &mut [Self]) {
        numbers.convert_from_f32_slice(wide);
        // Beyond the largest half lies infinity, where the float32 was none.
        for (number, wide) in numbers.iter_mut().zip(wide) {
            if number.is_infinite() && wide.is_finite() {
                *number = if wide.is_sign_negative() { Self::MIN } else { Self::MAX };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        for element in Element::ALL {
            assert_eq!(element.to_string().parse(), Ok(element));
        }
        let error = "bf16".parse::<Element>().expect_err("no such element");
        assert!(error.to_string().contains("one of f32, f16"), "{error}");
    }

    #[test]
    fn finite_numbers_become_the_nearest_finite_half() {
        // Halfway between two halves, to even; beyond the largest; below the smallest; none.
        let wide = [1.0, 2049.0, 2051.0, 65_519.0, 65_520.0, -1e30, 2e-8, 3.1e-8, -0.0, f32::INFINITY];
        let expected = [1.0, 2048.0, 2052.0, 65_504.0, 65_504.0, -65_504.0, 0.0, 5.960_464_5e-8, -0.0, f32::INFINITY];
        let mut halves = [f16::ZERO; 10];
        f16::narrow(&wide, &mut halves);
        assert_eq!(halves.map(f16::to_f32), expected);
        let mut nothing = [f16::ZERO];
        f16::narrow(&[f32::NAN], &mut nothing);
        assert!(nothing[0].is_nan());
        let mut widened = [0.0; 10];
        f16::widen(&halves, &mut widened);
        assert_eq!(widened, expected);
    }

    #[test]
    fn magnitudes_are_ordered_as_numbers() {
        fn check<E: Stored>(ascending: &[E]) {
            assert!(ascending.windows(2).all(|pair| pair[0].magnitude() < pair[1].magnitude()));
            for &number in ascending {
                let finite = number.magnitude() < E::INFINITE;
                assert_eq!(finite, number.wide().is_finite());
                assert!(!finite || E::of_magnitude(number.magnitude()) == number.wide().abs());
            }
        }
        check(&[0.0, -1e-40, 1.0, -2.0, f32::MAX, f32::NEG_INFINITY, f32::NAN]);
        check(&[0.0, -6e-8, 1.0, -2.0, 65_504.0, f32::NEG_INFINITY, f32::NAN].map(f16::from_f32));
    }
}
