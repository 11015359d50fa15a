//! Write a mini-chat plugin in plain async Rust.
//!
//! 1. Implement [`MiniChatModelPolicyPluginClientV1`](plugin_api::MiniChatModelPolicyPluginClientV1),
//!    [`MiniChatAuditPluginClientV1`](plugin_api::MiniChatAuditPluginClientV1), or both.
//! 2. Call [`export_plugin!`] once.
//! 3. `cargo build --release`, and drop the `.so` into the host's plugin directory.
//!
//! Sockets, timers, `tokio::spawn` and `spawn_blocking` work in every method: the plugin has a tokio runtime of its own,
//! entered for every poll and drop. A panic becomes an error of that call. What crosses to the host and how stands in the
//! crate `mini-chat-plugin-abi`; a plugin author never needs it.
//!
//! | to | see |
//! | --- | --- |
//! | know what a constructor is told | [`PluginContext`] |
//! | say why it failed | [`PluginError`] |
//! | keep a secret out of logs | [`Secret`] |
//! | know the call's deadline and identity | [`call`] |
//! | link the plugin into tests | [`define_plugin!`], [`InProcessPlugin`] |
//! | call a constructor without a host | [`testing`] |

pub mod audit_models;
pub mod call;
mod config;
mod context;
#[doc(hidden)]
pub mod convert;
pub mod error;
mod in_process;
pub mod models;
mod plugin;
pub mod plugin_api;
mod plugin_error;
mod secret;
pub mod testing;

pub use async_trait::async_trait;
pub use config::NoConfig;
pub use context::{Handover, LogLevel, PluginContext, Purpose};
pub use in_process::InProcessPlugin;
pub use plugin_error::{OrPluginError, PluginError};
pub use secret::Secret;
// What a plugin author meets in signatures.
pub use {serde, time, tokio_util, uuid};

/// Everything that a plugin usually needs.
pub mod prelude {
    pub use crate::audit_models::*;
    pub use crate::error::*;
    pub use crate::models::*;
    pub use crate::plugin_api::*;
    pub use crate::{
        Handover, InProcessPlugin, LogLevel, NoConfig, OrPluginError, PluginContext, PluginError, Purpose, Secret,
        async_trait, define_plugin, export_plugin,
    };
    pub use time::OffsetDateTime;
    pub use tokio_util::sync::CancellationToken;
    pub use uuid::Uuid;
}

/// What the macros name; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use mini_chat_plugin_abi::module::{PluginAuditRef, PluginModelPolicyRef};

    pub use crate::plugin::definition::PluginDefinition;
    pub use crate::plugin::descriptor::{DescriptorText, mistake};
    pub use crate::plugin::vtable::{audit, model_policy};
    #[cfg(mini_chat_elf)]
    pub use crate::plugin::{
        entry::{ModuleCell, enter},
        heap::HostHeap,
    };
    #[cfg(mini_chat_elf)]
    pub use mini_chat_plugin_abi::entry::{EntryArgs, EntryReply};
}
