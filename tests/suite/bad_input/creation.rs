//! Constructors and health checks that fail, panic or never end.

use futures::executor::block_on;
use mini_chat_plugin_loader::OnFailure;
use mini_chat_plugin_loader::config::{PluginEntry, PluginsConfig};
use mini_chat_plugin_loader::error::BuildError;
use mini_chat_plugin_tests::site::{MISBEHAVING, Site, failure, with_a_short_limit};
use serde_json::json;

crate::cases::cases! {
    constructor_fails_for_now => "create-failed",
    constructor_fails_for_good => "create-failed",
    constructor_panics => "create-panicked",
    constructor_panics_with_a_bomb => "create-panicked",
    constructor_never_returns => "create-deadline",
    constructor_blocks_its_thread => "create-deadline",
    health_check_fails => "create-failed",
    health_check_panics => "create-panicked",
    health_check_never_returns => "create-deadline",
    health_check_blocks_its_thread => "create-deadline",
    health_check_blocks_before_its_future => "create-deadline",
}

fn entry(config: serde_json::Value) -> PluginEntry {
    PluginEntry::new(MISBEHAVING).with_config(config).unwrap()
}

fn fails(entry: PluginEntry) -> (&'static str, String) {
    let site = Site::with_misbehaving();
    let (kind, text) = site.failure(site.builder().plugin(entry), MISBEHAVING);
    let text = text.strip_prefix(&format!("plugin {MISBEHAVING}: ")).expect("names the plugin first").to_owned();
    (kind, text)
}

fn says(config: serde_json::Value, expected: &str) -> &'static str {
    let (kind, text) = fails(entry(config));
    assert_eq!(text, expected);
    kind
}

fn constructor_fails_for_now() -> &'static str {
    says(
        json!({ "create": "fail-retryable" }),
        "its constructor failed (code 7): the constructor found nothing to talk to (may be tried again after 1.5s)",
    )
}

fn constructor_fails_for_good() -> &'static str {
    says(json!({ "create": "fail-permanent" }), "its constructor failed (code 8): the constructor cannot do that")
}

/// The location is that of the panic, in the plugin's sources.
fn panics(config: serde_json::Value, step: &str, message: &str) -> &'static str {
    let (kind, text) = fails(entry(config));
    let text = text.strip_prefix(&format!("its {step} panicked at ")).expect(step).to_owned();
    let (location, rest) = text.split_once(": ").unwrap();
    let place = "tests/fixtures/bad-plugins/misbehaving/src/act.rs:";
    assert!(location.starts_with(place), "{location}");
    assert_eq!(rest, format!("{message}; this is a bug of the plugin"));
    kind
}

fn constructor_panics() -> &'static str {
    panics(json!({ "create": "panic" }), "constructor", "the constructor panics on purpose")
}

fn constructor_panics_with_a_bomb() -> &'static str {
    panics(json!({ "create": "panic-with-bomb" }), "constructor", "a value that is not text")
}

fn health_check_fails() -> &'static str {
    says(
        json!({ "health": "fail-retryable" }),
        "its health check failed (code 7): the health check found nothing to talk to (may be tried again after 1.5s)",
    )
}

fn health_check_panics() -> &'static str {
    panics(json!({ "health": "panic" }), "health check", "the health check panics on purpose")
}

fn never_ends(place: &str, how: &str) -> &'static str {
    with_a_short_limit(|limit| {
        let mut entry = entry(json!({ place: how }));
        let step = if place == "create" {
            entry.limits.create = limit;
            "constructor"
        } else {
            entry.limits.health = limit;
            "health check"
        };
        let site = Site::with_misbehaving();
        let (kind, text) = site.failure(site.builder().plugin(entry), MISBEHAVING);
        let advice = format!("raise limits.{place} or mend the plugin");
        let expected = format!("plugin {MISBEHAVING}: its {step} did not end within {limit:?}; {advice}");
        if text == expected { Ok(kind) } else { Err(text) }
    })
}

fn constructor_never_returns() -> &'static str {
    never_ends("create", "never")
}

fn constructor_blocks_its_thread() -> &'static str {
    never_ends("create", "block")
}

fn health_check_never_returns() -> &'static str {
    never_ends("health", "never")
}

fn health_check_blocks_its_thread() -> &'static str {
    never_ends("health", "block")
}

fn health_check_blocks_before_its_future() -> &'static str {
    never_ends("health", "block-at-once")
}

/// The limits are those of the file.
#[test]
fn limits_come_from_the_file() {
    let site = Site::with_misbehaving();
    let toml = format!("[plugins.\"{MISBEHAVING}\"]\nlimits.health = \"250ms\"\nconfig.health = \"never\"\n");
    let path = site.path("plugins.toml");
    std::fs::write(&path, toml).unwrap();
    let (kind, text) = site.failure(site.builder().config_file(&path), MISBEHAVING);
    assert_eq!(kind, "create-deadline");
    assert!(text.contains("did not end within 250ms; raise limits.health"), "{text}");
}

/// What is required and does not serve fails the host, if it was told so; the good plugin is ended then.
#[test]
fn a_host_that_is_told_to_fail() {
    let site = Site::with_misbehaving();
    let builder = site.builder().plugin(entry(json!({ "create": "panic" }))).on_failure(OnFailure::Fail);
    let Err(BuildError::Required { failures }) = block_on(builder.build()) else { panic!("must fail") };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, MISBEHAVING);
    assert!(failures[0].1.contains("its constructor panicked"), "{failures:?}");

    // Not required: the same host starts.
    let mut entry = entry(json!({ "create": "panic" }));
    entry.required = false;
    let host = site.serve(site.builder().plugin(entry).on_failure(OnFailure::Fail));
    assert_eq!(failure(&host, MISBEHAVING).0, "create-panicked");
}

/// A name without a file is told which files there are that could not be used.
#[test]
fn no_file() {
    let site = Site::new();
    let broken = site.put_bytes(b"nothing", "broken.so");
    let config = PluginsConfig::parse("plugins.toml".as_ref(), "[plugins.\"acme.test._.absent.v1\"]\n").unwrap();
    let host = site.serve(site.builder().config(config));
    let (kind, text) = failure(&host, "acme.test._.absent.v1");
    assert_eq!(kind, "no-file");
    let expected = "plugin acme.test._.absent.v1: no usable file with the id acme.test._.absent.v1 in the plugin \
                    directories; drop it there, or set enabled = false (refused files: ";
    assert!(text.starts_with(&format!("{expected}{}: not an ELF file", broken.display())), "{text}");
}
