//! What `scripts/fuzz` and the tests beside it feed with bytes: the readers of step 2 as functions of bytes, without files.
//!
//! Not part of the interface: it is there only under `cfg(test)` and `cfg(fuzzing)`, which `cargo fuzz` sets. A target panics if
//! an answer contradicts itself; libFuzzer finds the panics, hangs and allocations of the readers.

use std::path::Path;

use super::examine::{Examination, examine};
use super::{VerifyPolicy, descriptor};
use crate::error::LoadError;

const PATH: &str = "candidate.so";

/// Most bytes of a message: nobody reads more, and what a file says of itself stands in it.
const MOST_MESSAGE: usize = 256 << 10;

/// All checks of a candidate's bytes.
///
/// # Panics
///
/// If the verdict is no verdict: neither accepted nor refused, or both.
pub fn elf(bytes: &[u8]) {
    let Examination { facts, descriptor, refusals } = examine(Path::new(PATH), bytes, &[], &VerifyPolicy::default());
    refusals.iter().for_each(is_readable);
    assert!(!refusals.is_empty() || (facts.is_some() && descriptor.is_some()), "accepted without being known");
}

/// The reader of the descriptor section's content.
///
/// # Panics
///
/// If what was read is not what it says when written and read again.
pub fn descriptor(bytes: &[u8]) {
    let (path, policy) = (Path::new(PATH), VerifyPolicy::default());
    match descriptor::parse(path, bytes, &policy) {
        Err(error) => is_readable(&error),
        Ok(read) => {
            descriptor::judge(path, &read, &policy).iter().for_each(is_readable);
            let written = serde_json::to_vec(&read).expect("a descriptor is JSON");
            // Escapes can make it longer than the reader takes.
            if let Ok(again) = descriptor::parse(path, &written, &policy) {
                assert_eq!(again, read);
            } else {
                assert!(written.len() > bytes.len(), "its own text is refused");
            }
        }
    }
}

fn is_readable(error: &LoadError) {
    let text = error.to_string();
    assert!(text.starts_with(PATH) && text.len() <= MOST_MESSAGE, "{} bytes: {:.100}", text.len(), text);
    assert!(!error.kind().is_empty());
}

#[cfg(test)]
mod tests;
