//! The crate of an author outside the workspace: `fixtures/author-crate`, built by cargo as the author would.
//!
//! A copy of it is built, so that nothing appears in the source tree. Every copy shares one target directory, where the
//! dependencies are compiled once; cargo's own lock makes tests that run side by side wait for each other. The copy starts
//! with the workspace's lock file and cargo stays offline: what the tests themselves were built from is all that it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A copy of the fixture.
#[derive(Debug)]
pub struct AuthorCrate {
    folder: PathBuf,
    target: PathBuf,
    library: PathBuf,
}

impl AuthorCrate {
    /// Copies the fixture below `scratch` (give `env!("CARGO_TARGET_TMPDIR")`), under a name that no other test uses, and
    /// adds `manifest` at the end of its `Cargo.toml`. `name` is part of the library's name.
    ///
    /// # Panics
    ///
    /// If it cannot be copied.
    #[must_use]
    pub fn copy(scratch: &str, name: &str, manifest: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = tests.parent().expect("the tests are a folder of the workspace");
        let fixture = tests.join("fixtures/author-crate");
        let base = Path::new(scratch).join("author-crate");
        let folder = base.join(name);
        fs::create_dir_all(folder.join("src")).expect("create the copy's folder");
        fs::copy(fixture.join("src/lib.rs"), folder.join("src/lib.rs")).expect("copy the source");
        fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).expect("copy the lock file");

        let text = fs::read_to_string(fixture.join("Cargo.toml")).expect("read the manifest");
        // The library's name is the copy's own, for its file is put into the shared target directory.
        let library = format!("acme_desk_{name}");
        let text = replace(&text, "path = \"../../../sdk\"", &format!("path = {:?}", workspace.join("sdk")));
        let text = replace(&text, "name = \"acme_desk\"", &format!("name = \"{library}\""));
        fs::write(folder.join("Cargo.toml"), text + manifest).expect("write the manifest");
        let target = base.join("target");
        Self { folder, library: target.join(format!("release/lib{library}.so")), target }
    }

    /// Takes a part out of the copy's source, which must have it once.
    ///
    /// # Panics
    ///
    /// If it does not, or the copy cannot be written.
    #[must_use]
    pub fn without(self, part: &str) -> Self {
        let path = self.folder.join("src/lib.rs");
        let text = fs::read_to_string(&path).expect("read the copy's source");
        assert_eq!(text.matches(part).count(), 1, "the fixture does not have `{part}` once");
        fs::write(path, text.replace(part, "")).expect("write the copy's source");
        self
    }

    /// Runs cargo in the copy.
    ///
    /// # Panics
    ///
    /// If cargo cannot be started.
    #[must_use]
    pub fn cargo(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments).args(["--offline", "--target-dir"]).arg(&self.target).current_dir(&self.folder);
        // What the caller's cargo was asked for is not what this author asks for.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CARGO_PROFILE_") || name.starts_with("CARGO_BUILD_") || name.starts_with("MINI_CHAT_")
            {
                cargo.env_remove(name);
            }
        }
        cargo.env_remove("RUSTC_WORKSPACE_WRAPPER").envs(environment.iter().copied());
        cargo.output().expect("start cargo")
    }

    /// Builds it in release mode; the path of its `.so`.
    ///
    /// # Panics
    ///
    /// If it does not build.
    pub fn build(&self, environment: &[(&str, &str)]) -> &Path {
        let output = self.cargo(&["build", "--release"], environment);
        assert!(output.status.success(), "{}", text(&output));
        &self.library
    }
}

/// Replaces what must be there.
fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the fixture's manifest does not have `{from}`");
    text.replace(from, to)
}

/// What a command printed.
#[must_use]
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
