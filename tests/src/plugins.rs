//! Builds plugins with cargo, and lays them out as an operator would.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Names a directory with `PACKAGE.so` for each package that [`built`] may be asked for.
pub(crate) const BUILT_ELSEWHERE: &str = "MINI_CHAT_TEST_BUILT";

/// The shared object of a workspace package, built by cargo with the profile of the tests; built once per process.
///
/// # Panics
///
/// If cargo fails, or makes no shared object of it.
#[must_use]
pub fn built(package: &str) -> PathBuf {
    // A test that runs again as another user, who cannot build, is told where what it needs stands.
    if let Some(directory) = std::env::var_os(BUILT_ELSEWHERE) {
        return Path::new(&directory).join(format!("{package}.so"));
    }
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(path) = built.get(package) {
        return path.clone();
    }
    let mut cargo = cargo();
    cargo.args(["build", "--package", package]);
    let path = shared_object(cargo);
    built.insert(package.to_owned(), path.clone());
    path
}

/// The program `mini-chat-plugins`, built by cargo with the profile of the tests; built once per process.
///
/// # Panics
///
/// If cargo fails, or makes no program of it.
#[must_use]
pub fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let mut cargo = cargo();
            cargo.args(["build", "--package", "mini-chat-plugin-loader", "--bin", "mini-chat-plugins"]);
            let program =
                artifacts(cargo).into_iter().find_map(|artifact| Some(artifact["executable"].as_str()?.into()));
            program.expect("cargo made no program")
        })
        .clone()
}

/// The cargo that runs the tests, in the workspace.
///
/// # Panics
///
/// Never: this crate stands in the workspace.
#[must_use]
pub fn cargo() -> Command {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate stands in the workspace");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace);
    cargo
}

/// Runs a `cargo build` command and gives the one shared object that it made.
///
/// # Panics
///
/// If cargo fails, or does not make exactly one shared object.
#[must_use]
pub fn shared_object(cargo: Command) -> PathBuf {
    let mut files: Vec<PathBuf> = artifacts(cargo)
        .into_iter()
        .filter(|artifact| artifact["target"]["kind"] == serde_json::json!(["cdylib"]))
        .flat_map(|artifact| artifact["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .filter(|file| file.extension().is_some_and(|extension| extension == "so"))
        .collect();
    assert_eq!(files.len(), 1, "cargo made these shared objects: {files:?}");
    files.remove(0)
}

/// Runs a `cargo build` command and gives what it says of each artifact.
fn artifacts(mut cargo: Command) -> Vec<serde_json::Value> {
    let output = cargo
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {cargo:?}: {error}"));
    assert!(output.status.success(), "{cargo:?} failed");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .collect()
}

/// A fresh directory that only its owner can write to, as plugin directories must be.
///
/// # Panics
///
/// If the system gives none.
#[must_use]
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Puts a file into a plugin directory the right way: written beside, then renamed into place. Gives its path.
///
/// # Panics
///
/// If the system refuses.
pub fn drop_in(directory: &Path, file: &Path, name: &str) -> PathBuf {
    let (partial, path) = (directory.join(format!(".{name}.partial")), directory.join(name));
    fs::copy(file, &partial).expect("copy");
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o644)).expect("chmod");
    fs::rename(&partial, &path).expect("rename");
    path
}
