//! Candidates that would take their host with them: a process of their own goes instead, and the host says what happened.
//!
//! The trials are those of the program `mini-chat-plugins`: a program of tests cannot run itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::{PluginEntry, PluginsConfig};
use mini_chat_plugin_loader::{PluginHostBuilder, Preflight};
use mini_chat_plugin_tests::by_hand::{self, descriptor};
use mini_chat_plugin_tests::log::Log;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::site::{GOOD, MISBEHAVING, Site, failure, with_a_short_limit};
use serde_json::json;

crate::cases::cases! {
    crashes_while_it_is_mapped => "preflight-killed",
    exits_while_it_is_mapped => "preflight-exited",
    hangs_while_it_is_mapped => "preflight-timed-out",
    eats_memory_while_it_is_mapped => "preflight-out-of-memory",
    scribbles_while_it_is_mapped => "preflight-garbled",
    prints_while_it_is_mapped => "wrong-magic",
    constructor_exits => "preflight-exited",
    health_check_eats_memory => "preflight-out-of-memory",
    constructor_panics => "create-panicked",
    constructor_fails_for_now => "create-failed",
    constructor_never_returns => "create-deadline",
    configuration_is_refused => "config-refused",
    no_such_program => "preflight-not-started",
    another_program => "preflight-not-started",
    file_that_is_no_program => "preflight-not-started",
}

/// Enough for a good plugin, little enough to be eaten soon.
const MEMORY: u64 = 256 << 20;

fn tried(site: &Site) -> PluginHostBuilder {
    site.builder().preflight(Preflight::Program(plugins::program())).preflight_memory(MEMORY)
}

/// Code and text of why a library with this answer is refused; the text without the file's name.
fn by_hand(answer: &str, create: Duration) -> (&'static str, String) {
    let site = Site::new();
    let path = site.path("bad.so");
    by_hand::entry(&path, answer, &descriptor().to_string(), &[]);
    let mut entry = PluginEntry::new(by_hand::ID);
    entry.limits.create = create;
    let (kind, text) = site.failure(tried(&site).plugin(entry), by_hand::ID);
    (kind, without_path(&path, &text))
}

fn without_path(path: &Path, text: &str) -> String {
    text.strip_prefix(&format!("{}: ", path.display()))
        .unwrap_or_else(|| panic!("names the file first: {text}"))
        .to_owned()
}

const PATIENT: Duration = Duration::from_secs(60);

fn crashes_while_it_is_mapped() -> &'static str {
    let (kind, text) = by_hand("CRASHES", PATIENT);
    let expected = "its trial process was ended by SIGSEGV while the library was mapped (it wrote: about to crash); this is \
                    a bug of the plugin, which would have ended the host";
    assert_eq!(text, expected);
    kind
}

fn exits_while_it_is_mapped() -> &'static str {
    let (kind, text) = by_hand("EXITS", PATIENT);
    let expected = "its trial process exited with code 0 while the library was mapped; a plugin must not end its process, \
                    which would have been the host";
    assert_eq!(text, expected);
    kind
}

fn hangs_while_it_is_mapped() -> &'static str {
    with_a_short_limit(|limit| {
        let (kind, text) = by_hand("HANGS", limit);
        let expected = format!(
            "its trial process hung while the library was mapped: killed after {limit:?}; mend the plugin, or raise its limits"
        );
        if text == expected { Ok(kind) } else { Err(text) }
    })
}

fn eats_memory_while_it_is_mapped() -> &'static str {
    let (kind, text) = by_hand("EATS", PATIENT);
    let expected = "its trial process ran out of memory while the library was mapped (it may have 256 MiB more than at its \
                    start); mend the plugin, or raise preflight_memory";
    assert_eq!(text, expected);
    kind
}

fn scribbles_while_it_is_mapped() -> &'static str {
    let (kind, text) = by_hand("SCRIBBLES", PATIENT);
    let expected = "its trial process answered with what is no answer while the library was mapped: expected a line of \
                    JSON, found \"scribble\"; something in the plugin writes to files that are not its own";
    assert_eq!(text, expected);
    kind
}

/// What it writes to stdout looks like the trial's last word, and is none.
fn prints_while_it_is_mapped() -> &'static str {
    let (kind, text) = by_hand("PRINTS", PATIENT);
    assert!(text.starts_with("its entry answers `another protocol`"), "{text}");
    kind
}

fn misbehaving(config: serde_json::Value) -> (&'static str, String) {
    let site = Site::with_misbehaving();
    let mut entry = PluginEntry::new(MISBEHAVING).with_config(config).unwrap();
    (entry.limits.create, entry.limits.health) = (PATIENT, PATIENT);
    let (kind, text) = site.failure(tried(&site).plugin(entry), MISBEHAVING);
    let prefixes = [format!("plugin {MISBEHAVING}: "), format!("{}: ", site.path("misbehaving.so").display())];
    let text = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or_else(|| panic!("{text}"));
    (kind, text.to_owned())
}

fn constructor_exits() -> &'static str {
    let (kind, text) = misbehaving(json!({ "create": "exit" }));
    assert!(text.starts_with("its trial process exited with code 0 in the plugin's constructor; "), "{text}");
    kind
}

fn health_check_eats_memory() -> &'static str {
    let (kind, text) = misbehaving(json!({ "health": "eat" }));
    let start = "its trial process ran out of memory in the plugin's health check (it may have 256 MiB more than at its \
                 start)";
    assert!(text.starts_with(start), "{text}");
    kind
}

