// Rows that are drawn from the valid ones: where clusters start, and what a sample holds. `starts` holds a random number a cluster, then one
// a key group, then one a sample.
#import params

// The valid rows are cut into as many runs as there is to draw, and one row is taken from each: this many rows has the run.
fn run_size(index: u32, count: u32, length: u32) -> u32 {
    return length / count + select(0u, 1u, index < length % count);
}

fn run_position(number: u32, index: u32, count: u32, length: u32) -> u32 {
    return index * (length / count) + min(index, length % count) + number % max(run_size(index, count, length), 1u);
}

fn sample_position(sample: u32, samples: u32, length: u32) -> u32 {
    let number = starts[params.sizes.clusters + params.sizes.groups + sample];
    return run_position(number, sample, max(min(samples, length), 1u), length);
}
