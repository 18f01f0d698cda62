//! Whether the drivers can be asked for adapters, tried in a process of its own: a broken driver ends the process that asks it.

use crate::available_memory::ensure_room_for_drivers;
use anyhow::{ensure, Context, Result};
use clap::Args;
use clustered_attention::{adapters_blocking, AdapterDescription};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const CANNOT_LIST: &str = "the adapters cannot be listed";

#[derive(Debug, Clone, Copy, Args)]
pub struct ProbeOptions {
    /// List the adapters in a process of its own first, for at most so many seconds. Where a driver ends that process, or it takes longer,
    /// the CPU computes (an error if a GPU was asked for) [default without a number: 30]
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30",
        value_parser = clap::value_parser!(u16).range(1..=3600)
    )]
    pub probe: Option<u16>,
}

impl ProbeOptions {
    /// The adapters, asked for in this process only if the probe, where one is wanted, came back.
    ///
    /// # Errors
    /// A driver ended the process that asked it, or does not answer, or this process may take too little memory for drivers.
    pub fn adapters(self) -> Result<Vec<AdapterDescription>> {
        ensure_room_for_drivers().context(CANNOT_LIST)?;
        if let Some(seconds) = self.probe {
            probe(Duration::from_secs(seconds.into())).context(CANNOT_LIST)?;
        }
        Ok(adapters_blocking())
    }
}

/// Lists the adapters in a process of its own.
fn probe(patience: Duration) -> Result<()> {
    let program = std::env::current_exe().context("this program's path is unknown")?;
    let mut command = Command::new(program);
    command.arg("--list-adapters").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Running(command.spawn().context("this program cannot be started once more")?);
    // Drivers can say more than a pipe holds, which would make them wait.
    let errors = child.0.stderr.take().map(|mut errors| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // What was read until then is told.
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    });
    let status = child.wait(patience)?;
    if !status.success() {
        let errors = errors.and_then(|errors| errors.join().ok()).filter(|errors| !errors.is_empty());
        let errors = errors.map_or(String::new(), |errors| format!(": {errors}"));
        anyhow::bail!("a driver ended the process that asked it ({status}){errors}");
    }
    Ok(())
}

/// A process that is ended with what needs it.
struct Running(Child);

impl Running {
    fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().context("the process that asks the drivers is lost")? {
                return Ok(status);
            }
            ensure!(begin.elapsed() < patience, "no answer of the drivers in {} s", patience.as_secs());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where it was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
