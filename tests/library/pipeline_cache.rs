//! What was compiled, and its bytes from one run to the next.
//!
//! SAFETY of every `unsafe` here: the bytes come from an earlier run, or bear no seal or a broken one and are ignored.

use crate::common::case::Case;
use crate::common::device::{own_devices, own_devices_with, words, OwnDevice};
use crate::common::{gpu_engines, Engine};
use clustered_attention::DeviceTensors;
use clustered_attention::{wgpu, Attention, Backend, DeviceAttention, Kernels, KeyGroups, Method, Shape, Stitched};
use std::collections::HashSet;

/// A small problem.
fn case(method: Method) -> Case {
    Case::of(Shape::self_attention(1, 2, 60, 16), method, 5)
}

/// Clusters by codes, with Euclidean steps, and key groups.
fn stitched() -> Case {
    let stitched = Method::Stitched(Stitched::hamming(4)).with_top_k(6).with_window(Some(3));
    case(stitched.with_key_groups(KeyGroups::new(5).with_spread(true)))
}

fn kernels_compiled(attention: &Attention) -> Vec<&'static str> {
    attention.compilations().iter().map(|compilation| compilation.kernel).collect()
}

#[test]
fn compilations_are_listed_once_each() {
    for engine in gpu_engines() {
        assert!(kernels_compiled(&engine.attention).is_empty(), "{}: nothing was run yet", engine.name);
        stitched().run(&engine);
        let first = engine.attention.compilations();
        for compilation in &first {
            let seconds = compilation.seconds;
            assert!(seconds > 0.0 && seconds < 600.0, "{}: {} took {seconds} s", engine.name, compilation.kernel);
        }
        let kernels = kernels_compiled(&engine.attention);
        for kernel in
            ["hash_codes", "hamming_assign", "metric_assign", "covariance", "key_spread", "top_k", "group_window"]
        {
            assert!(kernels.contains(&kernel), "{}: {kernel} is not among {kernels:?}", engine.name);
        }
        let unique: HashSet<_> = kernels.iter().collect();
        assert_eq!(unique.len(), kernels.len(), "{}: {kernels:?}", engine.name);

        // The same sizes need nothing new, whatever the length; another method only its own kernel.
        stitched().run(&engine);
        let method = *stitched().problem.method();
        Case::of(Shape::self_attention(1, 2, 90, 16), method, 6).run(&engine);
        assert_eq!(engine.attention.compilations(), first, "{}", engine.name);
        case(Method::Exact).run(&engine);
        assert_eq!(kernels_compiled(&engine.attention)[first.len()..], ["exact_attention"], "{}", engine.name);
    }
}

#[test]
fn the_cpu_has_neither() {
    let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    let engine = Engine { name: "cpu".into(), attention };
    let expected = case(Method::Exact).run(&engine);
    assert!(engine.attention.compilations().is_empty());
    assert_eq!(engine.attention.pipeline_cache_data(), None);
    let engine = Engine { attention: unsafe { engine.attention.with_pipeline_cache(b"anything") }, ..engine };
    assert_eq!(case(Method::Exact).run(&engine), expected);
}

#[test]
fn a_later_run_with_the_data_gives_the_same_output() {
    for (first, second) in gpu_engines().into_iter().zip(gpu_engines()) {
        let expected = stitched().run(&first);
        let data = first.attention.pipeline_cache_data();
        println!("{}: {:?} bytes of data", first.name, data.as_ref().map(Vec::len));
        // On Vulkan the crate's devices have caches, as wgpu offers them on every Vulkan adapter.
        let vulkan = first.attention.adapter().is_some_and(|adapter| adapter.backend == "vulkan");
        assert_eq!(data.is_some(), vulkan, "{}", first.name);
        let compiled = kernels_compiled(&first.attention);
        drop(first.attention);

        let attention = unsafe { second.attention.with_pipeline_cache(&data.unwrap_or_default()) };
        let second = Engine { attention, ..second };
        assert_eq!(stitched().run(&second), expected, "{}", second.name);
        assert_eq!(kernels_compiled(&second.attention), compiled, "{}", second.name);
        assert_eq!(second.attention.pipeline_cache_data().is_some(), vulkan, "{}", second.name);
    }
}

