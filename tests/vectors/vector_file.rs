//! A reference case: tensors and scalars of a `.safetensors` file.

use clustered_attention::{Clustering, Method, Precision, Problem, Shape};
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::Path;

pub struct VectorFile {
    pub name: String,
    scalars: HashMap<String, String>,
    floats: HashMap<String, Vec<f32>>,
    integers: HashMap<String, Vec<u32>>,
}

impl VectorFile {
    pub fn load(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the vector file is readable");
        let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("a safetensors header");
        let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let (mut floats, mut integers) = (HashMap::new(), HashMap::new());
        for (name, tensor) in tensors.tensors() {
            let words = tensor.data().chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            match tensor.dtype() {
                Dtype::F32 => drop(floats.insert(name, words.map(f32::from_bits).collect::<Vec<_>>())),
                Dtype::I32 | Dtype::U32 => drop(integers.insert(name, words.collect::<Vec<_>>())),
                other => panic!("{name} has the unexpected type {other:?}"),
            }
        }
        let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        Self { name, scalars: metadata.metadata().clone().unwrap_or_default(), floats, integers }
    }

    pub fn floats(&self, name: &str) -> &[f32] {
        self.find_floats(name).unwrap_or_else(|| panic!("{} has no `{name}`", self.name))
    }

    pub fn find_floats(&self, name: &str) -> Option<&[f32]> {
        self.floats.get(name).map(Vec::as_slice)
    }

    pub fn integers(&self, name: &str) -> &[u32] {
        self.integers.get(name).unwrap_or_else(|| panic!("{} has no `{name}`", self.name))
    }

    pub fn has_integers(&self, name: &str) -> bool {
        self.integers.contains_key(name)
    }

    /// All tensor names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.floats.keys().chain(self.integers.keys()).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.scalars.get(name).map(|text| text.parse().unwrap_or_else(|_| panic!("`{name}` is {text}")))
    }

    /// What kind of case it is: `1` and the like for clustering and the methods by it, `exact-2` for visibility, others for what is not
    /// computed yet.
    pub fn format(&self) -> &str {
        self.scalars.get("format").map_or("", String::as_str)
    }

    /// A number of keys; `None` where the case has no such bound.
    pub fn bound(&self, name: &str) -> Option<usize> {
        self.number(name).and_then(|bound| usize::try_from(bound).ok())
    }

    pub fn size(&self, name: &str) -> usize {
        self.number(name).unwrap_or_else(|| panic!("{} does not say `{name}`", self.name)) as usize
    }

    /// Whether a number is there and not zero.
    pub fn flag(&self, name: &str) -> bool {
        let number = |text: &String| text.parse::<f64>().unwrap_or_else(|_| panic!("`{name}` is {text}"));
        self.scalars.get(name).is_some_and(|text| number(text) != 0.0)
    }

    pub fn shape(&self) -> Shape {
        let heads = self.size("H");
        Shape::self_attention(self.size("N"), heads, self.size("L"), self.size("E"))
            .with_key_heads(self.number("KV").map_or(heads, |heads| heads as usize))
            .with_keys(self.size("S"))
            .with_value_width(self.size("M"))
    }

    pub fn clustering(&self) -> Clustering {
        let mut clustering = Clustering::paper(self.size("clusters"));
        clustering.bits = self.size("bits");
        clustering.iterations = self.size("iterations");
        clustering.bias = self.flag("hash_bias");
        clustering.center = self.flag("center");
        clustering.euclidean_steps = self.number("euclidean_steps").unwrap_or(0) as usize;
        clustering
    }

    /// Half-width of the window; `None` where the case has none.
    pub fn window(&self) -> Option<usize> {
        self.bound("window")
    }

    pub fn problem(&self, method: Method) -> Problem {
        let problem = Problem::new(self.shape(), method).expect("a valid problem");
        // Where matrix units were opened, they compute pairs of halves; all else computes in float32.
        problem.with_scale(self.floats("scale")[0]).expect("a valid scale").with_precision(Precision::Float16Pairs)
    }

    /// Tolerance of outputs relative to the largest value (`docs/method.md`).
    pub fn tolerance(&self) -> f64 {
        let width = self.size("E");
        let largest = |name| {
            let norms = self.floats(name).chunks(width).map(|row| row.iter().map(|value| value * value).sum::<f32>());
            norms.fold(0.0, f32::max).sqrt() as f64
        };
        // Logits far beyond 100 lose a digit in float32 before the softmax sees them.
        let bound = largest("queries") * largest("keys") * self.floats("scale")[0] as f64;
        if bound > 100.0 {
            2e-5
        } else {
            1e-5
        }
    }
}
