//! The dispatches of a chunk, in order: launches of the steps' kernels, cut so that none runs for long. A pure function of the plan.

use crate::limits::Limits;
use crate::plan::{Chunk, Plan};
use crate::stages::{Given, Kept, Launch, Role, Stage, Step};
use std::ops::Range;

/// One dispatch and its share of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub kernel: &'static str,
    pub stage: Stage,
    pub role: Role,
    pub workgroups: [u32; 3],
    /// First slice, counted from the first of the chunk.
    pub slice_begin: u32,
    pub tile_begin: u32,
    pub clusters: Range<u32>,
    /// Of the keys that a tile goes through.
    pub keys: Range<u32>,
    /// Whether the tiles go on from an earlier dispatch, and whether they are done after this one.
    pub continues: bool,
    pub finishes: bool,
    pub parts: u32,
    /// Operations, at most `Limits::operations_per_dispatch` unless a single tile, over its depth, needs more.
    pub operations: u64,
    /// What a trace keeps once the dispatch is done.
    pub kept: Option<Kept>,
}

/// All dispatches of a chunk.
pub(crate) fn dispatches(plan: &Plan, chunk: &Chunk, given: Given) -> Vec<Dispatch> {
    let mut list = Vec::new();
    for step in plan.steps(given) {
        for launch in (step.stage.definition().launches)(&step, &plan.cut) {
            push(&mut list, plan, chunk.slices(), &step, &launch);
        }
        if let Some(last) = list.last_mut() {
            last.kept = step.kept;
        }
    }
    list
}

/// How many dispatches [`dispatches`] makes, at most, without making them.
pub(crate) fn count(plan: &Plan, slices: usize, given: Given) -> u64 {
    let of = |launch: &Launch| {
        let pieces = Pieces::of(launch, plan, slices);
        let [keys, slices, tiles] = [
            pieces.all_keys.div_ceil(pieces.keys),
            slices.div_ceil(pieces.slices),
            launch.tiles.div_ceil(pieces.tiles),
        ];
        (keys as u64).saturating_mul(slices as u64).saturating_mul(tiles as u64)
    };
    let steps = plan.steps(given);
    let launches = steps.iter().flat_map(|step| (step.stage.definition().launches)(step, &plan.cut));
    launches.fold(0, |sum: u64, launch| sum.saturating_add(of(&launch)))
}

/// How much of a launch one dispatch does at most.
struct Pieces {
    all_keys: usize,
    keys: usize,
    slices: usize,
    tiles: usize,
}

impl Pieces {
    fn of(launch: &Launch, plan: &Plan, all_slices: usize) -> Self {
        let most = plan.limits.workgroups_per_dimension as usize;
        let all_keys = launch.keys.unwrap_or(plan.problem.shape().keys);
        let budget = plan.limits.operations_per_dispatch;
        let keys = keys_of_dispatch(launch, all_slices, &plan.limits).min(all_keys);
        let operations = operations(launch, keys);
        let slices = fitting(budget, (launch.tiles as u64).saturating_mul(operations), all_slices).min(most);
        let tiles = fitting(budget, operations, launch.tiles).min(most);
        Self { all_keys, keys, slices, tiles }
    }
}

/// Operations of one tile with so many of its keys.
fn operations(launch: &Launch, keys: usize) -> u64 {
    match launch.keys {
        Some(all) => launch.operations / all as u64 * keys as u64,
        None => launch.operations,
    }
}

/// Cuts a launch so that no dispatch exceeds the operations or the workgroups of one.
fn push(list: &mut Vec<Dispatch>, plan: &Plan, all_slices: usize, step: &Step, launch: &Launch) {
    let Pieces { all_keys, keys, slices, tiles } = Pieces::of(launch, plan, all_slices);
    for key in (0..all_keys).step_by(keys) {
        let keys = key..key.saturating_add(keys).min(all_keys);
        let operations = operations(launch, keys.len());
        for slice in (0..all_slices).step_by(slices) {
            let slices = slices.min(all_slices - slice);
            for tile in (0..launch.tiles).step_by(tiles) {
                let tiles = tiles.min(launch.tiles - tile);
                list.push(Dispatch {
                    kernel: launch.kernel,
                    stage: step.stage,
                    role: step.role,
                    workgroups: [tiles as u32, slices as u32, launch.depth as u32],
                    slice_begin: slice as u32,
                    tile_begin: tile as u32,
                    clusters: step.clusters.start as u32..step.clusters.end as u32,
                    keys: keys.start as u32..keys.end as u32,
                    continues: keys.start > 0,
                    finishes: keys.end == all_keys,
                    parts: launch.parts as u32,
                    operations: (tiles as u64 * slices as u64).saturating_mul(operations),
                    kept: None,
                });
            }
        }
    }
}

