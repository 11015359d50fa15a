//! A host on a directory with builds of `stamped`, and what tests look at.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::{HostEvent, PluginHost, PluginHostBuilder, PluginStatus};
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::Uuid;
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, Stamp};
use tempfile::TempDir;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// The name of the library in the directory.
pub(crate) const FILE: &str = "libstamped.so";

/// A host that serves `stamped`.
pub(crate) struct World {
    pub(crate) host: PluginHost,
    pub(crate) directory: TempDir,
    pub(crate) data: TempDir,
    events: Receiver<HostEvent>,
    seen: Vec<HostEvent>,
}

/// An entry with a probation that no test outlives, unless it says so.
pub(crate) fn entry(data: &Path) -> PluginEntry {
    let mut entry = PluginEntry::new(ID);
    entry.mode = ExecutionMode::Inline;
    entry.data_dir = Some(data.to_owned());
    entry.probation.duration = Duration::from_secs(3600);
    entry
}

impl World {
    /// With `first` serving.
    pub(crate) fn new(first: Stamp) -> Self {
        Self::with(first, |_| (), |builder| builder)
    }

    /// Likewise, with other settings.
    pub(crate) fn with(
        first: Stamp,
        settings: impl FnOnce(&mut PluginEntry),
        host: impl FnOnce(PluginHostBuilder) -> PluginHostBuilder,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        first.drop_in(directory.path(), FILE);
        Self::on(directory, settings, host)
    }

    /// On a directory, where something is that serves.
    pub(crate) fn on(
        directory: TempDir,
        settings: impl FnOnce(&mut PluginEntry),
        host: impl FnOnce(PluginHostBuilder) -> PluginHostBuilder,
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut entry = entry(data.path());
        settings(&mut entry);
        let builder = PluginHost::builder().identity("tests", "1").plugins(directory.path()).plugin(entry);
        let host = block_on(host(builder).build()).expect("the host starts");
        let events = host.events();
        let world = Self { host, directory, data, events, seen: Vec::new() };
        assert!(world.status().serving, "{:#?}", world.host.status());
        world
    }

    /// Drops a build into the directory, in the place of the one that is there.
    pub(crate) fn drop_in(&self, stamp: Stamp) -> PathBuf {
        stamp.drop_in(self.directory.path(), FILE)
    }

    pub(crate) fn status(&self) -> PluginStatus {
        let plugins = self.host.status().plugins;
        plugins.into_iter().find(|plugin| plugin.name == ID).expect("the slot")
    }

    pub(crate) fn policy(&self) -> Arc<dyn MiniChatModelPolicyPluginClientV1> {
        self.host.model_policy(ID)
    }

    pub(crate) fn audit(&self) -> Arc<dyn MiniChatAuditPluginClientV1> {
        self.host.audit(ID)
    }

    /// Which build answers.
    pub(crate) fn build(&self) -> Result<u64, String> {
        let token = CancellationToken::new();
        let answer = block_on(self.policy().get_current_policy_version(Uuid::nil(), token));
        answer.map(|info| info.policy_version).map_err(|error| error.to_string())
    }

    /// The generation that serves.
    pub(crate) fn generation(&self) -> u64 {
        self.status().instance.expect("it serves").generation
    }

    /// Waits until this build answers, and the status says so.
    pub(crate) fn until_serves(&self, build: u64) {
        eventually(&format!("build {build} serves"), || self.build() == Ok(build));
        // The supervisor has answered: it is through with the step in which the build began to serve.
        assert!(block_on(self.host.is_alive()));
    }

    /// Waits until the slot is in this state.
    pub(crate) fn until_state(&self, state: &str) {
        eventually(&format!("state {state}"), || self.status().swap.state == state);
    }

    /// Everything that has happened so far.
    pub(crate) fn happened(&mut self) -> &[HostEvent] {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.seen.push(event),
                Err(TryRecvError::Lagged(_)) => panic!("events were lost"),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return &self.seen,
            }
        }
    }

    /// Waits for an event.
    pub(crate) fn until(&mut self, what: &str, is_it: impl Fn(&HostEvent) -> bool) -> HostEvent {
        let mut found = None;
        eventually(what, || {
            found = self.happened().iter().find(|event| is_it(event)).cloned();
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// Waits until a build was refused with this code.
    pub(crate) fn until_refused(&mut self, kind: &str) -> HostEvent {
        self.until(
            &format!("refused: {kind}"),
            |event| matches!(event, HostEvent::Refused { kind: found, .. } if *found == kind),
        )
    }

    /// Ends the host, and looks whether that went well.
    pub(crate) fn end(self) {
        let report = block_on(self.host.shutdown());
        assert!(report.is_clean(), "{report:#?}");
    }
}
