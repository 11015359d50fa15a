//! [`PluginHost`]: the plugins of one host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};

use crate::builder::PluginHostBuilder;
use crate::client::SlotClient;
use crate::events::HostEvent;
use crate::housekeeping::after;
use crate::slot::Slot;
use crate::start::Starter;
use crate::status::{EndedPlugin, HostStatus, PluginStatus, RefusedFile, ShutdownReport};

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
    /// The threads, and the private copies of the libraries that are mapped: they go with the host.
    starter: Starter,
    slots: RwLock<BTreeMap<String, Arc<Slot>>>,
    refused: Vec<RefusedFile>,
    shutdown_limit: Duration,
    ended: AtomicBool,
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
        starter: Starter,
        slots: BTreeMap<String, Arc<Slot>>,
        refused: Vec<RefusedFile>,
        shutdown_limit: Duration,
    ) -> Self {
        Self { starter, slots: RwLock::new(slots), refused, shutdown_limit, ended: AtomicBool::new(false) }
    }

    /// The model-policy handle of the plugin named `name`. Always a handle, at no cost worth caching it for: it stays
    /// valid whatever happens to the plugin, also when the host is gone. While nothing serves under the name, or what
    /// serves there does not serve this trait, its policy methods answer `Internal` and `publish_usage` `Transient`.
    #[must_use]
    pub fn model_policy(&self, name: &str) -> Arc<dyn MiniChatModelPolicyPluginClientV1> {
        Arc::new(SlotClient::new(self.slot(name)))
    }

    /// The audit handle of the plugin named `name`; see [`model_policy`](Self::model_policy). While nothing serves, its
    /// methods answer `Transient`, so that an outbox keeps the event.
    #[must_use]
    pub fn audit(&self, name: &str) -> Arc<dyn MiniChatAuditPluginClientV1> {
        Arc::new(SlotClient::new(self.slot(name)))
    }

    /// What serves, what does not, and why.
    #[must_use]
    pub fn status(&self) -> HostStatus {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        HostStatus {
            plugins: slots.values().map(|slot| PluginStatus::of(slot)).collect(),
            refused_files: self.refused.clone(),
        }
    }

    /// What happens from now on. A receiver that falls more than 256 events behind is told how many it missed.
    #[must_use]
    pub fn events(&self) -> tokio::sync::broadcast::Receiver<HostEvent> {
        self.starter.events.subscribe()
    }

    /// Ends every plugin, all at once: waits for the calls under way (at most until half of the shutdown limit has passed,
    /// and no plugin longer than its `drain` limit), runs the shutdown hooks, stops the runtimes. Handles then answer as
    /// empty slots do. The whole takes about the limit `[host] shutdown` (default 25 s) at most. Called again, it does
    /// nothing. Await it to its end: dropped half-way, it stops plugins without their shutdown hooks.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.ended.store(true, Ordering::Release);
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect::<Vec<_>>();
        let end_by = after(self.shutdown_limit);
        let ends = slots.into_iter().filter_map(|slot| slot.vacate("shut-down", "the host has been shut down")).map(
            async |instance| {
                let drain = instance.settings.limits.drain.min(self.shutdown_limit / 2);
                EndedPlugin::from(instance.end(after(drain), end_by).await)
            },
        );
        let plugins = join_all(ends).await;
        for plugin in &plugins {
            log_end(plugin);
        }
        ShutdownReport { plugins }
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        if let Some(slot) = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(slot);
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(name.to_owned()).or_insert_with(|| {
            let why = "no plugin of this name is configured, and no file has it as its id";
            Arc::new(Slot::new(name, "unknown-name", why))
        });
        Arc::clone(slot)
    }
}

fn log_end(plugin: &EndedPlugin) {
    let EndedPlugin { name, abandoned_calls, shutdown_error, runtime_stopped, heap_growth_bytes } = plugin;
    if let Some(error) = shutdown_error {
        tracing::error!(plugin = name, "{error}; what it had to flush may be lost");
    }
    if *abandoned_calls > 0 {
        tracing::warn!(plugin = name, abandoned_calls, "calls had not ended when the drain limit passed");
    }
    tracing::info!(plugin = name, ?runtime_stopped, ?heap_growth_bytes, "plugin has ended");
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        let slots = std::mem::take(self.slots.get_mut().unwrap_or_else(PoisonError::into_inner));
        for slot in slots.into_values() {
            let Some(instance) = slot.vacate("host-gone", "the host is gone") else { continue };
            if !self.ended.load(Ordering::Acquire) {
                let flushes = instance.image.descriptor.hooks.iter().any(|hook| hook == "shutdown");
                tracing::warn!(
                    plugin = instance.name(),
                    in_flight = instance.in_flight(),
                    "the host was dropped without shutdown().await: {}",
                    if flushes {
                        "the plugin's shutdown hook does not run, and what it has not flushed is lost"
                    } else {
                        "calls under way may be cut off"
                    }
                );
            }
        }
    }
}
