//! Counts of a stage's work, and how fast it is done.

/// Operations, words or sizes: numbers that saturate instead of overflowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Count(pub u64);

impl From<usize> for Count {
    fn from(number: usize) -> Self {
        Self(number as u64)
    }
}

impl std::ops::Add for Count {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Mul for Count {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0.saturating_mul(other.0))
    }
}

impl std::ops::Mul<Count> for u64 {
    type Output = Count;
    fn mul(self, other: Count) -> Count {
        Count(self) * other
    }
}

/// What a step does at least for one slice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub operations: Count,
    pub integer_operations: Count,
    /// Words of the slice that are read or written.
    pub words: Count,
    /// Words of the keys and values, which the slices of a key head share.
    pub key_words: Count,
}

/// The time of a stage: so many picoseconds for each of what it follows, on the host, on a software device, on a hardware device.
///
/// Host: measured on two x86-64 cores with AVX2, at 8 heads, length 8192, width 64, 25 clusters. Software device: measured with lavapipe
/// on the same cores and problem. Only ratios within a column decide, so more cores or faster ones change little.
///
/// Hardware device: NOT measured but derived, for a card of 8 TFLOP/s and 200 GB/s: products take the slots of issue that a compiler for Ada
/// needs for a multiply-add (`docs/isa.json`), of which 85 of 100 are taken to be filled, and the window twice its count; integers run at a
/// third of the peak; `top_k`, grouping and means wait for memory. What a dispatch takes was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    Operations([f64; 3]),
    IntegerOperations([f64; 3]),
    Bytes([f64; 3]),
}
