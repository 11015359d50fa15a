//! Plugins built by another compiler than the host's, with the order of fields randomised.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the nightly compiler is told. A seed of its own gives the plugin other layouts than any host.
const FLAGS: &str = "-Zrandomize-layout -Zlayout-seed=20260101";

/// What cargo and rustup tell the programs that they run: the build below is to hear nothing of this one.
const NOT_INHERITED: [&str; 9] = [
    "RUSTUP_TOOLCHAIN",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "CARGO",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "LD_LIBRARY_PATH",
];

/// The shared object of a workspace package, built by the nightly compiler, in a target directory of its own.
///
/// # Panics
///
/// If there is no nightly compiler, or cargo fails.
#[must_use]
pub fn built(package: &str) -> PathBuf {
    let version = nightly().arg("--version").output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "`cargo +nightly` does not run: install it with `rustup toolchain install nightly --profile minimal`"
    );
    let mut cargo = nightly();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate stands in the workspace");
    cargo.current_dir(workspace).env("RUSTFLAGS", FLAGS);
    cargo.args(["build", "--package", package, "--target-dir"]).arg(target_directory());
    crate::plugins::shared_object(cargo)
}

fn nightly() -> Command {
    let mut cargo = Command::new("cargo");
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    cargo.arg("+nightly");
    cargo
}

/// Beside the profile folder of the running test: `TARGET/nightly-randomized`.
fn target_directory() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this program");
    // TARGET/PROFILE/deps/test
    test.ancestors().nth(3).expect("a test program stands in TARGET/PROFILE/deps").join("nightly-randomized")
}
