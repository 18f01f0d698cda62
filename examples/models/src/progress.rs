//! Progress of what takes more than a second.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A bar on standard error that appears after a second, if that is a terminal, and goes at the end.
pub struct Progress {
    begin: Instant,
    steps: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    const DELAY: Duration = Duration::from_secs(1);

    /// Begins something of so many steps.
    pub fn new(steps: usize) -> Self {
        Self { begin: Instant::now(), steps: steps as u64, state: Mutex::default() }
    }

    /// Says what comes next, after which one more step is done.
    pub fn step(&self, what: &str) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.bar.is_none() && self.begin.elapsed() >= Self::DELAY {
            state.bar = Some(self.bar());
        }
        if let Some(bar) = &state.bar {
            bar.set_position(state.done);
            bar.set_message(what.to_owned());
        }
        state.done += 1;
    }

    fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.steps).with_elapsed(self.begin.elapsed());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bar) = &state.bar {
            bar.finish_and_clear();
        }
    }
}
