//! What a host offers its plugins: log, facts, spans and events ([`crate::trace`]); metrics are reserved.
//!
//! Each instance names its host by an integer of its own, looked up in a table of the process: after the instance has been
//! closed the number finds nothing, and every service answers `GONE` to what is left of the plugin.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use mini_chat_plugin_abi::buffer::{FfiStr, FfiString};
use mini_chat_plugin_abi::host::{FfiLogLevel, FfiServiceStatus, HostServices, HostServicesRef};
use tracing_core::subscriber::NoSubscriber;
use tracing_core::{Dispatch, dispatcher};

use crate::contain::quietly;
use crate::heap::Account;
use crate::trace;

/// Name and version of the program that hosts plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostIdentity {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Whom a number stands for.
#[derive(Debug)]
pub(crate) struct Client {
    host: HostIdentity,
    /// The account of the instance's image.
    account: Option<&'static Account>,
    /// The subscriber of the thread that created the instance.
    subscriber: Dispatch,
}

impl Client {
    /// Runs `act` with the subscriber that the instance's records go to: see [`crate::trace`].
    pub(crate) fn with_subscriber<R>(&self, act: impl FnOnce(&Dispatch) -> R) -> R {
        if !self.subscriber.is::<NoSubscriber>() {
            return act(&self.subscriber);
        }
        act(&dispatcher::get_default(Clone::clone))
    }
}

static CLIENTS: RwLock<Option<HashMap<u64, Arc<Client>>>> = RwLock::new(None);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// An instance's entry in the table; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    handle: u64,
}

impl Registration {
    pub(crate) fn new(host: HostIdentity, account: Option<&'static Account>) -> Self {
        let handle = NEXT.fetch_add(1, Ordering::Relaxed);
        let subscriber = dispatcher::get_default(Clone::clone);
        let mut clients = CLIENTS.write().unwrap_or_else(PoisonError::into_inner);
        clients.get_or_insert_default().insert(handle, Arc::new(Client { host, account, subscriber }));
        Self { handle }
    }

    /// The number by which the instance names its host.
    pub(crate) fn handle(&self) -> u64 {
        self.handle
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        trace::forget(self.handle);
        if let Some(clients) = CLIENTS.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            clients.remove(&self.handle);
        }
    }
}

pub(crate) fn client(handle: u64) -> Option<Arc<Client>> {
    CLIENTS.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(&handle).cloned()
}

struct Table;

impl Table {
    staticref! {const SERVICES: WithMetadata<HostServices> =
    WithMetadata::new(HostServices { log, metric, fact, tracing: trace::functions() });}
}

/// The services, for `open`.
pub(crate) const fn services() -> HostServicesRef {
    HostServicesRef(Table::SERVICES.as_prefix())
}

extern "C" fn log(handle: u64, level: FfiLogLevel, target: FfiStr<'_>, message: FfiStr<'_>) -> FfiServiceStatus {
    if client(handle).is_none() {
        return FfiServiceStatus::GONE;
    }
    let (plugin, message) = (target.as_str(), message.as_str());
    // The host's subscriber is code of the host: a panic in it must not reach the plugin.
    let written = quietly(|| match level {
        FfiLogLevel::ERROR => tracing::error!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::WARN => tracing::warn!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::DEBUG => tracing::debug!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::TRACE => tracing::trace!(target: "mini_chat_plugin", plugin, "{message}"),
        // A level of a newer plugin is information.
        _ => tracing::info!(target: "mini_chat_plugin", plugin, "{message}"),
    });
    if written.is_ok() { FfiServiceStatus::OK } else { FfiServiceStatus::UNSUPPORTED }
}

extern "C" fn metric(handle: u64, _name: FfiStr<'_>, _value: f64, _labels: FfiStr<'_>) -> FfiServiceStatus {
    if client(handle).is_none() { FfiServiceStatus::GONE } else { FfiServiceStatus::UNSUPPORTED }
}

extern "C" fn fact(handle: u64, name: FfiStr<'_>, out: &mut FfiString) -> FfiServiceStatus {
    let Some(client) = client(handle) else { return FfiServiceStatus::GONE };
    let text = match name.as_str() {
        "host.name" => client.host.name.clone(),
        "host.version" => client.host.version.clone(),
        "host.pid" => std::process::id().to_string(),
        "loader.version" => env!("CARGO_PKG_VERSION").to_owned(),
        _ => return FfiServiceStatus::NOT_FOUND,
    };
    // Both buffers change owners, and so accounts.
    let before = std::mem::replace(out, text.into());
    if let Some(account) = client.account {
        account.moved_in(out.heap_bytes());
        account.moved_out(before.heap_bytes());
    }
    FfiServiceStatus::OK
}
