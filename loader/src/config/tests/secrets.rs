//! Secret references: what they resolve to, and what is said when they do not.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::parsed;
use crate::config::{ConfigTable, MAX_SECRET, ProcessSecrets, SecretSource};
use crate::error::ConfigError;

/// An environment and files that only the test knows.
#[derive(Default)]
struct Fake {
    env: HashMap<&'static str, OsString>,
    files: HashMap<&'static str, &'static [u8]>,
}

impl SecretSource for Fake {
    fn env(&self, name: &str) -> Option<OsString> {
        self.env.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, content)| content.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn config(keys: &str) -> ConfigTable {
    parsed(&format!("[plugins.eu]\nlibrary = 'a.b._.c.v1'\n[plugins.eu.config]\n{keys}")).plugins.remove(0).config
}

fn resolved(table: &ConfigTable, source: &dyn SecretSource) -> serde_json::Value {
    let resolved = table.resolve(source).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(resolved.as_json()).expect("JSON")
}

#[test]
fn references_are_filled_in_wherever_they_stand() {
    let source = Fake {
        env: [("TOKEN", "from env\n".into()), ("CREDENTIALS_DIRECTORY", "/run/credentials/x".into())].into(),
        files: [
            ("/etc/mini-chat/secrets/key", b"from \"file\"\n".as_slice()),
            ("/abs", b"two\r\n\r\n"),
            ("/run/credentials/x/db", b"from systemd"),
        ]
        .into(),
    };
    let table = config(
        "a = { file = 'secrets/key' }\nlist = [1, { env = 'TOKEN' }, { deep = { credential = 'db' } }]\nb.file = '/abs'\n\
         no_reference = { file = 'x', env = 'y' }\nnumber = { file = 1 }",
    );
    assert_eq!(
        resolved(&table, &source),
        json!({
            "a": "from \"file\"",
            "b": "two\r\n",
            "list": [1, "from env\n", { "deep": "from systemd" }],
            "no_reference": { "file": "x", "env": "y" },
            "number": { "file": 1 },
        })
    );
    let files = ["/abs", "/etc/mini-chat/secrets/key", "/run/credentials/x/db"].map(PathBuf::from);
    assert_eq!(table.secret_files(&source), files);
    assert_eq!(table.secret_files(&Fake::default()), files[..2]);
}

#[test]
fn the_whole_table_is_never_a_reference() {
    assert_eq!(
        resolved(&config("file = '/var/log/audit.jsonl'"), &Fake::default()),
        json!({ "file": "/var/log/audit.jsonl" })
    );
}

#[test]
fn each_missing_secret_is_named_with_its_place() {
    let source = Fake {
        env: [("BYTES", bytes_that_are_no_text())].into(),
        files: [("/etc/mini-chat/binary", b"\xff\xfe".as_slice())].into(),
    };
    let table = config(
        "z = { file = 'gone' }\na = { env = 'NOT_SET' }\nc = [{ credential = 'db' }]\nd.e = { file = 'binary' }\nf = { env = 'BYTES' }",
    );
    let error = table.resolve(&source).expect_err("must be refused");
    assert!(matches!(error, ConfigError::Secrets { .. }));
    assert_eq!(
        error.problems().iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "/etc/mini-chat/plugins.toml:4:5: plugins.eu.config.z: cannot read secret file /etc/mini-chat/gone: entity not found",
            "/etc/mini-chat/plugins.toml:5:5: plugins.eu.config.a: environment variable `NOT_SET` is not set in the host's environment",
            "/etc/mini-chat/plugins.toml:6:6: plugins.eu.config.c[0]: credential `db` cannot be looked up: $CREDENTIALS_DIRECTORY is \
             not set; expected a service started by systemd with LoadCredential=db:…",
            "/etc/mini-chat/plugins.toml:7:7: plugins.eu.config.d.e: expected text in secret file /etc/mini-chat/binary, found bytes \
             that are not UTF-8",
            "/etc/mini-chat/plugins.toml:8:5: plugins.eu.config.f: expected text in environment variable `BYTES`, found bytes that \
             are not UTF-8",
        ]
    );
}

fn bytes_that_are_no_text() -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(vec![0xff])
}

