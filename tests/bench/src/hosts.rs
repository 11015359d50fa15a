//! The hosts that serve what is measured.

use std::net::SocketAddr;
use std::path::Path;

use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::metrics::PrometheusRecorder;
use mini_chat_plugin_loader::{PluginHost, Preflight, StateDirChoice};
use tokio::runtime::{Builder, Runtime};

use crate::calls::Plugin;

/// The modes, by the names of their instances.
pub const MODES: [(&str, ExecutionMode); 3] =
    [("inline", ExecutionMode::Inline), ("isolated", ExecutionMode::Isolated), ("adaptive", ExecutionMode::Adaptive)];

/// A host with one instance of the library for each entry.
pub fn serving(library: &Path, entries: impl IntoIterator<Item = PluginEntry>) -> PluginHost {
    let builder = PluginHost::builder().identity("bench", "1").watch(false).plugin_file(library);
    let builder = builder.state_dir(StateDirChoice::Off).preflight(Preflight::Off);
    let host = waiting().block_on(entries.into_iter().fold(builder, |builder, entry| builder.plugin(entry)).build());
    let host = host.expect("a host");
    for plugin in host.status().plugins {
        assert!(plugin.serving, "{} does not serve: {:?}", plugin.name, plugin.reason);
    }
    host
}

/// An entry for another instance of the measured plugin.
pub fn entry(name: &str, mode: ExecutionMode) -> PluginEntry {
    let mut entry = PluginEntry::new(name);
    entry.library = measured::ID.to_owned();
    entry.instance = Some(format!("tests.measured._.{name}.v1"));
    entry.mode = mode;
    entry
}

/// The same, of a plugin that asks this server.
pub fn asking(name: &str, mode: ExecutionMode, server: SocketAddr) -> PluginEntry {
    let config = serde_json::json!({ "upstream": server.to_string() });
    entry(name, mode).with_config(config).expect("it is a configuration")
}

/// The handles of an instance.
pub fn loaded(host: &PluginHost, name: &str) -> Plugin {
    Plugin { policy: host.model_policy(name), audit: host.audit(name) }
}

/// As a program does that is shipped: a recorder of metrics, and a subscriber that wants `info` and more.
pub fn ship() {
    metrics::set_global_recorder(PrometheusRecorder::default()).expect("it is the first");
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink).init();
}

/// To wait for what is not measured.
pub fn waiting() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}
