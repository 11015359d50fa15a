//! Files that are wrong, each with the exact message.

use std::path::Path;

use super::{parse, refused};
use crate::config::PluginsConfig;
use crate::error::{ConfigError, ProblemKind};

const EU: &str = "[plugins.eu]\nlibrary = 'a.b._.c.v1'\n";

/// Keys of `[plugins.eu]` from line 3 on, and the one message they give.
const ENTRY: &[(&str, &str)] = &[
    ("prioritty = 1", "3:1: plugins.eu.prioritty: unknown key `prioritty`, did you mean `priority`?"),
    ("Data-Dir = '/x'", "3:1: plugins.eu.Data-Dir: unknown key `Data-Dir`, did you mean `data_dir`?"),
    (
        "colour = 1",
        "3:1: plugins.eu.colour: unknown key `colour`, expected one of library, version, enabled, required, vendor, priority, \
         instance, mode, workers, data_dir, limits, probation, \
         may_drop_kinds, audit, config",
    ),
    (
        "\"a\\nb.c\" = 1",
        "3:1: plugins.eu.\"a\\nb.c\": unknown key `\"a\\nb.c\"`, expected one of library, version, enabled, required, vendor, priority, \
         instance, mode, workers, data_dir, limits, probation, may_drop_kinds, audit, config",
    ),
    ("priority = '10'", "3:12: plugins.eu.priority: expected integer, found string"),
    ("priority = 1.0", "3:12: plugins.eu.priority: expected integer, found float"),
    ("priority = 32768", "3:12: plugins.eu.priority: expected integer from -32768 to 32767, found another integer"),
    (
        "priority = 99999999999999999999",
        "3:12: plugins.eu.priority: expected integer from -32768 to 32767, found another integer",
    ),
    ("workers = 0", "3:11: plugins.eu.workers: expected integer from 1 to 64, found another integer"),
    ("workers = 65", "3:11: plugins.eu.workers: expected integer from 1 to 64, found another integer"),
    ("enabled = 'yes'", "3:11: plugins.eu.enabled: expected boolean, found string"),
    ("required = 1", "3:12: plugins.eu.required: expected boolean, found integer"),
    ("vendor = ''", "3:10: plugins.eu.vendor: expected non-empty string, found an empty string"),
    ("vendor = ['é']", "3:10: plugins.eu.vendor: expected string, found array"),
    ("data_dir = ''", "3:12: plugins.eu.data_dir: expected path, found an empty string"),
    ("data_dir = 2026-01-01", "3:12: plugins.eu.data_dir: expected string, found datetime"),
    ("mode = 'fast'", "3:8: plugins.eu.mode: expected one of inline, isolated, adaptive, found another string"),
    ("mode = true", "3:8: plugins.eu.mode: expected string, found boolean"),
    (
        "instance = 'a.b._.c'",
        "3:12: plugins.eu.instance: expected GTS segment vendor.package.namespace.type.vMAJOR[.MINOR], found another string",
    ),
    ("version = '1.2'", "3:11: plugins.eu.version: expected semantic version such as \"1.2.3\", found another string"),
    (
        "version = '>=1.2.3'",
        "3:11: plugins.eu.version: expected semantic version such as \"1.2.3\", found another string",
    ),
    ("version = 1.2", "3:11: plugins.eu.version: expected string, found float"),
    ("limits = '5s'", "3:10: plugins.eu.limits: expected table, found string"),
    ("config = 'x'", "3:10: plugins.eu.config: expected table, found string"),
    ("limits.audti = '5s'", "3:8: plugins.eu.limits.audti: unknown key `audti`, did you mean `audit`?"),
    (
        "limits.policy = 5",
        "3:17: plugins.eu.limits.policy: expected duration string such as \"250ms\", \"5s\" or \"2m\", found integer",
    ),
    (
        "limits.policy = 'soon'",
        "3:17: plugins.eu.limits.policy: expected duration string such as \"250ms\", \"5s\" or \"2m\", found another string",
    ),
    (
        "limits.policy = '0s'",
        "3:17: plugins.eu.limits.policy: expected duration string such as \"250ms\", \"5s\" or \"2m\", found zero, which would \
         end every call at once",
    ),
    ("limits.policy = '25h'", "3:17: plugins.eu.limits.policy: expected duration of at most 24h, found a longer one"),
    (
        "limits.methods.get_user_limit = '1s'",
        "3:16: plugins.eu.limits.methods.get_user_limit: unknown key `get_user_limit`, did you mean `get_user_limits`?",
    ),
    (
        "limits.methods.publish_usage = true",
        "3:32: plugins.eu.limits.methods.publish_usage: expected duration string such as \"250ms\", \"5s\" or \"2m\", found boolean",
    ),
    (
        "limits.audit = '40s'",
        "3:8: plugins.eu.limits.drain: expected at least 42s, found 30s (its default): a replaced plugin must be able to end its \
         longest call, which is plugins.eu.limits.audit (40s) + plugins.eu.limits.grace (2s); raise `drain` to 42s or more",
    ),
    (
        "limits.grace = '20s'",
        "3:8: plugins.eu.limits.drain: expected at least 45s, found 30s (its default): a replaced plugin must be able to end its \
         longest call, which is plugins.eu.limits.audit (25s) + plugins.eu.limits.grace (20s); raise `drain` to 45s or more",
    ),
    (
        "limits.methods.get_user_limits = '1m'\nlimits.drain = '45s'",
        "4:8: plugins.eu.limits.drain: expected at least 1m 2s, found 45s: a replaced plugin must be able to end its longest call, \
         which is plugins.eu.limits.methods.get_user_limits (1m) + plugins.eu.limits.grace (2s); raise `drain` to 1m 2s or more",
    ),
    (
        "audit.delivery = 'best-effort'",
        "3:18: plugins.eu.audit.delivery: expected one of required, best_effort, found another string",
    ),
    (
        "audit.max_in_flight = 0",
        "3:23: plugins.eu.audit.max_in_flight: expected integer from 1 to 65536, found another integer",
    ),
    ("audit.failure = 1", "3:7: plugins.eu.audit.failure: unknown key `failure`, did you mean `failures`?"),
    (
        "config.a.b = [1, nan]",
        "3:18: plugins.eu.config.a.b[1]: expected finite float, found a float that JSON cannot hold (infinite or not a number)",
    ),
    (
        "config.a = 1e999",
        "3:12: plugins.eu.config.a: expected finite float, found a float that JSON cannot hold (infinite or not a number)",
    ),
    (
        "config.\"a b\" = 9223372036854775808",
        "3:16: plugins.eu.config.\"a b\": expected integer from -9223372036854775808 to 9223372036854775807, found another integer",
    ),
    (
        "config.key = { env = 'A-B' }",
        "3:22: plugins.eu.config.key.env: expected name of an environment variable (letters, digits and `_`), found another string",
    ),
    (
        "config.key = { credential = '../x' }",
        "3:29: plugins.eu.config.key.credential: expected name of a credential (letters, digits, `.`, `_`, `-` and `@`, no path), \
         found another string",
    ),
    (
        "[plugins.eu.config.key]\nfile = ''",
        "4:8: plugins.eu.config.key.file: expected path of a secret file, found another string",
    ),
];

