//! What a plugin says about its table is given its place in the file.

use super::parsed;
use crate::config::ConfigTable;
use crate::error::ProblemKind;

const TEXT: &str = "\
[plugins.eu]
library = 'a.b._.c.v1'

[plugins.eu.config]
tiers = { standard = 1, 'std.x' = [1,
  { y = 2 }] }
'a b' = 'é'

[[plugins.eu.config.list]]
x = 1
[[plugins.eu.config.list]]
[plugins.eu.config.list.deep]
x = { env = 'T' }
";

fn table() -> ConfigTable {
    parsed(TEXT).plugins.remove(0).config
}

#[test]
fn places_are_found_by_path() {
    for (path, expected) in [
        ("", (4, 1)),
        (".", (4, 1)),
        ("missing", (4, 1)),
        ("tiers", (5, 9)),
        ("tiers.standard", (5, 22)),
        ("tiers.standard.deeper", (5, 22)),
        ("tiers.other", (5, 9)),
        ("tiers.std.x[1].y", (6, 9)),
        ("tiers.\"std.x\"[0]", (5, 36)),
        ("tiers.standardx", (5, 9)),
        ("a b", (7, 9)),
        ("\"a b\"", (7, 9)),
        ("list[0].x", (10, 5)),
        ("list.1", (11, 1)),
        ("list[1].deep.x", (13, 5)),
        ("list[1].deep.x.env", (13, 5)),
        ("list[7].x", (9, 1)),
        ("list[", (9, 1)),
        ("list[-1]", (9, 1)),
    ] {
        assert_eq!(table().locate(path), Some(expected), "{path}");
    }
    assert_eq!(ConfigTable::empty().locate("a"), None);
}

#[test]
fn a_table_that_is_not_there_is_placed_at_the_entry() {
    let config = parsed("\n[plugins.\"a.b._.c.v1\"]").plugins.remove(0).config;
    assert_eq!(
        config.plugin_error("url", "string", "nothing", None).to_string(),
        "/etc/mini-chat/plugins.toml:2:1: plugins.\"a.b._.c.v1\".config.url: expected string, found nothing"
    );
}

#[test]
fn the_plugins_words_look_like_every_other_problem() {
    let table = table();
    assert_eq!(table.key_path_prefix(), "plugins.eu.config");
    let problem = table.plugin_error("list[0].x", "string", "integer", None);
    assert_eq!(problem.kind, ProblemKind::Plugin);
    assert_eq!(
        problem.to_string(),
        "/etc/mini-chat/plugins.toml:10:5: plugins.eu.config.list[0].x: expected string, found integer"
    );
    assert_eq!(
        table.plugin_error("tiers.standrad", "a known key", "an unknown key", Some("standard")).to_string(),
        "/etc/mini-chat/plugins.toml:5:9: plugins.eu.config.tiers.standrad: expected a known key, found an unknown key, did you \
         mean `standard`?"
    );
    assert_eq!(
        table.plugin_error(".", "a\nb", "\u{1b}[31m", None).to_string(),
        "/etc/mini-chat/plugins.toml:4:1: plugins.eu.config: expected a\\nb, found \\u{1b}[31m"
    );
    let endless = table.plugin_error("", &"x".repeat(10_000), "y", None).to_string();
    assert!(endless.len() < 500, "{}", endless.len());
    let code = ConfigTable::empty().for_plugin("eu").plugin_error("[0]", "table", "array", None);
    assert_eq!(code.to_string(), "plugins.eu.config[0]: expected table, found array");
}
