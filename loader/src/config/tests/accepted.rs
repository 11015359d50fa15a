//! Files that are right, and what is read from them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{EXAMPLE, parse, parsed};
use crate::config::{
    AuditDelivery, Delivery, ExecutionMode, Limits, MAX_LIMIT, PluginsConfig, delivery, entry, host, limits, names,
};
use crate::method::Method;

const S: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn the_example_is_read_as_it_says() {
    let config = parsed(EXAMPLE);
    assert_eq!(config.host.image_dir.as_deref(), Some(Path::new("/var/cache/mini-chat/plugins")));
    assert_eq!(config.host.data_dir.as_deref(), Some(Path::new("/var/lib/mini-chat/plugins")));
    assert_eq!(config.host.allow_needed, ["libz.so.1"]);
    assert_eq!(config.host.trusted_uids, [1000]);
    assert_eq!(config.host.shutdown, S(25));
    assert_eq!((config.host.preflight, config.host.preflight_memory, config.host.max_images), (true, 1024, 256));

    let [audit, eu] = &config.plugins[..] else { panic!("two plugins") };
    assert_eq!((&*audit.name, &*audit.library), ("acme.audit._.jsonl.v1", "acme.audit._.jsonl.v1"));
    assert_eq!((&*eu.name, &*eu.library), ("eu", "acme.policy._.static.v1"));
    assert_eq!(eu.version, Some(semver::Version::new(1, 2, 3)));
    assert_eq!((eu.enabled, eu.required), (true, true));
    assert_eq!((eu.vendor.as_deref(), eu.priority), (Some("acme"), Some(10)));
    assert_eq!(eu.instance.as_deref(), Some("acme.policy._.eu.v1"));
    assert_eq!((eu.mode, eu.workers), (ExecutionMode::Adaptive, Some(2)));
    assert_eq!(eu.data_dir.as_deref(), Some(Path::new("/var/lib/mini-chat/eu")));
    assert_eq!(eu.limits.methods.len(), 9);
    assert_eq!(eu.limits.deadline(Method::GetUserLimits), Duration::from_millis(500));
    assert_eq!(eu.limits.deadline(Method::PublishUsage), S(15));
    let delivery = audit.audit.clone().expect("a section");
    assert_eq!((delivery.delivery, delivery.is_required(false)), (Some(Delivery::Required), true));
    assert_eq!(AuditDelivery { delivery: None, ..delivery }, AuditDelivery::default());
    assert_eq!(eu.audit, None);
    // What the example calls the defaults are the defaults.
    assert_eq!(Limits { methods: Default::default(), ..eu.limits.clone() }, Limits::default());
    let defaults = crate::config::HostSection::default();
    assert_eq!(config.host.shutdown, defaults.shutdown);
    assert_eq!((config.host.watch, config.host.rescan), (defaults.watch, defaults.rescan));
    assert_eq!((defaults.watch, defaults.rescan), (true, S(30)));
    assert_eq!(
        (&*config.host.metrics_prefix, config.host.metrics_prefix == defaults.metrics_prefix),
        ("mini_chat_plugin", true)
    );
}

#[test]
fn the_example_has_every_key() {
    let lists = [host::KEYS, entry::KEYS, limits::KEYS, delivery::KEYS, &Method::NAMES];
    for key in lists.into_iter().flatten() {
        let given = |line: &str| line.starts_with(&format!("{key} = ")) || line.ends_with(&format!(".{key}]"));
        assert!(EXAMPLE.lines().any(given), "{key} is not in the example");
    }
}

#[test]
fn an_entry_with_nothing_in_it_has_the_defaults() {
    let config = parsed("[plugins.\"a.b._.c.v1\"]");
    let [plugin] = &config.plugins[..] else { panic!("one plugin") };
    assert_eq!(plugin.library, "a.b._.c.v1");
    assert!(plugin.enabled && plugin.required);
    assert_eq!((&plugin.vendor, plugin.priority, &plugin.instance), (&None, None, &None));
    assert_eq!((plugin.mode, plugin.workers, &plugin.data_dir), (ExecutionMode::Adaptive, None, &None));
    assert_eq!(plugin.limits, Limits::default());
    assert_eq!(config.host, Default::default());
}

#[test]
fn delivery_is_required_as_the_plugin_is_unless_it_says_otherwise() {
    let section = |keys: &str| {
        let config = parsed(&format!("[plugins.eu]\nlibrary = 'a.b._.c.v1'\n[plugins.eu.audit]\n{keys}"));
        config.plugins[0].audit.clone().expect("a section")
    };
    let empty = section("");
    assert_eq!((empty.is_required(true), empty.is_required(false)), (true, false));
    assert!(!section("delivery = 'best_effort'").is_required(true));
    assert!(section("delivery = 'required'").is_required(false));
}

#[test]
fn an_empty_file_has_no_plugins() {
    for text in ["", "\n# nothing\n", "[host]\n[plugins]\n", "\u{feff}[plugins]"] {
        assert!(parsed(text).plugins.is_empty());
    }
}

#[test]
fn plugins_keep_the_order_of_the_file() {
    let config = parsed(
        "plugins.z.library = 'a.b._.c.v1'\n[plugins.b]\nlibrary = 'a.b._.c.v1'\n[plugins.a]\nlibrary = 'a.b._.c.v1'",
    );
    let names: Vec<_> = config.plugins.iter().map(|plugin| &*plugin.name).collect();
    assert_eq!(names, ["z", "b", "a"]);
}

