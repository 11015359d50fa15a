//! A host whose metrics go to a recorder, and what tests ask of it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use futures::executor::block_on;
use mini_chat_plugin_loader::{PluginHost, PluginStatus};
use mini_chat_plugin_sdk::plugin_api::MiniChatModelPolicyPluginClientV1;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::Uuid;
use mini_chat_plugin_tests::recorded::{self, Recorded};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, Stamp};
use tempfile::TempDir;

pub(crate) const FILE: &str = "libstamped.so";

/// A host on builds of `stamped`, with a prefix of its own: the process has one recorder.
pub(crate) struct World {
    pub(crate) host: PluginHost,
    pub(crate) place: TempDir,
    pub(crate) recorded: Recorded,
    prefix: &'static str,
}

/// `plugins.toml` with these lines for the plugin.
pub(crate) fn config(settings: &str, data: &std::path::Path) -> String {
    let data = data.display();
    let mode = if settings.contains("mode") { "" } else { "mode = \"inline\"\n" };
    format!("[plugins.\"{ID}\"]\n{mode}data_dir = \"{data}\"\nprobation.duration = \"1h\"\n{settings}\n")
}

impl World {
    pub(crate) fn new(prefix: &'static str, first: Stamp, settings: &str) -> Self {
        let (place, recorded) = (tempfile::tempdir().unwrap(), recorded::install());
        for directory in ["plugins", "data"] {
            fs::create_dir(place.path().join(directory)).unwrap();
        }
        fs::write(place.path().join("plugins.toml"), config(settings, &place.path().join("data"))).unwrap();
        first.drop_in(&place.path().join("plugins"), FILE);
        let builder = PluginHost::builder().identity("tests", "1").watch(false).metrics_prefix(prefix);
        let builder = builder.plugins(place.path().join("plugins")).config_file(place.path().join("plugins.toml"));
        let host = block_on(builder.build()).expect("the host starts");
        Self { host, place, recorded, prefix }
    }

    pub(crate) fn configure(&self, settings: &str) {
        self.write_config(&config(settings, &self.place.path().join("data")));
    }

    pub(crate) fn write_config(&self, text: &str) {
        let partial = self.place.path().join("partial");
        fs::write(&partial, text).unwrap();
        fs::rename(partial, self.place.path().join("plugins.toml")).unwrap();
        self.host.rescan();
    }

    pub(crate) fn drop_in(&self, stamp: Stamp) {
        stamp.drop_in(&self.plugins(), FILE);
        self.host.rescan();
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.place.path().join("plugins")
    }

    pub(crate) fn status(&self) -> PluginStatus {
        self.host.status().plugins.into_iter().find(|plugin| plugin.name == ID).expect("the slot")
    }

    pub(crate) fn policy(&self) -> Arc<dyn MiniChatModelPolicyPluginClientV1> {
        self.host.model_policy(ID)
    }

    /// Calls; gives which build answers.
    pub(crate) fn call(&self) -> Option<u64> {
        let call = self.policy();
        let call = call.get_current_policy_version(Uuid::nil(), CancellationToken::new());
        block_on(call).ok().map(|info| info.policy_version)
    }

    pub(crate) fn until_generation(&self, generation: u64) {
        eventually(&format!("generation {generation}"), || {
            self.status().instance.is_some_and(|instance| instance.generation == generation)
        });
    }

    /// A metric of the plugin now, with further labels.
    pub(crate) fn value(&self, metric: &str, labels: &str) -> Option<f64> {
        self.host.collect_metrics();
        let comma = if labels.is_empty() { "" } else { "," };
        self.recorded.value(&format!("{}_{metric}{{plugin={ID}{comma}{labels}}}", self.prefix))
    }

    pub(crate) fn calls(&self, method: &str, outcome: &str) -> Option<f64> {
        self.value("calls_total", &format!("method={method},outcome={outcome}"))
    }

    pub(crate) fn of_host(&self, metric: &str) -> Option<f64> {
        self.host.collect_metrics();
        self.recorded.value(&format!("{}_{metric}", self.prefix))
    }

    /// All series of this host now.
    pub(crate) fn series(&self) -> Vec<String> {
        self.host.collect_metrics();
        self.recorded.series(&format!("{}_", self.prefix))
    }

    pub(crate) fn end(self) {
        let (recorded, prefix) = (self.recorded.clone(), self.prefix);
        block_on(self.host.shutdown());
        drop(self.host);
        let left = recorded.series(&format!("{prefix}_"));
        assert!(left.is_empty(), "series outlive their host: {left:?}");
    }
}
