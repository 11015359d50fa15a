//! Real shared libraries, made by the C compiler, each right but for what its test is about.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use mini_chat_plugin_loader::error::LoadError;
use mini_chat_plugin_loader::find::Candidate;
use mini_chat_plugin_loader::verify::{ReadLimits, VerifiedImage, VerifyPolicy};
use serde_json::{Value, json};

/// A descriptor that this host accepts.
pub(crate) fn descriptor() -> Value {
    json!({
        "format": 1,
        "requires": [],
        "id": "acme.audit._.jsonl.v1",
        "version": "1.2.3",
        "package": "acme-jsonl-audit",
        "vendor": "acme",
        "priority": 100,
        "abi": { "version": "1.1.0", "majors": [1] },
        "sdk": "0.1.0",
        "kinds": { "audit": ["emit_turn_audit"] },
        "target": VerifyPolicy::default().target,
        "compiler": "a C compiler",
        "profile": "release",
        "opt_level": "3",
        "panic": "unwind",
        "heap": "host",
        "preflight": "create",
        "reentrant": false,
        "hooks": ["health"],
        "a_key_of_later_days": true
    })
}

/// What goes into the library besides the descriptor. Enough code and pointers that every table has several pages.
const BODY: &str = r#"
#include <stdio.h>
static int made;
__attribute__((constructor)) static void make(void) { made = 1; }
__attribute__((destructor)) static void unmake(void) { made = 0; }
int mini_chat_plugin_entry(unsigned major) { return printf("%u %d\n", major, made); }
#define F(n) int fun_##n(int x) { return x * n + puts(#n); }
#define F10(n) F(n##0) F(n##1) F(n##2) F(n##3) F(n##4) F(n##5) F(n##6) F(n##7) F(n##8) F(n##9)
#define F100(n) F10(n##0) F10(n##1) F10(n##2) F10(n##3) F10(n##4) F10(n##5) F10(n##6) F10(n##7) F10(n##8) F10(n##9)
F100(1) F100(2) F100(3) F100(4) F100(5) F100(6)
static const char zeros[16384];
const void *table[] = { zeros, fun_100, fun_600, table, &made };
"#;

/// The C source with this descriptor content, or without the section.
pub(crate) fn source(content: Option<&str>) -> String {
    let bytes = content.map(|c| c.bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(","));
    let section = bytes.map(|b| {
        format!("__attribute__((used, retain, section(\".mini_chat_plugin\"))) static const unsigned char descriptor[] = {{{b}}};")
    });
    format!("{}\n{BODY}", section.unwrap_or_default())
}

/// Compiles C source; panics with the compiler's words if it cannot.
pub(crate) fn compile(dir: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (c, out) = (dir.join(format!("{name}.c")), dir.join(name));
    std::fs::write(&c, source).unwrap();
    let run = Command::new("cc").args(["-O1", "-g0", "-o"]).arg(&out).arg(&c).args(flags).output().expect("run cc");
    assert!(run.status.success(), "cc: {}", String::from_utf8_lossy(&run.stderr));
    out
}

/// The room for a descriptor in [`plugin_bytes`].
const ROOM: usize = 2048;

/// The bytes of a library that this host accepts but for its descriptor, which is `content` (at most [`ROOM`] bytes).
/// Compiled once per test program.
pub(crate) fn plugin_bytes(content: &str) -> Vec<u8> {
    static COMPILED: std::sync::OnceLock<(Vec<u8>, usize)> = std::sync::OnceLock::new();
    let (bytes, at) = COMPILED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(plugin_with(dir.path(), &"X".repeat(ROOM), &[])).unwrap();
        let at = bytes.windows(ROOM).position(|w| w.iter().all(|&b| b == b'X')).expect("the section");
        (bytes, at)
    });
    let mut bytes = bytes.clone();
    bytes[*at..at + ROOM].fill(0);
    bytes[*at..at + content.len()].copy_from_slice(content.as_bytes());
    bytes
}

/// A library that this host accepts, `plugin.so` in `dir`.
pub(crate) fn plugin(dir: &Path) -> PathBuf {
    let path = dir.join("plugin.so");
    std::fs::write(&path, plugin_bytes(&descriptor().to_string())).unwrap();
    path
}

/// The same, compiled anew with another descriptor or further flags.
pub(crate) fn plugin_with(dir: &Path, content: &str, flags: &[&str]) -> PathBuf {
    compile(dir, "plugin.so", &source(Some(content)), &[&["-shared", "-fPIC"], flags].concat())
}

/// Writes `bytes` beside the plugin and verifies them.
pub(crate) fn verify_bytes(dir: &Path, bytes: &[u8]) -> Result<VerifiedImage, LoadError> {
    let path = dir.join("changed.so");
    std::fs::write(&path, bytes).unwrap();
    verify(&path)
}

/// Reads and verifies with the defaults.
pub(crate) fn verify(path: &Path) -> Result<VerifiedImage, LoadError> {
    Candidate::from_path(path).read(&ReadLimits::default())?.verify(&VerifyPolicy::default())
}

/// Runs the calling test again in a mount namespace of its own, where it may mount what it likes. `true`: this is that
/// run. `false`: that run has passed (or cannot be had here, which is said on stderr).
pub(crate) fn in_mount_namespace(test: &str) -> bool {
    const MARK: &str = "MINI_CHAT_TEST_IN_NAMESPACE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    for flags in [&["--mount"][..], &["--user", "--map-root-user", "--mount"][..]] {
        let probe = Command::new("unshare").args(flags).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
        if !probe.is_ok_and(|run| run.status.success()) {
            continue;
        }
        let run = Command::new("unshare")
            .args(flags)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(MARK, "1")
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && out.contains("1 passed"), "in the mount namespace:\n{out}");
        return false;
    }
    eprintln!("NOT RUN: {test} needs `unshare --mount` and a tmpfs, neither root nor a user namespace gives it here");
    false
}

/// A tmpfs at `dir`; only within [`in_mount_namespace`].
pub(crate) fn mount_tmpfs(dir: &Path, options: &str) {
    let run = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(dir).output().unwrap();
    assert!(run.status.success(), "mount: {}", String::from_utf8_lossy(&run.stderr));
}
