use std::collections::BTreeMap;

use serde::Deserialize;

use super::{NoConfig, read};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only read by serde")]
struct Config {
    port: u16,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    tiers: BTreeMap<String, Tier>,
    mode: Option<Mode>,
    id: Option<uuid::Uuid>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Tier {
    limit: i64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Plain,
    Named(String),
    Full { level: u8 },
}

#[test]
fn reads_what_serde_json_reads() {
    for json in [
        r#"{"port":1}"#,
        r#"{"port":65535,"ratio":1.5,"names":["a","ü"],"tiers":{"x":{"limit":-9}},"mode":"plain"}"#,
        r#"{"port":1,"mode":{"named":"n"},"id":"018f0000-0000-7000-8000-000000000001"}"#,
        r#"{"port":1,"ratio":2,"mode":{"full":{"level":3}},"id":null}"#,
    ] {
        assert_eq!(read::<Config>(json).unwrap(), serde_json::from_str::<Config>(json).unwrap(), "{json}");
    }
    assert_eq!(read::<NoConfig>("{}").unwrap(), NoConfig {});
}

#[test]
fn names_key_and_types_but_no_value() {
    for (json, message) in [
        (r#"{"port":"SECRET"}"#, "port: expected u16, found string"),
        (r#"{"port":70000}"#, "port: expected u16, found another integer"),
        (r#"{"port":1,"names":["SECRET",2]}"#, "names[1]: expected a string, found integer"),
        (r#"{"port":1,"tiers":{"x":{"limit":"SECRET"}}}"#, "tiers.x.limit: expected i64, found string"),
        (r#"{"port":1,"tiers":{"x":{}}}"#, "tiers.x.limit: expected a value, found no such key"),
        (r#"{}"#, "port: expected a value, found no such key"),
        (
            r#"{"port":1,"prot":2}"#,
            "prot: expected one of `port`, `ratio`, `names`, `tiers`, `mode`, `id`, found an unknown key",
        ),
        (r#"{"port":1,"mode":"SECRET"}"#, "mode: expected one of `plain`, `named`, `full`, found another name"),
        (r#"{"port":1,"mode":{"full":{"level":"SECRET"}}}"#, "mode.full.level: expected u8, found string"),
        (r#"{"port":1,"mode":7}"#, "mode: expected a variant's name, or a table with one key, found integer"),
        (
            r#"{"port":1,"id":"SECRET"}"#,
            "id: expected a value that the plugin's configuration type accepts, found one that it refuses",
        ),
        (r#"["SECRET"]"#, "[0]: expected u16, found string"),
    ] {
        let fault = read::<Config>(json).unwrap_err();
        assert_eq!(fault.to_string(), message, "{json}");
        assert!(!format!("{fault:?}").contains("SECRET"), "{json}");
    }
    assert_eq!(read::<NoConfig>(r#"{"a":1}"#).unwrap_err().to_string(), "a: expected no key, found an unknown key");
}