#[test]
fn values_become_json() {
    let table = config(
        "b = true\ni = -9223372036854775808\nx = 0xFF_FF\nf = 1.5\ns = 'é'\nt = 2026-01-02T03:04:05.5+01:00\nshort = 2026-01-02 03:04\n\
         date = 2026-01-02\nclock = 03:04\n[[plugins.eu.config.rows]]\nn = 1\n[[plugins.eu.config.rows]]\n",
    );
    assert_eq!(
        resolved(&table, &Fake::default()),
        json!({
            "b": true, "i": i64::MIN, "x": 65535, "f": 1.5, "s": "é", "t": "2026-01-02T03:04:05.5+01:00",
            "short": "2026-01-02T03:04:00", "date": "2026-01-02", "clock": "03:04:00", "rows": [{ "n": 1 }, {}],
        })
    );
}

#[test]
fn the_fingerprint_follows_the_effective_content_only() {
    let source = |token: &str| Fake { env: [("T", token.into())].into(), ..Fake::default() };
    let print = |keys: &str, token: &str| config(keys).resolve(&source(token)).expect("resolves").fingerprint();
    let first = print("a = 1\nb = { env = 'T' }", "x");
    assert_eq!(first, print("# moved\nb = 'x'\n\na = 1", ""), "order, places and origin do not count");
    assert_ne!(first, print("a = 1\nb = { env = 'T' }", "y"), "a rotated secret does");
    assert_ne!(first, print("a = 1.0\nb = 'x'", ""), "a type does");
    // Known value, so that it stays the same from version to version: SHA-256 of `{"a":1,"b":"x"}`.
    let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "ecf9e98ec0641e23113ff3ce8bdc78d0ddd249886517fd4a7f68cc83d4e65667");
    assert_eq!(config("b = 'x'\na = 1").resolve(&source("")).expect("resolves").as_json(), r#"{"a":1,"b":"x"}"#);
}

#[test]
fn debug_texts_show_no_value() {
    let table = config("a = 'SECRET-7f3a'");
    let resolved = table.resolve(&Fake::default()).expect("resolves");
    assert_eq!(format!("{table:?} {resolved:?}"), "ConfigTable(plugins.eu.config, ..) ResolvedConfig(..)");
}

#[test]
fn tables_from_code_follow_the_same_rules() {
    let table =
        ConfigTable::from_json(json!({ "k": { "file": "/s" }, "n": [null, 1.5, u64::MAX] })).expect("an object");
    let source = Fake { files: [("/s", b"v".as_slice())].into(), ..Fake::default() };
    assert_eq!(resolved(&table, &source), json!({ "k": "v", "n": [null, 1.5, u64::MAX] }));
    let missing = table.clone().for_plugin("a.b").resolve(&Fake::default()).expect_err("must be refused");
    assert_eq!(missing.to_string(), "plugins.\"a.b\".config.k: cannot read secret file /s: entity not found");
    assert_eq!(table.secret_files(&source), [PathBuf::from("/s")]);

    assert_eq!(resolved(&ConfigTable::empty(), &source), json!({}));
    assert_eq!(resolved(&ConfigTable::from_json(json!(null)).expect("empty"), &source), json!({}));
    let error = ConfigTable::from_json(json!("SECRET-7f3a")).expect_err("must be refused");
    assert_eq!(error.to_string(), "config: expected object, found string");
    let error = ConfigTable::from_json(json!({ "a": [{ "env": "SECRET-7f3a" }] })).expect_err("must be refused");
    assert_eq!(
        error.to_string(),
        "config.a[0].env: expected name of an environment variable (letters, digits and `_`), found another string"
    );
}

#[test]
fn files_of_this_process_are_read_whole_or_not_at_all() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("secret");
    let size = usize::try_from(MAX_SECRET).expect("fits");
    std::fs::write(&path, vec![b'x'; size]).expect("write");
    assert_eq!(ProcessSecrets.read(&path).expect("readable").len(), size);
    std::fs::write(&path, vec![b'x'; size + 1]).expect("write");
    assert_eq!(ProcessSecrets.read(&path).expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(ProcessSecrets.read(directory.path()).expect_err("a directory").to_string(), "not a regular file");
    assert_eq!(ProcessSecrets.read(Path::new("/dev/zero")).expect_err("endless").to_string(), "not a regular file");
    assert_eq!(ProcessSecrets.read(&directory.path().join("no")).expect_err("missing").kind(), io::ErrorKind::NotFound);
    assert!(ProcessSecrets.env("PATH").is_some());
}
