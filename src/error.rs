//! The crate's one error type.

/// What can go wrong, each naming the argument, what it was and what it may be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A scalar argument lies outside its range.
    #[error("`{argument}` is {value}; it must be {allowed}")]
    OutOfRange {
        /// Name of the argument.
        argument: &'static str,
        /// The value that was given.
        value: String,
        /// The values that would be accepted.
        allowed: String,
    },
    /// Query heads are not a multiple of key/value heads.
    #[error(
        "`query_heads` is {query_heads} and `key_heads` is {key_heads}; query heads must be a multiple of key heads"
    )]
    HeadsNotDivisible {
        /// Number of query heads (`H`).
        query_heads: usize,
        /// Number of key/value heads (`H'`).
        key_heads: usize,
    },
    /// A window was asked for although queries and keys differ in number.
    #[error("`window` needs as many queries as keys, but there are {queries} queries and {keys} keys; use `window: None` for cross attention")]
    WindowNeedsSquare {
        /// Number of queries (`L`).
        queries: usize,
        /// Number of keys (`S`).
        keys: usize,
    },
    /// A grid of patches has not as many positions as there are queries and keys.
    #[error("`grid` {rows} x {columns} behind {leading} leading tokens needs as many queries and keys as it has tokens, {}, but there are {queries} queries and {keys} keys", *rows as u128 * *columns as u128 + *leading as u128)]
    GridDoesNotFit {
        /// Rows of patches.
        rows: usize,
        /// Patches of a row.
        columns: usize,
        /// Tokens before the first patch.
        leading: usize,
        /// Number of queries (`L`).
        queries: usize,
        /// Number of keys (`S`).
        keys: usize,
    },
    /// The product of the dimensions of a tensor does not fit in memory addresses.
    #[error(
        "the size of `{tensor}`, {dimensions}, overflows; the product of its dimensions must stay below 2^48 elements"
    )]
    SizeOverflow {
        /// Name of the tensor.
        tensor: &'static str,
        /// Its dimensions, as text.
        dimensions: String,
    },
    /// A host slice has the wrong number of elements.
    #[error("`{argument}` has {actual} elements; {expected} are needed ({dimensions})")]
    SliceLength {
        /// Name of the argument.
        argument: &'static str,
        /// Elements it should have.
        expected: usize,
        /// Elements it has.
        actual: usize,
        /// The dimensions that give the expected count.
        dimensions: String,
    },
    /// One entry of an integer argument lies outside its range.
    #[error("`{argument}[{index}]` is {value}; it must be at most {maximum}")]
    EntryOutOfRange {
        /// Name of the argument.
        argument: &'static str,
        /// Position of the entry.
        index: usize,
        /// Its value.
        value: u64,
        /// The largest value accepted.
        maximum: u64,
    },
    /// An input holds a NaN or an infinity at a valid position.
    #[error("`{tensor}` holds {value} at element {index} (batch {batch}, head {head}, row {row}, column {column}); every valid element must be finite")]
    NotFinite {
        /// Name of the tensor.
        tensor: &'static str,
        /// Offset of the element in the slice.
        index: usize,
        /// Batch of the element.
        batch: usize,
        /// Head of the element.
        head: usize,
        /// Position in the sequence.
        row: usize,
        /// Column of the row.
        column: usize,
        /// `NaN`, `inf` or `-inf`.
        value: f32,
    },
    /// All inputs are finite, but what is computed from them may exceed float32.
    #[error(
        "{what} of batch {batch}, head {head} may reach {bound:.1e}, beyond float32's {:.1e}; scale the inputs down",
        f32::MAX
    )]
    Overflow {
        /// What is too large: `logits`, `squared distances of queries` or `sums of values`.
        what: &'static str,
        /// Batch of the slice.
        batch: usize,
        /// Query head of the slice; of `sums of values` too.
        head: usize,
        /// A bound of the largest magnitude there, from the norms of the rows.
        bound: f64,
    },
    /// Memory for a result cannot be had.
    #[error("`{what}` needs {bytes} bytes of memory, which cannot be had")]
    OutOfMemory {
        /// What the memory was for.
        what: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// A thread could not be started, or ended early.
    #[error("the thread that computes failed: {message}")]
    Thread {
        /// What is known of it.
        message: String,
    },
    /// The future was dropped. Nobody sees this error; it stops what had not begun.
    #[error("cancelled")]
    Cancelled,
    /// What was asked for does not fit the device's limits.
    #[error("{what} needs {needed} {unit}, but {limit} limits it to {allowed}")]
    ExceedsLimit {
        /// What was too large.
        what: String,
        /// How much it needs.
        needed: u64,
        /// How much there may be.
        allowed: u64,
        /// Unit of both numbers.
        unit: &'static str,
        /// Name of the limit.
        limit: &'static str,
    },
    /// The scratch budget is too small for even the smallest piece of work.
    #[error("`scratch_budget_bytes` is {budget_bytes}; this problem needs at least {needed_bytes}")]
    ScratchBudget {
        /// The budget that was given.
        budget_bytes: u64,
        /// The smallest budget that would do.
        needed_bytes: u64,
    },
    /// A GPU buffer slice is smaller than the tensor it should hold.
    #[error("the buffer slice for `{tensor}` has {actual_bytes} bytes; {needed_bytes} are needed")]
    BufferTooSmall {
        /// Name of the tensor.
        tensor: &'static str,
        /// Bytes needed.
        needed_bytes: u64,
        /// Bytes in the slice.
        actual_bytes: u64,
    },
    /// A GPU buffer lacks the usage that binding it needs.
    #[error("the buffer for `{tensor}` was created with {actual}; it needs {needed}")]
    BufferUsage {
        /// Name of the tensor.
        tensor: &'static str,
        /// The usage it was created with.
        actual: String,
        /// The usage it needs.
        needed: String,
    },
    /// A GPU buffer slice does not start at an element.
    #[error(
        "the buffer slice for `{tensor}` starts at byte {offset_bytes}; it must start at a multiple of {element_bytes}"
    )]
    BufferAlignment {
        /// Name of the tensor.
        tensor: &'static str,
        /// Byte offset of the slice.
        offset_bytes: u64,
        /// Bytes of an element, of which it must be a multiple.
        element_bytes: u64,
    },
    /// The output shares memory with an input.
    #[error("the buffer slice for `output` overlaps the one for `{tensor}`, counted from the last multiple of {alignment_bytes} bytes before each; the output must lie apart from the inputs")]
    BufferOverlap {
        /// Name of the input.
        tensor: &'static str,
        /// What offsets of bindings are rounded down to.
        alignment_bytes: u32,
    },
    /// No adapter fits the request.
    #[error("no GPU adapter {wanted}; found: {found}")]
    NoAdapter {
        /// What was looked for.
        wanted: String,
        /// The adapters there are.
        found: String,
    },
    /// There are adapters that fit the request, but none of them could be opened.
    #[error("no GPU adapter could be opened; tried: {tried}")]
    NoAdapterOpens {
        /// Each adapter with the reason, the best adapter first.
        tried: String,
    },
    /// A device's matrix units cannot be used.
    #[error("matrix units cannot be used: {reason}; float32 can")]
    NoMatrixUnits {
        /// What is missing or wrong.
        reason: String,
    },
    /// The device is gone: unplugged, reset by its driver, or destroyed. Every later call on it gives this error too; open a device again.
    #[error("the GPU device was lost ({message}); open it again")]
    DeviceLost {
        /// What the driver said, or when it was noticed.
        message: String,
    },
    /// The device or its driver failed.
    #[error("the GPU device failed: {message}")]
    Device {
        /// The driver's message.
        message: String,
    },
    /// A tensor's dimensions do not fit the other tensors' or the layer's.
    #[error("`{tensor}` has the dimensions {actual}; {needed} are needed")]
    TensorShape {
        /// The tensor.
        tensor: &'static str,
        /// Its dimensions.
        actual: String,
        /// What would fit.
        needed: String,
    },
    /// A tensor's elements have another type.
    #[error("`{tensor}` is of {actual}; it must be of {needed}")]
    DataType {
        /// The tensor.
        tensor: &'static str,
        /// Its type.
        actual: String,
        /// The type that is computed.
        needed: &'static str,
    },
    /// Tensors lie on different devices.
    #[error("`{tensor}` is on {actual}; `queries` are on {needed}, and all must be on one device")]
    DifferentDevices {
        /// The tensor.
        tensor: &'static str,
        /// Its device.
        actual: String,
        /// The device of the queries.
        needed: String,
    },
    /// A device of Burn's wgpu backend whose handles the crate does not have.
    #[error("Burn's device {device} is not known here: open it with `clustered_attention::burn::init_wgpu`, or give `share_device` the setup that it was opened with")]
    UnknownBurnDevice {
        /// The device.
        device: String,
    },
    /// Something is specified but not available yet.
    #[error("{feature} is not supported yet")]
    Unsupported {
        /// The feature.
        feature: &'static str,
    },
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
