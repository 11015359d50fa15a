//! An author's crate outside the workspace, with a path to the SDK and nothing else of this repository: an older edition,
//! `forbid(unsafe_code)`, every lint an error, and the default release profile.

use std::fs;

use mini_chat_plugin_tests::author_crate::{AuthorCrate, text};

const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn builds_as_a_plugin() {
    let author = AuthorCrate::copy(SCRATCH, "plain", "");
    let library = author.build(&[]);
    let bytes = fs::read(library).unwrap();
    for part in
        ["mini_chat_plugin_entry", ".mini_chat_plugin", r#""id":"acme.desk._.both.v1.2""#, r#""version":"2.3.4""#]
    {
        assert!(contains(&bytes, part), "{part} is not in {}", library.display());
    }
}

#[test]
fn its_own_tests_run() {
    let output = AuthorCrate::copy(SCRATCH, "tests", "").cargo(&["test", "--release"], &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("test tests::says_what_it_is ... ok"), "{}", text(&output));
}

#[test]
fn compiles_and_is_tested_without_elf() {
    let author = AuthorCrate::copy(SCRATCH, "no_elf", "");
    let no_elf = [("MINI_CHAT_SDK_NO_ELF", "1")];
    let output = author.cargo(&["test", "--release"], &no_elf);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("test tests::says_what_it_is ... ok"), "{}", text(&output));

    let library = author.build(&no_elf);
    assert!(!contains(&fs::read(library).unwrap(), "mini_chat_plugin_entry"), "{} has an entry", library.display());
}

#[test]
fn panic_abort_does_not_compile() {
    let author = AuthorCrate::copy(SCRATCH, "panic_abort", "\n[profile.release]\npanic = \"abort\"\n");
    let output = author.cargo(&["check", "--release"], &[]);
    assert!(!output.status.success(), "it compiles");
    let message = "a mini-chat plugin needs `panic = \"unwind\"`: with \"abort\" a panic of the plugin would end its host; \
                   remove `panic = \"abort\"` from the profile";
    assert!(text(&output).contains(message), "{}", text(&output));
}
