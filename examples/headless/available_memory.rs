//! Whether sizes fit in memory, before it is taken.

use anyhow::{ensure, Context, Result};
use clustered_attention::{Element, Problem, Shape};

/// Bytes of the tensors of a call and of what is computed from them: queries, keys and values, and as many outputs as exist at a time (the
/// method's, the reference's, the trace's). Wide enough for any sizes.
pub fn tensor_bytes(shape: &Shape) -> u128 {
    4 * (input_elements(shape) + 3 * output_elements(shape))
}

/// Bytes that a call takes beyond the caller's tensors: scratch memory, and on an adapter the tensors' copies there (a software adapter has
/// them in the same memory) and on the way there.
pub fn call_bytes(problem: &Problem, scratch_bytes: u64, on_adapter: bool) -> u128 {
    let copies = if on_adapter { 8 * (input_elements(problem.shape()) + output_elements(problem.shape())) } else { 0 };
    // Halves beside what they were rounded from, and on the CPU what they are widened to.
    let rounded = match problem.element() {
        Element::F32 => 0,
        _ => {
            (2 + if on_adapter { 0 } else { 4 }) * (input_elements(problem.shape()) + output_elements(problem.shape()))
        }
    };
    u128::from(scratch_bytes) + copies + rounded
}

fn input_elements(shape: &Shape) -> u128 {
    let Shape { batch, query_heads, key_heads, queries, keys, width, value_width, .. } = shape;
    product(&[batch, query_heads, queries, width])
        + product(&[batch, key_heads, keys, width])
        + product(&[batch, key_heads, keys, value_width])
}

fn output_elements(shape: &Shape) -> u128 {
    product(&[&shape.batch, &shape.query_heads, &shape.queries, &shape.value_width])
}

fn product(sizes: &[&usize]) -> u128 {
    sizes.iter().fold(1, |product: u128, &&size| product.saturating_mul(size as u128))
}

/// Refuses what does not fit in the memory that is free.
///
/// # Errors
/// There is not as much.
pub fn ensure_free(bytes: u128, what: &str) -> Result<()> {
    let free = free_bytes();
    ensure!(
        bytes <= u128::from(free),
        "there is not enough memory: {what} takes {:.1} GiB, and {:.1} GiB are free",
        gibibytes(bytes),
        gibibytes(free.into())
    );
    Ok(())
}

/// Refuses to ask drivers where a limit of the address space leaves so little that they would end the process, or wait for ever, instead of
/// giving an error: software drivers compile with LLVM and map much for each thread.
///
/// # Errors
/// There is such a limit.
pub fn ensure_room_for_drivers() -> Result<()> {
    const NEEDED: u64 = 3 << 29;
    let left = address_space_left().unwrap_or(u64::MAX);
    ensure!(
        left >= NEEDED,
        "GPU drivers take {:.1} GiB of address space, and the limit of this process (ulimit -v) leaves {:.1} GiB",
        gibibytes(NEEDED.into()),
        gibibytes(left.into())
    );
    Ok(())
}

/// Zeros, or an error where the memory cannot be had.
pub fn zeros(elements: usize) -> Result<Vec<f32>> {
    let mut numbers = reserved(elements)?;
    numbers.resize(elements, 0.0);
    Ok(numbers)
}

/// Room for numbers, or an error where the memory cannot be had.
pub fn reserved<T>(elements: usize) -> Result<Vec<T>> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(elements).with_context(|| format!("there is no memory for {elements} numbers"))?;
    Ok(numbers)
}

fn gibibytes(bytes: u128) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// What this process can still take, as far as the system tells; where it does not, allocation does.
pub fn free_bytes() -> u64 {
    let limits = [machine_free(), container_limit(), address_space_left()];
    limits.into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// What is free on a Linux machine, or can be freed.
fn machine_free() -> Option<u64> {
    let facts = std::fs::read_to_string("/proc/meminfo").ok()?;
    Some(kibibytes(&facts, "MemAvailable:")?.saturating_add(kibibytes(&facts, "SwapFree:").unwrap_or(0)))
}

/// The most that a Linux container may take, with what it has taken: part of that can be freed.
fn container_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // No number is no limit.
    std::fs::read_to_string(format!("/sys/fs/cgroup/{group}/memory.max")).ok()?.trim().parse().ok()
}

/// What `ulimit -v` leaves of the address space, where the system tells.
fn address_space_left() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    // No number is no limit.
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    let taken = kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(taken))
}

/// Bytes of a line such as `MemAvailable:  1024 kB`.
fn kibibytes(facts: &str, name: &str) -> Option<u64> {
    let value = facts.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}
