//! Ceilings of an adapter: shaders of the benchmark's own, on a device of their own on the same adapter.

use super::{best_rate, Batches, Ceilings};
use anyhow::{Context, Result};
use clustered_attention::wgpu::{self, BufferUsages as Usage};
use std::borrow::Cow;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Bytes that are copied.
const COPIED: u64 = 128 << 20;
/// Vectors of words that each invocation of the popcount loop looks at.
const CODES: u32 = 1024;
/// Invocations of the popcount loop.
const QUERIES: (u32, u32) = (1 << 18, 1 << 13);
/// Size of the matrices.
const SIZES: (u32, u32) = (2048, 256);
type Product = (&'static str, u32, u32);
/// Kernels of the product, of which adapters like different ones: entry point, vectors of rows and of columns of an invocation's tile.
const PRODUCTS: [Product; 3] = [("direct", 1, 2), ("direct", 2, 2), ("shared_tiles", 2, 2)];

/// Long, since a submission takes a while by itself.
const BATCHES: Batches = Batches { seconds: 0.04, count: 5, rest: Duration::ZERO };

/// Measures the three ceilings by wall time of many dispatches in one submission.
pub fn measure(adapter: &wgpu::Adapter) -> Result<Ceilings> {
    let info = adapter.get_info();
    let bench = Bench::open(adapter)?;
    // A software adapter would take seconds for what fills a real one.
    let pick = |(real, software)| if info.device_type == wgpu::DeviceType::Cpu { software } else { real };

    let size = pick(SIZES);
    let matrices = [(); 3].map(|()| bench.buffer(4 * u64::from(size * size)));
    let mut best = (0.0, String::new());
    for product @ (entry, rows, columns) in PRODUCTS {
        let kernel = bench.product(size, product, &matrices)?;
        let groups = product_groups(size, product);
        let rate = best_rate(&BATCHES, 2.0 * f64::from(size).powi(3), |times| bench.run(&kernel, groups, times));
        if rate > best.0 {
            best = (rate, format!("{entry}, {} × {} in registers", 4 * rows, 4 * columns));
        }
    }
    drop(matrices);

    let bytes = COPIED.min(adapter.limits().max_storage_buffer_binding_size & !15);
    let kernel = bench.kernel(include_str!("copy.wgsl"), "copy", &[(); 2].map(|()| bench.buffer(bytes)))?;
    let groups = (bytes / 16).div_ceil(64) as u32;
    let copy_gbyte_per_second =
        best_rate(&BATCHES, (2 * bytes) as f64, |times| bench.run(&kernel, [1024, groups.div_ceil(1024)], times));

    let queries = pick(QUERIES);
    let buffers = [16 * u64::from(CODES), 4 * u64::from(queries)].map(|bytes| bench.buffer(bytes));
    let source = format!("const CODES: u32 = {CODES}u;\n{}", include_str!("popcount.wgsl"));
    let kernel = bench.kernel(&source, "popcount", &buffers)?;
    let operations = 3.0 * 4.0 * f64::from(CODES) * f64::from(queries);
    let popcount_gop_per_second = best_rate(&BATCHES, operations, |times| bench.run(&kernel, [queries / 64, 1], times));

    Ok(Ceilings {
        product_gflop_per_second: best.0,
        product_kernel: best.1,
        copy_gbyte_per_second,
        popcount_gop_per_second,
    })
}

/// Work that raises the clock of an adapter, which falls within seconds without any and takes tenths of a second to rise: what the host does
/// between two measurements would show as a slower adapter.
pub struct WarmUp {
    bench: Bench,
    kernel: Kernel,
    last: Cell<Option<Instant>>,
}

impl WarmUp {
    /// How long it works, and how long a clock is trusted after that.
    const SECONDS: f64 = 0.2;
    const LASTS: Duration = Duration::from_millis(500);

    pub fn new(adapter: &wgpu::Adapter) -> Result<Self> {
        let bench = Bench::open(adapter)?;
        let matrices = [(); 3].map(|()| bench.buffer(4 * u64::from(SIZES.0 * SIZES.0)));
        let kernel = bench.product(SIZES.0, PRODUCTS[0], &matrices)?;
        Ok(Self { bench, kernel, last: Cell::default() })
    }

    pub fn run(&self) {
        if self.last.get().is_some_and(|last| last.elapsed() < Self::LASTS) {
            return;
        }
        let begin = Instant::now();
        while begin.elapsed().as_secs_f64() < Self::SECONDS {
            self.bench.run(&self.kernel, product_groups(SIZES.0, PRODUCTS[0]), 1);
        }
        self.last.set(Some(Instant::now()));
    }
}

struct Bench {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

struct Kernel {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
}

/// Workgroups of a product of matrices of a size.
fn product_groups(size: u32, (_, rows, columns): Product) -> [u32; 2] {
    [size / (32 * columns), size / (32 * rows)]
}

impl Bench {
    fn open(adapter: &wgpu::Adapter) -> Result<Self> {
        let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).context("for the benchmark's own kernels")?;
        Ok(Self { device, queue })
    }

    fn product(&self, size: u32, (entry, rows, columns): Product, matrices: &[wgpu::Buffer; 3]) -> Result<Kernel> {
        let constants =
            format!("const SIZE: u32 = {size}u;\nconst ROWS: u32 = {rows}u;\nconst COLUMNS: u32 = {columns}u;\n");
        self.kernel(&(constants + include_str!("product.wgsl")), entry, matrices)
    }

    fn buffer(&self, size: u64) -> wgpu::Buffer {
        let usage = Usage::STORAGE;
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    }

    fn kernel(&self, source: &str, entry: &str, buffers: &[wgpu::Buffer]) -> Result<Kernel> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let source = wgpu::ShaderSource::Wgsl(Cow::Borrowed(source));
        let descriptor = wgpu::ShaderModuleDescriptor { label: Some(entry), source };
        // SAFETY: every index of these shaders is below the size of its array, and every loop has a bound.
        let module =
            unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: None,
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        let resources = buffers.iter().map(wgpu::Buffer::as_entire_binding);
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let layout = &pipeline.get_bind_group_layout(0);
        let group =
            self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(error).with_context(|| format!("the shader `{entry}` of the benchmark")),
            None => Ok(Kernel { pipeline, group }),
        }
    }

    /// Dispatches a kernel some times in one submission and waits for it.
    fn run(&self, kernel: &Kernel, [x, y]: [u32; 2], times: usize) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, &kernel.group, &[]);
            (0..times).for_each(|_| pass.dispatch_workgroups(x, y, 1));
        }
        self.queue.submit([encoder.finish()]);
        // A lost device is noticed by what follows.
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
    }
}
