//! Libraries made without the SDK: by the C compiler, or by `rustc` alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use mini_chat_plugin_loader::verify::VerifyPolicy;
use serde_json::{Value, json};

/// The id of every library made by hand.
pub const ID: &str = "acme.test._.by_hand.v1";

/// A descriptor that this host accepts, of a plugin with the id [`ID`].
#[must_use]
pub fn descriptor() -> Value {
    json!({
        "format": 1, "requires": [], "id": ID, "version": "1.2.3", "package": "by-hand", "vendor": "acme",
        "priority": 100, "abi": { "version": "1.1.0", "majors": [1] }, "sdk": "0.1.0",
        "kinds": { "audit": ["emit_turn_audit"] }, "target": VerifyPolicy::default().target,
        "compiler": "by hand", "profile": "release", "opt_level": "3", "panic": "unwind", "heap": "host",
        "preflight": "create", "reentrant": false, "hooks": [],
    })
}

/// The same with one key changed.
#[must_use]
pub fn descriptor_with(key: &str, value: impl Into<Value>) -> Value {
    let mut descriptor = descriptor();
    descriptor[key] = value.into();
    descriptor
}

/// `entry.c` with this answer, this content of the descriptor section and these flags, as the file `out`.
///
/// # Panics
///
/// If the compiler fails.
pub fn entry(out: &Path, answer: &str, descriptor: &str, flags: &[&str]) {
    let bytes = descriptor.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",");
    let define = [format!("-DANSWER={answer}"), format!("-DDESCRIPTOR={{{bytes}}}")];
    let define = define.iter().map(String::as_str).collect::<Vec<_>>();
    let include = format!("-I{}", c_headers().display());
    let flags = [&["-shared", "-fPIC", &include], &*define, flags].concat();
    compile(out, &crate::fixtures("bad-plugins/c/entry.c"), &flags);
}

/// The folder of `mini_chat_plugin.h`.
#[must_use]
pub fn c_headers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/abi/include")
}

/// C text as the file `out`.
///
/// # Panics
///
/// If the compiler fails.
pub fn c(out: &Path, text: &str, flags: &[&str]) {
    let source = out.with_extension("c");
    std::fs::write(&source, text).expect("write");
    compile(out, &source, flags);
}

fn compile(out: &Path, source: &Path, flags: &[&str]) {
    // Source first: libraries count only for what stands before them.
    run(Command::new("cc").args(["-O1", "-Wall", "-Werror", "-o"]).arg(out).arg(source).args(flags));
}

/// `aborts.rs`, a library that is really compiled with `-C panic=abort`, as the file `out`.
///
/// # Panics
///
/// If the compiler fails.
pub fn aborts(out: &Path, descriptor: &Value) {
    let text: PathBuf = out.with_extension("json");
    std::fs::write(&text, descriptor.to_string()).expect("write");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    run(Command::new(rustc)
        .args(["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort", "-Copt-level=1", "-o"])
        .arg(out)
        .arg(crate::fixtures("bad-plugins/aborts.rs"))
        .env("DESCRIPTOR", &text));
}

fn run(command: &mut Command) {
    let run = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(run.status.success(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
}
