//! OpenGL, which serves one thread at a time: wgpu panics in a thread that has waited for a context for six seconds.

use crate::common::case::Case;
use crate::common::gpu_engines;
use clustered_attention::{Attention, Method, Shape};
use std::thread;
use std::time::{Duration, Instant};

/// A call that takes about so many seconds on an adapter.
fn call_of(attention: &Attention, seconds: f64) -> Case {
    let probe = Case::of(Shape::self_attention(1, 8, 512, 64), Method::Exact, 1);
    let run = || attention.run_blocking(&probe.problem, &probe.inputs()).expect("attention");
    run();
    let begin = Instant::now();
    run();
    let length = 512.0 * (seconds / begin.elapsed().as_secs_f64()).sqrt();
    Case::of(Shape::self_attention(1, 8, length as usize, 64), Method::Exact, 2)
}

#[test]
fn threads_wait_for_each_other() {
    let engines = gpu_engines();
    let Some(engine) = engines.iter().find(|engine| engine.name.contains("(gl,")) else {
        println!("no OpenGL among the adapters that are tested: left out");
        return;
    };
    let attention = &engine.attention;
    let long = call_of(attention, 8.0);
    let short = Case::of(Shape::self_attention(1, 1, 64, 8), Method::Exact, 3);
    thread::scope(|scope| {
        let slow = scope.spawn(|| attention.run_blocking(&long.problem, &long.inputs()));
        thread::sleep(Duration::from_millis(300));
        let quick = scope.spawn(|| attention.run_blocking(&short.problem, &short.inputs()));
        quick.join().expect("no panic").expect("the short call computes");
        slow.join().expect("no panic").expect("the long call computes");
    });
}
