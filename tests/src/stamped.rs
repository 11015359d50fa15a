//! Builds of the fixture `stamped`, made by writing another stamp into a copy of its library.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plugins;

/// The plugin's id.
pub const ID: &str = "tests.stamped._.both.v1";

/// What a build is to be.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The policy version that it serves.
    pub build: u64,
    /// What is wrong with it; see the fixture.
    pub behaviour: &'static str,
    /// Major version, of six digits.
    pub major: u32,
}

/// A build with nothing wrong.
#[must_use]
pub fn good(build: u64) -> Stamp {
    bad(build, "good")
}

/// A build with something wrong.
#[must_use]
pub fn bad(build: u64, behaviour: &'static str) -> Stamp {
    Stamp { build, behaviour, major: 100_000 }
}

impl Stamp {
    /// The same with another version, of which the highest serves.
    #[must_use]
    pub fn major(self, major: u32) -> Self {
        Self { major, ..self }
    }

    /// The version.
    #[must_use]
    pub fn version(self) -> String {
        format!("{}.0.0", self.major)
    }

    /// The library's bytes.
    ///
    /// # Panics
    ///
    /// If the library that cargo made cannot be stamped so.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.stamped("stamped-plugin")
    }

    /// Likewise of a library that serves the policy trait only.
    ///
    /// # Panics
    ///
    /// If the library that cargo made cannot be stamped so.
    #[must_use]
    pub fn bytes_without_audit(self) -> Vec<u8> {
        self.stamped("stamped-policy-plugin")
    }

    fn stamped(self, package: &str) -> Vec<u8> {
        let library = fs::read(plugins::built(package)).expect("the library");
        stamped::stamping::stamped(&library, self.build, self.behaviour, &self.version()).expect("a stamp")
    }

    /// Puts the build into a directory the right way: written beside, renamed into place. Gives its path.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn drop_in(self, directory: &Path, name: &str) -> PathBuf {
        place(&self.bytes(), directory, name)
    }

    /// Likewise one that serves the policy trait only.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn drop_in_without_audit(self, directory: &Path, name: &str) -> PathBuf {
        place(&self.bytes_without_audit(), directory, name)
    }
}

fn place(library: &[u8], directory: &Path, name: &str) -> PathBuf {
    let beside = tempfile::NamedTempFile::new().expect("a file");
    fs::write(beside.path(), library).expect("write");
    plugins::drop_in(directory, beside.path(), name)
}
