//! [`PluginDefinition`]: what an author states of a plugin.

use std::future::Future;

use mini_chat_plugin_abi::module::{PluginAuditRef, PluginModelPolicyRef};
use serde::Deserialize;

use crate::config::ConfigFault;
use crate::context::PluginContext;
use crate::plugin_error::PluginError;

/// What can be a configuration type: whatever serde can make without borrowing. A trait of its own for its message alone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the configuration of a plugin",
    label = "`plugins.NAME.config` cannot be read into this type",
    note = "put `#[derive(serde::Deserialize)]` on `{Self}`; it must own all it has, and be `Send`",
    note = "a plugin without configuration has `config: NoConfig`"
)]
pub trait PluginConfig: Send + Sized + 'static {
    /// Reads one from its JSON text.
    #[doc(hidden)]
    fn read(json: &str) -> Result<Self, ConfigFault>;
}

// serde's trait is neither a supertrait nor asked for by way of `DeserializeOwned`: the compiler would tell of that one then.
#[diagnostic::do_not_recommend]
impl<T: for<'de> Deserialize<'de> + Send + 'static> PluginConfig for T {
    fn read(json: &str) -> Result<Self, ConfigFault> {
        crate::config::read(json)
    }
}

/// What an author states of a plugin. Implemented by [`export_plugin!`](crate::export_plugin) and
/// [`define_plugin!`](crate::define_plugin), not by hand.
pub trait PluginDefinition: Sized + Send + Sync + 'static {
    /// The plugin's id: one GTS segment, such as `acme.audit._.jsonl.v1`.
    const ID: &'static str;
    /// Who makes it.
    const VENDOR: &'static str;
    /// Lower is preferred where a host selects one of several plugins.
    const PRIORITY: i16;
    /// The author's crate.
    const PACKAGE: &'static str;
    /// The version of the author's crate.
    const VERSION: &'static str;
    /// Whether [`create`](Self::create) and [`health`](Self::health) may run in a preflight process beside a serving
    /// instance.
    const PREFLIGHT_CREATE: bool = true;
    /// Whether several instances may share the library's statics, so that a new generation needs no fresh mapping.
    const REENTRANT: bool = false;
    /// Whether [`health`](Self::health) is the author's.
    const HAS_HEALTH: bool = false;
    /// Whether [`shutdown`](Self::shutdown) is the author's.
    const HAS_SHUTDOWN: bool = false;
    /// Whether [`quiesce`](Self::quiesce) is the author's: then the plugin is exclusive.
    const HAS_QUIESCE: bool = false;
    /// Whether [`resume`](Self::resume) is the author's; together with `quiesce` only.
    const HAS_RESUME: bool = false;
    /// Whether [`export_state`](Self::export_state) is the author's.
    const HAS_EXPORT_STATE: bool = false;
    /// The model-policy vtable, if that trait is served.
    const MODEL_POLICY: Option<PluginModelPolicyRef>;
    /// The audit vtable, if that trait is served.
    const AUDIT: Option<PluginAuditRef>;

    /// The type that implements the traits.
    type Plugin: Send + Sync + 'static;
    /// The type that `plugins.NAME.config` is read into.
    type Config: PluginConfig;

    /// The constructor.
    fn create(
        context: PluginContext,
        config: Self::Config,
    ) -> impl Future<Output = Result<Self::Plugin, PluginError>> + Send;

    /// The health check.
    fn health(_plugin: &Self::Plugin) -> impl Future<Output = Result<(), PluginError>> + Send {
        std::future::ready(Ok(()))
    }

    /// The hook at the end: flush what is not flushed.
    fn shutdown(_plugin: &Self::Plugin) -> impl Future<Output = Result<(), PluginError>> + Send {
        std::future::ready(Ok(()))
    }

    /// The hook before a successor is created: give up what only one instance may hold, and flush.
    fn quiesce(_plugin: &Self::Plugin) -> impl Future<Output = Result<(), PluginError>> + Send {
        std::future::ready(Ok(()))
    }

    /// The hook if there is to be no successor after all: take back what `quiesce` gave up.
    fn resume(_plugin: &Self::Plugin) -> impl Future<Output = Result<(), PluginError>> + Send {
        std::future::ready(Ok(()))
    }

    /// The hook that says what the successor gets.
    fn export_state(_plugin: &Self::Plugin) -> impl Future<Output = Result<Vec<u8>, PluginError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }
}
