//! The program around the library.

pub mod compare;
pub mod options;
pub mod transcribe;
