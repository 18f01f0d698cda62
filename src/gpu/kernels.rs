//! Every kernel, declared once: source, entry point, shared pieces and bindings. A test holds the bindings against the shaders.

use crate::plan::dispatch::KernelName;
use crate::plan::{Cut, Scratch, Tensor};
use crate::Problem;
use Access::{Read, Write};
use Operand::{FoundBad, Lengths, Planes, Starts};

/// What a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    Tensor(Tensor),
    Scratch(Scratch),
    /// Hash planes with their thresholds.
    Planes,
    /// Random numbers or positions that start the clusters.
    Starts,
    /// Valid queries and keys of each sequence.
    Lengths,
    /// The tensor that is checked, whichever it is.
    Checked,
    /// Offset of a NaN or infinity.
    FoundBad,
}

/// How a kernel uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A kernel's declaration. Binding 0 is the uniform `params`; the others follow in order from 1.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub name: KernelName,
    pub entry_point: &'static str,
    pub source: &'static str,
    pub shared: &'static [&'static str],
    pub bindings: &'static [(Operand, Access)],
}

const PARAMS: &str = include_str!("../../shaders/shared/params.wgsl");
const LENGTHS: &str = include_str!("../../shaders/shared/lengths.wgsl");
const CLUSTER_SUMS_ROWS: &str = include_str!("../../shaders/shared/cluster_sums.wgsl");
const CODES_OF_CENTROIDS: &str = include_str!("../../shaders/shared/centroid_codes.wgsl");
const QUERY: &str = include_str!("../../shaders/shared/query.wgsl");
const TILE: &str = include_str!("../../shaders/shared/tile.wgsl");
const LOAD_VEC4: &str = include_str!("../../shaders/shared/load_vec4.wgsl");
const LOAD_SCALAR: &str = include_str!("../../shaders/shared/load_scalar.wgsl");
const STORE_VEC4: &str = include_str!("../../shaders/shared/store_vec4.wgsl");
const STORE_SCALAR: &str = include_str!("../../shaders/shared/store_scalar.wgsl");

const QUERIES: Operand = Operand::Tensor(Tensor::Queries);
const KEYS: Operand = Operand::Tensor(Tensor::Keys);
const VALUES: Operand = Operand::Tensor(Tensor::Values);
const OUTPUT: Operand = Operand::Tensor(Tensor::Output);
const CODES: Operand = Operand::Scratch(Scratch::Codes);
const CENTROID_CODES: Operand = Operand::Scratch(Scratch::CentroidCodes);
const VOTES: Operand = Operand::Scratch(Scratch::Votes);
const CLUSTERS: Operand = Operand::Scratch(Scratch::Clusters);
const GROUPS: Operand = Operand::Scratch(Scratch::Groups);
const BLOCK_COUNTS: Operand = Operand::Scratch(Scratch::BlockCounts);
const MEAN_PARTIALS: Operand = Operand::Scratch(Scratch::MeanPartials);
const CENTROIDS: Operand = Operand::Scratch(Scratch::Centroids);
const WEIGHTS: Operand = Operand::Scratch(Scratch::Weights);
const TOP_KEYS: Operand = Operand::Scratch(Scratch::TopKeys);
const CLUSTER_SUMS: Operand = Operand::Scratch(Scratch::ClusterSums);
const STATE: Operand = Operand::Scratch(Scratch::State);

const HAMMING_UPDATE: &str = include_str!("../../shaders/hamming_update.wgsl");
const HAMMING_UPDATE_BINDINGS: &[(Operand, Access)] =
    &[(CODES, Read), (CLUSTERS, Read), (VOTES, Write), (CENTROID_CODES, Write)];
const GROUP_BY_CLUSTER: &str = include_str!("../../shaders/group_by_cluster.wgsl");
const GROUP_BY_CLUSTER_BINDINGS: &[(Operand, Access)] = &[(CLUSTERS, Read), (BLOCK_COUNTS, Write), (GROUPS, Write)];
const CENTROID_MEANS: &str = include_str!("../../shaders/centroid_means.wgsl");
const CENTROID_MEANS_BINDINGS: &[(Operand, Access)] =
    &[(QUERIES, Read), (GROUPS, Read), (Lengths, Read), (MEAN_PARTIALS, Write), (CENTROIDS, Write)];
const REMAINDER: &str = include_str!("../../shaders/remainder.wgsl");
const REMAINDER_BINDINGS: &[(Operand, Access)] =
    &[(WEIGHTS, Read), (VALUES, Read), (Lengths, Read), (CLUSTER_SUMS, Write)];

