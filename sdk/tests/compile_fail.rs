//! What the SDK forbids does not compile, and the compiler says what to do. Each case is a plugin of `compile-fail`, the message
//! stands beside it.

use std::process::Command;

/// The release of the compiler whose messages they are: others word them differently. `TRYBUILD=overwrite` writes them anew.
const WORDED_BY: &str = "rustc 1.95.";

#[test]
fn the_compiler_says_what_to_do() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("a compiler");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.starts_with(WORDED_BY) {
        assert!(
            std::env::var_os("MINI_CHAT_CI").is_none(),
            "the messages are those of {WORDED_BY}x, this is {version}: run this with TRYBUILD=overwrite, read what changed, and \
             raise WORDED_BY"
        );
        eprintln!("NOT RUN: the messages are those of {WORDED_BY}x, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}
