//! Every reference case (float64 truth) on the CPU and on every adapter. A case is driven by what its file says, never by its name.
//!
//! `CLUSTERED_ATTENTION_VECTORS` names another folder of `.safetensors` files than the one that ships: a program of its own, so that it can be
//! run alone on them.

// The other program uses the rest of it.
#[allow(dead_code)]
#[path = "library/common/mod.rs"]
mod common;
#[path = "vectors/vector_file.rs"]
mod vector_file;

use clustered_attention::{
    Clustering, Error, Inputs, KeyGroups, Method, Stage, Stitched, Supplied, Trace, NO_CLUSTER, NO_KEY,
};
use common::{engines, relative_difference, Engine};
use std::collections::BTreeMap;
use std::path::PathBuf;
use vector_file::VectorFile;

/// A problem one value at a time, as text: what differs and by how much.
type Findings = Vec<String>;

#[test]
fn every_vector_file_passes() {
    let folder = std::env::var_os("CLUSTERED_ATTENTION_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")), PathBuf::from);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no vector file", folder.display());

    let files: Vec<VectorFile> = paths.iter().map(|path| VectorFile::load(path)).collect();
    let engines = with_matrix_units(engines());
    // Back ends take turns with nobody: most of the time one thread of a software adapter compiles kernels.
    let (mut findings, mut checked) = (Findings::new(), 0);
    std::thread::scope(|scope| {
        let runs: Vec<_> = engines.iter().map(|engine| scope.spawn(|| check_all(&files, engine))).collect();
        for run in runs {
            let (found, compared) = run.join().expect("a check of files panicked");
            findings.extend(found);
            checked += compared;
        }
    });
    let mut left_out: BTreeMap<&'static str, usize> = BTreeMap::new();
    for file in &files {
        for reason in file.names().filter_map(|name| reason_to_leave_out(file, name)) {
            *left_out.entry(reason).or_default() += 1;
        }
    }
    println!("{} files on {} back ends: {checked} tensors compared", paths.len(), engines.len());
    for (reason, count) in left_out {
        println!("left out for now: {count} tensors, {reason}");
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Back ends, and those whose adapter has matrix units once more with them.
fn with_matrix_units(mut engines: Vec<Engine>) -> Vec<Engine> {
    for index in 0..engines.len() {
        let Engine { name, attention } = &engines[index];
        match attention.clone().with_matrix_units_blocking() {
            Ok(attention) => engines.push(Engine { name: format!("matrix units of {name}"), attention }),
            Err(Error::NoMatrixUnits { reason }) => println!("SKIPPED: matrix units of {name}: {reason}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    let demanded = std::env::var_os("CLUSTERED_ATTENTION_MATRIX_UNITS").is_some();
    assert!(!demanded || engines.iter().any(|engine| engine.name.starts_with("matrix units")), "there are none");
    engines
}

/// Every file on one back end: what differs, and how many tensors were compared.
fn check_all(files: &[VectorFile], engine: &Engine) -> (Findings, usize) {
    let (mut findings, mut checked) = (Findings::new(), 0);
    for file in files {
        let mut worst: f64 = 0.0;
        checked += check(file, engine, &mut findings, &mut worst);
        println!("{:28} {:40} worst output difference {worst:.1e}", file.name, engine.name);
    }
    (findings, checked)
}

/// Why a tensor of a file is not compared; `None` where it is, or where it is an input or a margin.
fn reason_to_leave_out(file: &VectorFile, name: &str) -> Option<&'static str> {
    let gradient = ["_dq", "_dk", "_dv", "_dq_cm", "_dk_cm"].iter().any(|suffix| name.ends_with(suffix));
    if gradient || name == "grad_out" {
        return Some("gradients");
    }
    match file.format() {
        "exact-2" if name == "lse" => return Some("log-sum-exp"),
        "exact-2" => return reason_of_visibility(file),
        _ => {}
    }
    (file.flag("causal") && name.starts_with("out_")).then_some("outputs of causal cases by clusters")
}

/// What a case of visibility has that is not computed yet.
fn reason_of_visibility(file: &VectorFile) -> Option<&'static str> {
    let reasons = [("key_mask", "key masks"), ("slopes", "biases"), ("softcap", "softcaps")];
    reasons.into_iter().find(|(name, _)| file.flag(name)).map(|(_, reason)| reason)
}

/// Exact attention of what a case says that queries see.
fn check_visibility(file: &VectorFile, engine: &Engine, findings: &mut Findings, worst: &mut f64) -> usize {
    if reason_of_visibility(file).is_some() {
        return 0;
    }
    let inputs = Inputs::new(file.floats("queries"), file.floats("keys"), file.floats("values"))
        .with_lengths(file.integers("query_lengths"), file.integers("key_lengths"));
    let (left, right, sinks) = (file.bound("left"), file.bound("right"), file.size("sinks"));
    let mut methods = vec![Method::sliding_window(left, right).with_sinks(sinks)];
    if left.is_none() && right.is_none() {
        methods.push(Method::Exact);
    }
    let mut report = Report { file, engine, findings, worst, compared: 0 };
    for method in methods {
        let problem = file.problem(method).with_causal(file.flag("causal")).expect("a causal problem");
        let output = engine.attention.run_blocking(&problem, &inputs);
        let output = output.unwrap_or_else(|error| panic!("{} on {}: {error}", file.name, engine.name));
        report.output("out_exact", &output);
    }
    report.compared
}

/// Key groups, with assignment, groups and top-k keys given.
fn check_groups(file: &VectorFile, engine: &Engine, findings: &mut Findings, worst: &mut f64) -> usize {
    let inputs = Inputs::new(file.floats("queries"), file.floats("keys"), file.floats("values"))
        .with_lengths(file.integers("query_lengths"), file.integers("key_lengths"));
    let (top_k, groups) = (file.size("topk"), file.size("groups"));
    let method = Method::stitched(file.size("clusters")).with_top_k(top_k).with_window(file.window());
    let problem = file.problem(method.with_key_groups(groups));
    let supplied = Supplied::default()
        .with_assignment(file.integers("clusters"))
        .with_key_groups(file.integers("key_groups"))
        .with_top_keys(file.integers("topk"));
    let trace = engine.attention.trace_blocking(&problem, &inputs, &supplied);
    let trace = trace.unwrap_or_else(|error| panic!("{} on {}: {error}", file.name, engine.name));
    let mut report = Report { file, engine, findings, worst, compared: 0 };
    report.output("out_groups", &trace.output);
    report.integers("counts", &trace.counts, file.integers("counts"));
    report.floats("q_centroids", &trace.centroids, 1e-5);
    report.floats("group_keys", &trace.pseudo_keys, file.tolerance());
    report.floats("group_values", &trace.pseudo_values, file.tolerance());
    report.log_masses(&trace.group_log_mass);
    report.top_keys(&trace);
    let padding_named =
        file.integers("key_groups").iter().map(|&group| if group as i32 == -1 { NO_CLUSTER } else { group });
    report.integers("key_groups", &trace.key_groups, &padding_named.collect::<Vec<_>>());
    report.output("out_full", &engine.attention.run_blocking(&file.problem(Method::Exact), &inputs).expect("exact"));
    report.compared
}

/// Clustering in the metric of the logits, groups and selection, from given starts.
fn check_metric(file: &VectorFile, engine: &Engine, findings: &mut Findings, worst: &mut f64) -> usize {
    let shape = file.shape();
    let values = vec![1.0; shape.value_elements()];
    let inputs = Inputs::new(file.floats("queries"), file.floats("keys"), &values)
        .with_lengths(file.integers("query_lengths"), file.integers("key_lengths"));
    let supplied = Supplied::default()
        .with_initial_positions(file.integers("init_idx"))
        .with_initial_key_positions(file.integers("group_init_idx"));
    let run = |query_rounds: usize, key_rounds: usize| {
        let key_groups =
            KeyGroups::new(file.size("groups")).with_rounds(key_rounds).with_spread(file.flag("spread_weight"));
        let method = Method::stitched(1)
            .with_clustering(|options| {
                *options = Clustering::metric(file.size("clusters"));
                options.iterations = query_rounds;
            })
            .with_top_k(file.size("topk"))
            .with_window(None)
            .with_key_groups(key_groups);
        let trace = engine.attention.trace_blocking(&file.problem(method), &inputs, &supplied);
        trace.unwrap_or_else(|error| panic!("{} on {}: {error}", file.name, engine.name))
    };
    let named = |name: &str| -> Vec<u32> {
        let cluster = |&cluster: &u32| if cluster as i32 == -1 { NO_CLUSTER } else { cluster };
        file.integers(name).iter().map(cluster).collect()
    };
    let mut report = Report { file, engine, findings, worst, compared: 0 };
    // The last assignment is of all rows, as every one is where the sample holds them all.
    let (query_rounds, key_rounds) = (file.size("query_steps") - 1, file.size("key_steps") - 1);
    for round in 0..=query_rounds {
        let name = if round < query_rounds { format!("clusters_step{}", round + 1) } else { "clusters".into() };
        report.integers(&name, &run(round, 0).assignment, &named(&name));
    }
    for round in 0..=key_rounds {
        let name = if round < key_rounds { format!("key_groups_step{}", round + 1) } else { "key_groups".into() };
        report.integers(&name, &run(query_rounds, round).key_groups, &named(&name));
    }
    let trace = run(query_rounds, key_rounds);
    report.whole("key_cov", &trace.key_covariance, 1e-5);
    report.whole("query_cov", &trace.query_covariance, 1e-5);
    report.whole("q_centroids", &trace.centroids, 1e-5);
    report.top_keys(&trace);
    report.compared
}

fn check(file: &VectorFile, engine: &Engine, findings: &mut Findings, worst: &mut f64) -> usize {
    match file.format() {
        "exact-2" => return check_visibility(file, engine, findings, worst),
        "groups-1" => return check_groups(file, engine, findings, worst),
        "metric-1" => return check_metric(file, engine, findings, worst),
        _ => {}
    }
    let shape = file.shape();
    let inputs = Inputs::new(file.floats("queries"), file.floats("keys"), file.floats("values"))
        .with_lengths(file.integers("query_lengths"), file.integers("key_lengths"));
    let supplied =
        Supplied::default().with_planes(file.floats("planes")).with_initial_positions(file.integers("init_idx"));
    let run = |method: Method, supplied: &Supplied| -> Trace {
        engine
            .attention
            .trace_blocking(&file.problem(method), &inputs, supplied)
            .unwrap_or_else(|error| panic!("{} on {}: {error}", file.name, engine.name))
    };
    let (clustering, top_k) = (file.clustering(), file.size("topk"));
    let mut report = Report { file, engine, findings, worst, compared: 0 };

    // Clustered attention is where a case has it; otherwise its top-k keys and groups are those of the stitched method.
    let stitched = Method::Stitched(Stitched::hamming(1))
        .with_clustering(|options| *options = clustering)
        .with_top_k(top_k)
        .with_window(file.window());
    let improved = Method::improved(1).with_clustering(|options| *options = clustering).with_top_k(top_k);
    let trace = run(if file.find_floats("out_stitched").is_some() { stitched } else { improved }, &supplied);
    report.clustering(&trace);
    report.top_keys(&trace);

    if !file.flag("causal") {
        if file.find_floats("out_stitched").is_some() {
            report.output("out_stitched", &trace.output);
        } else {
            report.output("out_improved", &trace.output);
            report.floats("topk_mass", &trace.top_mass, 1e-5);
            report.output(
                "out_clustered",
                &run(Method::clustered(1).with_clustering(|options| *options = clustering), &supplied).output,
            );
            // The same assignment from outside gives the same result without hashing.
            let assignment = Supplied::default().with_assignment(trace.assignment.as_slice());
            let given = run(improved, &assignment);
            assert!(given.stages.iter().all(|(stage, _)| *stage != Stage::HashCodes));
            report.output("out_improved", &given.output);
        }
        report.output("out_full", &run(Method::Exact, &Supplied::default()).output);
    }
    assert_eq!(trace.assignment.len(), shape.batch * shape.query_heads * shape.queries);
    report.compared
}

struct Report<'a> {
    file: &'a VectorFile,
    engine: &'a Engine,
    findings: &'a mut Findings,
    worst: &'a mut f64,
    compared: usize,
}

impl Report<'_> {
    fn find(&mut self, what: String) {
        self.findings.push(format!("{} on {}: {what}", self.file.name, self.engine.name));
    }

    /// Outputs of valid queries against the truth; padding queries must be zero.
    fn output(&mut self, name: &str, output: &[f32]) {
        self.compared += 1;
        let shape = self.file.shape();
        let mut expected = self.file.floats(name).to_vec();
        for (index, row) in expected.chunks_mut(shape.value_width).enumerate() {
            let batch = index / (shape.queries * shape.query_heads);
            if index % shape.queries >= self.file.integers("query_lengths")[batch] as usize {
                row.fill(0.0);
            }
        }
        let zeros_kept = output.iter().zip(&expected).all(|(&value, &expected)| expected != 0.0 || value.abs() < 1e-5);
        if !zeros_kept {
            self.find(format!("{name}: a padding query has an output"));
        }
        let difference = relative_difference(output, &expected);
        *self.worst = self.worst.max(difference);
        if difference > self.file.tolerance() {
            self.find(format!("{name} differs by {difference:.2e}, tolerance {:.0e}", self.file.tolerance()));
        }
    }

    fn floats(&mut self, name: &str, actual: &[f32], tolerance: f64) {
        self.compared += 1;
        let expected = self.file.floats(name);
        // What an empty cluster would attend to is never read.
        let counts = self.file.integers("counts");
        let width = expected.len() / counts.len();
        let kept = |values: &[f32]| -> Vec<f32> {
            values.chunks(width).zip(counts).filter(|(_, &count)| count > 0).flat_map(|(row, _)| row.to_vec()).collect()
        };
        let difference = relative_difference(&kept(actual), &kept(expected));
        if difference > tolerance {
            self.find(format!("{name} differs by {difference:.2e}, tolerance {tolerance:.0e}"));
        }
    }

    /// Every number of a tensor.
    fn whole(&mut self, name: &str, actual: &[f32], tolerance: f64) {
        self.compared += 1;
        let expected = self.file.floats(name);
        let difference = relative_difference(actual, expected);
        if actual.len() != expected.len() || difference > tolerance {
            self.find(format!("{name} differs by {difference:.2e}, tolerance {tolerance:.0e}"));
        }
    }

    /// Logarithms of the groups' weights, of clusters with members: infinite where there are no keys.
    fn log_masses(&mut self, actual: &[f32]) {
        self.compared += 1;
        let (expected, counts) = (self.file.floats("group_log_mass"), self.file.integers("counts"));
        let groups = expected.len() / counts.len();
        for (index, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
            // The rounding of logits, which are up to a few hundred.
            let same = actual == expected || (actual - expected).abs() <= 1e-5 * expected.abs().max(10.0);
            if counts[index / groups] > 0 && !same {
                self.find(format!("group_log_mass {index} is {actual}, should be {expected}"));
            }
        }
    }

    fn integers(&mut self, name: &str, actual: &[u32], expected: &[u32]) {
        self.compared += 1;
        let different = actual.iter().zip(expected).filter(|(a, b)| a != b).count();
        if actual.len() != expected.len() || different > 0 {
            self.find(format!("{name}: {different} of {} entries differ", expected.len()));
        }
    }

    fn clustering(&mut self, trace: &Trace) {
        let words = self.file.size("bits").div_ceil(32);
        let hashes = self.file.integers("hashes");
        let stored_words = hashes.len() / (trace.codes.len() / words);
        let expected: Vec<u32> = hashes.chunks(stored_words).flat_map(|code| code[..words].to_vec()).collect();
        assert!(hashes.chunks(stored_words).all(|code| code[words..].iter().all(|&word| word == 0)));
        self.integers("hashes", &trace.codes, &expected);
        let padding_named = |values: &[u32]| -> Vec<u32> {
            values.iter().map(|&cluster| if cluster as i32 == -1 { NO_CLUSTER } else { cluster }).collect()
        };
        let clusters = padding_named(self.file.integers("clusters"));
        self.integers("clusters", &trace.assignment, &clusters);
        if self.file.has_integers("clusters_hamming") {
            let hamming = padding_named(self.file.integers("clusters_hamming"));
            self.integers("clusters_hamming", &trace.hamming_assignment, &hamming);
        }
        self.integers("counts", &trace.counts, self.file.integers("counts"));
        self.floats("q_centroids", &trace.centroids, 1e-5);
    }

    /// Top-k keys as sets, of the clusters that have members.
    fn top_keys(&mut self, trace: &Trace) {
        // Where a case does not say it, every cluster has members.
        let every = vec![1; trace.counts.len()];
        let counts = if self.file.has_integers("counts") { self.file.integers("counts") } else { &every };
        let expected = self.file.integers("topk");
        let (stored, kept) = (expected.len() / counts.len(), trace.top_keys.len() / counts.len());
        if stored == 0 {
            assert!(trace.top_keys.is_empty());
            return;
        }
        let sorted = |keys: &[u32]| -> Vec<u32> {
            let mut keys: Vec<u32> = keys.iter().copied().filter(|&key| key as i32 != -1 && key != NO_KEY).collect();
            keys.sort_unstable();
            keys
        };
        for (cluster, &count) in counts.iter().enumerate() {
            if count > 0 {
                let actual = sorted(&trace.top_keys[cluster * kept..][..kept]);
                self.integers("topk", &actual, &sorted(&expected[cluster * stored..][..stored]));
            }
        }
    }
}