#[test]
fn data_that_is_not_whole_or_not_ours_is_refused() {
    for mut engine in gpu_engines() {
        let case = case(Method::Exact);
        let expected = case.run(&engine);
        let data = engine.attention.pipeline_cache_data().unwrap_or_else(|| b"an adapter without caches".to_vec());
        let flipped = |index: usize| {
            let mut data = data.clone();
            data[index] ^= 0x10;
            data
        };
        let last = data.len() - 1;
        let bad = [
            ("nothing", Vec::new()),
            ("one byte", vec![0]),
            ("all but the last byte", data[..last].to_vec()),
            ("the first half", data[..data.len() / 2].to_vec()),
            ("a byte too many", [&data[..], &[0]].concat()),
            ("a flipped byte of the header", flipped(3)),
            ("a flipped byte in the middle", flipped(data.len() / 2)),
            ("a flipped last byte", flipped(last)),
            ("the data twice", [&data[..], &data].concat()),
            ("text", b"#!/bin/sh\nexit 1\n".repeat(100)),
            ("a file of zeros", vec![0; 4096]),
        ];
        for (what, data) in bad {
            engine.attention = unsafe { engine.attention.with_pipeline_cache(&data) };
            assert!(engine.attention.compilations().is_empty(), "{}, {what}: kept kernels", engine.name);
            let output = case.try_run(&engine).unwrap_or_else(|error| panic!("{}, {what}: {error}", engine.name));
            assert_eq!(output, expected, "{}, {what}", engine.name);
        }
    }
}

/// The output on an app's own device, with kernels that began with some data.
fn on_device(own: &OwnDevice, kernels: &Kernels, case: &Case) -> Vec<u32> {
    let mut attention = DeviceAttention::new(kernels, &case.problem).expect("the problem fits");
    let [queries, keys, values] = [&case.queries, &case.keys, &case.values].map(|data| own.buffer(words(data)));
    let output = own.buffer(&vec![0; case.shape().output_elements()]);
    let tensors = DeviceTensors::new(queries.slice(..), keys.slice(..), values.slice(..), output.slice(..));
    let mut encoder = own.device.create_command_encoder(&Default::default());
    attention.record(&mut encoder, &tensors).expect("the slices fit");
    own.queue.submit([encoder.finish()]);
    own.read(&output)
}

#[test]
fn an_own_device_has_a_cache_if_it_was_opened_with_the_feature() {
    let case = case(Method::Exact);
    for own in own_devices_with(&wgpu::Limits::defaults(), wgpu::Features::PIPELINE_CACHE) {
        let has_caches = own.device.features().contains(wgpu::Features::PIPELINE_CACHE);
        own.without_complaint(|| {
            let kernels = Kernels::new(&own.device).expect("the default limits suffice");
            let expected = on_device(&own, &kernels, &case);
            assert_eq!(kernels.compilations().len(), 1, "{}", own.name);
            let data = kernels.pipeline_cache_data();
            assert_eq!(data.is_some(), has_caches, "{}", own.name);
            for data in [&data.unwrap_or_default()[..], b"of another program"] {
                let later =
                    unsafe { Kernels::with_pipeline_cache(&own.device, data) }.expect("data is no reason to fail");
                assert_eq!(on_device(&own, &later, &case), expected, "{}", own.name);
                assert_eq!(later.pipeline_cache_data().is_some(), has_caches, "{}", own.name);
            }
        });
    }
    for own in own_devices(&wgpu::Limits::defaults()) {
        let kernels = own.without_complaint(|| unsafe { Kernels::with_pipeline_cache(&own.device, b"anything") });
        assert_eq!(kernels.expect("no reason to fail").pipeline_cache_data(), None, "{}", own.name);
    }
}
