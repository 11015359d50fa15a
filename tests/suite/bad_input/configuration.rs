//! A configuration that the plugin, or the host, cannot use. No message shows a value.

use std::path::PathBuf;

use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_tests::site::{MISBEHAVING, Site, with_a_short_limit};

crate::cases::cases! {
    wrong_type => "config-refused",
    missing_key => "config-refused",
    unknown_key => "config-refused",
    unknown_word => "config-refused",
    refused_by_the_type => "config-refused",
    missing_secret_file => "config",
    missing_variable => "config",
    the_type_panics => "create-panicked",
    reading_never_returns => "create-deadline",
}

/// The misbehaving plugin with this in its `config` table, which is line 3 of the file.
fn fails(config: &str) -> (&'static str, String, PathBuf) {
    let site = Site::with_misbehaving();
    let path = site.path("plugins.toml");
    let text = format!("[plugins.\"{MISBEHAVING}\"]\nlimits.create = \"60s\"\n{config}\n");
    std::fs::write(&path, text).unwrap();
    let (kind, text) = site.failure(site.builder().config_file(&path), MISBEHAVING);
    assert!(!text.contains("s3cret"), "{text}");
    let text = text.strip_prefix(&format!("plugin {MISBEHAVING}: ")).expect("names the plugin first").to_owned();
    (kind, text, path)
}

/// `at`: column and key; the line is the third.
fn says(config: &str, at: (u32, &str), expected: &str) -> &'static str {
    let (kind, text, path) = fails(config);
    let (column, key) = at;
    assert_eq!(text, format!("{}:3:{column}: plugins.\"{MISBEHAVING}\".config{key}: {expected}", path.display()));
    kind
}

fn wrong_type() -> &'static str {
    let config = r#"config = { strict = { limit = "s3cret", password = "s3cret" } }"#;
    says(config, (31, ".strict.limit"), "expected u32, found string")
}

fn missing_key() -> &'static str {
    let config = "config = { strict = { limit = 1 } }";
    says(config, (21, ".strict.password"), "expected a value, found no such key")
}

fn unknown_key() -> &'static str {
    let config = r#"config = { strict = { limti = "s3cret" } }"#;
    let expected = "expected one of `limit`, `password`, found an unknown key, did you mean `limit`?";
    says(config, (31, ".strict.limti"), expected)
}

fn unknown_word() -> &'static str {
    let known = ["well", "fail-retryable", "fail-permanent", "panic", "panic-with-bomb", "never", "block"];
    let known = known.map(|word| format!("`{word}`")).join(", ");
    let expected = format!("expected one of {known}, `block-at-once`, `exit`, `eat`, `print`, found another name");
    says(r#"config = { create = "s3cret" }"#, (21, ".create"), &expected)
}

fn refused_by_the_type() -> &'static str {
    let expected = "expected a value that the plugin's configuration type accepts, found one that it refuses";
    says(r#"config = { parse = "fail-permanent" }"#, (20, ".parse"), expected)
}

fn missing_secret_file() -> &'static str {
    let config = r#"config = { strict = { limit = 1, password = { file = "secrets/absent" } } }"#;
    let (kind, text, path) = fails(config);
    let secret = path.parent().unwrap().join("secrets/absent");
    let why = format!("cannot read secret file {}: No such file or directory (os error 2)", secret.display());
    let (file, key) = (path.display(), format!("plugins.\"{MISBEHAVING}\".config.strict.password"));
    assert_eq!(text, format!("{file}:3:45: {key}: {why}"));
    kind
}

fn missing_variable() -> &'static str {
    let config = r#"config = { strict = { limit = 1, password = { env = "NO_SUCH_VARIABLE" } } }"#;
    let expected = "environment variable `NO_SUCH_VARIABLE` is not set in the host's environment";
    says(config, (45, ".strict.password"), expected)
}

fn the_type_panics() -> &'static str {
    let (kind, text, _) = fails(r#"config = { parse = "panic" }"#);
    assert!(text.starts_with("its reading of the configuration panicked at "), "{text}");
    assert!(text.ends_with(": the configuration type panics on purpose; this is a bug of the plugin"), "{text}");
    kind
}

fn reading_never_returns() -> &'static str {
    with_a_short_limit(|limit| {
        let site = Site::with_misbehaving();
        let config = serde_json::json!({ "parse": "block" });
        let mut entry = PluginEntry::new(MISBEHAVING).with_config(config).unwrap();
        entry.limits.create = limit;
        let (kind, text) = site.failure(site.builder().plugin(entry), MISBEHAVING);
        let why = format!("its reading of the configuration did not end within {limit:?}");
        let expected = format!("plugin {MISBEHAVING}: {why}; raise limits.create or mend the plugin");
        if text == expected { Ok(kind) } else { Err(text) }
    })
}

/// Once the secret is there, the same configuration is a good one.
#[test]
fn a_secret_that_is_there() {
    let site = Site::with_misbehaving();
    let path = site.path("plugins.toml");
    let config = r#"config = { strict = { limit = 1, password = { file = "password" } } }"#;
    std::fs::write(&path, format!("[plugins.\"{MISBEHAVING}\"]\n{config}\n")).unwrap();
    std::fs::write(site.path("password"), "s3cret\n").unwrap();
    let host = site.serve(site.builder().config_file(&path));
    assert!(host.status().plugins.iter().all(|plugin| plugin.serving), "{:?}", host.status());
}
