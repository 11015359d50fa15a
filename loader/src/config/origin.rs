//! [`Origin`]: the text that a configuration was read from, kept so that what was good can be found again after a restart.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::verify::Digest;

/// A `plugins.toml` as it was read. Operators may have written secrets into it: `Debug` shows none of its text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    path: PathBuf,
    text: Zeroizing<String>,
    digest: Digest,
}

impl Origin {
    /// `path` is absolute: what is relative in the text is relative to its directory.
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), digest: Digest::of(text.as_bytes()), text: Zeroizing::new(text.to_owned()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.path).field(&self.digest).finish()
    }
}
