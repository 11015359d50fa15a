//! `install`: what is put into a directory, and what is waited for.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::{HostEvent, PluginHost};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::Uuid;
use mini_chat_plugin_tests::child;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::program::{Running, Signal, command, end, run};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, bad, good};
use serde_json::json;

use crate::site::{FILE, Site};

#[test]
fn a_good_build_is_installed_and_proven() {
    let site = Site::new();
    let running = site.run("", "probation.duration = \"100ms\"");
    let ran = end(site.install(good(1), &["--wait"]), "");
    assert_eq!(ran.code, 0, "the first has no probation: {ran:?}");
    assert!(ran.stdout.contains("\nproven ") && ran.stdout.contains(" generation=1"), "{}", ran.stdout);
    let ran = end(site.install(good(2), &["--wait", "--json"]), "");
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = ran.json();
    assert_eq!((&told["verdict"], &told["id"], &told["version"]), (&json!("proven"), &json!(ID), &json!("100000.0.0")));
    assert_eq!(told["plugins"], json!([{ "plugin": ID, "state": "proven", "generation": 2, "message": null }]));
    assert_eq!(site.plugin()["instance"]["digest"], told["digest"]);
    // Once more: nothing is to be done.
    let ran = end(site.install(good(2), &["--wait"]), "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("unchanged ") && ran.stdout.contains(" generation=2"), "{}", ran.stdout);
    let ran = end(site.install(good(3), &["--name", "other.so"]), "");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("libstamped.so has the same id and version 100000.0.0, and other bytes"), "{ran:?}");
    assert_eq!(site.installed(), [FILE]);
    drop(running);
}

#[test]
fn a_host_that_does_not_look_by_itself_is_told() {
    let site = Site::new();
    good(1).drop_in(&site.plugins(), FILE);
    let running = site.run("watch = false", "probation.duration = \"50ms\"");
    assert_eq!(end(site.install(good(2), &["--wait"]), "").code, 0);
    assert_eq!(site.plugin()["instance"]["generation"], 2);
    let ran = end(site.install(good(3), &[]), "");
    assert_eq!(ran.code, 0, "{ran:?}");
    eventually("it was told without --wait as well", || site.plugin()["instance"]["generation"] == 3);
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
    let ran = end(site.install(good(4), &[]), "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("no host was told: no host listens at "), "{ran:?}");
}

#[test]
fn a_build_that_its_check_refuses_is_not_installed() {
    let site = Site::new();
    for (behaviour, kind) in [("create-permanent", "create-failed"), ("map-crash", "preflight-killed")] {
        let ran = end(site.install(bad(1, behaviour), &[]), "");
        assert_eq!((ran.code, site.installed().len()), (1, 0), "{ran:?}");
        assert!(ran.stdout.contains(kind), "{ran:?}");
        assert!(ran.stderr.contains("refused by its check: nothing was installed"), "{ran:?}");
    }
    let ran = end(site.install(bad(1, "create-permanent"), &["--json"]), "");
    assert_eq!(
        (&ran.json()["installed"], &ran.json()["checked"][0]["verdict"]),
        (&json!(false), &json!("create-failed"))
    );
    // With the settings of its plugins.toml.
    let config = site.path("plugins.toml");
    fs::write(&config, format!("[plugins.\"{ID}\".config]\nmodles = 1\n")).unwrap();
    let ran = end(site.install(good(1), &["--config", config.to_str().unwrap()]), "");
    assert_eq!((ran.code, site.installed().len()), (1, 0), "{ran:?}");
    assert!(ran.stdout.contains("config-refused"), "{ran:?}");
    let text = site.path("builds/text.so");
    fs::write(&text, "no plugin").unwrap();
    let ran = run(["install", text.to_str().unwrap(), site.plugins().to_str().unwrap()]);
    assert_eq!((ran.code, site.installed().len()), (1, 0), "{ran:?}");
    assert!(ran.stdout.contains("not-elf"), "{ran:?}");
}

#[test]
fn what_cannot_be_installed_is_said() {
    let site = Site::new();
    let absent = site.path("absent");
    let build = site.build(good(1));
    let install = |directory: &Path, options: &[&str]| {
        let mut command = command(["install"]);
        command.arg(&build).arg(directory).args(options);
        end(command, "")
    };
    let ran = install(&absent, &[]);
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.stderr.contains("absent: expected a readable directory: No such file"), "{ran:?}");
    for name in ["lib.txt", ".hidden.so", "a/b.so"] {
        let ran = install(&site.plugins(), &["--name", name]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(&format!("NAME.so, not hidden), found {name}")), "{ran:?}");
    }
    fs::create_dir(site.plugins().join(FILE)).unwrap();
    let ran = install(&site.plugins(), &[]);
    assert_eq!((ran.code, site.installed()), (69, vec![FILE.to_owned()]), "{ran:?}");
    assert!(ran.stderr.contains("cannot rename it into its place; nothing was changed"), "{ran:?}");
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    if !child::in_mount_namespace("install::a_full_disk_leaves_nothing_behind") {
        return;
    }
    let site = Site::new();
    child::mount(&["-t", "tmpfs", "-o", "size=64k", "none"], &site.plugins());
    let ran = end(site.install(good(1), &[]), "");
    assert_eq!((ran.code, site.installed().len()), (69, 0), "{ran:?}");
    assert!(ran.stderr.contains("cannot write it to its directory; nothing was changed: No space left"), "{ran:?}");
}

