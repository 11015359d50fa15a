//! `mini-chat-plugins check`: what a host would find out, without a host.

use std::fs;

use mini_chat_plugin_tests::by_hand::{self, descriptor};
use mini_chat_plugin_tests::program::{Ran, command, end, run};
use mini_chat_plugin_tests::site::{GOOD, MISBEHAVING, Site};
use mini_chat_plugin_tests::stamped;
use serde_json::{Value, json};

fn check(site: &Site, file: &str, config: &str, options: &[&str]) -> Ran {
    let mut command = command(["check"]);
    command.arg(site.path(file)).args(options);
    if !config.is_empty() {
        let path = site.path("plugins.toml");
        fs::write(&path, config).unwrap();
        command.arg("--config").arg(path);
    }
    end(command, "")
}

/// Plugin and verdict of each row.
fn verdicts(ran: &Ran) -> Vec<(Value, Value)> {
    let rows = ran.json()["checked"].as_array().unwrap().clone();
    rows.iter().map(|row| (row["plugin"].clone(), row["verdict"].clone())).collect()
}

#[test]
fn a_good_file() {
    let site = Site::new();
    let ran = check(&site, "good.so", "", &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let row = &ran.json()["checked"][0];
    assert_eq!((&row["plugin"], &row["verdict"], &row["level"]), (&json!(GOOD), &json!("ok"), &json!("create")));
    assert!(row["took_ms"].is_u64() && row["shutdown_error"].is_null(), "{row}");
    let ran = check(&site, "good.so", "", &["--json", "--level", "open"]);
    assert_eq!((ran.code, &ran.json()["checked"][0]["level"]), (0, &json!("open")));
    let ran = check(&site, "good.so", "", &[]);
    let line = ran.stdout.lines().find(|line| line.contains("good.so")).unwrap();
    assert!(line.contains(GOOD) && line.ends_with(" ok"), "{line}");
}

/// A line per file and configuration; the bad ones end nothing but their own trial.
#[test]
fn a_directory() {
    let site = Site::with_misbehaving();
    by_hand::entry(&site.path("crashes.so"), "CRASHES", &descriptor().to_string(), &[]);
    site.put_bytes(b"nothing", "nothing.so");
    let config = format!(
        "[plugins.one]\nlibrary = \"{MISBEHAVING}\"\n\
         [plugins.two]\nlibrary = \"{MISBEHAVING}\"\nconfig.create = \"panic\"\n\
         [plugins.three]\nlibrary = \"{MISBEHAVING}\"\nconfig.create = \"fail-retryable\"\n\
         [plugins.four]\nlibrary = \"{MISBEHAVING}\"\nconfig.crate = \"well\"\n\
         [plugins.\"acme.test._.absent.v1\"]\n"
    );
    let ran = check(&site, "", &config, &["--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let row = |plugin: &str, verdict: &str| (json!(plugin), json!(verdict));
    let expected = [
        row(by_hand::ID, "preflight-killed"),
        row(GOOD, "ok"),
        row("one", "ok"),
        row("two", "create-panicked"),
        row("three", "create-failed"),
        row("four", "config-refused"),
        (Value::Null, json!("not-elf")),
        row("acme.test._.absent.v1", "no-file"),
    ];
    assert_eq!(verdicts(&ran), expected);
    let rows = ran.json();
    let message = rows["checked"][5]["message"].as_str().unwrap();
    assert!(message.contains("plugins.toml:11:") && message.contains("did you mean `create`?"), "{message}");
    assert_eq!(rows["checked"][4]["retryable"], true);
    // With --level open no constructor runs.
    let ran = check(&site, "misbehaving.so", &config, &["--json", "--level", "open"]);
    assert_eq!(ran.json()["checked"].as_array().unwrap().len(), 4, "{ran:?}");
    assert_eq!((verdicts(&ran)[1].clone(), verdicts(&ran)[2].clone()), (row("two", "ok"), row("three", "ok")));
}

#[test]
fn what_cannot_be_checked() {
    let site = Site::new();
    let ran = check(&site, "absent.so", "", &["--json"]);
    assert_eq!((ran.code, verdicts(&ran)), (1, vec![(Value::Null, json!("missing"))]));
    let ran = check(&site, "good.so", "[host]\npreflight_memory = 0\n", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{ran:?}");
    assert_eq!(run(["check"]).code, 2);
    assert_eq!(run(["check", "/", "--level", "all"]).code, 2);
}

/// A host that is newer than a plugin says, before it is rolled out, what it would answer in its place.
#[test]
fn methods_that_are_newer_than_the_plugin() {
    let site = Site::new();
    let mut bytes = stamped::good(1).bytes();
    // As a plugin of an older SDK: its descriptor does not have the method.
    let (known, unknown) = (b"\"check_user_license\"", b"\"check_user_xxxxxxx\"");
    let places: Vec<usize> =
        bytes.windows(known.len()).enumerate().filter(|(_, window)| *window == known).map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "the descriptor lists it");
    for place in places {
        bytes[place..place + known.len()].copy_from_slice(unknown);
    }
    fs::create_dir(site.path("older")).unwrap();
    fs::write(site.path("older/stamped.so"), bytes).unwrap();
    let config = format!("[plugins.\"{}\"]\ndata_dir = \"data\"\n", stamped::ID);
    let ran = check(&site, "older", &config, &["--json"]);
    assert_eq!((ran.code, &ran.json()["checked"][0]["by_default"]), (0, &json!(["check_user_license"])), "{ran:?}");
    let ran = check(&site, "older", &config, &[]);
    assert!(ran.stdout.contains("newer than it and answered by default: check_user_license"), "{}", ran.stdout);
}
