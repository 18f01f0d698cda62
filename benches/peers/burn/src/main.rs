//! Times Burn's attention on a wgpu adapter and prints one line of JSON for each way of computing it.

mod options;
mod reference;
mod ways;

use burn::tensor::{Device, DeviceKind, Distribution, Tensor};
use clap::Parser;
use options::Options;
use serde_json::json;
use std::time::Instant;
use ways::Way;

fn main() {
    let options = Options::parse();
    // Lavapipe's number of threads; it is read when the driver is loaded, and no thread runs yet.
    if let Some(threads) = options.threads {
        std::env::set_var("LP_NUM_THREADS", threads.to_string());
    }
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    device.seed(0);
    for &length in &options.length {
        let shape = [1, options.heads, length, options.width];
        let input = [(); 3].map(|()| Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device));
        for &way in &options.way {
            measure(way, &input, &device, &options);
        }
    }
}

fn measure(way: Way, input: &[Tensor<4>; 3], device: &Device, options: &Options) {
    // From before the first kernel is handed over until the device has finished the last; nothing is read back.
    let once = || {
        let [query, key, value] = input.clone();
        device.sync().expect("the device failed");
        let start = Instant::now();
        let output = way.compute(query, key, value);
        device.sync().expect("the device failed");
        (start.elapsed().as_secs_f64(), output)
    };
    // The first call compiles kernels and tunes.
    let (seconds_first, output) = once();
    for _ in 1..options.warm_up {
        once();
    }
    let seconds: Vec<f64> = (0..options.repetitions).map(|_| once().0).collect();
    let seconds_median = median(&seconds);

    let [_, heads, length, width] = output.dims();
    let operations = 4.0 * heads as f64 * (length as f64).powi(2) * width as f64;
    let [query, key, value] = input.clone().map(to_host);
    let relative_error = reference::relative_error(&query, &key, &value, &to_host(output), [heads, length, width]);
    let line = json!({
        "peer": way.name(),
        "version": burn_version(),
        "length": length,
        "heads": heads,
        "width": width,
        "threads": options.threads,
        "seconds_median": seconds_median,
        "seconds": seconds,
        "gflops": operations / seconds_median / 1e9,
        "seconds_first": seconds_first,
        "relative_error": relative_error,
        "configuration": {
            "adapter": device.identity().map(|identity| identity.name),
            "autotune": cfg!(feature = "autotune"),
            "fusion": cfg!(feature = "fusion"),
        },
    });
    println!("{line}");
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

fn to_host(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("the tensor is not of floats")
}

/// The version that this program was built with, from the lock file.
fn burn_version() -> &'static str {
    let (_, rest) = include_str!("../Cargo.lock").split_once("name = \"burn\"\nversion = \"").expect("Burn is locked");
    rest.split('"').next().unwrap_or_default()
}
