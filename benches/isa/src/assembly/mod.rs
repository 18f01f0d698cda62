//! Assembly of several devices as lines of one kind.

mod adreno;
mod amd;
mod apple;
mod nvidia;

/// Whose assembly it is, and whose statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Nvidia,
    Amd,
    Apple,
    Adreno,
}

impl Dialect {
    /// That of a Vulkan driver, by its name.
    pub fn of_driver(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let known = [("nvk", Self::Nvidia), ("radv", Self::Amd), ("honeykrisp", Self::Apple), ("turnip", Self::Adreno)];
        known.into_iter().find(|(part, _)| name.contains(part)).map(|(_, dialect)| dialect)
    }

    /// A program's lines, in order.
    pub fn lines(self, text: &str) -> Vec<Line> {
        match self {
            Self::Nvidia => nvidia::lines(text),
            Self::Amd => amd::lines(text),
            Self::Apple => apple::lines(text),
            Self::Adreno => adreno::lines(text),
        }
    }
}

/// What an instruction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Multiplies and adds floats.
    MultiplyAdd,
    /// The same of whole matrices.
    Matrix,
    /// Any other arithmetic of floats.
    Float,
    /// Arithmetic of integers, addresses and bounds among them, comparisons, selections.
    Integer,
    /// Work that a device does once a subgroup, on registers of its own.
    Scalar,
    Move,
    /// From a buffer.
    Load,
    /// To a buffer.
    Store,
    /// From or to workgroup memory.
    Workgroup,
    /// From or to memory that registers are spilled to.
    Spill,
    /// Branches, and which lanes are active.
    Control,
    /// Waits for others, and does nothing itself.
    Wait,
    Other,
}

impl Kind {
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::MultiplyAdd, "multiply_add"),
        (Self::Matrix, "matrix"),
        (Self::Float, "float"),
        (Self::Integer, "integer"),
        (Self::Scalar, "scalar"),
        (Self::Move, "move"),
        (Self::Load, "load"),
        (Self::Store, "store"),
        (Self::Workgroup, "workgroup"),
        (Self::Spill, "spill"),
        (Self::Control, "control"),
        (Self::Wait, "wait"),
        (Self::Other, "other"),
    ];
}

/// An instruction, and where control goes from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What jumps here name.
    pub labels: Vec<String>,
    pub kind: Kind,
    /// Slots of issue that it takes.
    pub slots: u32,
    /// Multiply-adds that it does in each lane.
    pub multiply_adds: u32,
    /// The label that it may jump to.
    pub target: Option<String>,
    /// Whether the next one may follow it.
    pub falls_through: bool,
}

impl Line {
    /// One that takes a slot and goes on to the next.
    pub fn new(kind: Kind) -> Self {
        let multiply_adds = u32::from(kind == Kind::MultiplyAdd);
        Self { labels: Vec::new(), kind, slots: 1, multiply_adds, target: None, falls_through: true }
    }

    /// The same, jumping to a label, if there is one, always or on a condition.
    pub fn jumping(self, target: Option<String>, falls_through: bool) -> Self {
        Self { target, falls_through, ..self }
    }
}

/// Whether a name begins with one of some words.
fn begins(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| name.starts_with(word))
}
