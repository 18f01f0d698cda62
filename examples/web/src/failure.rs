//! What a call fails with: words for people, and a code for programs.

use clustered_attention::Error;

/// Why a call failed. The codes are explained in `npm/index.d.ts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Disposed,
    DeviceLost,
    NoGpu,
    Refused,
}

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Self::Disposed => "disposed",
            Self::DeviceLost => "device-lost",
            Self::NoGpu => "no-gpu",
            Self::Refused => "refused",
        }
    }
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    pub fn disposed() -> Self {
        let message = "this `ClusteredAttention` was disposed of; create another".into();
        Self { code: Code::Disposed, message }
    }

    /// `what` is what the call noticed of it.
    pub fn lost(what: Option<&str>) -> Self {
        let noticed = what.map(|what| format!(" ({what})")).unwrap_or_default();
        let message = format!("the device is gone{noticed}; create another `ClusteredAttention`");
        Self { code: Code::DeviceLost, message }
    }

    pub fn no_gpu(message: impl ToString) -> Self {
        Self { code: Code::NoGpu, message: message.to_string() }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { code: Code::Refused, message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::DeviceLost { .. } => Self::lost(None),
            error => error.to_string().into(),
        }
    }
}

pub type Result<T> = std::result::Result<T, Failure>;