#[test]
fn relative_paths_start_at_the_file() {
    let config = parsed("[host]\nimage_dir = 'images'\n[plugins.\"a.b._.c.v1\"]\ndata_dir = '../data'");
    assert_eq!(config.host.image_dir, Some(PathBuf::from("/etc/mini-chat/images")));
    assert_eq!(config.plugins[0].data_dir, Some(PathBuf::from("/etc/mini-chat/../data")));
}

#[test]
fn the_ends_of_each_range_are_accepted() {
    let entry = |keys: &str| parsed(&format!("[plugins.\"a.b._.c.v1\"]\n{keys}")).plugins.remove(0);
    assert_eq!(entry("priority = -32768").priority, Some(i16::MIN));
    assert_eq!(entry("priority = 0x7FFF").priority, Some(i16::MAX));
    assert_eq!(entry("workers = 1").workers, Some(1));
    assert_eq!(entry("workers = +64").workers, Some(64));
    assert_eq!(entry("limits.create = '24h'").limits.create, MAX_LIMIT);
    assert_eq!(entry("limits.hold = '1ns'").limits.hold, Duration::from_nanos(1));
    assert_eq!(parsed("host.trusted_uids = [0, 4294967294]").host.trusted_uids, [0, u32::MAX - 1]);
    assert!(parse(&format!("[plugins.{}]\nlibrary = 'a.b._.c.v1'", "n".repeat(128))).is_ok());
    for mode in [ExecutionMode::Inline, ExecutionMode::Isolated, ExecutionMode::Adaptive] {
        assert_eq!(entry(&format!("mode = '{}'", mode.name())).mode, mode);
        assert_eq!(ExecutionMode::from_name(mode.name()), Some(mode));
    }
}

#[test]
fn one_instance_id_may_be_named_again_by_a_disabled_plugin() {
    let text = "[plugins.a]\nlibrary = 'a.b._.c.v1'\ninstance = 'a.b._.x.v1'\n\
                [plugins.b]\nlibrary = 'a.b._.c.v1'\ninstance = 'a.b._.x.v1'\nenabled = false";
    assert_eq!(parsed(text).plugins.len(), 2);
}

#[test]
fn the_deadline_of_a_method_is_its_own_or_that_of_its_group() {
    let mut limits = Limits::default();
    for method in Method::ALL {
        let group = match method.name() {
            "publish_usage" => 20,
            name if name.starts_with("emit_") => 25,
            _ => 5,
        };
        assert_eq!(limits.deadline(method), S(group), "{method}");
    }
    limits.methods.insert(Method::PublishUsage, S(1));
    assert_eq!((limits.deadline(Method::PublishUsage), limits.publish_usage), (S(1), S(20)));
}

#[test]
fn the_least_drain_is_enough() {
    let text = "[plugins.\"a.b._.c.v1\".limits]\naudit = '40s'\ngrace = '500ms'\ndrain = '40s 500ms'";
    assert_eq!(parsed(text).plugins[0].limits.drain, Duration::from_millis(40_500));
    // A shorter deadline of every audit method is what counts, not that of the group.
    let short = "[plugins.\"a.b._.c.v1\".limits]\ndrain = '22s'\n[plugins.\"a.b._.c.v1\".limits.methods]\nemit_turn_audit = '1s'\n\
                 emit_turn_retry_audit = '1s'\nemit_turn_edit_audit = '1s'\nemit_turn_delete_audit = '1s'";
    assert_eq!(parsed(short).plugins[0].limits.drain, S(22));
}

#[test]
fn limits_made_in_code_are_checked_too() {
    assert!(Limits::default().check().is_ok());
    let message = |limits: Limits| limits.check().expect_err("must be refused").to_string();
    assert_eq!(
        message(Limits { audit: S(40), ..Limits::default() }),
        "limits.drain: expected at least 42s, found 30s: a replaced plugin must be able to end its longest call, which \
         is limits.audit (40s) + limits.grace (2s); raise `drain` to 42s or more"
    );
    assert_eq!(
        message(Limits { hold: S(0), ..Limits::default() }),
        "limits.hold: expected duration above zero and of at most 24h, found 0s"
    );
    let methods = [(Method::GetUserLimits, MAX_LIMIT + S(1))].into();
    assert_eq!(
        message(Limits { methods, ..Limits::default() }),
        "limits.methods.get_user_limits: expected duration above zero and of at most 24h, found 1day 1s"
    );
}

#[test]
fn a_loaded_file_is_its_text() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("plugins.toml");
    std::fs::write(&path, EXAMPLE).expect("write");
    let config = PluginsConfig::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.path, path);
    assert_eq!(config.secret_files()[..1], [directory.path().join("secrets/eu-signing-key")]);
}

#[test]
fn gts_segments() {
    for good in ["a.b.c.d.v0", "acme.policy._.static.v1", "a1._b.c_.d.v12.0", "a.b.c.d.v4294967295"] {
        assert!(names::is_gts_segment(good), "{good}");
    }
    for bad in [
        "",
        "a.b.c.v1",
        "a.b.c.d.e.v1",
        "a.b.c.d.v1.2.3",
        "a.b.c.d.1",
        "a.b.c.d.v",
        "a.b.c.d.v01",
        "a.b.c.d.v+1",
        "a.b.c.d.v1.",
        "a.b.c.d.v1.02",
        "a.b.c.d.v4294967296",
        "A.b.c.d.v1",
        "1.b.c.d.v1",
        "a..c.d.v1",
        "a.b-c.c.d.v1",
        "a.b.c.d.v1~",
        "a.b.c.é.v1",
    ] {
        assert!(!names::is_gts_segment(bad), "{bad}");
    }
}
