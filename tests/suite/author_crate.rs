//! An author's crate outside the workspace, with a path to the SDK and nothing else of this repository: an older edition,
//! `forbid(unsafe_code)`, every lint an error, and the default release profile.

use std::fs;

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_tests::author_crate::{AuthorCrate, text};
use mini_chat_plugin_tests::{plugins, read_fixture};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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
fn is_served() {
    let author = AuthorCrate::copy(SCRATCH, "served", "");
    let directory = plugins::directory();
    plugins::drop_in(directory.path(), author.build(&[]), "desk.so");
    let entry = PluginEntry::new("acme.desk._.both.v1.2")
        .with_config(serde_json::json!({ "token": "t", "daily_credits": 77, "pause_ms": 1 }))
        .unwrap();
    futures::executor::block_on(async {
        let host = PluginHost::builder().plugins(directory.path()).plugin(entry).build().await.unwrap();
        assert!(host.status().plugins[0].serving, "{:?}", host.status());
        let policy = host.model_policy("acme.desk._.both.v1.2");
        let limits = policy.get_user_limits(Uuid::from_u128(7), 9, CancellationToken::new()).await.unwrap();
        assert_eq!((limits.user_id, limits.policy_version), (Uuid::from_u128(7), 9));
        assert_eq!(limits.standard.limit_daily_credits_micro, 77);
        let event = serde_json::from_str(&read_fixture("mini-chat/full/TurnAuditEvent.json")).unwrap();
        host.audit("acme.desk._.both.v1.2").emit_turn_audit(event).await.unwrap();
        assert!(host.shutdown().await.is_clean());
    });
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

#[test]
fn one_of_the_two_hooks_of_an_exclusive_plugin_does_not_compile() {
    for (name, key) in [("without_resume", " resume: Desk::resume,"), ("without_quiesce", " quiesce: Desk::quiesce,")] {
        let output = AuthorCrate::copy(SCRATCH, name, "").without(key).cargo(&["check", "--release"], &[]);
        assert!(!output.status.success(), "it compiles without `{key}`");
        let message = "`quiesce` and `resume` must come together: a plugin that gives up what only one instance may hold \
                       must be able to take it back when its successor cannot be created";
        assert!(text(&output).contains(message), "{}", text(&output));
    }
}
