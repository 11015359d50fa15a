//! `plugins.toml` and secrets that change while the host runs.

use std::fs;
use std::path::PathBuf;

use futures::executor::block_on;
use mini_chat_plugin_loader::{HostEvent, PluginHost};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, good};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

/// A host with a `plugins.toml` and a secret.
struct Configured {
    host: PluginHost,
    place: TempDir,
    events: Receiver<HostEvent>,
}

impl Configured {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("plugins")).unwrap();
        good(1).drop_in(&place.path().join("plugins"), "libstamped.so");
        fs::write(place.path().join("secret"), "one").unwrap();
        write(place.path().join("plugins.toml"), &text("secret = { file = \"secret\" }"));
        let builder = PluginHost::builder().plugins(place.path().join("plugins"));
        let host = block_on(builder.config_file(place.path().join("plugins.toml")).build()).expect("it starts");
        let events = host.events();
        Self { host, place, events }
    }

    fn write(&self, text: &str) {
        write(self.place.path().join("plugins.toml"), text);
    }

    /// The length of the secret that the plugin has; none if it does not serve.
    fn secret(&self) -> Option<i64> {
        let policy = self.host.model_policy(ID);
        let limits = block_on(policy.get_user_limits(Default::default(), 1, CancellationToken::new())).ok()?;
        Some(limits.premium.limit_monthly_credits_micro)
    }

    fn until(&mut self, what: &str, is_it: impl Fn(&HostEvent) -> bool) {
        eventually(what, || std::iter::from_fn(|| self.events.try_recv().ok()).any(|event| is_it(&event)));
    }
}

fn write(path: PathBuf, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

fn text(config: &str) -> String {
    format!("[plugins.\"{ID}\"]\ndata_dir = \"data\"\n[plugins.\"{ID}\".config]\n{config}\n")
}

#[test]
fn a_secret_that_is_rotated_reaches_a_new_generation() {
    let world = Configured::new();
    assert_eq!(world.secret(), Some(3));
    write(world.place.path().join("secret"), "rotated");
    eventually("the plugin has it", || world.secret() == Some(7));
    let generation = world.host.status().plugins[0].instance.as_ref().unwrap().generation;
    assert_eq!(generation, 2);
    assert!(block_on(world.host.shutdown()).is_clean());
}

#[test]
fn a_wrong_plugins_toml_changes_nothing_and_a_mended_one_does() {
    let mut world = Configured::new();
    world.write("this is no TOML");
    world.until("it is said", |event| matches!(event, HostEvent::ConfigRefused { .. }));
    assert_eq!(world.secret(), Some(3));
    world.write(&text("secret = \"written here\""));
    eventually("the plugin has it", || world.secret() == Some(12));
    assert!(block_on(world.host.shutdown()).is_clean());
}

#[test]
fn a_configuration_that_the_plugin_refuses_leaves_the_old_one_serving() {
    let mut world = Configured::new();
    world.write(&text("secrt = \"x\""));
    world.until("it is refused", |event| matches!(event, HostEvent::Refused { kind: "config-refused", .. }));
    assert_eq!(world.secret(), Some(3));
    world.write(&text("secret = \"mended\""));
    eventually("the plugin has it", || world.secret() == Some(6));
    assert!(block_on(world.host.shutdown()).is_clean());
}

#[test]
fn a_missing_secret_leaves_the_old_one_serving() {
    let mut world = Configured::new();
    fs::remove_file(world.place.path().join("secret")).unwrap();
    world.until("it is said", |event| matches!(event, HostEvent::ConfigRefused { .. }));
    assert_eq!(world.secret(), Some(3));
    write(world.place.path().join("secret"), "again");
    eventually("the plugin has it", || world.secret() == Some(5));
    assert!(block_on(world.host.shutdown()).is_clean());
}

#[test]
fn a_plugin_that_is_disabled_ends_and_one_that_is_enabled_begins() {
    let mut world = Configured::new();
    world.write(&text("").replace("data_dir", "enabled = false\ndata_dir"));
    world.until("it is said", |event| matches!(event, HostEvent::Disabled { .. }));
    eventually("it does not serve", || world.secret().is_none());
    world.write(&text(""));
    eventually("it serves", || world.secret() == Some(0));
    assert!(block_on(world.host.shutdown()).is_clean());
}

#[test]
fn a_limit_that_is_changed_makes_a_generation() {
    let world = Configured::new();
    world.write(&format!("{}[plugins.\"{ID}\".limits]\npolicy = \"4s\"\n", text("secret = { file = \"secret\" }")));
    eventually("there is another generation", || {
        world.host.status().plugins[0].instance.as_ref().is_some_and(|instance| instance.generation == 2)
    });
    assert!(block_on(world.host.shutdown()).is_clean());
}