#[test]
fn each_wrong_key_of_an_entry_has_its_message() {
    for (keys, expected) in ENTRY {
        assert_eq!(refused(&format!("{EU}{keys}")), [*expected], "{keys}");
    }
}

/// Whole files, and all their messages.
const WHOLE: &[(&str, &[&str])] = &[
    ("[plugin.eu]", &["1:2: plugin: unknown key `plugin`, did you mean `plugins`?"]),
    ("é = 1", &["1:1: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"]),
    ("plugins = 1", &["1:11: plugins: expected table, found integer"]),
    ("[[plugins]]", &["1:1: plugins: expected table, found array"]),
    ("host = []", &["1:8: host: expected table, found array"]),
    ("[plugins]\neu = 'x'", &["2:6: plugins.eu: expected table, found string"]),
    (
        "[plugins.eu]",
        &["1:1: plugins.eu: `library` is missing; it is needed because eu is no plugin id \
           (GTS segment vendor.package.namespace.type.vMAJOR[.MINOR])"],
    ),
    ("[plugins.eu]\nlibrary = 7", &["2:11: plugins.eu.library: expected string, found integer"]),
    (
        "[plugins.\"e u\"]",
        &["1:10: plugins.\"e u\": expected a name of 1 to 128 characters from A-Z a-z 0-9 . _ -, found another name"],
    ),
    (
        "[plugins.acme.policy._.a.v1]\npriority = 1\n[plugins.acme.policy._.b.v1.2]",
        &[
            "1:1: plugins.acme.policy: a name with dots must be quoted: [plugins.\"acme.policy._.a.v1\"]",
            "3:1: plugins.acme.policy: a name with dots must be quoted: [plugins.\"acme.policy._.b.v1.2\"]",
        ],
    ),
    (
        "[plugins.a]\nlibrary = 'a.b._.c.v1'\ninstance = 'a.b._.x.v1'\n[plugins.b]\nlibrary = 'a.b._.d.v1'\ninstance = 'a.b._.x.v1'",
        &["6:12: plugins.b.instance: expected an instance of its own, found that of plugins.a (line 3)"],
    ),
    (
        "[host]\nimage_dir = 1\nallow_needed = ['lib/x.so', 2]\ntrusted_uids = [-1, 4294967295, '0']\nshutdown = 25\nshut = 1",
        &[
            "2:13: host.image_dir: expected string, found integer",
            "3:17: host.allow_needed[0]: expected file name of a library such as \"libz.so.1\", found another string",
            "3:29: host.allow_needed[1]: expected string, found integer",
            "4:17: host.trusted_uids[0]: expected integer from 0 to 4294967294, found another integer",
            "4:21: host.trusted_uids[1]: expected integer from 0 to 4294967294, found another integer",
            "4:33: host.trusted_uids[2]: expected integer, found string",
            "5:12: host.shutdown: expected duration string such as \"250ms\", \"5s\" or \"2m\", found integer",
            "6:1: host.shut: unknown key `shut`, expected one of image_dir, data_dir, allow_needed, trusted_uids, shutdown, \
         watch, rescan, preflight, preflight_memory, max_images, gts_model_policy, gts_audit, metrics_prefix",
        ],
    ),
    ("[plugins.eu]\r\nlibrary = 'x\r\n", &["2:14: not valid TOML: invalid literal string, expected `'`"]),
    (
        "a = 1\na = 2\nb = = 3",
        &["2:1: not valid TOML: duplicate key", "3:5: not valid TOML: extra `=`, expected nothing"],
    ),
];