/// What the plugin says comes out as if the host itself had created it.
fn constructor_panics() -> &'static str {
    let (kind, text) = misbehaving(json!({ "create": "panic" }));
    assert!(
        text.starts_with("its constructor panicked at tests/fixtures/bad-plugins/misbehaving/src/act.rs:"),
        "{text}"
    );
    assert!(text.ends_with(": the constructor panics on purpose; this is a bug of the plugin"), "{text}");
    kind
}

fn constructor_fails_for_now() -> &'static str {
    let (kind, text) = misbehaving(json!({ "create": "fail-retryable" }));
    let (failed, wait) = ("its constructor failed (code 7): the constructor found nothing to talk to", "1.5s");
    assert_eq!(text, format!("{failed} (may be tried again after {wait})"));
    kind
}

fn constructor_never_returns() -> &'static str {
    let site = Site::with_misbehaving();
    with_a_short_limit(|limit| {
        let mut entry = PluginEntry::new(MISBEHAVING).with_config(json!({ "create": "never" })).unwrap();
        entry.limits.create = limit;
        let (kind, text) = site.failure(tried(&site).plugin(entry), MISBEHAVING);
        let expected = format!(
            "plugin {MISBEHAVING}: its constructor did not end within {limit:?}; raise limits.create or mend the plugin"
        );
        if text == expected { Ok(kind) } else { Err(text) }
    })
}

/// The place in plugins.toml is known to the host only.
fn configuration_is_refused() -> &'static str {
    let site = Site::with_misbehaving();
    let text = format!("[plugins.\"{MISBEHAVING}\".config]\nhealth = \"well\"\n\nstrict = {{ limit = \"s3cret\" }}\n");
    let config = PluginsConfig::parse("plugins.toml".as_ref(), &text).unwrap();
    let (kind, text) = site.failure(tried(&site).config(config), MISBEHAVING);
    let place = format!("plugins.toml:4:20: plugins.\"{MISBEHAVING}\".config.strict.limit: expected ");
    assert!(text.contains(&place) && !text.contains("s3cret"), "{text}");
    kind
}

/// Without a trial nothing is known against the file: it is not served, and not condemned.
fn without_trial(program: PathBuf) -> (&'static str, String) {
    let site = Site::new();
    let builder = site.builder().preflight(Preflight::Program(program));
    let host = block_on(builder.build()).expect("a host");
    let (kind, text) = failure(&host, GOOD);
    block_on(host.shutdown());
    assert!(text.contains("its trial process could not be had: "), "{text}");
    (kind, text)
}

fn no_such_program() -> &'static str {
    let (kind, text) = without_trial("/no/such/program".into());
    assert!(text.contains("/no/such/program: No such file or directory"), "{text}");
    kind
}

fn another_program() -> &'static str {
    let (kind, text) = without_trial("/bin/true".into());
    assert!(text.contains("does its program call preflight_child() at the top of main?"), "{text}");
    kind
}

fn file_that_is_no_program() -> &'static str {
    without_trial("/etc/passwd".into()).0
}

/// What is good is served, and its trial has left nothing behind.
#[test]
fn a_good_plugin_is_tried_and_serves() {
    let site = Site::with_misbehaving();
    let images = plugins::directory();
    let data = plugins::directory();
    let text = format!("[host]\nimage_dir = {:?}\ndata_dir = {:?}\n", images.path(), data.path());
    let config = PluginsConfig::parse("plugins.toml".as_ref(), &text).unwrap();
    let mut entry = PluginEntry::new(MISBEHAVING).with_config(json!({ "create": "print" })).unwrap();
    entry.limits.create = PATIENT;
    let host = site.serve(tried(&site).config(config).plugin(entry));
    let status = host.status();
    assert!(status.plugins.iter().all(|plugin| plugin.serving), "{status:?}");
    assert_eq!((status.images.images_limit, status.images.keys_ok), (256, true));
    let folder = std::fs::read_dir(images.path()).unwrap().next().unwrap().unwrap().path();
    let mut left: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".so") && name != ".lock")
        .collect();
    left.sort();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    assert!(block_on(host.shutdown()).is_clean());
}

/// Private copies in memory are found by the trial, too.
#[test]
fn copies_in_memory_are_tried() {
    let site = Site::with_misbehaving();
    let memory = || tried(&site).image_dir(mini_chat_plugin_loader::image_dir::ImageDirChoice::Memory);
    let host = site.serve(memory());
    assert!(host.status().plugins.iter().all(|plugin| plugin.serving), "{:?}", host.status());
    assert!(block_on(host.shutdown()).is_clean());
    let entry = PluginEntry::new(MISBEHAVING).with_config(json!({ "create": "exit" })).unwrap();
    assert_eq!(site.failure(memory().plugin(entry), MISBEHAVING).0, "preflight-exited");
}

/// A program that did not say that it can try plugins is never run as one that does: that is said once per host.
#[test]
fn a_host_without_trials_says_so() {
    let site = Site::new();
    let log = Log::default();
    let part = "plugins are mapped without a trial";
    tracing::subscriber::with_default(log.subscriber(), || {
        drop(site.serve(site.builder()));
        assert_eq!(log.with(part).len(), 1);
        drop(site.serve(site.builder().preflight(Preflight::Off)));
        drop(site.serve(tried(&site)));
        let config = PluginsConfig::parse("plugins.toml".as_ref(), "[host]\npreflight = false\n").unwrap();
        drop(site.serve(site.builder().config(config)));
        assert_eq!(log.with(part).len(), 1);
    });
}