#[test]
fn no_verdict_in_time_says_how_it_stands() {
    let site = Site::new();
    good(1).drop_in(&site.plugins(), FILE);
    let running = site.run("max_images = 2", "probation.duration = \"1h\"");
    assert_eq!(end(site.install(good(2), &[]), "").code, 0);
    eventually("it is on probation", || site.plugin()["instance"]["generation"] == 2);
    let ran = end(site.install(good(2), &["--wait", "--timeout", "100ms"]), "");
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.stderr.contains("no verdict within 100ms; the file is in place: "), "{ran:?}");
    assert!(ran.stderr.contains("generation 2 serves, and is on probation still (its state: probation)"), "{ran:?}");
    // There is no room for a third library: that may change, so it is no verdict.
    assert_eq!(end(site.install(good(3), &[]), "").code, 0);
    eventually("it is refused", || site.plugin()["swap"]["retry"]["kind"] == "image-budget");
    let ran = end(site.install(good(3), &["--wait", "--timeout", "100ms", "--json"]), "");
    assert_eq!((ran.code, &ran.json()["verdict"]), (75, &json!("timeout")), "{ran:?}");
    let nowhere = plugins::directory();
    let mut elsewhere = command(["install"]);
    let hello = plugins::drop_in(&site.path("builds"), &plugins::built("hello"), "hello.so");
    elsewhere.arg(hello).arg(nowhere.path()).args(["--wait", "--timeout", "100ms", "--control"]).arg(site.socket());
    let ran = end(elsewhere, "");
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.stderr.contains(" one of its plugin directories?"), "{ran:?}");
    drop(running);
}

#[test]
fn a_build_that_goes_bad_after_the_flip_fails_the_pipeline() {
    let site = Site::new();
    good(1).drop_in(&site.plugins(), FILE);
    let mut entry = PluginEntry::new(ID);
    entry.mode = ExecutionMode::Inline;
    entry.data_dir = Some(site.path("data"));
    entry.probation.duration = Duration::from_secs(3600);
    let host = block_on(PluginHost::builder().plugins(site.plugins()).plugin(entry).build()).expect("the host starts");
    let _control = host.serve_control(site.socket()).expect("a socket");
    let mut events = host.events();
    let installing = Running::start(site.install(bad(2, "internal"), &["--wait"]));
    let build = || {
        let policy = host.model_policy(ID);
        let version = block_on(policy.get_current_policy_version(Uuid::nil(), CancellationToken::new()));
        version.map(|version| version.policy_version)
    };
    eventually("it is rolled back", || {
        let _ = build();
        std::iter::from_fn(|| events.try_recv().ok()).any(|event| matches!(event, HostEvent::RolledBack { .. }))
    });
    let (code, stdout, stderr) = installing.end();
    assert_eq!(code, 1, "{stderr:#?}");
    assert!(stdout.iter().any(|line| line.starts_with("serving ") && line.contains(" probation=true")), "{stdout:#?}");
    let error = stderr.iter().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains(&format!("plugin {ID}: rolled back: 20 errors in 20 calls")), "{error}");
    assert!(error.contains("the file stays at ") && error.contains("does not try its content again"), "{error}");
    assert_eq!(build().ok(), Some(1));
    assert_eq!(site.installed(), [FILE]);

    // The same once more: the host would not even try it.
    let ran = end(site.install(bad(2, "internal"), &["--wait"]), "");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("given up this very build before") && ran.stderr.contains("20 errors"), "{ran:?}");
    assert!(ran.stderr.contains(&format!("mini-chat-plugins unquarantine {ID}")), "{ran:?}");
    // Another build comes in its place while it is waited for.
    let waiting = Running::start(site.install(good(3), &["--wait"]));
    eventually("it serves", || build().ok() == Some(3));
    block_on(host.rollback(ID)).expect("the first stands by");
    let (code, _, stderr) = waiting.end();
    assert_eq!(code, 1, "{stderr:#?}");
    assert!(stderr.iter().any(|line| line.contains("rolled back: it was rolled back by hand")), "{stderr:#?}");
    // A host that ends has no verdict to give.
    let waiting = Running::start(site.install(good(4), &["--wait"]));
    eventually("it serves", || build().ok() == Some(4));
    block_on(host.shutdown());
    let (code, _, stderr) = waiting.end();
    assert_eq!(code, 69, "{stderr:#?}");
    assert!(stderr.iter().any(|line| line.contains("the host has ended before there was a verdict")), "{stderr:#?}");
}