/// All kernels, in the order of the computation.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        name: KernelName::HashCodes,
        entry_point: "hash_codes",
        source: include_str!("../../shaders/hash_codes.wgsl"),
        shared: &[QUERY],
        bindings: &[(QUERIES, Read), (Planes, Read), (CENTROIDS, Read), (CODES, Write)],
    },
    Kernel {
        name: KernelName::InitialCentroids,
        entry_point: "initial_centroids",
        source: include_str!("../../shaders/initial_centroids.wgsl"),
        shared: &[LENGTHS, CODES_OF_CENTROIDS],
        bindings: &[(CODES, Read), (Starts, Read), (Lengths, Read), (CENTROID_CODES, Write)],
    },
    Kernel {
        name: KernelName::HammingAssign,
        entry_point: "hamming_assign",
        source: include_str!("../../shaders/hamming_assign.wgsl"),
        shared: &[LENGTHS, CODES_OF_CENTROIDS],
        bindings: &[(CODES, Read), (CENTROID_CODES, Read), (Lengths, Read), (CLUSTERS, Write)],
    },
    Kernel {
        name: KernelName::Vote,
        entry_point: "vote",
        source: HAMMING_UPDATE,
        shared: &[CODES_OF_CENTROIDS],
        bindings: HAMMING_UPDATE_BINDINGS,
    },
    Kernel {
        name: KernelName::Majority,
        entry_point: "majority",
        source: HAMMING_UPDATE,
        shared: &[CODES_OF_CENTROIDS],
        bindings: HAMMING_UPDATE_BINDINGS,
    },
    Kernel {
        name: KernelName::CountMembers,
        entry_point: "count_members",
        source: GROUP_BY_CLUSTER,
        shared: &[],
        bindings: GROUP_BY_CLUSTER_BINDINGS,
    },
    Kernel {
        name: KernelName::GroupOffsets,
        entry_point: "group_offsets",
        source: GROUP_BY_CLUSTER,
        shared: &[],
        bindings: GROUP_BY_CLUSTER_BINDINGS,
    },
    Kernel {
        name: KernelName::ScatterMembers,
        entry_point: "scatter_members",
        source: GROUP_BY_CLUSTER,
        shared: &[],
        bindings: GROUP_BY_CLUSTER_BINDINGS,
    },
    Kernel {
        name: KernelName::PartialMeans,
        entry_point: "partial_means",
        source: CENTROID_MEANS,
        shared: &[LENGTHS],
        bindings: CENTROID_MEANS_BINDINGS,
    },
    Kernel {
        name: KernelName::CombineMeans,
        entry_point: "combine_means",
        source: CENTROID_MEANS,
        shared: &[LENGTHS],
        bindings: CENTROID_MEANS_BINDINGS,
    },
    Kernel {
        name: KernelName::EuclideanAssign,
        entry_point: "euclidean_assign",
        source: include_str!("../../shaders/euclidean_assign.wgsl"),
        shared: &[LENGTHS, QUERY],
        bindings: &[(QUERIES, Read), (CENTROIDS, Read), (Lengths, Read), (CLUSTERS, Write)],
    },
    Kernel {
        name: KernelName::CentroidLogits,
        entry_point: "centroid_logits",
        source: include_str!("../../shaders/centroid_logits.wgsl"),
        shared: &[LENGTHS],
        bindings: &[(KEYS, Read), (CENTROIDS, Read), (Lengths, Read), (WEIGHTS, Write)],
    },
    Kernel {
        name: KernelName::TopK,
        entry_point: "top_k",
        source: include_str!("../../shaders/top_k.wgsl"),
        shared: &[LENGTHS, CLUSTER_SUMS_ROWS],
        bindings: &[(WEIGHTS, Write), (Lengths, Read), (TOP_KEYS, Write), (CLUSTER_SUMS, Write)],
    },
    Kernel {
        name: KernelName::PartialRemainder,
        entry_point: "partial_remainder",
        source: REMAINDER,
        shared: &[LENGTHS, CLUSTER_SUMS_ROWS],
        bindings: REMAINDER_BINDINGS,
    },
    Kernel {
        name: KernelName::CombineRemainder,
        entry_point: "combine_remainder",
        source: REMAINDER,
        shared: &[LENGTHS, CLUSTER_SUMS_ROWS],
        bindings: REMAINDER_BINDINGS,
    },
    Kernel {
        name: KernelName::RefineTopK,
        entry_point: "refine_top_k",
        source: include_str!("../../shaders/refine_top_k.wgsl"),
        shared: &[QUERY, TILE, CLUSTER_SUMS_ROWS],
        bindings: &[
            (QUERIES, Read),
            (KEYS, Read),
            (VALUES, Read),
            (OUTPUT, Write),
            (GROUPS, Read),
            (TOP_KEYS, Read),
            (CLUSTER_SUMS, Read),
            (STATE, Write),
        ],
    },
    Kernel {
        name: KernelName::StitchWindow,
        entry_point: "stitch_window",
        source: include_str!("../../shaders/stitch_window.wgsl"),
        shared: &[LENGTHS, QUERY, TILE, CLUSTER_SUMS_ROWS],
        bindings: &[
            (QUERIES, Read),
            (KEYS, Read),
            (VALUES, Read),
            (OUTPUT, Write),
            (Lengths, Read),
            (WEIGHTS, Read),
            (CLUSTER_SUMS, Read),
            (STATE, Read),
        ],
    },
    Kernel {
        name: KernelName::ExactAttention,
        entry_point: "exact_attention",
        source: include_str!("../../shaders/exact_attention.wgsl"),
        shared: &[LENGTHS, QUERY, TILE],
        bindings: &[(QUERIES, Read), (KEYS, Read), (VALUES, Read), (OUTPUT, Write), (Lengths, Read), (STATE, Write)],
    },
    Kernel {
        name: KernelName::CheckFinite,
        entry_point: "check_finite",
        source: include_str!("../../shaders/check_finite.wgsl"),
        shared: &[],
        bindings: &[(Operand::Checked, Read), (Lengths, Read), (FoundBad, Write)],
    },
];

