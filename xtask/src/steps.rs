//! Runs the steps of the tests: their times and their results.

use crate::environment::Environment;
use crate::options::Options;
use crate::outcome::Outcome;
use crate::step::Step;
use crate::{browser, burn, isa, library, package, rust_version, say, setup, wasm, web};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Runs steps, goes on after a failure, and sums up. Returns whether none failed.
pub fn run(options: &Options) -> Result<bool> {
    let mut results: Vec<(Step, Result<Outcome>, Duration)> = vec![];
    for &step in &options.steps {
        say!("\n=== {}: {}", step.name(), step.describe())?;
        let start = Instant::now();
        let result = if options.skip.contains(&step) {
            Ok(Outcome::Skipped("as asked".into()))
        } else {
            // Set-up may just have brought another driver.
            environment_of(step, options).and_then(|environment| run_step(step, &environment, options))
        };
        match &result {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::Skipped(reason)) => say!("SKIPPED {}: {reason}", step.name())?,
            Err(error) => say!("FAILED {}: {error:#}", step.name())?,
        }
        results.push((step, result, start.elapsed()));
    }
    let [mut passed, mut failed, mut skipped] = [0; 3];
    say!("\n{:10}{:>9}  result", "step", "seconds")?;
    for (step, result, time) in &results {
        let (count, text) = match result {
            Ok(Outcome::Passed) => (&mut passed, "passed".into()),
            Ok(Outcome::Skipped(reason)) => (&mut skipped, format!("SKIPPED: {reason}")),
            Err(error) => (&mut failed, format!("FAILED: {error:#}")),
        };
        *count += 1;
        say!("{:10}{:9.1}  {text}", step.name(), time.as_secs_f64())?;
    }
    say!("\n{passed} passed, {failed} failed, {skipped} skipped")?;
    Ok(failed == 0)
}

fn environment_of(step: Step, options: &Options) -> Result<Environment> {
    let environment = Environment::prepare()?.with_quick_software_compilers();
    Ok(match step {
        // Burn takes an adapter by itself; SwiftShader is far slower than lavapipe.
        Step::Burn | Step::Models => environment,
        // Browsers bring adapters of their own, which a choice of drivers could hide from them.
        Step::Test | Step::Demo if !options.all => environment.with_one_adapter(),
        _ => environment.with_swiftshader(),
    })
}

fn run_step(step: Step, environment: &Environment, options: &Options) -> Result<Outcome> {
    match step {
        Step::Setup => setup::setup(options)?,
        Step::Format => library::format(environment)?,
        Step::Lint => library::lint(environment)?,
        Step::Test => library::test(environment, options.all)?,
        Step::Demo => return library::demo(environment),
        Step::Wasm => wasm::BROWSER_TEST.build(environment)?,
        Step::Browser => browser::test(environment)?,
        Step::Bench => return library::bench(environment),
        Step::Features => library::features(environment)?,
        Step::Web => {
            web::build(environment)?;
            web::test(environment)?;
        }
        Step::BurnLint => burn::lint(environment)?,
        Step::Burn => burn::test(environment)?,
        Step::Candle => burn::test_candle(environment)?,
        Step::Models => return burn::test_models(environment),
        Step::Isa => return isa::test(environment),
        Step::Package => package::check(environment)?,
        Step::RustVersion => return rust_version::check(environment),
    }
    Ok(Outcome::Passed)
}
