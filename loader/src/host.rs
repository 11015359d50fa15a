//! [`PluginHost`]: the plugins of one host.

use std::path::PathBuf;
use std::sync::Arc;

use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};

use tokio::sync::{broadcast, watch};

use crate::audit::{AuditFanOut, FanOutConfig};
use crate::builder::PluginHostBuilder;
use crate::control::ControlSocket;
use crate::error::{ControlError, SwapError};
use crate::events::{Events, HostEvent};
use crate::handle::Handle;
use crate::metrics::Metering;
use crate::probe::Probe;
use crate::registry::{GtsTypes, Registry};
use crate::status::{HostSnapshot, HostStatus, Quarantined, Readiness, ShutdownReport, Swapped, Unpinned};
use crate::supervisor::{Shared, Supervisor};

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
    _supervisor: Supervisor,
    metering: Metering,
    handle: Handle,
    types: GtsTypes,
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

    pub(crate) fn new(
        supervisor: Supervisor,
        shared: Arc<Shared>,
        events: Events,
        types: GtsTypes,
        metrics_prefix: String,
    ) -> Self {
        let handle = Handle::new(supervisor.commands(), shared, events);
        let metering = Metering::start(metrics_prefix, handle.clone());
        Self { _supervisor: supervisor, metering, handle, types }
    }

    /// The model-policy handle of the plugin named `name`. Always a handle, at no cost worth caching it for: it stays
    /// valid whatever happens to the plugin, also when the host is gone. While nothing serves under the name, or what
    /// serves there does not serve this trait, its policy methods answer `Internal` and `publish_usage` `Transient`.
    #[must_use]
    pub fn model_policy(&self, name: &str) -> Arc<dyn MiniChatModelPolicyPluginClientV1> {
        self.handle.client(name)
    }

    /// The audit handle of the plugin named `name`; see [`model_policy`](Self::model_policy). While nothing serves, its
    /// methods answer `Transient`, so that an outbox keeps the event.
    #[must_use]
    pub fn audit(&self, name: &str) -> Arc<dyn MiniChatAuditPluginClientV1> {
        self.handle.client(name)
    }

    /// An audit plugin that delivers each event to every audit plugin of this host: those that serve the trait, those that
    /// have and are to again, and those with a section `[plugins.NAME.audit]`. It follows loads, swaps and retirements.
    #[must_use]
    pub fn audit_fan_out(&self, config: FanOutConfig) -> Arc<AuditFanOut> {
        let handle = self.handle.clone();
        Arc::new(AuditFanOut::new(
            self.watch(),
            Box::new(move |name| handle.client(name)),
            config,
            self.handle.audit_ledger(),
        ))
    }

    /// What serves, what does not, and why.
    #[must_use]
    pub fn status(&self) -> HostStatus {
        self.handle.status()
    }

    /// What happens from now on. A receiver that falls more than 1,024 events behind is told how many it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.handle.events()
    }

    /// What serves, always the latest: for whoever needs to know which plugins there are and when that changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<HostSnapshot> {
        self.handle.watch()
    }

    /// What serves, by the identifiers of the Global Type System: for hosts that look plugins up by type and vendor.
    #[must_use]
    pub fn registry(&self) -> Registry {
        Registry::new(self.handle.clone(), self.types.clone())
    }

    /// Looks at the plugin directories, `plugins.toml` and its secrets now, and swaps what has changed. Returns at once:
    /// what comes of it is told by [`events`](Self::events).
    pub fn rescan(&self) {
        self.handle.rescan();
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
        self.handle.swap(path.into()).await
    }

    /// Looks again, and creates the plugin named `name` anew even if nothing has changed: a fresh mapping of its file, its
    /// configuration and its secrets read now.
    ///
    /// # Errors
    ///
    /// As [`swap`](Self::swap).
    pub async fn reload(&self, name: &str) -> Result<Swapped, SwapError> {
        self.handle.reload(name).await
    }

    /// Serves what served before the last swap, at once if that stands by (during probation), else by creating it anew.
    /// What serves now is not tried again until its content changes.
    ///
    /// # Errors
    ///
    /// [`SwapError::NothingToRollBackTo`]; or the predecessor could not be created.
    pub async fn rollback(&self, name: &str) -> Result<Swapped, SwapError> {
        self.handle.rollback(name).await
    }

    /// Lets the plugin directories decide again what serves under `name`, after a [`swap`](Self::swap) or a
    /// [`rollback`](Self::rollback): what was rolled back by hand may then be tried again. Looks at once.
    ///
    /// # Errors
    ///
    /// [`SwapError::UnknownName`].
    pub async fn unpin(&self, name: &str) -> Result<Unpinned, SwapError> {
        self.handle.unpin(name).await
    }

    /// Lifts the quarantine of the plugin named `name`: its builds may be tried again, whatever stood against them. Looks at
    /// once. Gives what was lifted.
    ///
    /// # Errors
    ///
    /// [`SwapError::UnknownName`].
    pub async fn unquarantine(&self, name: &str) -> Result<Vec<Quarantined>, SwapError> {
        self.handle.unquarantine(name).await
    }

    /// Whether every required plugin serves.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.handle.readiness()
    }

    /// Ready, with true, as soon as the host shows that it is at work; with false once it has ended. Not ready while it hangs:
    /// for liveness probes, which bring a limit of their own.
    pub async fn is_alive(&self) -> bool {
        self.handle.is_alive().await
    }

    /// Lets other processes of this user, and of root, ask this host what [`control`](crate::control) lists, by a Unix
    /// socket at `path`: made with mode 0600, and removed when what this gives is dropped. A socket that a host has left
    /// behind is replaced. Returns as soon as clients can connect; threads of the socket's own answer them. Does not keep
    /// the host alive: after its end the answers are errors.
    ///
    /// # Errors
    ///
    /// [`ControlError`]: another host is served there, what stands there is no socket, or the system refuses.
    pub fn serve_control(&self, path: impl Into<PathBuf>) -> Result<ControlSocket, ControlError> {
        ControlSocket::serve(&path.into(), self.handle.clone())
    }

    /// Copies what was counted into the `metrics` facade now, rather than within a second: for whoever is about to read
    /// the recorder. Runs the recorder's code on the calling thread; blocks no longer than that takes.
    pub fn collect_metrics(&self) {
        self.metering.collector().collect();
    }

    /// What probes ask of this host, apart from it: it does not keep the host.
    #[must_use]
    pub fn probe(&self) -> Probe {
        Probe::new(self.handle.clone(), self.metering.collector())
    }

    /// Ends every plugin, all at once: waits for the calls under way (at most until half of the shutdown limit has passed,
    /// and no plugin longer than its `drain` limit), runs the shutdown hooks, stops the runtimes. Handles then answer as
    /// empty slots do. The whole takes about the limit `[host] shutdown` (default 25 s) at most. Called again, it gives the
    /// same report. Dropped half-way, it goes on without its caller.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.handle.shutdown().await
    }
}
