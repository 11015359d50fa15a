//! Step 2 of the life cycle: judge a file's bytes without executing any of them.
//!
//! [`Candidate::read`] gives a [`ReadImage`] (one open, one read); [`ReadImage::verify`] turns it into a
//! [`VerifiedImage`], the only thing that [`crate::image_dir::ImageDir::store`] accepts. So what is mapped later is
//! what was judged here, byte for byte.
//!
//! The checks find mistakes and damage. They do not find malice: a plugin runs with the host's powers.

mod descriptor;
mod digest;
mod dynamic;
mod elf;
mod examine;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod holes;
mod ident;
mod lookup;
mod needed;
mod ownership;
mod read;
mod reloc;
mod stamp;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

pub use descriptor::{AbiVersion, DESCRIPTOR_FORMAT, DESCRIPTOR_SECTION, Descriptor, Kinds, Preflight};
pub use digest::Digest;
pub use needed::ALWAYS_ALLOWED;
pub use ownership::OwnershipPolicy;
pub use read::{ReadImage, ReadLimits};
pub(crate) use stamp::Stamp;

use crate::error::LoadError;
use crate::find::Candidate;
use examine::examine;

/// The function that every plugin exports.
pub const ENTRY_SYMBOL: &str = "mini_chat_plugin_entry";

/// What the host accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyPolicy {
    /// Needed libraries that the operator allows beyond [`ALWAYS_ALLOWED`], as exact sonames.
    pub allow_needed: Vec<String>,
    /// The ABI majors that the host speaks. Default 1.
    pub abi_majors: Vec<u32>,
    /// The target triple that a plugin must be built for. Default: that of this host.
    pub target: String,
    /// The entries of a descriptor's `requires` that the host knows. Default: none.
    pub known_requires: Vec<String>,
}

impl Default for VerifyPolicy {
    fn default() -> Self {
        Self { allow_needed: Vec::new(), abi_majors: vec![1], target: host_target(), known_requires: Vec::new() }
    }
}

/// The triple that this host was compiled for.
fn host_target() -> String {
    env!("MINI_CHAT_LOADER_TARGET").to_owned()
}

/// What the ELF structure tells, apart from the descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Facts {
    /// The processor, such as `x86_64`.
    pub machine: &'static str,
    /// The libraries it needs.
    pub needed: Vec<String>,
    /// Its own soname.
    pub soname: Option<String>,
    /// The lowest version of glibc that can load it, such as `2.34`.
    pub lowest_glibc: Option<String>,
    /// Whether the full symbol table was removed (backtraces then lack names).
    pub stripped: bool,
    /// Whether it carries DWARF debug information.
    pub has_debug_info: bool,
}

/// Bytes that passed every check. Only [`ReadImage::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedImage {
    image: ReadImage,
    descriptor: Descriptor,
    facts: Facts,
}

impl VerifiedImage {
    /// The path that was opened.
    pub fn path(&self) -> &Path {
        self.image.path()
    }

    /// The bytes that were judged.
    pub fn bytes(&self) -> &[u8] {
        self.image.bytes()
    }

    /// Their SHA-256.
    pub fn digest(&self) -> Digest {
        self.image.digest()
    }

    /// Their number.
    pub fn size(&self) -> u64 {
        self.image.size()
    }

    /// The file's modification time when it was read.
    pub fn modified(&self) -> SystemTime {
        self.image.modified()
    }

    /// What the plugin says of itself.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// What the ELF structure tells.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl ReadImage {
    /// Judges the bytes. Executes nothing, touches no file; the cost is a few passes over the bytes.
    ///
    /// # Errors
    /// [`LoadError`] of the groups "structure" and "descriptor": the first reason for refusal.
    pub fn verify(self, policy: &VerifyPolicy) -> Result<VerifiedImage, LoadError> {
        let found = examine(self.path(), self.bytes(), self.sparse(), policy);
        if let Some(refusal) = found.refusals.into_iter().next() {
            return Err(refusal);
        }
        match (found.facts, found.descriptor) {
            (Some(facts), Some(descriptor)) => Ok(VerifiedImage { image: self, descriptor, facts }),
            // `examine` gives a reason whenever it lacks either; should it ever not, the file is still refused.
            _ => Err(LoadError::Malformed { path: self.path().into(), reason: "not examined to the end".into() }),
        }
    }
}

/// All that could be found out about a file, also one that would be refused.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The path as given.
    pub path: PathBuf,
    /// The SHA-256, if the file could be read.
    pub digest: Option<Digest>,
    /// The number of bytes, if it could be read.
    pub size: Option<u64>,
    /// What the ELF structure tells, if it is sound enough.
    pub facts: Option<Facts>,
    /// The descriptor, if it could be parsed.
    pub descriptor: Option<Descriptor>,
    /// Why the host would refuse the file; empty if it would not. The first is what [`ReadImage::verify`] returns.
    pub refusals: Vec<LoadError>,
}

/// Everything about one file, for people and for `--json`. Executes nothing of it.
pub fn inspect(path: impl Into<PathBuf>, limits: &ReadLimits, policy: &VerifyPolicy) -> Inspection {
    let path = path.into();
    let mut found =
        Inspection { path: path.clone(), digest: None, size: None, facts: None, descriptor: None, refusals: vec![] };
    match Candidate::from_path(path).read(limits) {
        Err(error) => found.refusals.push(error),
        Ok(image) => {
            let examination = examine(image.path(), image.bytes(), image.sparse(), policy);
            found.digest = Some(image.digest());
            found.size = Some(image.size());
            found.facts = examination.facts;
            found.descriptor = examination.descriptor;
            found.refusals = examination.refusals;
        }
    }
    found
}
