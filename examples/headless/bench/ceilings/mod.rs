//! What the back ends can do at best: measured in the same run, as the yardstick of the stages.

mod cpu;
mod gpu;

pub use cpu::measure as of_cpu;
pub use gpu::{measure as of_adapter, WarmUp};

use serde::Serialize;
use std::time::{Duration, Instant};

/// The best of several measurements each, since whatever else runs can only slow them down.
#[derive(Debug, Clone, Serialize)]
pub struct Ceilings {
    /// Floating-point operations of a register-blocked matrix product, in 10^9 a second.
    pub product_gflop_per_second: f64,
    /// The kernel of the product that was fastest.
    pub product_kernel: String,
    /// Bytes read and written by a copy of memory that fits no cache of most processors, in 10^9 a second.
    pub copy_gbyte_per_second: f64,
    /// Xor, popcount and add of 32-bit words, three operations a word, in 10^9 a second.
    pub popcount_gop_per_second: f64,
}

impl Ceilings {
    /// The best of two measurements.
    pub fn or_better(self, other: Self) -> Self {
        let kernel = if self.product_gflop_per_second < other.product_gflop_per_second { &other } else { &self };
        Self {
            product_kernel: kernel.product_kernel.clone(),
            product_gflop_per_second: self.product_gflop_per_second.max(other.product_gflop_per_second),
            copy_gbyte_per_second: self.copy_gbyte_per_second.max(other.copy_gbyte_per_second),
            popcount_gop_per_second: self.popcount_gop_per_second.max(other.popcount_gop_per_second),
        }
    }
}

/// No ceiling is measured for longer, such as by a program without optimisation.
const LONGEST: Duration = Duration::from_secs(3);

/// How often work is timed.
struct Batches {
    /// Seconds of work that is timed together, so that starting it does not matter.
    seconds: f64,
    /// Batches, of which the best counts.
    count: usize,
    /// Pause before a batch.
    rest: Duration,
}

/// The best rate of `work`, which does `amount` of something as often as it is told; in 10^9 a second.
fn best_rate(batches: &Batches, amount: f64, mut work: impl FnMut(usize)) -> f64 {
    let mut timed = |times| {
        let begin = Instant::now();
        work(times);
        begin.elapsed().as_secs_f64()
    };
    timed(1);
    let mut times = 1;
    let mut seconds = timed(times);
    while seconds < batches.seconds && times < 1 << 20 {
        times *= 2;
        seconds = timed(times);
    }
    let begin = Instant::now();
    let mut best = seconds;
    for _ in 0..batches.count {
        // Threads that have rested are less likely to be interrupted.
        std::thread::sleep(batches.rest);
        best = best.min(timed(times));
        if begin.elapsed() > LONGEST {
            break;
        }
    }
    amount * times as f64 / best / 1e9
}