#[test]
fn each_wrong_file_has_its_messages() {
    for (text, expected) in WHOLE {
        assert_eq!(refused(text), *expected, "{text}");
    }
}

#[test]
fn all_problems_come_together_in_the_order_of_lines() {
    let error = parse("[plugins.b]\nworkers = 0\nlibrary = 1\n[host]\nshutdown = 0\n").expect_err("must be refused");
    assert_eq!(
        error.to_string(),
        "3 problems in the plugin configuration\n  \
         /etc/mini-chat/plugins.toml:2:11: plugins.b.workers: expected integer from 1 to 64, found another integer\n  \
         /etc/mini-chat/plugins.toml:3:11: plugins.b.library: expected string, found integer\n  \
         /etc/mini-chat/plugins.toml:5:12: host.shutdown: expected duration string such as \"250ms\", \"5s\" or \"2m\", found integer"
    );
    assert_eq!(error.problems()[0].position, Some((2, 11)));
    assert_eq!(error.problems()[0].kind, ProblemKind::BadValue);
}

#[test]
fn a_long_list_of_problems_is_cut() {
    let text: String = (0..100).map(|i| format!("k{i} = 1\n")).collect();
    let shown = parse(&text).expect_err("must be refused").to_string();
    assert_eq!(shown.lines().count(), 42);
    assert!(shown.starts_with("100 problems") && shown.ends_with("\n  and 60 more"), "{shown}");
}

#[test]
fn columns_count_characters() {
    assert_eq!(refused("plugins = { \"é€\" = 1 }")[1..], ["1:20: plugins.\"é€\": expected table, found integer"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("plugins.toml");
    let load = |path: &Path| PluginsConfig::load(path).expect_err("must be refused");
    let error = load(&path);
    assert!(matches!(&error, ConfigError::Read { path: named, .. } if *named == path));
    let start = format!("cannot read the plugin configuration {}: ", path.display());
    assert!(error.to_string().starts_with(&start), "{error}");
    assert!(matches!(load(directory.path()), ConfigError::Read { .. }), "a directory");

    std::fs::write(&path, b"[host]\nimage_dir = '\xff'").expect("write");
    assert_eq!(
        load(&path).to_string(),
        format!("{}:2:14: not UTF-8 from here on; expected a text file", path.display())
    );

    std::fs::write(&path, " ".repeat(4 * 1024 * 1024 + 1)).expect("write");
    assert!(load(&path).to_string().contains("larger than 4 MiB"));
}