/// Keys that a tile goes through in one dispatch, at least: fewer would not be worth what it takes to leave off and go on. Few keys leave many
/// tiles to a dispatch of bounded work, which a large GPU needs: with 1,024, an H200 took 1.7 times as long.
const LEAST_KEYS: u64 = 256;
/// The same of a software adapter, which a few tiles keep busy.
const SOFTWARE_LEAST_KEYS: u64 = 1024;

/// Keys that a tile goes through in one dispatch. Long rows are cut by keys first, which leaves every dispatch as many workgroups as there
/// are.
fn keys_of_dispatch(launch: &Launch, slices: usize, limits: &Limits) -> usize {
    let Some(keys) = launch.keys else { return usize::MAX };
    let key_operations = (launch.tiles as u64 * slices as u64).saturating_mul(launch.operations / keys as u64);
    let fitting = limits.operations_per_dispatch / key_operations.max(1);
    let least = if limits.software { SOFTWARE_LEAST_KEYS } else { LEAST_KEYS };
    (fitting / 64 * 64).max(least).min(keys as u64) as usize
}

/// How many things of some operations each fit a dispatch: at least one, at most `all`.
fn fitting(budget: u64, operations: u64, all: usize) -> usize {
    (budget / operations.max(1)).clamp(1, all as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::kernels::{Operand, KERNELS};
    use crate::limits::OPERATIONS_PER_DISPATCH;
    use crate::stages::KERNEL_TILE;
    use crate::{Guard, KeyGroups, Method, Problem, Shape, Stitched};

    fn plan(shape: Shape, method: Method) -> Plan {
        let problem = Problem::new(shape, method).expect("a valid problem");
        Plan::new(&problem, &Limits::webgpu_defaults()).expect("a plan")
    }

    fn all(shape: Shape, method: Method) -> Vec<Dispatch> {
        let plan = plan(shape, method);
        plan.chunks().flat_map(|chunk| dispatches(&plan, &chunk, Given::default())).collect()
    }

    #[test]
    fn no_dispatch_grows_without_bound() {
        let window = Method::sliding_window(5000, 3000).with_sinks(2000);
        for length in [100, 8192, 131_072] {
            let guarded = Method::stitched(25).with_guard(Guard::new().with_rows(64));
            let others = [Method::Exact, Method::stitched(1000), Method::improved(100), window];
            for method in others.into_iter().chain([guarded]) {
                for dispatch in all(Shape::self_attention(2, 8, length, 64), method) {
                    assert!(dispatch.operations <= OPERATIONS_PER_DISPATCH, "{dispatch:?}");
                    assert!(dispatch.workgroups.iter().all(|&count| (1..=65_535).contains(&count)), "{dispatch:?}");
                }
            }
        }
    }

    #[test]
    fn small_clusters_share_tiles_and_large_ones_have_their_own() {
        let tiles = |clusters, block_queries| {
            let shape = Shape::self_attention(1, 1, 1000, 16);
            let problem = Problem::new(shape, Method::improved(clusters)).expect("a valid problem");
            let limits = Limits { block_queries, ..Limits::webgpu_defaults() };
            let plan = Plan::new(&problem, &limits).expect("a plan");
            let chunk = plan.chunks().next().expect("a chunk");
            let all = dispatches(&plan, &chunk, Given::default());
            let refine = all.iter().find(|dispatch| dispatch.stage == Stage::RefineTopK);
            refine.expect("a refinement").workgroups[0]
        };
        assert_eq!(tiles(100, 0), 16);
        assert_eq!(tiles(7, 0), 16 + 8);
        // A tile of blocks is of one cluster, however small.
        assert_eq!(tiles(100, 4), 16 + 101);
    }

    #[test]
    fn short_inputs_take_few_dispatches() {
        let count = |length, software| {
            let problem = Problem::new(Shape::self_attention(1, 8, length, 64), Method::stitched(25));
            let limits = Limits { software, ..Limits::webgpu_defaults() };
            let plan = Plan::new(&problem.expect("a valid problem"), &limits).expect("a plan");
            let kernels = dispatches(&plan, &plan.chunks().next().expect("a chunk"), Given::default());
            (kernels.len(), kernels.iter().any(|dispatch| dispatch.kernel == "group_members"))
        };
        assert_eq!(count(1500, false), (27, true));
        assert_eq!(count(1500, true), (31, false));
        // Of few groups, but not of the clusters.
        assert!(count(12_000, false).1);
        assert!(!count(16_000, false).1);
    }

    #[test]
    fn exact_attention_takes_wide_blocks_where_registers_and_tiles_are_many() {
        let queries = |length, wide_blocks, block_queries| {
            let problem =
                Problem::new(Shape::self_attention(1, 8, length, 64), Method::Exact).expect("a valid problem");
            let limits = Limits { wide_blocks, block_queries, ..Limits::webgpu_defaults() };
            Plan::new(&problem, &limits).expect("a plan").cut.exact_queries
        };
        assert_eq!(queries(4096, true, 4), 8);
        assert_eq!(queries(4000, true, 4), 4);
        assert_eq!(queries(4096, false, 4), 4);
        assert_eq!(queries(4096, false, 0), 0);
    }

    #[test]
    fn exact_attention_covers_every_key_of_every_tile_in_order() {
        covers_every_key(Method::Exact, 20_000);
        // What a tile of 64 sees of both runs together.
        covers_every_key(Method::sliding_window(5000, 3000).with_sinks(2000), 64 + 5000 + 3000 + 2000);
    }

    #[test]
    fn dispatches_are_counted_without_being_made() {
        for (length, method) in [(100, Method::Exact), (20_000, Method::Exact), (131_072, Method::stitched(1000))] {
            let plan = plan(Shape::self_attention(1, 3, length, 64), method);
            for chunk in plan.chunks() {
                let made = dispatches(&plan, &chunk, Given::default()).len() as u64;
                assert_eq!(count(&plan, chunk.slices(), Given::default()), made);
            }
        }
    }

    fn covers_every_key(method: Method, keys: u32) {
        let shape = Shape::self_attention(1, 3, 20_000, 64);
        let tiles = 20_000usize.div_ceil(KERNEL_TILE);
        let mut next_key = vec![0; 3 * tiles];
        let dispatches = all(shape, method);
        assert!(dispatches.len() > 1);
        for dispatch in dispatches {
            for slice in dispatch.slice_begin..dispatch.slice_begin + dispatch.workgroups[1] {
                for tile in dispatch.tile_begin..dispatch.tile_begin + dispatch.workgroups[0] {
                    let next = &mut next_key[slice as usize * tiles + tile as usize];
                    assert_eq!(*next, dispatch.keys.start);
                    assert_eq!(dispatch.continues, *next > 0);
                    *next = dispatch.keys.end;
                    assert_eq!(dispatch.finishes, *next == keys);
                }
            }
        }
        assert!(next_key.iter().all(|&key| key == keys));
    }

    #[test]
    fn steps_launch_kernels_of_their_stage_in_order_and_every_kernel_is_launched() {
        let guarded = Method::stitched(7).with_guard(Guard::new());
        let spread = Method::stitched(7).with_key_groups(KeyGroups::new(5).with_spread(true));
        let hamming = Method::Stitched(Stitched::hamming(7)).with_guard(Guard::new());
        let usual = [Method::Exact, Method::clustered(7), Method::improved(7), Method::stitched(7)];
        let methods = usual.into_iter().chain([guarded, spread, hamming]);
        let mut known = std::collections::HashSet::new();
        for (length, method) in [100, 50_000].into_iter().flat_map(|length| methods.clone().map(move |m| (length, m))) {
            let plan = plan(Shape::self_attention(1, 1, length, 8), method);
            for step in plan.steps(Given::default()) {
                let definition = step.stage.definition();
                let mut kernels = definition.kernels.iter();
                for Launch { kernel: name, .. } in (definition.launches)(&step, &plan.cut) {
                    assert!(kernels.any(|kernel| *kernel == name), "{name} of {}", step.stage);
                    let kernel = KERNELS.iter().find(|kernel| kernel.entry_point == name).expect("a kernel");
                    assert_eq!(kernel.file, step.stage.name());
                    known.insert(name);
                    // All memory that it binds is in the table.
                    for (operand, _) in &kernel.bindings {
                        if let Operand::Scratch(piece) = operand {
                            assert!(plan.words_of(*piece) > 0, "{name} binds {piece:?}");
                        }
                    }
                }
            }
        }
        let left: Vec<&str> = (Stage::ALL.iter().flat_map(|stage| stage.definition().kernels).copied())
            .filter(|kernel| !known.contains(kernel))
            .collect();
        assert!(left.is_empty(), "{left:?} are never launched");
    }
}
