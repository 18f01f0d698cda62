//! Things that are told apart by a name in texts: written by it, and read back.

/// Writes and reads a type by its `name()`, among its `ALL`.
macro_rules! by_name {
    ($named:ident, $argument:literal) => {
        #[doc = concat!("The ", $argument, "'s name.")]
        impl std::fmt::Display for $named {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        #[doc = concat!("Reads the name of a ", $argument, ".")]
        ///
        /// # Errors
        /// [`Error::OutOfRange`](crate::Error::OutOfRange) lists the names there are.
        impl std::str::FromStr for $named {
            type Err = crate::Error;

            fn from_str(text: &str) -> crate::Result<Self> {
                Self::ALL.into_iter().find(|known| known.name() == text).ok_or_else(|| crate::Error::OutOfRange {
                    argument: $argument,
                    value: format!("`{text}`"),
                    allowed: format!("one of {}", Self::ALL.map(Self::name).join(", ")),
                })
            }
        }
    };
}
pub(crate) use by_name;