/// What the same kernel is compiled differently for, beside its constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Variant {
    /// Rows of all tensors begin and end at multiples of four elements.
    pub vectors: bool,
    /// The output lies in a buffer that also holds an input. A buffer has one usage in a dispatch, so kernels that write the output then
    /// declare what they only read as written too.
    pub one_buffer: bool,
}

impl Kernel {
    /// How a binding is declared in a variant.
    pub fn declared_access(&self, operand: Operand, access: Access, variant: Variant) -> Access {
        let writes_output = self.bindings.contains(&(OUTPUT, Write));
        match operand {
            Operand::Tensor(_) if variant.one_buffer && writes_output => Write,
            _ => access,
        }
    }
}

/// The declaration of a kernel.
pub(crate) fn kernel(name: KernelName) -> &'static Kernel {
    // A test holds the order of the list against that of the names.
    let kernel = &KERNELS[name as usize];
    debug_assert_eq!(kernel.name, name);
    kernel
}

#[cfg(test)]
impl Operand {
    /// The name of the variable in the shaders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tensor(tensor) => tensor.name(),
            Self::Scratch(scratch) => scratch.name(),
            Planes => "planes",
            Starts => "starts",
            Lengths => "lengths",
            Self::Checked => "tensor",
            FoundBad => "found",
        }
    }
}

/// Sizes that shaders are compiled for, because private and workgroup arrays need them.
pub(crate) fn constants(problem: &Problem, cut: &Cut) -> Vec<(&'static str, usize)> {
    let shape = problem.shape();
    vec![
        ("WIDTH_VECTORS", cut.width4),
        ("WIDTH_PARTS", cut.width_parts),
        ("QUERY_REGISTERS", cut.query_registers),
        ("VALUE_VECTORS", cut.value_width4),
        ("VALUE_PARTS", cut.value_parts),
        ("VALUE_REGISTERS", cut.value_registers),
        ("WORDS", cut.words),
        ("VOTE_CLUSTERS", cut.vote_clusters),
        ("LOGIT_CLUSTERS", cut.logit_clusters),
        ("REMAINDER_CLUSTERS", cut.remainder_clusters),
        ("PACKED", usize::from(cut.refine_packed)),
        ("queries_WIDTH", shape.width),
        ("queries_VECTORS", cut.width4),
        ("keys_WIDTH", shape.width),
        ("keys_VECTORS", cut.width4),
        ("values_WIDTH", shape.value_width),
        ("values_VECTORS", cut.value_width4),
        ("output_WIDTH", shape.value_width),
        ("output_VECTORS", cut.value_width4),
    ]
}

/// The WGSL module of a kernel: shared pieces and source, with the constants they name, as a variant.
pub(crate) fn module_source(kernel: &Kernel, constants: &[(&'static str, usize)], variant: Variant) -> String {
    let mut body = String::from(PARAMS);
    for piece in kernel.shared.iter().chain([&kernel.source]) {
        body += piece;
    }
    for &(operand, access) in kernel.bindings {
        if let (Operand::Tensor(tensor), true) = (operand, kernel.declared_access(operand, access, variant) != access) {
            let name = tensor.name();
            body = body.replace(&format!("var<storage, read> {name}:"), &format!("var<storage, read_write> {name}:"));
        }
    }
    for tensor in Tensor::ALL {
        // The loads and stores are the same text for every tensor and element type.
        let mut include = |verb: &str, vec4: &str, scalar: &str| {
            if body.contains(&format!("{verb}_{}(", tensor.name())) {
                let piece = if variant.vectors { vec4 } else { scalar };
                body += &piece.replace("TENSOR", tensor.name());
            }
        };
        include("load", LOAD_VEC4, LOAD_SCALAR);
        include("store", STORE_VEC4, STORE_SCALAR);
    }
    let mut header = format!("alias element = {};\n", if variant.vectors { "vec4f" } else { "f32" });
    for (name, value) in constants {
        if body.contains(name) {
            header += &format!("const {name}: u32 = {value}u;\n");
        }
    }
    header + &body
}
