//! Builds plugins with cargo, and lays them out as an operator would.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::serving::sanitized;

/// Names a directory with `PACKAGE.so` for each package that [`built`] may be asked for.
pub(crate) const BUILT_ELSEWHERE: &str = "MINI_CHAT_TEST_BUILT";

/// What cargo has made, as the process says that has started this one; see [`made`].
const MADE: &str = "MINI_CHAT_TEST_MADE";

/// The shared object of a workspace package, built by cargo with the dev profile; built once per process.
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
    the_one_shared_object(&artifacts_of(package))
}

/// The program `mini-chat-plugins`, built by cargo with the dev profile; built once per process.
///
/// # Panics
///
/// If cargo fails, or makes no program of it.
#[must_use]
pub fn program() -> PathBuf {
    let artifacts = artifacts_of("mini-chat-plugin-loader");
    let program = artifacts.iter().find(|artifact| {
        // The target is also built as a test harness.
        artifact["target"]["name"] == "mini-chat-plugins" && artifact["profile"]["test"] == false
    });
    program.and_then(|artifact| artifact["executable"].as_str()).expect("cargo made no program").into()
}

/// What cargo makes of a package of the workspace.
///
/// All of the workspace is built at once, by the very command that `scripts/test` begins with: cargo then finds everything
/// done. Packages that are built one by one get features of their own, and each of them its own copies of what it needs.
fn artifacts_of(package: &str) -> Vec<serde_json::Value> {
    // `scripts/sanitize` has features unified in any case, and time for the named packages only.
    let one;
    let artifacts = if sanitized() {
        one = one_package(package);
        &one
    } else {
        whole_workspace()
    };
    artifacts.iter().filter(|artifact| package_of(artifact) == Some(package)).cloned().collect()
}

fn whole_workspace() -> &'static [serde_json::Value] {
    static BUILT: OnceLock<Vec<serde_json::Value>> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Ok(made) = std::env::var(MADE) {
            return serde_json::from_str(&made).expect("what the other process has written");
        }
        let mut cargo = cargo();
        cargo.args(["build", "--workspace", "--all-targets"]);
        artifacts(cargo)
    })
}

fn one_package(package: &str) -> Vec<serde_json::Value> {
    static BUILT: Mutex<BTreeMap<String, Vec<serde_json::Value>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let build = |package: &String| {
        let mut cargo = cargo();
        cargo.args(["build", "--package", package]);
        artifacts(cargo)
    };
    built.entry(package.to_owned()).or_insert_with_key(build).clone()
}

/// A variable of the environment by which a process that this one starts need not ask cargo again: it may have little time,
/// and cargo waits for other cargos. None where each package is built by itself.
pub(crate) fn made() -> Option<(&'static str, String)> {
    static MADE_HERE: OnceLock<String> = OnceLock::new();
    if sanitized() {
        return None;
    }
    let made = MADE_HERE.get_or_init(|| {
        let is_used = |artifact: &&serde_json::Value| {
            let is_program = artifact["executable"].is_string() && artifact["profile"]["test"] == false;
            is_program || artifact["target"]["kind"] == serde_json::json!(["cdylib"])
        };
        // A variable has room for 128 KiB.
        let short = |artifact: &serde_json::Value| {
            serde_json::json!({
                "package_id": artifact["package_id"], "filenames": artifact["filenames"],
                "target": { "kind": artifact["target"]["kind"], "name": artifact["target"]["name"] },
                "profile": { "test": artifact["profile"]["test"] }, "executable": artifact["executable"],
            })
        };
        let made: Vec<_> = whole_workspace().iter().filter(is_used).map(short).collect();
        serde_json::json!(made).to_string()
    });
    Some((MADE, made.clone()))
}

/// The name in a package id: `path+file:///…/hello#0.1.0`, or, if the folder has another name, `…/plugin#echo-plugin@0.1.0`.
fn package_of(artifact: &serde_json::Value) -> Option<&str> {
    let (url, fragment) = artifact["package_id"].as_str()?.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => url.rsplit('/').next(),
    }
}

/// The cargo that built the tests, in the workspace, as if it was started from outside of them.
///
/// # Panics
///
/// Never: this crate stands in the workspace.
#[must_use]
pub fn cargo() -> Command {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate stands in the workspace");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace);
    // What cargo tells a test of the test's own package: build scripts that look at these, as ring's does, would run again
    // for each package with tests, and what depends on them would be compiled again.
    for (name, _) in std::env::vars_os() {
        let of_package = |prefix| name.to_str().is_some_and(|name| name.starts_with(prefix));
        if of_package("CARGO_MANIFEST_") || of_package("CARGO_PKG_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Runs a `cargo build` command and gives the one shared object that it made.
///
/// # Panics
///
/// If cargo fails, or does not make exactly one shared object.
#[must_use]
pub fn shared_object(cargo: Command) -> PathBuf {
    the_one_shared_object(&artifacts(cargo))
}

fn the_one_shared_object(artifacts: &[serde_json::Value]) -> PathBuf {
    let mut files: Vec<PathBuf> = artifacts
        .iter()
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
    // As `install -p` does: a host that starts now need not wait to see whether somebody goes on writing.
    let written = fs::metadata(file).and_then(|metadata| metadata.modified()).expect("a time");
    fs::File::options().append(true).open(&partial).and_then(|file| file.set_modified(written)).expect("set the time");
    fs::rename(&partial, &path).expect("rename");
    path
}
