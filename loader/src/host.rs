//! [`PluginHost`]: the plugins of one host.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};

use tokio::sync::{broadcast, oneshot, watch};

use crate::budget;
use crate::builder::PluginHostBuilder;
use crate::client::SlotClient;
use crate::error::SwapError;
use crate::events::{Events, HostEvent};
use crate::status::{HostSnapshot, HostStatus, PluginStatus, ShutdownReport, Swapped};
use crate::supervisor::{Command, Shared, Supervisor};

/// The plugins of one host. A process may have several.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use mini_chat_plugin_loader::PluginHost;
///
/// let host = PluginHost::builder()
///     .identity("my-server", "1.0.0")
///     .config_file("/etc/my-server/plugins.toml")
///     .plugins("/var/lib/my-server/plugins")
///     .build()
///     .await?;
/// let policy = host.model_policy("acme.policy._.static.v1");
/// # let (user, token) = (mini_chat_plugin_sdk::uuid::Uuid::nil(), mini_chat_plugin_sdk::tokio_util::sync::CancellationToken::new());
/// let version = policy.get_current_policy_version(user, token).await?;
/// host.shutdown().await;
/// # Ok(()) }
/// ```
///
/// End it with [`shutdown`](Self::shutdown): a host that is only dropped stops its plugins without their shutdown hooks,
/// and warns of what may not be flushed.
pub struct PluginHost {
    /// Its thread, and the private copies of the libraries that are mapped: they go with the host.
    supervisor: Supervisor,
    shared: Arc<Shared>,
    events: Events,
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginHost").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl PluginHost {
    /// What a host is to be made of.
    pub fn builder() -> PluginHostBuilder {
        PluginHostBuilder::new()
    }

    pub(crate) fn new(supervisor: Supervisor, shared: Arc<Shared>, events: Events) -> Self {
        Self { supervisor, shared, events }
    }

    /// The model-policy handle of the plugin named `name`. Always a handle, at no cost worth caching it for: it stays
    /// valid whatever happens to the plugin, also when the host is gone. While nothing serves under the name, or what
    /// serves there does not serve this trait, its policy methods answer `Internal` and `publish_usage` `Transient`.
    #[must_use]
    pub fn model_policy(&self, name: &str) -> Arc<dyn MiniChatModelPolicyPluginClientV1> {
        Arc::new(SlotClient::new(self.shared.slot(name)))
    }

    /// The audit handle of the plugin named `name`; see [`model_policy`](Self::model_policy). While nothing serves, its
    /// methods answer `Transient`, so that an outbox keeps the event.
    #[must_use]
    pub fn audit(&self, name: &str) -> Arc<dyn MiniChatAuditPluginClientV1> {
        Arc::new(SlotClient::new(self.shared.slot(name)))
    }

    /// What serves, what does not, and why.
    #[must_use]
    pub fn status(&self) -> HostStatus {
        let slots = self.shared.slots.read().unwrap_or_else(PoisonError::into_inner);
        HostStatus {
            plugins: slots.values().map(|slot| PluginStatus::of(slot)).collect(),
            refused_files: self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            images: budget::headroom(self.shared.max_images),
        }
    }

    /// What happens from now on. A receiver that falls more than 1,024 events behind is told how many it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    /// What serves, always the latest: for whoever needs to know which plugins there are and when that changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<HostSnapshot> {
        self.shared.snapshot.subscribe()
    }

    /// Looks at the plugin directories, `plugins.toml` and its secrets now, and swaps what has changed. Returns at once:
    /// what comes of it is told by [`events`](Self::events).
    pub fn rescan(&self) {
        self.supervisor.ask(Command::Look { completed: Vec::new() });
    }

    /// Serves the file `path`, which need not stand in a plugin directory, in every slot that its id belongs to. It stays
    /// until the plugin directories have something that they do not have now. Ready when it serves, or was not accepted;
    /// what served before serves until then, and on. Probation has then only begun.
    ///
    /// # Errors
    ///
    /// [`SwapError`]: the file is not usable, nobody wants its id, its constructor or its health check failed, another
    /// build came in between. The first slot's error, if there are several.
    pub async fn swap(&self, path: impl Into<PathBuf>) -> Result<Vec<Swapped>, SwapError> {
        self.ask(|answer| Command::Swap { path: path.into(), answer }).await
    }

    /// Looks again, and creates the plugin named `name` anew even if nothing has changed: a fresh mapping of its file, its
    /// configuration and its secrets read now.
    ///
    /// # Errors
    ///
    /// As [`swap`](Self::swap).
    pub async fn reload(&self, name: &str) -> Result<Swapped, SwapError> {
        let name = name.to_owned();
        self.ask(|answer| Command::Reload { name, answer }).await
    }

    /// Serves what served before the last swap, at once if that stands by (during probation), else by creating it anew.
    /// What serves now is not tried again until its content changes.
    ///
    /// # Errors
    ///
    /// [`SwapError::NothingToRollBackTo`]; or the predecessor could not be created.
    pub async fn rollback(&self, name: &str) -> Result<Swapped, SwapError> {
        let name = name.to_owned();
        self.ask(|answer| Command::RollBack { name, answer }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SwapError>>) -> Command,
    ) -> Result<T, SwapError> {
        let (answer, outcome) = oneshot::channel();
        self.supervisor.ask(command(answer));
        outcome.await.unwrap_or(Err(SwapError::ShuttingDown))
    }

    /// Ends every plugin, all at once: waits for the calls under way (at most until half of the shutdown limit has passed,
    /// and no plugin longer than its `drain` limit), runs the shutdown hooks, stops the runtimes. Handles then answer as
    /// empty slots do. The whole takes about the limit `[host] shutdown` (default 25 s) at most. Called again, it gives the
    /// same report. Dropped half-way, it goes on without its caller.
    pub async fn shutdown(&self) -> ShutdownReport {
        let (answer, report) = oneshot::channel();
        self.supervisor.ask(Command::Shutdown { answer });
        match report.await {
            Ok(report) => report,
            // It has ended before.
            Err(_) => self.shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default(),
        }
    }
}
